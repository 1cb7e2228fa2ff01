import CoreVideo
import Foundation
import PalmetteBackbones
import XCTest

/// The median time of one image lies in the interval that was predicted for this phone.
///
/// For a phone, in Release, inside an app (see README.md); elsewhere it is skipped.
final class LatencyTests: XCTestCase {
    private static let warmUp = 20
    private static let repeats = 200

    func testMedianOnTheNeuralEngineLiesInItsInterval() throws {
        try checkMedian(.ane)
    }

    func testMedianOnTheGPULiesInItsInterval() throws {
        try checkMedian(.gpu)
    }

    func testMedianOnTheCPULiesInItsInterval() throws {
        try checkMedian(.cpu)
    }

    private func checkMedian(_ unit: Manifest.Unit) throws {
        #if targetEnvironment(simulator)
            throw XCTSkip("a simulator's times say nothing of a phone")
        #else
            let backbone = try Backbone(unit: unit)
            let choice = backbone.choice
            guard choice.unit == unit, choice.timedPhone == true,
                let lower = choice.lowerMs, let upper = choice.upperMs
            else {
                throw XCTSkip("nothing is predicted for \(Device.identifier), \(unit.rawValue)")
            }
            let state = ProcessInfo.processInfo
            guard !state.isLowPowerModeEnabled, state.thermalState == .nominal else {
                throw XCTSkip("the phone is hot, or saves power")
            }
            let median = try medianMs(backbone)
            XCTAssert(
                (lower...upper).contains(median),
                "\(choice.package): \(median) ms, predicted \(lower) to \(upper) ms")
        #endif
    }

    private func medianMs(_ backbone: Backbone) throws -> Double {
        let image = try backbone.prepare(greyFrame())
        for _ in 0..<Self.warmUp {
            _ = try backbone.outputs(prepared: image)
        }
        var times: [Double] = []
        for _ in 0..<Self.repeats {
            let start = DispatchTime.now().uptimeNanoseconds
            _ = try backbone.outputs(prepared: image)
            times.append(Double(DispatchTime.now().uptimeNanoseconds - start) / 1e6)
        }
        times.sort()
        return (times[Self.repeats / 2 - 1] + times[Self.repeats / 2]) / 2
    }

    private func greyFrame() throws -> CVPixelBuffer {
        var frame: CVPixelBuffer?
        CVPixelBufferCreate(nil, 640, 480, kCVPixelFormatType_32BGRA, nil, &frame)
        let made = try XCTUnwrap(frame)
        CVPixelBufferLockBaseAddress(made, [])
        if let base = CVPixelBufferGetBaseAddress(made) {
            memset(base, 128, CVPixelBufferGetDataSize(made))
        }
        CVPixelBufferUnlockBaseAddress(made, [])
        return made
    }
}
