"""Universal inverted bottleneck: counts by hand, and timm's MobileNetV4 with the same weights."""

from collections import Counter

import pytest
import timm
import torch
from torch import nn

from palmette.space import InputError, load
from palmette.space.blocks import Block, format_block, parse_block
from palmette.space.blocks.mobile import InvertedResidual
from palmette.space.blocks.universal import UniversalInvertedBottleneck
from palmette.space.modules import Residual, build_part
from palmette.space.modules.reparameterise import fold
from palmette.space.trace import trace_ops

NOTATION: list[tuple[str, Block]] = [
    ("uir_k5_s2_e3_c96_relu_a5", UniversalInvertedBottleneck(5, 2, 192, 96, "relu", 5)),
    ("uir_k3_s1_e2_c64_relu", UniversalInvertedBottleneck(3, 1, 128, 64, "relu")),
    ("uir_k0_s1_x100_c64_gelu_a3", UniversalInvertedBottleneck(0, 1, 100, 64, "gelu", 3)),
    (
        "uir_k0_s1_e4_c64_relu_noskip",
        UniversalInvertedBottleneck(0, 1, 256, 64, "relu", skip=False),
    ),
]
TIMM = {
    f"mobilenet_v4_conv_{size}": f"mobilenetv4_conv_{size}" for size in ("small", "medium", "large")
}
HEAD = 1280
"""Channels after the pooling: a bias each here, BatchNorm's scale and shift in timm."""


@pytest.mark.parametrize(("text", "block"), NOTATION, ids=[row[0] for row in NOTATION])
def test_text_and_block_are_each_others_inverse(text: str, block: Block) -> None:
    assert format_block(block, 64) == text
    assert parse_block(text, 64) == block


@pytest.mark.parametrize(
    ("text", "convolutions"),
    [
        # kernel, stride, groups, output channels
        ("uir_k3_s2_e4_c16_relu_a5", [(5, 1, 8, 8), (1, 1, 1, 32), (3, 2, 32, 32), (1, 1, 1, 16)]),
        ("uir_k3_s2_e4_c16_relu", [(1, 1, 1, 32), (3, 2, 32, 32), (1, 1, 1, 16)]),
        ("uir_k0_s2_e4_c16_relu_a5", [(5, 2, 8, 8), (1, 1, 1, 32), (1, 1, 1, 16)]),
        ("uir_k0_s1_e4_c16_relu", [(1, 1, 1, 32), (1, 1, 1, 16)]),
    ],
)
def test_each_case_has_the_convolutions_of_the_paper(
    text: str, convolutions: list[tuple[int, int, int, int]]
) -> None:
    module = build_part(parse_block(text, 8), 8)
    found = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    layouts = [(m.kernel_size[0], m.stride[0], m.groups, m.out_channels) for m in found]
    assert layouts == convolutions
    norms = 2 * sum(out for *_, out in convolutions)
    assert sum(p.numel() for p in module.parameters()) == norms + sum(
        m.weight.numel() for m in found
    )
    # only what is behind the expansion is activated, but for the last
    acts = [op.act for op in trace_ops(module, (8, 6, 6))]
    first = ["none"] if "_a5" in text else []
    assert acts == [*first, *["relu"] * (len(acts) - len(first) - 1), "none"]


def test_with_the_inner_kernel_alone_it_is_an_inverted_residual() -> None:
    ours = build_part(UniversalInvertedBottleneck(3, 1, 32, 8, "relu6"), 8)
    other = build_part(InvertedResidual(3, 1, 32, 8, "relu6"), 8)
    assert trace_ops(ours, (8, 6, 6)) == trace_ops(other, (8, 6, 6))


@pytest.mark.parametrize("size", [(12, 12), (9, 14)])
@pytest.mark.parametrize("text", ["uir_k3_s2_e2_c8_relu_a3", "uir_k0_s2_e2_c8_relu_a3"])
def test_sizes_are_halved_and_rounded_up(text: str, size: tuple[int, int]) -> None:
    block = parse_block(text, 8)
    assert block.downsampling == 2
    shape = build_part(block, 8)(torch.zeros(2, 8, *size)).shape
    assert shape == (2, 8, -(-size[0] // 2), -(-size[1] // 2))


@pytest.mark.parametrize(
    ("text", "residual"),
    [
        ("uir_k3_s1_e2_c8_relu_a3", True),
        ("uir_k0_s1_e2_c8_relu", True),
        ("uir_k3_s1_e2_c8_relu_noskip", False),
        ("uir_k3_s1_e2_c16_relu", False),
        ("uir_k3_s2_e2_c8_relu", False),
    ],
)
def test_the_input_is_added_where_shapes_allow_it(text: str, residual: bool) -> None:
    assert isinstance(build_part(parse_block(text, 8), 8), Residual) == residual


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("uir_k4_s1_e2_c8_relu", "uir block, kernel: must be odd, or 0 for none; got 4"),
        ("uir_k3_s1_e2_c8_relu_a2", "uir block, first_kernel: must be odd, or 0 for none; got 2"),
        (
            "uir_k0_s2_e2_c8_relu",
            "uir block, stride: without a depthwise convolution it must be 1, got 2",
        ),
        ("uir_k33_s1_e2_c8_relu", "uir block, kernel: must be an integer from 0 to 31, got 33"),
    ],
)
def test_a_bad_field_is_named_with_its_rule_and_value(text: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        parse_block(text, 8)
    assert str(error.value) == said


@pytest.mark.parametrize("name", TIMM)
def test_ops_and_parameters_are_those_of_timm(name: str) -> None:
    network = load(name)
    with torch.device("meta"):
        theirs = timm.create_model(TIMM[name], exportable=True).eval()
    ops = trace_ops(theirs, (3, *network.resolution))
    assert Counter(network.ops()) == Counter(ops)
    assert network.params() + HEAD == sum(p.numel() for p in theirs.parameters())


def test_with_the_weights_of_timm_it_computes_what_timm_computes() -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("mobilenetv4_conv_small").eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    ours = load("mobilenet_v4_conv_small").build().eval()
    weight, bias = fold(theirs.conv_head.weight, theirs.norm_head)
    head = {"conv.0.weight": weight, "conv.0.bias": bias}
    head |= {f"fc.{key}": value for key, value in theirs.classifier.state_dict().items()}
    ours.head.load_state_dict(head)  # type: ignore[union-attr]
    body = [v for k, v in theirs.state_dict().items() if "head" not in k and "classifier" not in k]
    keys = [key for key in ours.state_dict() if not key.startswith("head")]
    ours.load_state_dict(dict(zip(keys, body, strict=True)), strict=False)
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected = theirs(image)
        torch.testing.assert_close(
            ours(image), expected, rtol=1e-4, atol=1e-5 * expected.abs().max()
        )
