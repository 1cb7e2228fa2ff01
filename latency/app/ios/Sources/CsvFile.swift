import Foundation

/// A CSV file that grows by whole rows; each is on the disk before `append` returns, so that a crash
/// loses none.
final class CsvFile {
    let columns: [String]
    private(set) var rows: [[String: String]] = []
    private let url: URL

    /// Opens a file, or begins one. A last line without an end, which a crash has torn, is dropped.
    init(_ url: URL, columns: [String]) throws {
        self.url = url
        self.columns = columns
        let text = (try? String(contentsOf: url, encoding: .utf8)) ?? ""
        let whole = text[..<(text.lastIndex(of: "\n").map(text.index(after:)) ?? text.startIndex)]
        if whole.isEmpty {
            try rewrite([])
            return
        }
        guard Csv.parse(String(whole)).first == columns else {
            throw SuiteError.otherColumns(url.lastPathComponent)
        }
        try rewrite(Csv.table(String(whole), of: url.lastPathComponent))
    }

    func append(_ added: [[String: String]]) throws {
        let handle = try FileHandle(forWritingTo: url)
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text(added).utf8))
        try handle.synchronize()
        rows += added
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
