import CoreML
import Foundation

/// Calls of one model, timed one by one.
struct Timing {
    let model: MLModel
    let input: MLFeatureProvider
    let settings: Settings

    private let clock = ContinuousClock()
    private let pacedHz = 30.0
    /// Part of a sustained run that is kept: its end.
    private let sustainedShare = 0.25

    init(model: MLModel, input: MLFeatureProvider, settings: Settings) {
        self.model = model
        self.input = input
        self.settings = settings
    }

    /// Milliseconds of each call that counts, after warming up.
    func milliseconds(_ mode: Mode) throws -> [Double] {
        try warmUp()
        switch mode {
        case .burst: return try burst()
        case .sustained: return try sustained()
        case .paced: return try paced()
        }
    }

    private func warmUp() throws {
        let start = clock.now
        var calls = 0
        while calls < settings.warmupCalls || seconds(since: start) < settings.warmupS {
            _ = try call()
            calls += 1
        }
    }

    private func burst() throws -> [Double] {
        let start = clock.now
        var times: [Double] = []
        while times.count < settings.leastCalls
            || (times.count < settings.mostCalls && seconds(since: start) < settings.timedS)
        {
            times.append(try call())
        }
        return times
    }

    private func sustained() throws -> [Double] {
        let start = clock.now
        var times: [Double] = []
        while seconds(since: start) < settings.sustainedS || times.isEmpty {
            let counts = seconds(since: start) >= (1 - sustainedShare) * settings.sustainedS
            let ms = try call()
            if counts { times.append(ms) }
        }
        return times
    }

    /// The first second only finds the pace. A call that misses its turn waits for the next one.
    private func paced() throws -> [Double] {
        let start = clock.now
        var times: [Double] = []
        var turn = 0.0
        while seconds(since: start) < 1 + settings.pacedS || times.isEmpty {
            turn = max(turn + 1, (seconds(since: start) * pacedHz).rounded(.up))
            Thread.sleep(forTimeInterval: max(0, turn / pacedHz - seconds(since: start)))
            let ms = try call()
            if turn >= pacedHz { times.append(ms) }
        }
        return times
    }

    /// One call, in milliseconds; what it gives is released before the next.
    private func call() throws -> Double {
        try autoreleasepool {
            let start = clock.now
            _ = try model.prediction(from: input)
            return (clock.now - start) / .milliseconds(1)
        }
    }

    private func seconds(since start: ContinuousClock.Instant) -> Double {
        (clock.now - start) / .seconds(1)
    }
}
