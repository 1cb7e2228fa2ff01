/// Columns of the two tables that the app writes, in order; palmette reads exactly these.
enum Columns {
    static let results = [
        "position", "file", "sha256", "units", "mode",
        "machine", "os_version", "os_build",
        "load_ms", "n", "median_ms", "p10_ms", "p90_ms", "min_ms", "mean_ms",
        "thermal_start", "thermal_end", "low_power", "battery",
        "ops_ane", "ops_gpu", "ops_cpu", "started_at", "error",
    ]
    static let placement = [
        "file", "units", "place", "operator", "output", "preferred", "supported", "cost",
    ]
    /// Of `started.csv`, of which the script counts the rows.
    static let started = ["position", "file", "units", "mode", "run"]
}
