import Foundation

/// Rows of CSV text: cells apart by commas, in quotes where they hold commas, quotes or line ends.
enum Csv {
    static func parse(_ text: String) -> [[String]] {
        var rows: [[String]] = []
        var row: [String] = []
        var cell = ""
        var quoted = false
        var before: Unicode.Scalar = "\n"
        for letter in text.unicodeScalars {
            switch letter {
            case "\"":
                // the second of two quotes inside of quotes is a quote
                if before == "\"" && !quoted { cell.unicodeScalars.append(letter) }
                quoted.toggle()
            case "," where !quoted:
                row.append(cell)
                cell = ""
            case "\n" where !quoted:
                rows.append(row + [cell])
                row = []
                cell = ""
            case "\r" where !quoted:
                break
            default:
                cell.unicodeScalars.append(letter)
            }
            before = letter
        }
        if !cell.isEmpty || !row.isEmpty { rows.append(row + [cell]) }
        return rows
    }

    /// Rows by the names of the first one; throws if a row has more cells or fewer.
    static func table(_ text: String, of file: String) throws -> [[String: String]] {
        let rows = parse(text)
        guard let names = rows.first else { return [] }
        return try rows.dropFirst().enumerated().map { place, cells in
            guard cells.count == names.count else {
                throw SuiteError.damaged(file, row: place + 2)
            }
            return Dictionary(zip(names, cells), uniquingKeysWith: { first, _ in first })
        }
    }

    static func line(_ cells: [String]) -> String {
        cells.map(quote).joined(separator: ",") + "\n"
    }

    private static func quote(_ cell: String) -> String {
        guard cell.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return cell }
        return "\"" + cell.replacingOccurrences(of: "\"", with: "\"\"") + "\""
    }
}
