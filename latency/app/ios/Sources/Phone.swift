import Foundation
import UIKit

/// The phone that this runs on, and its state.
enum Phone {
    /// Such as `iPhone12,1`.
    static var machine: String {
        var system = utsname()
        uname(&system)
        return withUnsafeBytes(of: system.machine) { bytes in
            String(decoding: bytes.prefix(while: { $0 != 0 }), as: UTF8.self)
        }
    }

    /// Such as `18.1` or `18.1.1`.
    static var osVersion: String {
        let version = ProcessInfo.processInfo.operatingSystemVersion
        let patch = version.patchVersion > 0 ? ".\(version.patchVersion)" : ""
        return "\(version.majorVersion).\(version.minorVersion)" + patch
    }

    /// Such as `22B91`.
    static var osBuild: String {
        var size = 0
        guard sysctlbyname("kern.osversion", nil, &size, nil, 0) == 0, size > 0 else { return "" }
        var text = [UInt8](repeating: 0, count: size)
        guard sysctlbyname("kern.osversion", &text, &size, nil, 0) == 0 else { return "" }
        return String(decoding: text.prefix(while: { $0 != 0 }), as: UTF8.self)
    }

    static var lowPower: String {
        ProcessInfo.processInfo.isLowPowerModeEnabled ? "1" : "0"
    }

    /// Blank where the phone has a name for it that this app was not built with.
    static var thermal: String {
        switch ProcessInfo.processInfo.thermalState {
        case .nominal: return "nominal"
        case .fair: return "fair"
        case .serious: return "serious"
        case .critical: return "critical"
        @unknown default: return ""
        }
    }

    /// Thermal states from which a burst is none: palmette puts such timings aside.
    static let hot = ["serious", "critical"]

    /// Share of the charge from 0 to 1; blank if the phone does not say.
    @MainActor static var battery: String {
        let level = UIDevice.current.batteryLevel
        return level < 0 ? "" : String(format: "%.2f", locale: Locale(identifier: "en_US_POSIX"), level)
    }

    /// Waits until the phone is cool, at most so long; a row says how warm it began.
    static func cool(seconds: Double, tell: (String) -> Void) async {
        let end = Date(timeIntervalSinceNow: seconds)
        while thermal != "nominal" && Date() < end {
            tell("waiting for the phone to cool: \(thermal)")
            try? await Task.sleep(nanoseconds: 5_000_000_000)
        }
    }
}
