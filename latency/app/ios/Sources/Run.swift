import Combine
import Foundation
import UIKit

/// One run of the app: a suite from its first missing row to the last.
///
/// `time_suite.sh` starts the app with the suite's name, and waits for it to end.
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
        let name = CommandLine.arguments.dropFirst().first
        var code: Int32 = 0
        do {
            try await Task.detached(priority: .userInitiated) { try await self.time(name) }.value
            show("finished")
        } catch {
            show("stopped: \(error.line)")
            code = 1
        }
        isOver = true
        if name != nil { exit(code) }
    }

    /// Everything; the file `finished.txt` says that no row is missing.
    private nonisolated func time(_ name: String?) async throws {
        let suite = try Suite(named: name)
        let finished = suite.folder.appendingPathComponent("finished.txt")
        try? FileManager.default.removeItem(at: finished)
        let runner = try Runner(suite) { line in
            Task { @MainActor in self.show(line) }
        }
        try await runner.run()
        try Data("finished\n".utf8).write(to: finished, options: .atomic)
    }

    /// On the screen, and on standard error, which a crash does not lose.
    private func show(_ line: String) {
        self.line = line
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }
}
