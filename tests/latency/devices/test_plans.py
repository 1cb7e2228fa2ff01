"""Compute plans, in coremltools' own structures, as rows of placement.csv.

A plan itself cannot be made here (its class wants one of Core ML's), so one stands in that answers
from the dictionary which a phone sends, as coremltools parses it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from coremltools import ComputeUnit
from coremltools.models import compute_plan, utils
from coremltools.models.compute_device import (
    MLCPUComputeDevice,
    MLGPUComputeDevice,
    MLNeuralEngineComputeDevice,
)
from coremltools.models.compute_plan import MLComputePlanCost, MLComputePlanDeviceUsage
from coremltools.models.ml_program.experimental import compute_plan_utils
from coremltools.models.ml_program.experimental.remote_device import ComputePlan

from palmette.latency.devices.plans import counts, plan_rows
from palmette.latency.suite.results import PLACEMENT_COLUMNS

DEVICES = {
    ComputePlan.CPUDevice: MLCPUComputeDevice,
    ComputePlan.GPUDevice: MLGPUComputeDevice,
    ComputePlan.NeuralEngineDevice: MLNeuralEngineComputeDevice,
}
ANE = {"neuralEngine": {"totalCoreCount": 16}}


def info(output: str, preferred: Any, supported: list[Any], cost: float | None) -> dict[str, Any]:
    path = [
        {"program": {}},
        {"programFunction": {"data": {"name": "main"}}},
        {"programBlock": {"data": {"index": -1}}},
        {"programOperation": {"data": {"outputName": output}}},
    ]
    usage = {"preferred": preferred, "supported": supported}
    return {"deviceUsage": usage, "estimatedCost": cost, "path": {"components": path}}


SENT = {
    "infos": [
        info("y", ANE, [{"cpu": {}}, ANE], 0.75),
        info("z", {"gpu": {}}, [{"gpu": {}}], 0.25),
        info("w", {"cpu": {}}, [{"cpu": {}}, {"gpu": {}}], None),
    ]
}


def as_model_device(device: Any) -> Any:
    kind = DEVICES[type(device)]
    return object.__new__(kind)


class Plan:
    """Answers as `MLComputePlan` does, from what a phone sends."""

    def __init__(self, sent: ComputePlan, structure: Any) -> None:
        self.model_structure = structure
        self._infos = {path.components[-1].output_name: one for path, one in sent.infos.items()}

    def get_compute_device_usage_for_mlprogram_operation(self, operation: Any) -> Any:
        found = self._infos.get(operation.outputs[0].name)
        return found and MLComputePlanDeviceUsage(
            as_model_device(found.device_usage.preferred),
            [as_model_device(device) for device in found.device_usage.supported],
        )

    def get_estimated_cost_for_mlprogram_operation(self, operation: Any) -> Any:
        found = self._infos.get(operation.outputs[0].name)
        cost = found and found.estimated_cost
        return cost and MLComputePlanCost(cost)

    def get_compute_device_usage_for_neuralnetwork_layer(self, layer: Any) -> Any:
        return MLComputePlanDeviceUsage(as_model_device(ComputePlan.CPUDevice()), [])


def operation(name: str, output: str) -> Any:
    value = compute_plan.MLModelStructureProgramNamedValueType(name=output, type=None)
    return compute_plan.MLModelStructureProgramOperation(
        inputs={}, operator_name=name, outputs=[value], blocks=[], **{"__proxy__": None}
    )


def program() -> Any:
    names = {"const": "c", "ios16.conv": "y", "ios16.relu": "z", "ios16.add": "w"}
    block = compute_plan.MLModelStructureProgramBlock(
        inputs=[], operations=[operation(*pair) for pair in names.items()], output_names=["w"]
    )
    main = compute_plan.MLModelStructureProgramFunction(inputs=[], block=block)
    return compute_plan.MLModelStructure(
        neuralnetwork=None,
        program=compute_plan.MLModelStructureProgram(functions={"main": main}),
        pipeline=None,
    )


def rows_of(plan: Any, tmp_path: Path) -> tuple[list[dict[str, str]], Any, Any]:
    with (
        mock.patch.object(utils, "compile_model", autospec=True) as compiled,
        mock.patch.object(
            compute_plan_utils,
            "load_compute_plan_from_path_on_device",
            autospec=True,
            return_value=plan,
        ) as loaded,
    ):
        rows = asyncio.run(plan_rows(tmp_path / "a.mlpackage", "cpuAndGPU"))
    return rows, compiled.call_args, loaded.call_args


def test_ops_of_a_program_are_rows_in_their_order_without_constants(tmp_path: Path) -> None:
    rows, compiled, loaded = rows_of(Plan(ComputePlan.from_dict(SENT), program()), tmp_path)
    assert [tuple(row.get(name) for name in PLACEMENT_COLUMNS) for row in rows] == [
        ("a.mlpackage", "cpuAndGPU", "0", "ios16.conv", "y", "ane", "cpu;ane", "0.75"),
        ("a.mlpackage", "cpuAndGPU", "1", "ios16.relu", "z", "gpu", "gpu", "0.25"),
        ("a.mlpackage", "cpuAndGPU", "2", "ios16.add", "w", "cpu", "cpu;gpu", ""),
    ]
    assert set(rows[0]) == set(PLACEMENT_COLUMNS)
    assert counts(rows) == {"ops_cpu": "1", "ops_gpu": "1", "ops_ane": "1"}
    assert compiled.args[0] == str(tmp_path / "a.mlpackage")
    assert loaded.kwargs["path"] == compiled.args[1]
    assert loaded.kwargs["compute_units"] == ComputeUnit.CPU_AND_GPU


def test_layers_of_the_older_format_are_rows_too(tmp_path: Path) -> None:
    layer = compute_plan.MLModelStructureNeuralNetworkLayer(
        name="act", type="activation", input_names=["x"], output_names=["y"], **{"__proxy__": None}
    )
    structure = compute_plan.MLModelStructure(
        neuralnetwork=compute_plan.MLModelStructureNeuralNetwork(layers=[layer]),
        program=None,
        pipeline=None,
    )
    rows, _, _ = rows_of(Plan(ComputePlan.from_dict(SENT), structure), tmp_path)
    cells = ("a.mlpackage", "cpuAndGPU", "0", "activation", "act", "cpu", "", "")
    assert [tuple(row[name] for name in PLACEMENT_COLUMNS) for row in rows] == [cells]


def test_without_a_plan_nothing_is_counted() -> None:
    assert counts([]) == {}


@pytest.mark.parametrize("name", [name for name in dir(Plan) if name.startswith("get_")])
def test_the_stand_in_answers_what_a_plan_is_asked(name: str) -> None:
    assert hasattr(compute_plan.MLComputePlan, name)
