import Foundation

/// Cells of a row that sum up the times of its calls, in milliseconds.
enum Statistics {
    static func cells(_ times: [Double]) -> [String: String] {
        let sorted = times.sorted()
        let mean = times.reduce(0, +) / Double(times.count)
        return [
            "n": String(times.count),
            "median_ms": text(quantile(sorted, 0.5)),
            "p10_ms": text(quantile(sorted, 0.1)),
            "p90_ms": text(quantile(sorted, 0.9)),
            "min_ms": text(sorted[0]),
            "mean_ms": text(mean),
        ]
    }

    /// Between two values in proportion.
    static func quantile(_ sorted: [Double], _ share: Double) -> Double {
        let place = share * Double(sorted.count - 1)
        let below = Int(place)
        let above = min(below + 1, sorted.count - 1)
        return sorted[below] + (place - Double(below)) * (sorted[above] - sorted[below])
    }

    static func text(_ ms: Double) -> String {
        String(format: "%.6f", locale: Locale(identifier: "en_US_POSIX"), ms)
    }
}
