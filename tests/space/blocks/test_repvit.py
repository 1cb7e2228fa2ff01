"""RepViT: counts by hand, and timm's networks with the same weights in both forms."""

from collections import Counter

import pytest
import timm
import torch
from timm.utils.model import reparameterize_model
from torch import nn

from palmette.space import Architecture, InputError, Op, load
from palmette.space.blocks import Block, format_block, parse_block
from palmette.space.blocks.repvit import RepViTBlock
from palmette.space.modules import Residual, SqueezeExcite, build_part
from palmette.space.modules.reparameterise import reparameterised
from palmette.space.modules.repvit import TokenMixer
from palmette.space.trace import trace_ops

NOTATION: list[tuple[str, Block]] = [
    ("rv_k3_s1_e2_c48_gelu_se16", RepViTBlock(3, 1, 96, 48, "gelu", 16)),
    ("rv_k3_s2_e2_c96_gelu", RepViTBlock(3, 2, 96, 96, "gelu")),
    ("rv_k5_s1_x100_c48_relu_se0.25", RepViTBlock(5, 1, 100, 48, "relu", 12)),
]
NAMES = [f"repvit_m{size}" for size in ("0.9", "1.0", "1.1", "1.5", "2.3")]
MIXER = [TokenMixer, Residual]
CLASSES = 1000


def params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def mixer_params(channels: int, expanded: int) -> int:
    """Two 1x1 convolutions, each with BatchNorm."""
    return 2 * channels * expanded + 2 * expanded + 2 * channels


@pytest.mark.parametrize(("text", "block"), NOTATION, ids=[row[0] for row in NOTATION])
def test_text_and_block_are_each_others_inverse(text: str, block: Block) -> None:
    assert format_block(block, 48) == text
    assert parse_block(text, 48) == block


def test_a_block_that_keeps_the_shape_mixes_tokens_then_channels() -> None:
    module = build_part(RepViTBlock(3, 1, 16, 8, "gelu", se=2), 8)
    assert [type(part) for part in module] == [TokenMixer, SqueezeExcite, Residual]  # type: ignore[attr-defined]
    token = (9 * 8 + 2 * 8) + (8 + 8) + 2 * 8  # 3x3 with BatchNorm, 1x1 with bias, BatchNorm
    gate = (8 * 2 + 2) + (2 * 8 + 8)
    assert params(module) == token + gate + mixer_params(8, 16)
    assert params(reparameterised(module)) == (9 * 8 + 8) + gate + mixer_params(8, 16)


@pytest.mark.parametrize(("stride", "channels"), [(2, 16), (2, 8), (1, 12)])
def test_a_block_that_changes_the_shape_goes_on_with_a_transition(
    stride: int, channels: int
) -> None:
    module = build_part(RepViTBlock(5, stride, 16, channels, "gelu"), 8)
    token, transition = 25 * 8 + 8, (25 * 8 + 2 * 8) + (8 * channels + 2 * channels)
    mixers = mixer_params(8, 16) + mixer_params(channels, 2 * channels)
    assert params(reparameterised(module)) == token + transition + mixers
    for mode in (True, False):
        shape = module.train(mode)(torch.zeros(2, 8, 13, 10)).shape
        assert shape == (2, channels, -(-13 // stride), 10 // stride)


def test_the_ops_of_a_block_are_those_of_the_paper() -> None:
    module = build_part(RepViTBlock(3, 2, 16, 16, "gelu", se=2), 8)
    assert [op.to_text() for op in trace_ops(module, (8, 6, 6))] == [
        "conv 8x6x6 -> 8x6x6 k3 g8",
        "mean 8x6x6 -> 8x1x1",
        "conv 8x1x1 -> 2x1x1 relu",
        "conv 2x1x1 -> 8x1x1 sigmoid",
        "mul 8x6x6 + 8x1x1 -> 8x6x6",
        "conv 8x6x6 -> 16x6x6 gelu",
        "conv 16x6x6 -> 8x6x6",
        "add 8x6x6 + 8x6x6 -> 8x6x6",
        "conv 8x6x6 -> 8x3x3 k3 s2 g8",
        "conv 8x3x3 -> 16x3x3",
        "conv 16x3x3 -> 32x3x3 gelu",
        "conv 32x3x3 -> 16x3x3",
        "add 16x3x3 + 16x3x3 -> 16x3x3",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rv_k2_s1_e2_c8_gelu", "rv block, kernel: must be odd, got 2"),
        ("rv_k3_s3_e2_c8_gelu", "rv block, stride: must be an integer from 1 to 2, got 3"),
    ],
)
def test_a_bad_field_is_named_with_its_rule_and_value(text: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        parse_block(text, 8)
    assert str(error.value) == said


def test_a_ratio_that_gives_no_whole_number_names_stage_block_and_counts() -> None:
    with pytest.raises(InputError) as error:
        Architecture.from_text("8x8 stem_k3_s1_c8_relu | rv_k3_s2_x10_c10_gelu | head")
    assert str(error.value) == (
        "stage 1: rv block, expanded: 10 of 8 input channels is no whole number of 10 channels;"
        " both channel mixers expand by one ratio"
    )


def pooled_flat(op: Op) -> str:
    """Text of an op; the pooled features of timm's are a vector, ours a map of one pixel."""
    return op.to_text().removesuffix("x1x1") if op.kind == "mean" else op.to_text()


@pytest.mark.parametrize("name", NAMES)
def test_ops_and_parameters_are_those_of_timm(name: str) -> None:
    network = load(name)
    with torch.device("meta"):
        theirs = timm.create_model(name.replace(".", "_")).eval()
        ours, features = network.build(), theirs.num_features
        many = params(theirs)
        theirs = reparameterize_model(theirs, inplace=True)
    assert Counter(map(pooled_flat, network.ops())) == Counter(
        map(pooled_flat, trace_ops(theirs, (3, 224, 224)))
    )
    assert sum(op.weights for op in network.ops()) == params(theirs)
    # BatchNorm of what is no unit has a scale more than the bias that timm folds it to
    norms = [m.num_features for m in reparameterised(ours).modules() if hasattr(m, "running_var")]
    assert network.params() - sum(norms) == params(theirs)
    # while it trains, timm's has a classifier more, and a BatchNorm before each of the two
    assert params(ours) + (features + 1) * CLASSES + 4 * features == many


def test_with_the_weights_of_timm_both_forms_compute_what_timm_computes() -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("repvit_m0_9").eval()
    for norm in theirs.modules():
        if isinstance(norm, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(norm.weight, 0.2, 0.6)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    ours = load("repvit_m0.9").build().eval()
    body = [value for key, value in theirs.state_dict().items() if not key.startswith("head")]
    keys = [key for key in ours.state_dict() if not key.startswith("head")]
    ours.load_state_dict(dict(zip(keys, body, strict=True)), strict=False)
    ours.head.fc.load_state_dict(theirs.head.fuse().state_dict())  # type: ignore[union-attr]
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected = theirs(image)
        near = 1e-5 * expected.abs().max().item()
        torch.testing.assert_close(ours(image), expected, rtol=1e-4, atol=near)
        torch.testing.assert_close(reparameterised(ours)(image), expected, rtol=1e-4, atol=near)
