"""Networks that published ablations vary: depthwise mixing, then a pointwise feed-forward part.

A block is `dw kxk [SE] | 1x1 expand, gelu | 1x1 project | add`, four stages deep, behind a stem of
two strided convolutions. With the values of `MIXERS` these are the networks (RepViT, to the op) or
stand-ins of the networks (RecNeXt with a plain depthwise mixer, iFormer's slim ConvNeXt) of which
only one thing was changed at a time, which `one_change` compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from palmette.latency.op_lists import network_ops
from palmette.space import Op

_Four = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Mixer:
    """One network: channels and blocks of its four stages, and what its blocks are made of."""

    widths: _Four
    depths: _Four
    expansion: int = 2
    kernel: int = 3
    gates: _Four = (0, 0, 0, 0)
    """Blocks of each stage that have squeeze-and-excitation."""
    down: str = "split"
    """Of `_DOWN`."""
    stem_kernel: int = 3
    inner_kernel: int = 0
    """Depthwise kernel inside each feed-forward part; 0: none."""
    side: int = 224
    """Input height and width in px."""

    def ops(self) -> tuple[Op, ...]:
        """Ops of the network; order of blocks inside a stage does not matter."""
        return tuple(Op.from_text(text) for text in self._texts())

    def _texts(self) -> Iterator[str]:
        width, side = self.widths[0], self.side // 4
        half, kernel = width // 2, self.stem_kernel
        yield f"conv 3x{self.side}x{self.side} -> {half}x{2 * side}x{2 * side} k{kernel} s2 gelu"
        yield f"conv {half}x{2 * side}x{2 * side} -> {width}x{side}x{side} k{kernel} s2"
        stages = zip(self.widths, self.depths, self.gates, strict=True)
        for index, (width, depth, gates) in enumerate(stages):
            if index > 0:
                side //= 2
                before = self.widths[index - 1]
                for text in _DOWN[self.down]:
                    yield text.format(a=before, b=width, big=2 * side, s=side)
                if self.down != "dense":
                    yield from self._feed_forward(width, side)
            for block in range(depth):
                yield f"conv {_map(width, side)} -> {_map(width, side)} k{self.kernel} g{width}"
                yield from _gate(width, side) if block < gates else ()
                yield from self._feed_forward(width, side)
        yield f"mean {_map(width, side)} -> {width}x1x1"
        yield f"linear {width} -> 1000"

    def _feed_forward(self, width: int, side: int) -> Iterator[str]:
        narrow, wide = _map(width, side), _map(self.expansion * width, side)
        yield f"conv {narrow} -> {wide} gelu"
        if self.inner_kernel:
            yield f"conv {wide} -> {wide} k{self.inner_kernel} g{self.expansion * width}"
        yield f"conv {wide} -> {narrow}"
        yield f"add {narrow} + {narrow} -> {narrow}"


_DOWN = {
    "split": (
        "conv {a}x{big}x{big} -> {a}x{s}x{s} k3 s2 g{a}",
        "conv {a}x{s}x{s} -> {b}x{s}x{s}",
    ),
    "grouped": ("conv {a}x{big}x{big} -> {b}x{s}x{s} k7 s2 g{a}",),
    "dense": ("conv {a}x{big}x{big} -> {b}x{s}x{s} k3 s2",),
}
"""How a stage halves its map, from a to b channels; all but `dense` add a feed-forward part."""


def _map(width: int, side: int) -> str:
    return f"{width}x{side}x{side}"


def _gate(width: int, side: int) -> Iterator[str]:
    squeezed = (width // 4 + 4) // 8 * 8
    yield f"mean {_map(width, side)} -> {width}x1x1"
    yield f"conv {width}x1x1 -> {squeezed}x1x1 relu"
    yield f"conv {squeezed}x1x1 -> {width}x1x1 sigmoid"
    yield f"mul {_map(width, side)} + {width}x1x1 -> {_map(width, side)}"


# RepViT's stages end in one more block, without a gate, before the map is halved
_M09 = Mixer((48, 96, 192, 384), (3, 3, 15, 2))
_M15 = Mixer((64, 128, 256, 512), (5, 5, 25, 4))
_RECNEXT = Mixer((48, 96, 192, 384), (3, 3, 15, 2), down="grouped")
_SLIM = Mixer((48, 96, 192, 384), (2, 2, 18, 2), expansion=4, kernel=7, down="dense")

MIXERS: dict[str, Mixer] = {
    "repvit_m0.9/se-none": _M09,
    "repvit_m0.9/se-half": replace(_M09, gates=(1, 1, 7, 1)),
    "repvit_m0.9/se-all": replace(_M09, gates=(2, 2, 14, 2)),
    "repvit_m1.5/se-none": _M15,
    "repvit_m1.5/se-half": replace(_M15, gates=(2, 2, 12, 2)),
    "repvit_m1.5/se-all": replace(_M15, gates=(4, 4, 24, 4)),
    "recnext_m1/k3": _RECNEXT,
    "recnext_m1/k7": replace(_RECNEXT, kernel=7),
    "recnext_m1/k11": replace(_RECNEXT, kernel=11),
    "recnext_m1@384x384/k3": replace(_RECNEXT, side=384),
    "recnext_m1@384x384/k7": replace(_RECNEXT, side=384, kernel=7),
    "recnext_m1@384x384/k11": replace(_RECNEXT, side=384, kernel=11),
    "slim_convnext/depth-2-2-6-2": replace(_SLIM, depths=(2, 2, 6, 2)),
    "slim_convnext/depth-3-3-9-3": replace(_SLIM, depths=(3, 3, 9, 3)),
    "slim_convnext": _SLIM,
    "slim_convnext/stem-k5": replace(_SLIM, stem_kernel=5),
    "slim_convnext/k3": replace(_SLIM, stem_kernel=5, kernel=3),
    "slim_convnext/inner-k3": replace(_SLIM, stem_kernel=5, inner_kernel=3),
}
"""Networks by the names that `data/one_change.csv` uses."""


def varied_ops(name: str) -> tuple[Op, ...]:
    """Ops of a network of `MIXERS`, or of any that `network_ops` knows."""
    return MIXERS[name].ops() if name in MIXERS else network_ops(name)
