"""Weights for timing: no value of a deep chain overflows, none vanishes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from palmette.export import ExportError, ExportOptions
from palmette.export.tensors import export_tensors
from palmette.latency.chains import Chain
from palmette.latency.suite.values import check_values, random_input, settle
from palmette.space import Architecture

BLOCKS = (
    "ir_r1_k3_s1_e6_c16_relu6",  # adds its input each time
    "ir_r1_k5_s1_e3_c16_hswish_se0.25",
    "cn_r1_k3_s1_c16_relu",
    "ds_r1_k3_s1_c16_relu6_noskip",
    "fire_r1_k3_sq8_c16_relu_nobn",  # has no BatchNorm
    "one_r1_k3_s1_c16_relu_b2",  # trains as branches
    "se_r1_c16_x4_gatesigmoid",  # can only make values smaller
)


def chain(block: str, depth: int) -> nn.Module:
    torch.default_generator.manual_seed(3)
    return Chain.from_text(f"{depth}*({block})@8x8x16").build().eval()


def largest(module: nn.Module, image: Tensor) -> list[float]:
    """Largest value that each block gives."""
    found = []
    with torch.no_grad():
        for block in module.children():
            image = block(image)
            found.append(float(image.abs().max()))
    return found


@pytest.mark.parametrize("block", BLOCKS)
def test_fifty_blocks_keep_their_values_in_the_middle_of_half_precision(block: str) -> None:
    found = largest(settle(chain(block, 50), (16, 8, 8)), random_input((16, 8, 8)))
    assert min(found) > 0.1 and max(found) < 100


def test_as_drawn_they_would_vanish() -> None:
    assert largest(chain(BLOCKS[3], 50), random_input((16, 8, 8)))[-1] < 2.0**-14


def test_settling_keeps_the_module_in_evaluation_mode_with_its_own_momentum() -> None:
    network = Architecture.from_text("32x32 stem_k3_s2_c8_relu | cn_r1_k3_s2_c8_relu | head_n4")
    module = settle(network.build(), (3, 32, 32))
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    assert norms and not any(part.training for part in module.modules())
    assert {norm.momentum for norm in norms} == {nn.BatchNorm2d(1).momentum}
    twin = settle(network.build(), (3, 32, 32))
    pairs = zip(module.state_dict().values(), twin.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(
    ("factor", "reason"), [(300.0, "leaves half precision"), (1e-3, "vanishes in half precision")]
)
def test_a_package_whose_values_leave_half_precision_is_refused(
    factor: float, reason: str, tmp_path: Path
) -> None:
    module, inputs = nn.Conv2d(4, 4, 1, bias=False), (random_input((4, 6, 6)),)
    with torch.no_grad():
        module.weight.copy_(torch.eye(4).reshape(4, 4, 1, 1) * factor)
    twice = nn.Sequential(module, module, nn.ReLU()).eval()
    path = export_tensors(twice, inputs, tmp_path / "a", options=ExportOptions(), about="")
    with pytest.raises(ExportError, match=reason):
        check_values(path, inputs)
