import SwiftUI

@main
struct CameraSampleApp: App {
    var body: some Scene {
        WindowGroup {
            ContentView()
        }
    }
}
