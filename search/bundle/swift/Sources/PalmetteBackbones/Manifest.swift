import Foundation

/// What `manifest.json` says: the packages, and which of them each phone runs.
public struct Manifest: Decodable {
    public static let format = "palmette/bundle@1"

    public let format: String
    /// Where the estimated top-1 comes from.
    public let accuracy: String
    /// Share of networks whose time is expected below `upperMs`; as many above `lowerMs`.
    public let confidence: Double
    /// By file name.
    public let packages: [String: Package]
    /// By machine identifier, such as `iPhone12,1`; the preferred unit first.
    public let devices: [String: [Choice]]
    /// For every phone that `devices` does not list.
    public let fallback: Choice

    public struct Package: Decodable {
        public let backbone: String
        public let minimumIos: Int
        public let widthPx: Int
        public let heightPx: Int
        public let weights: String
        public let sha256: String
    }

    public struct Choice: Decodable {
        public let package: String
        public let unit: Unit
        /// The phone whose timings the expectation stands on; nil for the fallback.
        public let phone: String?
        /// False where another phone with the same chip lent its choice.
        public let timedPhone: Bool?
        public let expectedMs: Double?
        public let lowerMs: Double?
        public let upperMs: Double?
        public let lossPoints: Double?
    }

    public enum Unit: String, Decodable {
        case cpu, gpu, ane, all
    }

    /// Reads a manifest; throws for another format than this source was written for.
    public init(json: Data) throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        self = try decoder.decode(Manifest.self, from: json)
        guard format == Manifest.format else {
            throw BackboneError.unknownFormat(format)
        }
    }

    /// What a phone runs: the first of its choices for `unit` (any unit if nil) that its system
    /// reads, else the fallback.
    public func choice(for identifier: String, unit: Unit? = nil, iOS system: Int) throws -> Choice {
        let own = devices[identifier] ?? []
        let wanted = own.filter { unit == nil || $0.unit == unit }
        for choice in wanted + [fallback] {
            if let package = packages[choice.package], package.minimumIos <= system {
                return choice
            }
        }
        throw BackboneError.systemTooOld(iOS: system)
    }
}
