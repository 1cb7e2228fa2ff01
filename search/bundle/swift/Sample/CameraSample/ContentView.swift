import SwiftUI

/// What the camera sees, as the backbone answers it.
struct ContentView: View {
    @StateObject private var classifier = CameraClassifier()

    var body: some View {
        VStack(spacing: 12) {
            Text(classifier.package)
                .font(.headline)
            Text(classifier.answer)
            Text(classifier.time)
                .font(.system(.body, design: .monospaced))
        }
        .padding()
        .onAppear { classifier.start() }
        .onDisappear { classifier.stop() }
    }
}
