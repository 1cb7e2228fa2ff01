"""The shuffle of an inverted residual in groups (FBNet)."""

import pytest
import torch
from torch import nn

from palmette.space import Architecture, InputError, InvertedResidual, load
from palmette.space.blocks import block_to_json, format_block, parse_block
from palmette.space.modules import build_part

TEXT = "ir_k3_s1_e1_c8_relu_g2_shuffle"


def test_the_flag_is_written_and_leaves_other_blocks_json_alone() -> None:
    block = parse_block(TEXT, 8)
    assert format_block(block, 8) == TEXT
    assert block_to_json(block)["shuffle"] is True
    assert "shuffle" not in block_to_json(parse_block(TEXT.removesuffix("_shuffle"), 8))


def test_channels_are_interleaved_between_the_expansion_and_the_depthwise() -> None:
    module = build_part(InvertedResidual(3, 1, 4, 4, "relu", groups=2, shuffle=True), 4).eval()
    read: list[torch.Tensor] = []
    convs = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    convs[1].register_forward_hook(lambda _, inputs, __: read.append(inputs[0]))
    convs[0].weight.data.copy_(torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])[..., None, None])
    x = torch.rand(1, 4, 3, 3)
    module(x)
    torch.testing.assert_close(read[0], x[:, [0, 2, 1, 3]], rtol=1e-4, atol=1e-4)


def test_the_grouped_blocks_of_fbnet_a_shuffle_as_in_the_authors_graph() -> None:
    blocks = [part.block for part in load("fbnet_a").parts()]
    grouped = [b for b in blocks if isinstance(b, InvertedResidual) and b.groups > 1]
    assert len(grouped) == 3 and all(block.shuffle for block in grouped)


def test_a_shuffle_without_groups_is_refused() -> None:
    with pytest.raises(InputError, match="ir block, shuffle: needs groups to shuffle"):
        Architecture.from_text("32x32 stem_k3_s2_c8_relu | ir_k3_s1_e1_c8_relu_shuffle | head")
