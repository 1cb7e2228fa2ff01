import CoreML

/// Which op would run where, by Core ML's compute plan (from iOS 17.4 on; before, nobody says).
enum Placement {
    /// Rows of `placement.csv`; none where there is no plan.
    static func rows(_ package: Package, file: String, units: Units) async throws -> [[String: String]] {
        guard #available(iOS 17.4, *) else { return [] }
        let plan = try await MLComputePlan.load(
            contentsOf: package.url, configuration: package.configuration(units))
        return ops(of: plan).enumerated().compactMap { place, op -> [String: String]? in
            // an op on a device without a name here is counted nowhere
            guard let preferred = name(op.usage.preferred) else { return nil }
            return [
                "file": file,
                "units": units.rawValue,
                "place": String(place),
                "operator": op.name,
                "output": op.output,
                "preferred": preferred,
                "supported": op.usage.supported.compactMap(name).joined(separator: ";"),
                "cost": op.cost.map { String($0) } ?? "",
            ]
        }
    }

    /// How many ops prefer each unit: cells of a row of results.
    static func counts(_ rows: [[String: String]]) -> [String: String] {
        guard !rows.isEmpty else { return [:] }
        let cells = ["ane", "gpu", "cpu"].map { unit in
            ("ops_" + unit, String(rows.filter { $0["preferred"] == unit }.count))
        }
        return Dictionary(uniqueKeysWithValues: cells)
    }

    @available(iOS 17.4, *)
    private struct Placed {
        let name: String
        let output: String
        let usage: MLComputePlan.DeviceUsage
        let cost: Double?
    }

    /// Ops in their order; constants run nowhere and have no usage.
    @available(iOS 17.4, *)
    private static func ops(of plan: MLComputePlan) -> [Placed] {
        var placed: [Placed] = []
        switch plan.modelStructure {
        case .program(let program):
            for op in program.functions["main"]?.block.operations ?? [] {
                guard let usage = plan.deviceUsage(for: op) else { continue }
                let output = op.outputs.first?.name ?? ""
                let cost = plan.estimatedCost(of: op)?.weight
                placed.append(
                    Placed(name: op.operatorName, output: output, usage: usage, cost: cost))
            }
        case .neuralNetwork(let network):
            for layer in network.layers {
                guard let usage = plan.deviceUsage(for: layer) else { continue }
                placed.append(Placed(name: layer.type, output: layer.name, usage: usage, cost: nil))
            }
        default:
            break
        }
        return placed
    }

    @available(iOS 17.4, *)
    private static func name(_ device: MLComputeDevice) -> String? {
        switch device {
        case .cpu: return "cpu"
        case .gpu: return "gpu"
        case .neuralEngine: return "ane"
        @unknown default: return nil
        }
    }
}
