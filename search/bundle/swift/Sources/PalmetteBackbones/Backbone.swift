import CoreGraphics
import CoreImage
import CoreML
import CoreVideo

/// The network that a bundle chose for this phone.
public final class Backbone {
    public let manifest: Manifest
    public let choice: Manifest.Choice
    public let package: Manifest.Package
    public let model: MLModel
    private let preprocessor: Preprocessor

    /// Loads what the manifest says for a phone; the first time it compiles the package, which
    /// takes a while: call it off the main thread.
    ///
    /// - Parameters:
    ///   - identifier: the phone; by default the one that this runs on.
    ///   - unit: the compute unit; by default the manifest's first for that phone.
    public init(identifier: String = Device.identifier, unit: Manifest.Unit? = nil) throws {
        manifest = try ModelStore.manifest()
        choice = try manifest.choice(for: identifier, unit: unit, iOS: Device.iOS)
        guard let package = manifest.packages[choice.package] else {
            throw BackboneError.resourceMissing(choice.package)
        }
        self.package = package
        model = try ModelStore.model(choice.package, sha256: package.sha256, unit: choice.unit)
        preprocessor = Preprocessor(width: package.widthPx, height: package.heightPx)
    }

    /// Outputs and taps by name, as in the package.
    public var outputNames: [String] {
        model.modelDescription.outputDescriptionsByName.keys.sorted()
    }

    /// A camera frame at the model's size.
    public func prepare(_ frame: CVPixelBuffer) throws -> CVPixelBuffer {
        try preprocessor.prepare(CIImage(cvPixelBuffer: frame))
    }

    /// An image at the model's size.
    public func prepare(_ image: CGImage) throws -> CVPixelBuffer {
        try preprocessor.prepare(CIImage(cgImage: image))
    }

    /// All outputs of an image that `prepare` gave.
    public func outputs(prepared: CVPixelBuffer) throws -> MLFeatureProvider {
        let input = MLFeatureValue(pixelBuffer: prepared)
        return try model.prediction(from: MLDictionaryFeatureProvider(dictionary: ["image": input]))
    }

    /// All outputs of a camera frame.
    public func outputs(of frame: CVPixelBuffer) throws -> MLFeatureProvider {
        try outputs(prepared: prepare(frame))
    }

    /// All outputs of an image.
    public func outputs(of image: CGImage) throws -> MLFeatureProvider {
        try outputs(prepared: prepare(image))
    }

    /// One output or tap.
    public static func array(_ name: String, in outputs: MLFeatureProvider) throws -> MLMultiArray {
        guard let value = outputs.featureValue(for: name) else {
            throw BackboneError.unknownOutput(name, known: outputs.featureNames.sorted())
        }
        guard let array = value.multiArrayValue else {
            throw BackboneError.notAnArray(name)
        }
        return array
    }
}
