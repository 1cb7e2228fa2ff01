import SwiftUI

@main
struct TimerApp: App {
    @StateObject private var run = Run()

    var body: some Scene {
        WindowGroup {
            RunView(run: run)
                .task { await run.start() }
        }
    }
}
