import CoreML
import Foundation

/// Times everything that a suite asks for and that has no row yet.
final class Runner {
    private let suite: Suite
    private let results: CsvFile
    private let placement: CsvFile
    private let started: CsvFile
    private let tell: (String) -> Void
    /// A package that ended the app so often is not tried again.
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
    }

    init(_ suite: Suite, tell: @escaping (String) -> Void) throws {
        self.suite = suite
        self.tell = tell
        let folder = suite.folder
        results = try CsvFile(folder.appendingPathComponent("results.csv"), columns: Columns.results)
        placement = try CsvFile(
            folder.appendingPathComponent("placement.csv"), columns: Columns.placement)
        started = try CsvFile(folder.appendingPathComponent("started.csv"), columns: Columns.started)
        // a plan is written before the row: without one, a crash may have torn it
        let timed = Set(results.rows.map { [$0["file"], $0["units"]] })
        try placement.keep { timed.contains([$0["file"], $0["units"]]) }
    }

    func run() async throws {
        let jobs = everyJob()
        for (at, job) in jobs.enumerated() where !isDone(job) {
            let row = await timed(job)
            try results.append([row])
            let what = [job.entry.file, job.units.rawValue, job.mode.rawValue].joined(separator: " ")
            let outcome = row["error"].map { "error: " + $0 } ?? "\(row["median_ms"] ?? "") ms"
            tell("\(at + 1) of \(jobs.count): \(what): \(outcome)")
        }
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

    private func isDone(_ job: Job) -> Bool {
        results.rows.contains { row in job.cells.allSatisfy { row[$0.key] == $0.value } }
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
            let crashes = started.rows.filter { $0 == job.cells }.count
            if crashes >= mostCrashes {
                row["error"] = "the app ended \(crashes) times while it timed this"
            } else {
                try started.append([job.cells])
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
        // a plan that fails takes no timing with it: the ops are then counted nowhere
        let plan = (try? await Placement.rows(package, file: job.entry.file, units: job.units)) ?? []
        let known = placement.rows.contains {
            $0["file"] == job.entry.file && $0["units"] == job.units.rawValue
        }
        if !known { try placement.append(plan) }
        let loaded = try package.load(job.units)
        let timing = Timing(
            model: loaded.model, input: try Package.input(of: loaded.model), settings: suite.settings)
        var cells = Statistics.cells(try timing.milliseconds(job.mode))
        cells["load_ms"] = Statistics.text(loaded.ms)
        return cells.merging(Placement.counts(plan)) { $1 }
    }
}
