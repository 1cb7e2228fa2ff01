import Combine
import Foundation
import UIKit

/// One run of the app: a suite from its first missing row to the last.
///
/// `time_suite.sh` starts the app with the suite's name and a name for the run, and waits for it to
/// end. Started by hand, each launch is a run.
@MainActor
final class Run: ObservableObject {
    @Published private(set) var line = "starting"
    @Published private(set) var isOver = false
    private var isStarted = false

    func start() async {
        if isStarted { return }
        isStarted = true
        UIApplication.shared.isIdleTimerDisabled = true
        UIDevice.current.isBatteryMonitoringEnabled = true
        let given = Array(CommandLine.arguments.dropFirst())
        let name = given.first
        let run = given.dropFirst().first ?? ISO8601DateFormatter().string(from: Date())
        var code: Int32 = 0
        do {
            try await Task.detached(priority: .userInitiated) {
                try await self.time(name, run: run)
            }.value
            show("finished")
        } catch {
            show("stopped: \(error.line)")
            code = 1
        }
        isOver = true
        if name != nil { exit(code) }
    }

    /// Everything; the file `finished.txt` says in which run no row was missing.
    private nonisolated func time(_ name: String?, run: String) async throws {
        let suite = try Suite(named: name)
        let finished = suite.folder.appendingPathComponent("finished.txt")
        try? FileManager.default.removeItem(at: finished)
        let runner = try Runner(suite, run: run) { line in
            Task { @MainActor in self.show(line) }
        }
        try await runner.run()
        try Data((run + "\n").utf8).write(to: finished, options: .atomic)
    }

    /// On the screen, and on standard error, which a crash does not lose.
    private func show(_ line: String) {
        self.line = line
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }
}
