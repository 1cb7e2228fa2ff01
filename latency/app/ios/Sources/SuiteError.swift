import Foundation

/// What keeps a suite, or one package of it, from being timed.
enum SuiteError: LocalizedError {
    case noSuite(String)
    case noColumn(String)
    case otherColumns(String)
    case noText(String)
    case damaged(String, row: Int)
    case noPackage(String)
    case notAnArray(String)

    var errorDescription: String? {
        switch self {
        case .noSuite(let name): return "no suite '\(name)' in Documents/suite: copy it again"
        case .noColumn(let name): return "manifest.csv has no column '\(name)'"
        case .otherColumns(let file): return "\(file) has other columns: move it away"
        case .noText(let file): return "\(file) holds bytes that are no text: move it away"
        case .damaged(let file, let row): return "\(file), row \(row): cells are missing"
        case .noPackage(let file): return "\(file) is not in the suite's folder"
        case .notAnArray(let name): return "input '\(name)' is no array of fixed shape"
        }
    }
}

extension Error {
    /// On one line.
    var line: String {
        let text = (self as? LocalizedError)?.errorDescription ?? String(describing: self)
        return text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}
