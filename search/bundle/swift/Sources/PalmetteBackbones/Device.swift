import Foundation

/// The phone that this code runs on.
public enum Device {
    /// Machine identifier, such as `iPhone12,1`; in the Simulator, of the phone that it plays.
    public static var identifier: String {
        let environment = ProcessInfo.processInfo.environment
        if let simulated = environment["SIMULATOR_MODEL_IDENTIFIER"] {
            return simulated
        }
        var system = utsname()
        uname(&system)
        return withUnsafeBytes(of: system.machine) { bytes in
            String(decoding: bytes.prefix(while: { $0 != 0 }), as: UTF8.self)
        }
    }

    /// Major version of the system.
    public static var iOS: Int {
        ProcessInfo.processInfo.operatingSystemVersion.majorVersion
    }
}
