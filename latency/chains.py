"""Chains: a block repeated on a map of fixed shape, timed whole. Text, one line:

    4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24

is four such blocks on an input of 56 x 56 pixels and 24 channels. A block timed alone measures what
it costs to start anything; the slope between two depths of its chain does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from palmette.space.architecture import MAX_RESOLUTION
from palmette.space.blocks import MAX_CHANNELS, Block, format_block, parse_block
from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from torch import nn

    from palmette.space import Op

MAX_DEPTH = 100
_TEXT = re.compile(r"([0-9]{1,4})\*\(([^()]+)\)@([0-9]{1,9})x([0-9]{1,9})x([0-9]{1,9})")
_REPEATS = re.compile("(?<=[a-z])_r([0-9]+)(?=_)")


@dataclass(frozen=True, slots=True)
class Chain:
    """`depth` equal blocks; `shape` is (channels, height, width) of their input and output.

    Raises:
        InputError: a size out of range, or a block whose output has another shape than its input.
    """

    depth: int
    block: Block
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        channels, *sizes = self.shape
        expect(1 <= self.depth <= MAX_DEPTH, f"depth must be 1 to {MAX_DEPTH}, got {self.depth}")
        expect(
            1 <= channels <= MAX_CHANNELS and all(1 <= px <= MAX_RESOLUTION for px in sizes),
            f"the input must have 1 to {MAX_CHANNELS} channels and sides of 1 to {MAX_RESOLUTION},"
            f" got {self.shape}",
        )
        self.block.check_input(channels)
        expect(
            self.block.downsampling == 1 and self.block.out_channels == channels,
            f"a block of a chain has stride 1 and gives back its {channels} input channels, got"
            f" stride {self.block.downsampling} and {self.block.out_channels} channels",
        )

    def to_text(self) -> str:
        """One line; lossless (see `from_text`)."""
        channels, height, width = self.shape
        block = format_block(self.block, channels).replace("_", "_r1_", 1)
        return f"{self.depth}*({block})@{height}x{width}x{channels}"

    @classmethod
    def from_text(cls, text: str) -> Chain:
        """Chain from its text.

        Raises:
            InputError: another form, an unreadable block, or a rule of `Chain`; quotes the text.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise InputError(f"chain '{text}': expected 'depth*(block)@HxWxC', such as {_EXAMPLE}")
        repeats = _REPEATS.search(found[2])
        height, width, channels = (int(found[group]) for group in (3, 4, 5))
        try:
            expect(channels > 0, "the input must have at least one channel")
            expect(
                repeats is None or repeats[1] == "1",
                "a chain repeats one block: write r1, and the repeats before the parenthesis",
            )
            block = parse_block(_REPEATS.sub("", found[2], count=1), channels)
            return cls(int(found[1]), block, (channels, height, width))
        except InputError as error:
            raise InputError(f"chain '{text}': {error}") from None

    def build(self) -> nn.Module:
        """Torch module with freshly initialised weights, in training mode."""
        from torch import nn  # slow to import

        from palmette.space.modules import build_part

        return nn.Sequential(*(build_part(self.block, self.shape[0]) for _ in range(self.depth)))

    def ops(self) -> tuple[Op, ...]:
        """Ops that a device runs, read off the module (cached)."""
        return _traced(self)


_EXAMPLE = "4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24"


@cache
def _traced(chain: Chain) -> tuple[Op, ...]:
    import torch

    from palmette.space.trace import trace_ops

    with torch.device("meta"):
        module = chain.build()
    return trace_ops(module, chain.shape)
