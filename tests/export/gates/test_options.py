"""What an export can be asked for is verified as well: inputs, scales, sizes, batches, names."""

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from palmette.export import ExportOptions, export
from palmette.export.gates import verify
from palmette.export.scaling import TENSOR
from palmette.export.sizes import SizeRange, Sizes
from palmette.space import Architecture

SCALE = (0.017, 0.0175, 0.0174)
BIAS = (-2.1, -2.0, -1.8)


SWEPT = (
    ExportOptions(input=TENSOR, batch=2, outputs=("classes",)),
    ExportOptions(sizes=Sizes(((24, 32), (48, 48)))),
    ExportOptions("neuralnetwork", scale=SCALE, bias=BIAS),
    ExportOptions("neuralnetwork", input=TENSOR),
    ExportOptions(sizes=SizeRange((24, 32), (48, 64))),
    ExportOptions(system="iOS15"),
    ExportOptions(system="iOS18", labels=tuple("abcd")),
)


@pytest.mark.parametrize(
    "options",
    [
        ExportOptions(scale=SCALE, bias=BIAS),
        *(pytest.param(options, marks=pytest.mark.sweep) for options in SWEPT),
    ],
    ids=lambda options: f"{options.kind}-{options.input}-{options.system}",
)
def test_an_export_with_options_is_verified(
    net: Architecture, weights: nn.Module, tmp_path: Path, options: ExportOptions
) -> None:
    path = export(net, tmp_path / "x", options=options, module=weights)
    verdict = verify(path, net, module=weights, images=1, scale=options.scale, bias=options.bias)
    assert verdict.passed, [gate.reason for gate in verdict.gates]


def test_another_scale_than_the_packages_fails_the_gate_of_weights(
    good: Path, net: Architecture, weights: nn.Module
) -> None:
    verdict = verify(good, net, module=weights, images=1, scale=1 / 127, bias=(-1.0, -1.0, -1.0))
    assert [gate.name for gate in verdict.gates if gate.passed is False] == ["weights"]


@pytest.mark.sweep
def test_taps_with_names_of_their_own_are_verified(
    head_texts: dict[str, str], trained: Callable[..., nn.Module], tmp_path: Path
) -> None:
    network = Architecture.from_text(head_texts["taps"])
    module, options = trained(network), ExportOptions(outputs=("fine", "coarse"))
    path = export(network, tmp_path / "x", options=options, module=module)
    assert verify(path, network, module=module, images=1).passed


def test_indices_of_16_bits_are_read_where_a_system_has_them(
    trained: Callable[..., nn.Module], tmp_path: Path
) -> None:
    network = Architecture.from_text("32x32 stem_k3_s2_c16_relu | cd_k3_x16_c32_relu_g4 | head_n4")
    module = trained(network)
    path = export(network, tmp_path / "net", options=ExportOptions(system="iOS18"), module=module)
    verdict = verify(path, network, module=module, images=1)
    assert verdict.passed, [gate.reason for gate in verdict.gates]
