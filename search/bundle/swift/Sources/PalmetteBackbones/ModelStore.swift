import CoreML
import Foundation

/// Packages on disk: found in the bundle, compiled once, kept in the caches.
enum ModelStore {
    static func url(of name: String) throws -> URL {
        guard let folder = Bundle.module.url(forResource: "Models", withExtension: nil) else {
            throw BackboneError.resourceMissing("Models")
        }
        let url = folder.appendingPathComponent(name)
        guard FileManager.default.fileExists(atPath: url.path) else {
            throw BackboneError.resourceMissing(name)
        }
        return url
    }

    static func manifest() throws -> Manifest {
        try Manifest(json: Data(contentsOf: url(of: "manifest.json")))
    }

    static func model(_ name: String, sha256: String, unit: Manifest.Unit) throws -> MLModel {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = computeUnits(unit)
        let compiled = try compiledURL(name, sha256: sha256)
        return try MLModel(contentsOf: compiled, configuration: configuration)
    }

    /// Named by the hash, so that an update of the app compiles what has changed.
    private static func compiledURL(_ name: String, sha256: String) throws -> URL {
        let files = FileManager.default
        let caches = try files.url(
            for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        let folder = caches.appendingPathComponent("PalmetteBackbones", isDirectory: true)
        let kept = folder.appendingPathComponent("\(sha256).mlmodelc", isDirectory: true)
        if !files.fileExists(atPath: kept.path) {
            try files.createDirectory(at: folder, withIntermediateDirectories: true)
            try files.moveItem(at: MLModel.compileModel(at: url(of: name)), to: kept)
        }
        return kept
    }

    private static func computeUnits(_ unit: Manifest.Unit) -> MLComputeUnits {
        switch unit {
        case .cpu:
            return .cpuOnly
        case .gpu:
            return .cpuAndGPU
        case .ane:
            // before iOS 16 nothing asks for the Neural Engine alone
            if #available(iOS 16.0, macOS 13.0, *) {
                return .cpuAndNeuralEngine
            }
            return .all
        case .all:
            return .all
        }
    }
}
