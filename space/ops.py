"""`Op`: what a device runs after BatchNorm is folded and activations are fused; columns of ops.

Counts follow from shapes, so an op cannot disagree with itself. Shapes leave the batch out:
(C, H, W) for maps, (C,) for vectors, (N, C) for N tokens. Op text, one line, as in timing tables
and op-list files:

    conv 32x112x112 -> 64x56x56 k3 s2 g32 relu6
    mul 96x56x56 + 96x1x1 -> 96x56x56
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.space.blocks import ACTIVATIONS
from palmette.space.errors import InputError, expect

Shape = tuple[int, ...]

KINDS = (
    "conv",
    "conv_transpose",
    "linear",
    "matmul",
    "pool",  # average or max, with a kernel
    "mean",  # over the whole map
    "add",
    "mul",
    "concat",
    "act",  # an activation that no other op could take in
    "softmax",
    "norm",
    "permute",
    "gather",
    "slice",
    "pad",
    "resize",
    "other",
)
"""Kinds of ops, in the order of their codes in an `OpTable`."""

_SIZE = "[1-9][0-9]{0,8}"
_SHAPE = re.compile(f"{_SIZE}(?:x{_SIZE})*")
_WORD = re.compile(f"(?![dg].*x)([ksdg])({_SIZE})(?:x({_SIZE}))?")  # only k and s are pairs


@dataclass(frozen=True, slots=True)
class Op:
    """One op. `kernel` and `stride` are (height, width); `act` is the fused activation."""

    kind: str
    inputs: tuple[Shape, ...]
    output: Shape
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: int = 1
    groups: int = 1
    act: str = "none"

    @property
    def out_elements(self) -> int:
        """Elements of the output."""
        return math.prod(self.output)

    @property
    def in_elements(self) -> int:
        """Elements of all inputs together, weights left out."""
        return sum(math.prod(shape) for shape in self.inputs)

    @property
    def weights(self) -> int:
        """Weights and biases after folding (a folded convolution always has a bias)."""
        if self.kind in ("conv", "conv_transpose"):
            per_output = self.inputs[0][0] // self.groups * math.prod(self.kernel)
            return self.output[0] * (per_output + 1)
        if self.kind == "linear":
            return self.output[-1] * (self.inputs[0][-1] + 1)
        return 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions, linear layers and matrix products."""
        if self.kind == "conv":
            per_output = self.inputs[0][0] // self.groups * math.prod(self.kernel)
            return self.out_elements * per_output
        if self.kind == "conv_transpose":
            per_input = self.output[0] // self.groups * math.prod(self.kernel)
            return self.in_elements * per_input
        if self.kind in ("linear", "matmul"):
            return self.out_elements * self.inputs[0][-1]
        return 0

    @property
    def depthwise(self) -> bool:
        """One input channel per group, and more than one group."""
        return self.kind == "conv" and self.groups > 1 and self.groups == self.inputs[0][0]

    def to_text(self) -> str:
        """One line; lossless (see `from_text`)."""
        shapes = " + ".join(_shape_text(shape) for shape in self.inputs)
        words = [f"{self.kind} {shapes} -> {_shape_text(self.output)}"]
        words += [_pair_text("k", self.kernel)] if self.kernel != (1, 1) else []
        words += [_pair_text("s", self.stride)] if self.stride != (1, 1) else []
        words += [f"d{self.dilation}"] if self.dilation != 1 else []
        words += [f"g{self.groups}"] if self.groups != 1 else []
        words += [self.act] if self.act != "none" else []
        return " ".join(words)

    @classmethod
    def from_text(cls, text: str) -> Op:
        """Op from its text.

        Raises:
            InputError: unknown kind or word, a word given twice, or a shape that is not positive
                integers.
        """
        left, arrow, right = text.partition("->")
        kind, _, inputs = left.strip().partition(" ")
        expect(bool(arrow and right.strip()), f"op '{text}': expected 'kind inputs -> output ...'")
        expect(kind in KINDS, f"op '{text}': unknown kind '{kind}'; known are {', '.join(KINDS)}")
        output, *words = right.split()
        pairs: dict[str, tuple[int, int]] = {}
        act = "none"
        for word in words:
            if word in ACTIVATIONS and act == "none":
                act = word
            elif (found := _WORD.fullmatch(word)) and found.group(1) not in pairs:
                first = int(found.group(2))
                pairs[found.group(1)] = (first, int(found.group(3) or first))
            else:
                raise InputError(f"op '{text}': the word '{word}' is unknown or given twice")
        op = cls(
            kind,
            tuple(_parse_shape(piece, text) for piece in inputs.split("+")),
            _parse_shape(output, text),
            pairs.get("k", (1, 1)),
            pairs.get("s", (1, 1)),
            pairs.get("d", (1, 1))[0],
            pairs.get("g", (1, 1))[0],
            act,
        )
        if kind in ("conv", "conv_transpose"):
            expect(
                len(op.output) == 3
                and len(op.inputs[0]) == 3
                and op.inputs[0][0] % op.groups == 0
                and op.output[0] % op.groups == 0,
                f"op '{text}': a {kind} maps CxHxW to CxHxW and its groups divide both channels",
            )
        return op


@dataclass(frozen=True, slots=True)
class OpTable:
    """Ops as columns, one entry per op: what vectorised cost models read.

    All arrays have shape (ops,). `kind` and `act` are codes into `KINDS` and `ACTIVATIONS`; heights
    and widths of vectors are 1; `area` is kernel height x width, `kernel` the larger of the two;
    `in_area` is the height x width of the first input; `rank` counts the axes of the operand that
    has most, the batch among them.
    """

    kind: NDArray[np.int64]
    act: NDArray[np.int64]
    inputs: NDArray[np.int64]
    in_channels: NDArray[np.int64]
    in_area: NDArray[np.int64]
    out_channels: NDArray[np.int64]
    out_height: NDArray[np.int64]
    out_width: NDArray[np.int64]
    in_elements: NDArray[np.float64]
    out_elements: NDArray[np.float64]
    kernel: NDArray[np.int64]
    area: NDArray[np.int64]
    stride: NDArray[np.int64]
    dilation: NDArray[np.int64]
    groups: NDArray[np.int64]
    broadcast: NDArray[np.bool_]
    macs: NDArray[np.float64]
    weights: NDArray[np.float64]
    kernel_width: NDArray[np.int64]
    rank: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kind)

    def is_kind(self, *kinds: str) -> NDArray[np.bool_]:
        """Mask of the ops of these kinds."""
        mask: NDArray[np.bool_] = np.isin(self.kind, [KINDS.index(kind) for kind in kinds])
        return mask

    def has_act(self, *acts: str) -> NDArray[np.bool_]:
        """Mask of the ops with one of these activations."""
        mask: NDArray[np.bool_] = np.isin(self.act, [ACTIVATIONS.index(act) for act in acts])
        return mask

    @property
    def depthwise(self) -> NDArray[np.bool_]:
        """Mask of depthwise convolutions."""
        mask: NDArray[np.bool_] = (self.groups > 1) & (self.groups == self.in_channels)
        return mask & self.is_kind("conv")

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> OpTable:
        """Some of the ops."""
        return OpTable(*(getattr(self, name)[rows] for name in self.__slots__))

    @classmethod
    def of(cls, ops: Sequence[Op]) -> OpTable:
        """Columns of a sequence of ops."""
        rows = [_row(op) for op in ops]
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(cls.__slots__)
        types: dict[str, Any] = {"broadcast": np.bool_} | dict.fromkeys(
            ("in_elements", "out_elements", "macs", "weights"), np.float64
        )
        arrays: dict[str, Any] = {
            name: np.array(column, dtype=types.get(name, np.int64))
            for name, column in zip(cls.__slots__, columns, strict=True)
        }
        return cls(**arrays)


def _row(op: Op) -> tuple[int | bool, ...]:
    # maps have their channels first, the tokens of a linear layer last
    tokens = op.kind in ("linear", "matmul")
    channels, height, *rest = (*(op.output[::-1] if tokens else op.output), 1, 1)
    width = math.prod(rest)
    return (
        KINDS.index(op.kind),
        ACTIVATIONS.index(op.act),
        len(op.inputs),
        op.inputs[0][-1 if tokens else 0],
        math.prod(op.inputs[0][1:]),
        channels,
        height,
        width,
        op.in_elements,
        op.out_elements,
        max(op.kernel),
        math.prod(op.kernel),
        max(op.stride),
        op.dilation,
        op.groups,
        # a vector spread over a map, as in squeeze-and-excitation
        len({math.prod(shape) for shape in op.inputs}) > 1 and op.kind in ("mul", "add"),
        op.macs,
        op.weights,
        op.kernel[1],
        1 + max(len(shape) for shape in (*op.inputs, op.output)),
    )


def _shape_text(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _pair_text(token: str, pair: tuple[int, int]) -> str:
    return f"{token}{pair[0]}" if pair[0] == pair[1] else f"{token}{pair[0]}x{pair[1]}"


def _parse_shape(text: str, where: str) -> Shape:
    expect(
        _SHAPE.fullmatch(text.strip()) is not None,
        f"op '{where}': a shape is positive integers joined by 'x', got '{text.strip()}'",
    )
    return tuple(int(piece) for piece in text.strip().split("x"))
