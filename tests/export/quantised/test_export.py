"""Packages in 8 bits hold the module's codes and scales, and no others."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from palmette.export import ExportError, ExportOptions
from palmette.export.gates import verify
from palmette.export.interpreter.program import read_program
from palmette.export.package import model_file, read_spec
from palmette.export.quantised import (
    Quantised,
    export_quantised,
    is_quantised,
    prepare_w8a8,
    verify_quantised,
)
from palmette.export.quantised.prepare import finalised, quantised_layers
from palmette.export.quantised.proof import compare_codes
from palmette.space import Architecture, InputError
from tests.export.quantised.ranges import ranged

NET = Architecture.from_text(
    "24x32 stem_k3_s2_c8_hswish | ir_r2_k3_s2_e2_c8_relu6_se4 | head_c16_relu_n4"
)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return ranged(NET)


@pytest.fixture(scope="module")
def final(tensors: dict[str, Tensor]) -> nn.Module:
    """The module that a package must equal; not to be changed."""
    return finalised(NET, tensors)


@pytest.fixture(scope="module", params=[pytest.param("iOS17", marks=pytest.mark.sweep), "iOS18"])
def done(
    request: pytest.FixtureRequest,
    tensors: dict[str, Tensor],
    tmp_path_factory: pytest.TempPathFactory,
) -> Quantised:
    out = tmp_path_factory.mktemp("quantised") / "net"
    options = ExportOptions(system=request.param, labels=tuple("abcd"))
    return export_quantised(NET, tensors, out, options=options)


def test_every_weight_is_the_modules_code_and_every_activation_is_rounded(
    done: Quantised,
) -> None:
    ops = NET.ops()
    assert done.layers == sum(op.kind in ("conv", "linear") for op in ops)
    kinds = [op.kind for op in read_program(done.path).operations]
    assert kinds.count("quantize") >= done.layers and "batch_norm" not in kinds
    assert 0.49 < done.farthest < 0.6
    about = read_spec(done.path).description.metadata.userDefined
    assert about["compression"] == "w8a8" and about["architecture"] == NET.to_text()


def test_codes_are_whole_multiples_of_the_channels_scale(final: nn.Module) -> None:
    for layer in quantised_layers(final).values():
        scale = layer.weight_scale.reshape(-1, *[1] * (layer.weight.dim() - 1))
        codes = (layer.weight / scale).detach().numpy()
        assert np.abs(codes - codes.round()).max() < 1e-4
        assert codes.min() > -128.5 and codes.max() < 127.5


def other_code(layer: Any) -> None:
    layer.weight.reshape(-1)[0] += layer.weight_scale[0]


def other_bias(layer: Any) -> None:
    layer.bias[2] += 1.0


def other_scale(layer: Any) -> None:
    layer.weight_scale[1] *= 1.004
    layer.weight[1] *= 1.004


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_code, "codes are not those"),
        (other_bias, "bias is not that"),
        (other_scale, "scales are not those"),
    ],
)
def test_a_module_with_another_value_is_found(
    change: Callable[[Any], None], message: str, done: Quantised, final: nn.Module
) -> None:
    other = copy.deepcopy(final)
    with torch.no_grad():
        change(next(iter(quantised_layers(other).values())))
    with pytest.raises(ExportError, match=f"^'stem.conv.*': the package's {message}"):
        compare_codes(done.path, other)


def drop_rounding(operations: Any) -> None:
    """The last rounding is left out: what reads it reads what it was given."""
    last = [op for op in operations if op.type in ("quantize", "dequantize")][-2:]
    target = last[0].inputs["input"].arguments[0].name
    gone = {op.outputs[0].name for op in last}
    kept = [op for op in operations if op.outputs[0].name not in gone]
    for op in kept:
        for argument in op.inputs.values():
            for binding in argument.arguments:
                if binding.name in gone:
                    binding.name = target
    copies = [type(op).FromString(op.SerializeToString()) for op in kept]
    del operations[:]
    operations.extend(copies)


def swap_scale(operations: Any) -> None:
    """The first rounding has the second's scale."""
    first, second = [op for op in operations if op.type == "quantize"][:2]
    first.inputs["scale"].CopyFrom(second.inputs["scale"])


@pytest.mark.parametrize("damage", [drop_rounding, swap_scale])
def test_roundings_that_are_not_the_modules_are_found(
    damage: Callable[[Any], None], done: Quantised, final: nn.Module, tmp_path: Path
) -> None:
    package = tmp_path / "net.mlpackage"
    shutil.copytree(done.path, package)
    compare_codes(package, final)
    spec = read_spec(package)
    function = spec.mlProgram.functions["main"]
    damage(function.block_specializations[function.opset].operations)
    model_file(package).write_bytes(spec.SerializeToString())
    with pytest.raises(ExportError, match="does not round as|the module rounds"):
        compare_codes(package, final)


def test_a_flipped_bit_of_a_code_is_found(
    done: Quantised, final: nn.Module, tmp_path: Path
) -> None:
    package = tmp_path / "net.mlpackage"
    shutil.copytree(done.path, package)
    layer = list(quantised_layers(final).values())[1]
    scale = layer.weight_scale.reshape(-1, *[1] * (layer.weight.dim() - 1))
    codes = (layer.weight / scale).round().to(torch.int8).numpy().tobytes()
    file = next(package.rglob("weight.bin"))
    data = bytearray(file.read_bytes())
    data[data.index(codes) + 5] ^= 1
    file.write_bytes(data)
    with pytest.raises(ExportError, match="codes are not those"):
        compare_codes(package, final)


@pytest.mark.parametrize("done", ["iOS18"], indirect=True)
def test_equal_arguments_give_equal_bytes(
    done: Quantised,
    tensors: dict[str, Tensor],
    tmp_path: Path,
    contents: Callable[[Path], dict[str, bytes]],
) -> None:
    options = ExportOptions(system="iOS18", labels=tuple("abcd"))
    again = export_quantised(NET, tensors, tmp_path / "net", options=options)
    assert contents(again.path) == contents(done.path)


def test_older_systems_other_heads_and_other_states_are_refused(
    tensors: dict[str, Tensor], tmp_path: Path, detector: Architecture
) -> None:
    with pytest.raises(InputError, match="needs an ML Program for iOS17 or iOS18"):
        export_quantised(NET, tensors, tmp_path / "x", options=ExportOptions(system="iOS16"))
    with pytest.raises(InputError, match="is for classifiers; this network has 'ssdlite'"):
        export_quantised(detector, tensors, tmp_path / "x")
    wider = Architecture.from_text(NET.to_text().replace("c16_relu_n4", "c24_relu_n4"))
    with pytest.raises(InputError, match="no quantised weights of this network"):
        export_quantised(wider, tensors, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_branches_are_merged_before_a_network_is_prepared() -> None:
    net = Architecture.from_text("32x32 stem_k3_s2_c8_relu | one_r1_k3_s2_c16_relu_b2 | head_n4")
    names = [name for name, _ in prepare_w8a8(net.build(), net.resolution).named_modules()]
    assert sum(name.endswith("weight_fake_quant") for name in names) == 4


def test_a_package_on_disk_is_verified_against_what_training_left(
    done: Quantised, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    verdict = verify_quantised(done.path, NET, tensors, images=2)
    assert is_quantised(done.path) and verdict.passed
    assert [gate.name for gate in verdict.gates] == ["graph", "weights", "outputs"]
    other = {name: value.clone() for name, value in tensors.items()}
    other[next(name for name in other if name.endswith("conv.weight"))].neg_()
    passed = {gate.name: gate.passed for gate in verify_quantised(done.path, NET, other).gates}
    assert (passed["graph"], passed["weights"]) == (True, False)
    with pytest.raises(InputError, match="rounds activations .* palmette train --quantise left"):
        verify(done.path, NET, module=NET.build().eval())
