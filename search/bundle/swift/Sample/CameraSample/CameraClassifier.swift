import AVFoundation
import Combine
import CoreML
import PalmetteBackbones

/// Runs the phone's backbone on camera frames, late ones left out.
final class CameraClassifier: NSObject, ObservableObject {
    @Published private(set) var package = "loading"
    @Published private(set) var answer = ""
    @Published private(set) var time = ""

    private let session = AVCaptureSession()
    private let queue = DispatchQueue(label: "camera")
    private var backbone: Backbone?

    func start() {
        AVCaptureDevice.requestAccess(for: .video) { allowed in
            self.queue.async {
                if allowed {
                    self.open()
                } else {
                    self.show(\.package, "the camera is not allowed")
                }
            }
        }
    }

    func stop() {
        queue.async { self.session.stopRunning() }
    }

    private func open() {
        do {
            if backbone == nil {
                backbone = try Backbone()
                try addCamera()
            }
            show(\.package, backbone?.choice.package ?? "")
            session.startRunning()
        } catch {
            show(\.package, "\(error)")
        }
    }

    private func addCamera() throws {
        guard let camera = AVCaptureDevice.default(for: .video) else {
            throw BackboneError.resourceMissing("camera")
        }
        let output = AVCaptureVideoDataOutput()
        output.videoSettings = [
            kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA
        ]
        output.alwaysDiscardsLateVideoFrames = true
        output.setSampleBufferDelegate(self, queue: queue)
        session.addInput(try AVCaptureDeviceInput(device: camera))
        session.addOutput(output)
    }

    private func show(_ what: ReferenceWritableKeyPath<CameraClassifier, String>, _ text: String) {
        DispatchQueue.main.async { self[keyPath: what] = text }
    }
}

extension CameraClassifier: AVCaptureVideoDataOutputSampleBufferDelegate {
    func captureOutput(
        _ output: AVCaptureOutput, didOutput sample: CMSampleBuffer, from connection: AVCaptureConnection
    ) {
        guard let frame = CMSampleBufferGetImageBuffer(sample), let backbone = backbone else {
            return
        }
        do {
            let image = try backbone.prepare(frame)
            let start = DispatchTime.now().uptimeNanoseconds
            let outputs = try backbone.outputs(prepared: image)
            let ms = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e6
            show(\.time, String(format: "%.1f ms", ms))
            show(\.answer, try best(outputs, of: backbone))
        } catch {
            show(\.answer, "\(error)")
        }
    }

    /// The label, where the package has labels; else number and value of the largest output.
    private func best(_ outputs: MLFeatureProvider, of backbone: Backbone) throws -> String {
        if let label = outputs.featureValue(for: "classLabel")?.stringValue, !label.isEmpty {
            return label
        }
        let scores = try Backbone.array(backbone.outputNames[0], in: outputs)
        let values = (0..<scores.count).map { scores[$0].doubleValue }
        let first = values.indices.max { values[$0] < values[$1] } ?? 0
        return "class \(first): \(values[first])"
    }
}
