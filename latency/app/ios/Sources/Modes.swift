import CoreML

/// Ways of calling a model.
enum Mode: String, CaseIterable {
    /// Back to back, after warming up, from a phone that was idle.
    case burst
    /// The last part of calls back to back for so long that the phone throttles.
    case sustained
    /// 30 times a second.
    case paced
}

/// Compute units that one may ask for.
enum Units: String, CaseIterable, Decodable {
    case cpuOnly
    case cpuAndGPU
    case cpuAndNeuralEngine
    case all

    var computeUnits: MLComputeUnits {
        switch self {
        case .cpuOnly: return .cpuOnly
        case .cpuAndGPU: return .cpuAndGPU
        case .cpuAndNeuralEngine: return .cpuAndNeuralEngine
        case .all: return .all
        }
    }
}
