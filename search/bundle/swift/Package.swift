// swift-tools-version:5.5
import PackageDescription

let package = Package(
    name: "PalmetteBackbones",
    platforms: [.iOS(.v13), .macOS(.v12)],
    products: [
        .library(name: "PalmetteBackbones", targets: ["PalmetteBackbones"])
    ],
    targets: [
        // The folder is copied as it is: two formats of one backbone would be compiled to one name.
        .target(name: "PalmetteBackbones", resources: [.copy("Models")]),
        .testTarget(name: "PalmetteBackbonesTests", dependencies: ["PalmetteBackbones"]),
    ]
)
