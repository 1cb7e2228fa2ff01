import SwiftUI

/// What the run is doing, on one screen.
struct RunView: View {
    @ObservedObject var run: Run

    var body: some View {
        VStack(spacing: 12) {
            Text("palmette timer")
                .font(.headline)
            if !run.isOver {
                ProgressView()
            }
            Text(run.line)
                .font(.system(.body, design: .monospaced))
        }
        .padding()
    }
}
