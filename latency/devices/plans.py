"""Compute plans: which op would run where, as rows of `placement.csv`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coremltools.models import utils
from coremltools.models.compute_device import (
    MLCPUComputeDevice,
    MLGPUComputeDevice,
    MLNeuralEngineComputeDevice,
)
from coremltools.models.ml_program.experimental import compute_plan_utils

from palmette.latency.devices.calls import COMPUTE_UNITS

UNITS = {
    MLCPUComputeDevice: "cpu",
    MLGPUComputeDevice: "gpu",
    MLNeuralEngineComputeDevice: "ane",
}


async def plan_rows(path: Path, units: str, device: Any = None) -> list[dict[str, str]]:
    """Rows of a package's plan on a device, or on this Mac; raises as coremltools does."""
    with tempfile.TemporaryDirectory(prefix="palmette-plan-") as folder:
        compiled = str(Path(folder) / f"{path.stem}.mlmodelc")
        utils.compile_model(str(path), compiled)
        plan = await compute_plan_utils.load_compute_plan_from_path_on_device(
            path=compiled, compute_units=COMPUTE_UNITS[units], device=device
        )
        placed = list(_placed(plan))
    return [
        {"file": path.name, "units": units, "place": str(place), **cells}
        for place, cells in enumerate(placed)
    ]


def counts(rows: list[dict[str, str]]) -> dict[str, str]:
    """How many ops prefer each unit, as cells of a row of results; blank without a plan."""
    names = UNITS.values() if rows else ()
    return {f"ops_{unit}": str(sum(row["preferred"] == unit for row in rows)) for unit in names}


def _placed(plan: Any) -> Iterator[dict[str, str]]:
    """Ops or layers in their order; constants run nowhere and have no usage."""
    structure = plan.model_structure
    if structure.program is not None:
        for op in structure.program.functions["main"].block.operations:
            usage = plan.get_compute_device_usage_for_mlprogram_operation(op)
            cost = plan.get_estimated_cost_for_mlprogram_operation(op)
            if usage is not None:
                output = op.outputs[0].name if op.outputs else ""
                weight = "" if cost is None else f"{cost.weight:.6g}"
                yield {"operator": op.operator_name, "output": output, "cost": weight} | _on(usage)
    elif structure.neuralnetwork is not None:
        for layer in structure.neuralnetwork.layers:
            usage = plan.get_compute_device_usage_for_neuralnetwork_layer(layer)
            if usage is not None:
                yield {"operator": layer.type, "output": layer.name, "cost": ""} | _on(usage)


def _on(usage: Any) -> dict[str, str]:
    supported = [UNITS[type(device)] for device in usage.supported_compute_devices]
    return {
        "preferred": UNITS[type(usage.preferred_compute_device)],
        "supported": ";".join(supported),
    }
