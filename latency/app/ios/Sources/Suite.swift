import Foundation

/// A row of the manifest: one package, in its place of the run.
struct Entry {
    let position: String
    let file: String
    let sha256: String
    let kind: String

    init(_ row: [String: String]) throws {
        func cell(_ name: String) throws -> String {
            guard let text = row[name] else { throw SuiteError.noColumn(name) }
            return text
        }
        position = try cell("position")
        file = try cell("file")
        sha256 = try cell("sha256")
        kind = try cell("subject_kind")
    }
}

/// A folder of packages with `manifest.csv` and `settings.json`, in the app's `Documents/suite`.
struct Suite {
    let folder: URL
    let entries: [Entry]
    let settings: Settings

    /// Opens the suite of that name, or without one the folder that was changed last.
    init(named name: String?) throws {
        let suites = URL.documentsDirectory.appendingPathComponent("suite")
        guard let folder = name.map({ suites.appendingPathComponent($0) })
            ?? Suite.newest(in: suites),
            let text = try? String(
                contentsOf: folder.appendingPathComponent("manifest.csv"), encoding: .utf8)
        else { throw SuiteError.noSuite(name ?? "") }
        self.folder = folder
        entries = try Csv.table(text, of: "manifest.csv").map { try Entry($0) }
        settings = try Settings.read(folder.appendingPathComponent("settings.json"))
    }

    private static func newest(in suites: URL) -> URL? {
        let inside = try? FileManager.default.contentsOfDirectory(
            at: suites, includingPropertiesForKeys: [.contentModificationDateKey])
        func changed(_ url: URL) -> Date {
            let values = try? url.resourceValues(forKeys: [.contentModificationDateKey])
            return values?.contentModificationDate ?? .distantPast
        }
        return inside?.max { changed($0) < changed($1) }
    }
}
