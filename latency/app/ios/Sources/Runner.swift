import CoreML
import Foundation

/// Times everything that a suite asks for and that has no row yet; then once more what failed in an
/// earlier run, or was timed hot.
final class Runner {
    private let suite: Suite
    private let results: CsvFile
    private let placement: CsvFile
    private let started: CsvFile
    private let tell: (String) -> Void
    /// Names this run; launches that go on with it have the same.
    private let name: String
    /// A package that ended the app so often gets a row that says so, and others their turn.
    private let mostCrashes = 2

    private struct Job {
        let entry: Entry
        let units: Units
        let mode: Mode

        var cells: [String: String] {
            [
                "position": entry.position, "file": entry.file,
                "units": units.rawValue, "mode": mode.rawValue,
            ]
        }

        /// Whether a row is of this job.
        func has(_ row: [String: String]) -> Bool {
            cells.allSatisfy { row[$0.key] == $0.value }
        }
    }

    init(_ suite: Suite, run name: String, tell: @escaping (String) -> Void) throws {
        self.suite = suite
        self.name = name
        self.tell = tell
        let folder = suite.folder
        results = try CsvFile(folder.appendingPathComponent("results.csv"), columns: Columns.results)
        placement = try CsvFile(
            folder.appendingPathComponent("placement.csv"), columns: Columns.placement)
        started = try CsvFile(folder.appendingPathComponent("started.csv"), columns: Columns.started)
        // a plan is written before the row: without a good one, a crash may have torn it
        let good = results.rows.filter { ($0["error"] ?? "").isEmpty }
        let timed = Set(good.map { [$0["file"], $0["units"]] })
        try placement.keep { timed.contains([$0["file"], $0["units"]]) }
    }

    func run() async throws {
        let jobs = everyJob()
        for (at, job) in jobs.enumerated() where row(of: job) == nil {
            try await note(job, "\(at + 1) of \(jobs.count)")
        }
        // what ends the app most often comes last, so that it keeps no other from its turn
        let again = jobs.filter(isDueAgain).sorted { starts(of: $0).count < starts(of: $1).count }
        for (at, job) in again.enumerated() {
            try await note(job, "once more, \(at + 1) of \(again.count)")
        }
    }

    /// Times a job; its row takes the place of one that is there.
    private func note(_ job: Job, _ count: String) async throws {
        let row = await timed(job)
        try results.put(row, inPlaceOf: job.has)
        let what = [job.entry.file, job.units.rawValue, job.mode.rawValue].joined(separator: " ")
        let outcome = row["error"].map { "error: " + $0 } ?? "\(row["median_ms"] ?? "") ms"
        tell("\(count): \(what): \(outcome)")
    }

    /// Mode by mode, so that sustained runs heat no burst that follows.
    private func everyJob() -> [Job] {
        var jobs: [Job] = []
        for mode in Mode.allCases {
            let kinds = suite.settings.modes[mode.rawValue] ?? []
            for entry in suite.entries where kinds.contains(entry.kind) {
                for units in suite.settings.units {
                    jobs.append(Job(entry: entry, units: units, mode: mode))
                }
            }
        }
        return jobs
    }

    private func row(of job: Job) -> [String: String]? {
        results.rows.first(where: job.has)
    }

    private func starts(of job: Job) -> [[String: String]] {
        started.rows.filter(job.has)
    }

    /// Whether the row of a job is no timing, and this run has not tried the job yet.
    private func isDueAgain(_ job: Job) -> Bool {
        guard let row = self.row(of: job) else { return false }
        let failed = !(row["error"] ?? "").isEmpty
        let hot = job.mode == .burst && Phone.hot.contains(row["thermal_start"] ?? "")
        return (failed || hot) && !starts(of: job).contains { $0["run"] == name }
    }

    /// The row of a job, whatever happens.
    private func timed(_ job: Job) async -> [String: String] {
        await Phone.cool(seconds: suite.settings.coolS, tell: tell)
        var row = job.cells
        row["sha256"] = job.entry.sha256
        row["machine"] = Phone.machine
        row["os_version"] = Phone.osVersion
        row["os_build"] = Phone.osBuild
        row["low_power"] = Phone.lowPower
        row["battery"] = await Phone.battery
        row["thermal_start"] = Phone.thermal
        row["started_at"] = ISO8601DateFormatter().string(from: Date())
        do {
            // without a row, each start of it was the app's end, or that of its cable
            let crashes = starts(of: job).count
            if crashes >= mostCrashes && self.row(of: job) == nil {
                row["error"] = "the app ended \(crashes) times while it timed this"
            } else {
                try started.append([job.cells.merging(["run": name]) { $1 }])
                let cells = try await time(job)
                row.merge(cells) { $1 }
            }
        } catch {
            // without the folder that this phone gave the app
            row["error"] = error.line.replacingOccurrences(of: suite.folder.path, with: "")
        }
        row["thermal_end"] = Phone.thermal
        return row
    }

    /// Cells that the timing gives.
    private func time(_ job: Job) async throws -> [String: String] {
        let package = try await Package(job.entry.file, in: suite.folder)
        var plan = placement.rows.filter {
            $0["file"] == job.entry.file && $0["units"] == job.units.rawValue
        }
        if plan.isEmpty {
            // a plan that fails takes no timing with it: the ops are then counted nowhere
            plan = (try? await Placement.rows(package, file: job.entry.file, units: job.units)) ?? []
            try placement.append(plan)
        }
        let loaded = try package.load(job.units)
        let timing = Timing(
            model: loaded.model, input: try Package.input(of: loaded.model), settings: suite.settings)
        var cells = Statistics.cells(try timing.milliseconds(job.mode))
        cells["load_ms"] = Statistics.text(loaded.ms)
        return cells.merging(Placement.counts(plan)) { $1 }
    }
}
