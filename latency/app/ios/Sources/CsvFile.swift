import Foundation

/// A CSV file that grows by whole rows; each is on the disk before `append` returns, so that a crash
/// loses none.
final class CsvFile {
    let columns: [String]
    private(set) var rows: [[String: String]] = []
    private let url: URL

    /// Opens a file, or begins one where none is. A last line without an end, which a crash has torn,
    /// is dropped as bytes: it may end inside a letter. One that cannot be read is left as it is.
    init(_ url: URL, columns: [String]) throws {
        self.url = url
        self.columns = columns
        guard FileManager.default.fileExists(atPath: url.path) else {
            try rewrite([])
            return
        }
        let name = url.lastPathComponent
        let data = try Data(contentsOf: url)
        let end = data.lastIndex(of: UInt8(ascii: "\n")).map { data.index(after: $0) }
        guard let whole = String(data: data[..<(end ?? data.startIndex)], encoding: .utf8) else {
            throw SuiteError.noText(name)
        }
        guard Csv.parse(whole).first == columns else { throw SuiteError.otherColumns(name) }
        try rewrite(Csv.table(whole, of: name))
    }

    /// Adds all of the rows or, where that fails, nothing.
    func append(_ added: [[String: String]]) throws {
        let handle = try FileHandle(forWritingTo: url)
        defer { try? handle.close() }
        let end = try handle.seekToEnd()
        do {
            try handle.write(contentsOf: Data(text(added).utf8))
            try handle.synchronize()
        } catch {
            // half a line would be joined to the next one
            try? handle.truncate(atOffset: end)
            throw error
        }
        rows += added
    }

    /// Adds a row in place of those for which `old` holds.
    func put(_ row: [String: String], inPlaceOf old: ([String: String]) -> Bool) throws {
        let left = rows.filter { !old($0) }
        if left.count < rows.count { try rewrite(left + [row]) } else { try append([row]) }
    }

    /// Leaves only the rows for which `kept` holds.
    func keep(where kept: ([String: String]) -> Bool) throws {
        let left = rows.filter(kept)
        if left.count < rows.count { try rewrite(left) }
    }

    private func rewrite(_ left: [[String: String]]) throws {
        try Data((Csv.line(columns) + text(left)).utf8).write(to: url, options: .atomic)
        rows = left
    }

    private func text(_ some: [[String: String]]) -> String {
        some.map { row in Csv.line(columns.map { row[$0] ?? "" }) }.joined()
    }
}
