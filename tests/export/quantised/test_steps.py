"""What a package in 8 bits computes is the module's, rounding by rounding; what is not is named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from palmette.export import ExportError, ExportOptions
from palmette.export.gates.verify import sample_images
from palmette.export.package import model_file, read_spec
from palmette.export.plan import Plan
from palmette.export.quantised import export, export_quantised, steps
from palmette.export.quantised.export import rounded_plan
from palmette.export.quantised.prepare import finalised, quantised_layers
from palmette.export.quantised.proof import compare_codes
from palmette.export.quantised.steps import Steps, compare_steps
from palmette.space import Architecture
from tests.export.quantised.ranges import ranged

POOLED = Architecture.from_text(
    "24x24 stem_k3_s2_c8_relu | ir_r2_k3_s1_e2_c8_relu | head_c16_relu_n4_poolfirst"
)
"""Its maps are flattened behind a rounding of another scale, and one block adds its input."""


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return ranged(POOLED)


@pytest.fixture(scope="module")
def final(tensors: dict[str, Tensor]) -> nn.Module:
    """The module that a package must equal; not to be changed."""
    return finalised(POOLED, tensors)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return rounded_plan(POOLED, ExportOptions(system="iOS17"))


@pytest.fixture(scope="module")
def package(tensors: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_quantised(POOLED, tensors, tmp_path_factory.mktemp("steps") / "net").path


def compared(package: Path, final: nn.Module, plan: Plan) -> Steps:
    return compare_steps(package, final, plan, sample_images(POOLED, 2))


def test_a_rounding_is_half_a_step_from_the_modules_value(
    package: Path, final: nn.Module, plan: Plan
) -> None:
    found = compared(package, final, plan)
    assert 0.49 < found.farthest < 0.6
    assert found.output_error > 0


@pytest.mark.parametrize("change", [0.5, -1.0])
def test_a_code_of_another_step_is_found(
    change: float,
    package: Path,
    final: nn.Module,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = steps._run

    def other(*arguments: Any) -> tuple[Tensor, dict[str, Tensor]]:
        scores, codes = run(*arguments)
        second = list(codes)[1]
        return scores, {**codes, second: codes[second] + change}

    monkeypatch.setattr(steps, "_run", other)
    with pytest.raises(ExportError, match=r"^operation 'quantize_\w+' \(quantize\): rounds to a"):
        compared(package, final, plan)


def other_scale(op: Any, known: dict[str, Any]) -> None:
    """What was rounded by one scale is read by another, which is half as large again."""
    scale = known[op.inputs["scale"].arguments[0].name].attributes["val"].immediateValue
    values = torch.frombuffer(bytearray(scale.tensor.bytes.values), dtype=torch.float16)
    scale.tensor.bytes.values = (values * 1.5).numpy().tobytes()


@pytest.mark.parametrize(
    ("at", "message"), [(0, "steps from the module's value"), (-1, "the package's outputs are")]
)
def test_a_scale_that_only_the_reader_of_codes_has_is_found(
    at: int, message: str, package: Path, final: nn.Module, plan: Plan, tmp_path: Path
) -> None:
    damaged = tmp_path / "net.mlpackage"
    shutil.copytree(package, damaged)
    spec = read_spec(damaged)
    function = spec.mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    known = {op.outputs[0].name: op for op in operations}
    readers = [op for op in operations if op.type == "dequantize"]
    names = [op.inputs["scale"].arguments[0].name for op in readers]
    writers = {op.inputs["scale"].arguments[0].name for op in operations if op.type == "quantize"}
    own = [op for op, name in zip(readers, names, strict=True) if name not in writers]
    other_scale(own[at], known)
    model_file(damaged).write_bytes(spec.SerializeToString())
    compare_codes(damaged, final)
    with pytest.raises(ExportError, match=message):
        compared(damaged, final, plan)


def test_another_weight_in_half_precision_is_one_of_the_module(final: nn.Module) -> None:
    images = torch.rand((1, 3, *POOLED.resolution)) * 2 - 1
    stored = steps.stored(final)
    layer = next(iter(quantised_layers(stored).values()))
    assert torch.equal(layer.get_weight(), layer.get_weight().half().float())
    assert stored(images).shape == final(images).shape


def test_a_pass_of_the_converter_that_loses_a_scale_is_left_out(
    tensors: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "WRONG", ())
    with pytest.raises(ExportError, match="steps from the module's value"):
        export_quantised(POOLED, tensors, tmp_path / "net")
    assert list(tmp_path.iterdir()) == []
