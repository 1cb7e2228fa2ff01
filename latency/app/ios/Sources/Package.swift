import CoreML
import Foundation

/// A package of the suite: where its compiled form is, and what it is called with.
struct Package {
    let url: URL

    /// Finds a package; one that is not compiled is compiled here, once.
    init(_ file: String, in folder: URL) async throws {
        let files = FileManager.default
        let source = folder.appendingPathComponent(file)
        url = source.deletingPathExtension().appendingPathExtension("mlmodelc")
        if files.fileExists(atPath: url.path) { return }
        guard files.fileExists(atPath: source.path) else { throw SuiteError.noPackage(file) }
        let compiled = try await MLModel.compileModel(at: source)
        try files.moveItem(at: compiled, to: url)
    }

    func configuration(_ units: Units) -> MLModelConfiguration {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = units.computeUnits
        return configuration
    }

    /// The model, and how long it took to load, in milliseconds.
    func load(_ units: Units) throws -> (model: MLModel, ms: Double) {
        let clock = ContinuousClock()
        let start = clock.now
        let model = try MLModel(contentsOf: url, configuration: configuration(units))
        return (model, (clock.now - start) / .milliseconds(1))
    }

    /// Arrays for all inputs, filled once: of the type and shape that the model wants.
    static func input(of model: MLModel) throws -> MLFeatureProvider {
        var values: [String: MLFeatureValue] = [:]
        for (name, description) in model.modelDescription.inputDescriptionsByName {
            guard let constraint = description.multiArrayConstraint else {
                throw SuiteError.notAnArray(name)
            }
            let array = try MLMultiArray(shape: constraint.shape, dataType: constraint.dataType)
            switch constraint.dataType {
            case .float16: fill(array, as: Float16.self)
            case .float32: fill(array, as: Float.self)
            case .double: fill(array, as: Double.self)
            default: throw SuiteError.notAnArray(name)
            }
            values[name] = MLFeatureValue(multiArray: array)
        }
        return try MLDictionaryFeatureProvider(dictionary: values)
    }

    /// Values from -1 to 1, the same in every run; zeros might be quicker than images are.
    private static func fill<T: BinaryFloatingPoint & MLShapedArrayScalar>(
        _ array: MLMultiArray, as type: T.Type
    ) {
        var state: UInt32 = 1
        array.withUnsafeMutableBufferPointer(ofType: type) { values, _ in
            for at in values.indices {
                state = state &* 1_664_525 &+ 1_013_904_223
                values[at] = T(Double(state >> 8) / Double(1 << 23) - 1)
            }
        }
    }
}
