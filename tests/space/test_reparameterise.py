"""Units of branches: trained as a sum, run as the one convolution that it equals."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from palmette.export import ExportOptions, export, verify_weights
from palmette.space import Architecture, load
from palmette.space.modules import build_part
from palmette.space.modules.mobileone import OverParameterisedConv
from palmette.space.modules.reparameterise import (
    Branched,
    fold,
    reparameterise,
    reparameterised,
    unit_weight,
    widen,
)
from palmette.space.modules.repvit import TokenMixer
from palmette.space.trace import trace_ops

BLOCKS = (
    "one_k3_s1_c8_relu",
    "one_k3_s1_c8_relu_b4",
    "one_k5_s2_c8_relu_b2",
    "one_k3_s1_c12_hswish_se4_b3",
    "one_k1_s1_c8_relu_b2",
    "rv_k3_s1_e2_c8_gelu",
    "rv_k5_s1_e3_c8_relu_se0.5",
    "rv_k3_s2_e2_c16_gelu",
    "rv_k7_s2_e2_c8_gelu_se0.5",
    "rv_k1_s1_e2_c12_gelu",
)
NETWORK = (
    "32x48 stem_k3_s2_c8_relu | one_r2_k3_s2_c12_relu_b4 | rv_r2_k3_s2_e2_c16_gelu"
    " | uir_r2_k3_s2_e2_c16_relu_a3 | head_c24_relu_n10"
)


def block_after(text: str, channels: int = 8) -> nn.Module:
    """Module of a block's text after a map of that many channels."""
    network = Architecture.from_text(f"16x16 stem_k3_s1_c{channels}_relu | {text} | head_n10")
    torch.manual_seed(0)
    return build_part(network.stages[0][0], channels)


def trained(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in evaluation mode, with BatchNorms as training leaves them."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values, low, high in (
                (norm.weight, 0.5, 1.5),
                (norm.bias, -0.5, 0.5),
                (norm.running_mean, -0.5, 0.5),
                (norm.running_var, 0.5, 2.0),
            ):
                assert values is not None
                values.data.uniform_(low, high, generator=generator)
    return module.eval()


def by_branches(module: nn.Module, x: Tensor) -> Tensor:
    """Output with every branch run for itself, BatchNorm by its running statistics."""
    units = [unit for unit in module.modules() if isinstance(unit, Branched)]
    for unit in units:
        unit.training = True  # of the unit alone: its BatchNorms stay as they are
    with torch.no_grad():
        y: Tensor = module(x)
    for unit in units:
        unit.training = False
    return y


def assert_same(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * one.abs().max().item())


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(16, 16), (9, 14)])
@pytest.mark.parametrize("text", BLOCKS)
def test_branches_and_convolution_compute_the_same(text: str, size: tuple[int, int]) -> None:
    module, x = trained(block_after(text)), images(2, 8, *size)
    expected = by_branches(module, x)
    with torch.no_grad():
        assert_same(expected, module(x))
        assert_same(expected, reparameterised(module)(x))


def test_a_whole_network_computes_the_same_in_both_forms() -> None:
    module, x = trained(Architecture.from_text(NETWORK).build()), images(2, 3, 40, 56)
    expected = by_branches(module, x)
    with torch.no_grad():
        assert_same(expected, module(x))
        assert_same(expected, reparameterised(module)(x))


def without_gradient(module: nn.Module, x: Tensor) -> list[str]:
    """Parameters that a gradient of the output does not reach."""
    module(x).square().sum().backward()
    return [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("text", BLOCKS)
def test_gradients_reach_every_parameter_of_the_branches(text: str) -> None:
    assert without_gradient(block_after(text), images(4, 8, 12, 12)) == []


def test_gradients_reach_every_parameter_of_a_network_in_training() -> None:
    assert without_gradient(Architecture.from_text(NETWORK).build(), images(4, 3, 64, 64)) == []


def test_gradients_go_through_the_merged_convolution_too() -> None:
    module = trained(Architecture.from_text(NETWORK).build())
    assert without_gradient(module, images(2, 3, 64, 64)) == []


def test_training_normalises_each_branch_by_its_own_batch() -> None:
    unit = OverParameterisedConv((4, 4), 3, 1, True, 2)
    assert unit.identity is not None
    x = images(8, 4, 6, 6) * 3 + 1
    unit(x)
    assert torch.allclose(unit.identity.running_mean, 0.1 * x.mean((0, 2, 3)))  # type: ignore[arg-type]
    before = unit.eval().identity.running_mean.clone()  # type: ignore[union-attr]
    unit(x)
    assert torch.equal(unit.identity.running_mean, before)  # type: ignore[arg-type]


def test_a_convolution_of_one_channel_merges_as_by_hand() -> None:
    unit = OverParameterisedConv((1, 1), 3, 1, True, 1).eval()
    norms = [unit.convs[0].bn, unit.convs[1].bn, unit.identity]
    with torch.no_grad():
        unit.convs[0].conv.weight.copy_(torch.arange(9.0).reshape(1, 1, 3, 3))  # type: ignore[union-attr]
        unit.convs[1].conv.weight.fill_(5.0)  # type: ignore[union-attr]
        # scale 2, 3, 4 and shift 1 - 2 m
        for norm, scale in zip(norms, (2.0, 3.0, 4.0), strict=True):
            norm.eps = 0.0  # type: ignore[union-attr]
            norm.running_var.fill_(0.25)  # type: ignore[union-attr]
            norm.weight.fill_(scale / 2)  # type: ignore[union-attr]
            norm.bias.fill_(1.0)  # type: ignore[union-attr]
            norm.running_mean.fill_(0.5)  # type: ignore[union-attr]
        weight, bias = unit.merged()
    middle = 2 * 4 + 3 * 5 + 4 * 1
    assert weight.flatten().tolist() == [0, 2, 4, 6, middle, 10, 12, 14, 16]
    assert bias.tolist() == [3 - 0.5 * (2 + 3 + 4)]


def test_a_token_mixer_of_one_channel_merges_as_by_hand() -> None:
    unit = TokenMixer(1, 3).eval()
    with torch.no_grad():
        unit.conv.conv.weight.fill_(1.0)
        unit.scale.weight.fill_(2.0)
        unit.scale.bias.fill_(3.0)  # type: ignore[union-attr]
        for norm, mean in ((unit.conv.bn, 1.0), (unit.bn, 2.0)):
            norm.eps = 0.0
            norm.running_mean.fill_(mean)  # type: ignore[union-attr]
            norm.weight.fill_(10.0)
        weight, bias = unit.merged()
    around, middle = 10 * 10, 10 * (10 + 2 + 1)
    assert weight.flatten().tolist() == [around] * 4 + [middle] + [around] * 4
    assert bias.tolist() == [10 * (-10 + 3 - 2)]


def test_folding_takes_in_scale_shift_and_bias() -> None:
    norm = nn.BatchNorm2d(2, eps=0.0).eval()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([2.0, 6.0]))
        norm.running_var.copy_(torch.tensor([4.0, 9.0]))  # type: ignore[union-attr]
        norm.running_mean.copy_(torch.tensor([1.0, 2.0]))  # type: ignore[union-attr]
        weight, bias = fold(torch.ones(2, 1, 1, 1), norm, torch.tensor([3.0, 5.0]))
    assert weight.flatten().tolist() == [1.0, 2.0]
    assert bias.tolist() == [2.0, 6.0]


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_the_unit_weight_gives_the_input(groups: int) -> None:
    x = images(1, 6, 3, 3)
    weight = unit_weight(torch.empty(6, 6 // groups, 3, 3))
    assert torch.equal(nn.functional.conv2d(x, weight, groups=groups), x)
    assert torch.equal(nn.functional.conv2d(x, widen(weight, 5), padding=2, groups=groups), x)


def test_reparameterising_leaves_one_convolution_a_unit_and_nothing_else_changed() -> None:
    module = trained(Architecture.from_text(NETWORK).build())
    keys = list(module.state_dict())
    merged = reparameterised(module)
    assert list(module.state_dict()) == keys  # the copy alone has changed
    units = [name for name, part in module.named_modules() if isinstance(part, Branched)]
    assert len(units) == 2 * 2 + 2
    for name in units:
        assert type(merged.get_submodule(name)) is nn.Conv2d
    others = {key for key in keys if not key.startswith(tuple(f"{name}." for name in units))}
    state = merged.state_dict()
    assert set(state) == others | {f"{n}.{part}" for n in units for part in ("weight", "bias")}
    assert all(torch.equal(state[key], module.state_dict()[key]) for key in others)


def test_in_place_the_network_itself_changes_and_a_unit_gives_its_convolution() -> None:
    module = block_after("rv_k3_s1_e2_c8_gelu").eval()
    assert reparameterise(module) is module
    assert not any(isinstance(part, Branched) for part in module.modules())
    layer = reparameterise(TokenMixer(8, 5).double())
    assert isinstance(layer, nn.Conv2d)
    assert (layer.kernel_size, layer.padding, layer.groups) == ((5, 5), (2, 2), 8)
    assert layer.weight.dtype == torch.float64
    assert layer.training


def test_a_network_without_branches_stays_as_it_is() -> None:
    module = Architecture.from_text("16x16 stem_k3_s2_c8_relu | ir_k3_s1_e2_c8_relu | head").build()
    state = reparameterised(module).state_dict()
    assert list(state) == list(module.state_dict())
    assert all(torch.equal(state[key], value) for key, value in module.state_dict().items())


@pytest.mark.parametrize("text", BLOCKS)
def test_both_forms_trace_to_the_same_ops(text: str) -> None:
    module = block_after(text)
    ops = trace_ops(module, (8, 12, 12))
    assert ops == trace_ops(reparameterised(module), (8, 12, 12))
    with FlopCounterMode(display=False) as counter:
        module.eval()(images(1, 8, 12, 12))
    assert counter.get_total_flops() == 2 * sum(op.macs for op in ops)


def test_counts_are_those_of_the_merged_form() -> None:
    network = Architecture.from_text(NETWORK)
    module = network.build()
    assert network.ops() == trace_ops(module, (3, 32, 48))
    assert network.params() == sum(p.numel() for p in reparameterised(module).parameters())
    assert network.params() < sum(p.numel() for p in module.parameters())


def test_the_zoo_counts_no_branches() -> None:
    kinds = Counter(op.kind for op in load("mobileone_s0").ops())
    assert kinds == {"conv": 1 + 2 * (2 + 8 + 10 + 1), "mean": 1, "linear": 1}


def test_an_export_stores_the_merged_convolutions(tmp_path: Path) -> None:
    network = Architecture.from_text(NETWORK)
    module = trained(network.build())
    options = ExportOptions("neuralnetwork")
    package = export(network, tmp_path / "x", options=options, module=module)
    report = verify_weights(package, module)
    assert report == verify_weights(package, reparameterised(module))
    assert report.values == sum(op.weights for op in network.ops())
    assert report.layers == sum(op.kind in ("conv", "linear") for op in network.ops())
