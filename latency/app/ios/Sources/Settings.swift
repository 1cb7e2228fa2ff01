import Foundation

/// `settings.json` beside the manifest: what is timed, and for how long.
struct Settings: Decodable {
    let units: [Units]
    /// Kinds of subjects by mode; a mode that is not here is not run.
    let modes: [String: [String]]
    let warmupCalls: Int
    let warmupS: Double
    let leastCalls: Int
    let mostCalls: Int
    /// Of a burst: calls go on for so long, or until there are `mostCalls`.
    let timedS: Double
    let sustainedS: Double
    let pacedS: Double
    /// Longest wait for the phone to cool before a timing.
    let coolS: Double

    static func read(_ url: URL) throws -> Settings {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Settings.self, from: Data(contentsOf: url))
    }
}
