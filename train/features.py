"""What the accuracy prior reads off a network: nine features, from traced ops and parameters.

Notation, as in `prior`:

    Wear  mean of ln(channels / (30 * output stride)) over the kxk convolutions after the stem whose
          output stride is below 12 (channels: the depthwise ones, or the output of a dense kxk)
    Wlat  the same for output strides of 12 and more
    P     ln(parameters without the classifier's / 3e6)
    R     ln(resolution / 224); of height and width the geometric mean
    D     ln(number of kxk convolutions after the stem / 16)
    SE    share of the kxk blocks with squeeze-and-excitation
    K     mean of (kernel - 3) / 2 over the kxk blocks
    A     share of the activations that are smooth (h-swish, swish, GELU); gates don't count
    H     ln(width of the classifier's input / 1280)

A block may have several kxk convolutions (a universal inverted bottleneck two, a mixed one as many
as it has kernels) or none; all of a block's count at its output stride. Re-parameterised blocks are
read in the merged form, which runs on a device.

Everything is a function of sums over blocks (`SUMS`), so that one path serves a single architecture
and the lookup tables of a compiled space.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.space.architecture import Architecture
from palmette.space.blocks import GATES, Block
from palmette.space.errors import expect
from palmette.space.ops import OpTable
from palmette.train import families

Floats = NDArray[np.float64]

FEATURES = {
    "Wear": "width of early blocks",
    "Wlat": "width of late blocks",
    "P": "parameters",
    "R": "resolution",
    "D": "depth",
    "SE": "squeeze-and-excitation",
    "K": "kernels",
    "A": "activations",
    "H": "width of the head",
}
"""The features in order, with a word for each."""
SMOOTH = ("hswish", "swish", "gelu")

_LATE_STRIDE = 12
_UNIT_WIDTH = 30
_UNIT_PARAMS = 3e6
_UNIT_RESOLUTION = 224
_UNIT_DEPTH = 16
_UNIT_HEAD = 1280
_TRACED_SIZE = 8  # px; nothing that is read here depends on it

BLOCK_COUNTS = (
    "kxk",  # kxk convolutions
    "width",  # their channels
    "log_width",
    "kernel",
    "gated",
    "acts",
    "smooth",
    "params",  # of blocks with a kxk convolution, and of the stem
    "tail",  # parameters of 1x1 convolutions outside such blocks: the head's, MobileNetV3's last
)
"""What is read off one block, in this order."""

BLOCK_SUMS = (
    "early",
    "early_log",
    "late",
    "late_log",
    "kernel",
    "gated",
    "acts",
    "smooth",
    "params",
    "tail",
)
SUMS = (*BLOCK_SUMS, "log_resolution", "log_head")
"""What the features are made of: columns that add up over the parts of a network."""


@dataclass(frozen=True, slots=True)
class Place:
    """A stem, block or head where it stands."""

    block: Block
    in_channels: int
    stage: int
    out_stride: int
    """Image height over the height of the block's output."""
    order: int
    """Number of kxk blocks before it in the same stage at the same output stride."""

    @property
    def kxk(self) -> bool:
        """True with a convolution above 1x1."""
        return bool(_traced_counts(self.block, self.in_channels)[0] > 0)


def places(architecture: Architecture) -> Iterator[Place]:
    """Parts of an architecture in order, each with its output stride.

    Raises:
        InputError: the prior cannot judge its head or a block (see `families`).
    """
    families.check(architecture)
    return laid_out(architecture)


def laid_out(architecture: Architecture) -> Iterator[Place]:
    """As `places`, whether the prior can judge the network or not."""
    out_stride, order, last = 1, 0, (-1, 0)
    for part in architecture.parts():
        out_stride *= part.block.downsampling
        here = (part.stage, out_stride)
        order = order if here == last else 0
        place = Place(part.block, part.in_channels, part.stage, out_stride, order)
        yield place
        order, last = order + place.kxk, here


def op_values(ops: OpTable) -> Floats:
    """What each op adds to its block: (ops, 8)."""
    kxk = ops.is_kind("conv") & (ops.kernel > 1)
    acts = ~ops.has_act("none", *GATES)
    columns = (
        kxk,
        kxk * ops.out_channels,
        np.where(kxk, np.log(np.maximum(ops.out_channels, 1) / _UNIT_WIDTH), 0.0),
        kxk * (ops.kernel - 3) / 2,
        ops.is_kind("mul"),  # in all blocks that there are, always a gate
        acts,
        acts & ops.has_act(*SMOOTH),
        np.where(ops.is_kind("linear"), ops.weights, 0.0),
    )
    return np.stack(columns, axis=1).astype(np.float64)


def block_counts(op_sums: Floats, params: Floats) -> Floats:
    """`BLOCK_COUNTS` of blocks: (blocks, 9).

    Args:
        op_sums: `op_values` summed over the ops of each block, (blocks, 8).
        params: trainable parameters of each block, (blocks,).
    """
    kxk, width, log_width, kernel, gates, acts, smooth, classifier = op_sums.T
    body = np.where(kxk > 0, params, 0.0)
    tail = np.where(kxk > 0, 0.0, params - classifier)
    gated = np.minimum(gates, kxk)
    return np.stack((kxk, width, log_width, kernel, gated, acts, smooth, body, tail), axis=1)


def stem_counts(counts: Floats) -> Floats:
    """Counts of stems: their kxk convolution is not one of the features' (same shape)."""
    _, _, _, _, _, acts, smooth, body, tail = counts.T
    none = np.zeros_like(acts)
    return np.stack((none, none, none, none, none, acts, smooth, body + tail, none), axis=1)


def placed(counts: Floats, out_stride: int) -> Floats:
    """`BLOCK_SUMS` of blocks with `BLOCK_COUNTS` (blocks, 9) at an output stride: (blocks, 10)."""
    kxk, _, log_width, kernel, gated, acts, smooth, body, tail = counts.T
    relative, none = log_width - kxk * math.log(out_stride), np.zeros_like(kxk)
    split = (
        (kxk, relative, none, none) if out_stride < _LATE_STRIDE else (none, none, kxk, relative)
    )
    return np.stack((*split, kernel, gated, acts, smooth, body, tail), axis=1)


def log_resolution(height: Floats, width: Floats) -> Floats:
    """R of image sizes in px."""
    return np.log(np.sqrt(height * width) / _UNIT_RESOLUTION)


def log_aspect(height: Floats, width: Floats) -> Floats:
    """ln of the longer over the shorter side of image sizes in px; 0 for squares."""
    return np.abs(np.log(height / width))


def log_head(channels: Floats) -> Floats:
    """H of classifier inputs."""
    return np.log(channels / _UNIT_HEAD)


def place_counts(place: Place) -> Floats:
    """`BLOCK_COUNTS` of one place: (9,)."""
    counts = _traced_counts(place.block, place.in_channels)
    return stem_counts(counts[None])[0] if place.stage == -1 else counts


def sums_of(architecture: Architecture, counted: list[Place]) -> Floats:
    """`SUMS` over some of the places of an architecture: (12,).

    Raises:
        InputError: they hold no kxk convolution early (output stride below 12) or none late.
    """
    total = np.zeros(len(SUMS))
    for place in counted:
        total[: len(BLOCK_SUMS)] += placed(place_counts(place)[None], place.out_stride)[0]
    early, late = total[BLOCK_SUMS.index("early")], total[BLOCK_SUMS.index("late")]
    expect(
        bool(early > 0 and late > 0),
        "accuracy prior: it judges networks with a total stride of 32 and a block at each output"
        f" stride from 4 on; this one has a total stride of {architecture.total_stride}, with"
        f" {early:g} kxk convolutions up to an output stride of 8 and {late:g} from 16 on; train it"
        f" (palmette train), or in a search {families.OWN_ACCURACY}",
    )
    height, width = np.array([architecture.resolution], dtype=np.float64).T
    classifier: Any = architecture.head  # other heads are refused before
    head = np.array([classifier.channels or counted[-1].in_channels], dtype=np.float64)
    total[len(BLOCK_SUMS) :] = *log_resolution(height, width), *log_head(head)
    return total


def features_of(sums: Floats, tail_limit: float = math.inf) -> Floats:
    """Features, in the order of `FEATURES`, of networks given by their `SUMS`.

    Args:
        sums: shape (n, 12).
        tail_limit: parameters of 1x1 convolutions outside the kxk blocks count up to this.

    Returns:
        Shape (9, n): one row per feature.
    """
    early, early_log, late, late_log, kernel, gated, acts, smooth, params, tail, size, head = sums.T
    blocks = early + late
    rows = np.empty((len(FEATURES), len(sums)))
    rows[0] = early_log / early
    rows[1] = late_log / late
    rows[2] = np.log((params + np.minimum(tail, tail_limit)) / _UNIT_PARAMS)
    rows[3] = size
    rows[4] = np.log(blocks / _UNIT_DEPTH)
    rows[5] = gated / blocks
    rows[6] = kernel / blocks
    rows[7] = smooth / np.maximum(acts, 1)
    rows[8] = head
    return rows


@functools.lru_cache(maxsize=16_384)
def _traced_counts(block: Block, in_channels: int) -> Floats:
    import torch  # slow to import, and not needed for compiled spaces

    from palmette.space.modules import build_part
    from palmette.space.modules.reparameterise import reparameterise
    from palmette.space.trace import trace_ops

    with torch.device("meta"):
        module = reparameterise(build_part(block, in_channels).eval())
    ops = trace_ops(module, (in_channels, _TRACED_SIZE, _TRACED_SIZE))
    params = np.array([sum(p.numel() for p in module.parameters())], dtype=np.float64)
    counts: Floats = block_counts(op_values(OpTable.of(ops)).sum(axis=0, keepdims=True), params)[0]
    return counts
