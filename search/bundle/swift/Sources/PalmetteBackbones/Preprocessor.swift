import CoreGraphics
import CoreImage
import CoreVideo
import Foundation

/// Images at the size that a model takes: scaled to cover it, and cut around the centre.
final class Preprocessor {
    private let width: Int
    private let height: Int
    /// Without colour management: pixels reach the model as they are stored, as in training.
    private let context = CIContext(options: [.workingColorSpace: NSNull()])

    init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    func prepare(_ image: CIImage) throws -> CVPixelBuffer {
        let (width, height) = (CGFloat(self.width), CGFloat(self.height))
        let scale = max(width / image.extent.width, height / image.extent.height)
        let scaled = image.transformed(by: CGAffineTransform(scaleX: scale, y: scale))
        let centred = scaled.transformed(
            by: CGAffineTransform(
                translationX: width / 2 - scaled.extent.midX,
                y: height / 2 - scaled.extent.midY))
        let buffer = try emptyBuffer()
        let bounds = CGRect(x: 0, y: 0, width: width, height: height)
        context.render(centred, to: buffer, bounds: bounds, colorSpace: nil)
        return buffer
    }

    private func emptyBuffer() throws -> CVPixelBuffer {
        // backed by an IOSurface, so that every unit can read it without a copy
        let attributes = [kCVPixelBufferIOSurfacePropertiesKey as String: [String: Any]()]
        var buffer: CVPixelBuffer?
        let status = CVPixelBufferCreate(
            nil, width, height, kCVPixelFormatType_32BGRA, attributes as CFDictionary, &buffer)
        guard let made = buffer else {
            throw BackboneError.imageNotPrepared(status)
        }
        return made
    }
}
