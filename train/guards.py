"""Guards: what keeps a search from cashing in on the accuracy prior where nothing was measured.

The prior never falls when a network gets more of anything, so whatever is cheap on a device would
be piled up. Hence:

1. hull      a feature earns nothing beyond the networks that the prior was fitted to. Only this
             upper side is cut: below the hull the formula goes on falling, for a cut there would
             make shrinking a network free. Kernels are rewarded up to a mean of 5x5, heads up to
             1280 channels, and 1x1 convolutions outside the blocks up to 0.5 M parameters in all
2. depth     of a stage 8 kxk blocks count at output stride 16 and 4 elsewhere. The others count in
             *no* feature (depth, widths, shares, parameters): the network is judged without them,
             so they can neither raise nor lower its estimate. A block counts once, however many
             kxk convolutions it has: more of them in one block are narrower ones, which cost the
             widths what the depth earns
3. structure `violations`: rules that a network on a front has to keep
4. sigma     grows with the distance outside the hull, and rankings use estimate - lambda * sigma
5. ties      estimates closer than `TIE_POINTS` are equal; the faster network is the better one
6. the best of a search is never quoted as its expected accuracy: the maximum of noisy estimates is
             too high. Train or measure the shortlist
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.space.architecture import Architecture
from palmette.space.blocks import Block
from palmette.train.families import FITTED_BLOCKS
from palmette.train.features import FEATURES, Floats, Place, place_counts, places

TIE_POINTS = 0.5
"""Estimates closer than this, in points of top-1, are ties: their order is not known."""

TAIL_PARAMS = 0.5e6
"""Parameters that 1x1 convolutions outside the kxk blocks count for at most (MobileNetV2: 0.41 M).
"""

REWARD_LIMITS = {"K": 1.0, "H": 0.0}
"""Limits tighter than the hull: a mean above 5x5 comes from two families of networks only, and
heads of more than 1280 channels are rare, and cheap on most devices."""

TOTAL_STRIDE = 32
LEVELS = (4, 8, 16, 32)
"""Output strides that each need a block (at 2 MobileNetV3-small has none)."""
MAX_WIDTH_RATIO = 2.5
EXPANSIONS = (1, 8)
_DEPTH_LIMITS = {16: 8}
_DEPTH_LIMIT = 4
_STAGES_PER_LEVEL = 2
_NARROWING = {"gs": "middle"}


def depth_limit(out_stride: int) -> int:
    """Blocks of one stage that count, by output stride."""
    return _DEPTH_LIMITS.get(out_stride, _DEPTH_LIMIT)


def level_limit(out_stride: int) -> int:
    """Blocks with a kxk convolution that all stages of one output stride may have together."""
    return _STAGES_PER_LEVEL * depth_limit(out_stride)


def counts_in_features(place: Place) -> bool:
    """False for a kxk block past the depth limit of its stage."""
    return not place.kxk or place.order < depth_limit(place.out_stride)


# Structure


@dataclass(frozen=True, slots=True)
class Violation:
    """A structural rule that a network breaks, and by how much (above 0; 1 is a factor of e, or one
    missing or surplus level or block)."""

    text: str
    amount: float


def width_excess(before: Floats, after: Floats) -> Floats:
    """How far neighbouring stages break "not narrower, at most 2.5 times as wide" (natural log)."""
    return _beyond(after / before, 1.0, MAX_WIDTH_RATIO)


def expansion_excess(width: Floats, in_channels: Floats) -> Floats:
    """How far an inner width over its block's input leaves 1 to 8 (natural log)."""
    return _beyond(width / in_channels, *EXPANSIONS)


def inner_width(block: Block, in_channels: int, kxk_width: float) -> float:
    """Width that a block expands its input to: that of the kxk convolution in fitted kinds.

    Of other kinds the expanded channels, even where no kxk convolution sees them (a universal
    inverted bottleneck's, RepViT's), and at least the input of those that narrow it by design.

    Args:
        block: the block.
        in_channels: of its input.
        kxk_width: channels of its kxk convolutions; 0 for none.
    """
    if block.kind in FITTED_BLOCKS:
        return kxk_width or in_channels
    if block.kind in _NARROWING:
        return max(float(getattr(block, _NARROWING[block.kind])), in_channels)
    return float(getattr(block, "expanded", in_channels))


def stride_excess(total_stride: int) -> float:
    """How far a total stride is from 32, in factors of two."""
    return abs(math.log2(total_stride / TOTAL_STRIDE))


def violations(architecture: Architecture) -> list[Violation]:
    """Structural rules that an architecture breaks; empty for a valid one.

    Total stride 32; a block at each of the output strides 4, 8, 16 and 32, and per output stride at
    most two stages' worth of blocks; stages not narrower than the one before and at most 2.5 times
    as wide (stages of 1x1 convolutions alone are exempt: MobileNetV3's last belongs to its head);
    kxk convolutions and expansions 1 to 8 times as wide as their block's input.

    Raises:
        InputError: the prior cannot judge a block.
    """
    blocks = [place for place in places(architecture) if _in_stages(architecture, place)]
    kxk = [place for place in blocks if place.kxk]
    found = [
        Violation(
            f"total stride is {architecture.total_stride}, not {TOTAL_STRIDE}",
            stride_excess(architecture.total_stride),
        ),
        *_level_violations(blocks, kxk),
        *_width_violations(architecture, {place.stage for place in kxk}),
        *_expansion_violations(blocks),
    ]
    return [violation for violation in found if violation.amount > 0]


def _in_stages(architecture: Architecture, place: Place) -> bool:
    return 0 <= place.stage < len(architecture.stages)


def _level_violations(blocks: Sequence[Place], kxk: Sequence[Place]) -> list[Violation]:
    present = {place.out_stride for place in blocks}
    found = [
        Violation(f"no block at output stride {level}", 1.0)
        for level in LEVELS
        if level not in present
    ]
    for level in sorted(present):
        depth, limit = sum(place.out_stride == level for place in kxk), level_limit(level)
        text = f"{depth} blocks at output stride {level}; at most {limit} are credible"
        found.append(Violation(text, float(max(depth - limit, 0))))
    return found


def _width_violations(architecture: Architecture, with_kxk: set[int]) -> list[Violation]:
    widths = np.array([stage[-1].out_channels for stage in architecture.stages], dtype=np.float64)
    amounts = width_excess(widths[:-1], widths[1:]).tolist()
    return [
        Violation(
            f"stage {stage + 2} has {widths[stage + 1]:g} channels after {widths[stage]:g}; it must"
            f" not be narrower, and at most {MAX_WIDTH_RATIO} times as wide",
            amount,
        )
        for stage, amount in enumerate(amounts)
        if stage + 1 in with_kxk
    ]


def _expansion_violations(blocks: Sequence[Place]) -> list[Violation]:
    widths = np.array([_inner_width(place) for place in blocks])
    in_channels = np.array([place.in_channels for place in blocks], dtype=np.float64)
    amounts = expansion_excess(widths, in_channels).tolist()
    return [
        Violation(
            f"stage {place.stage + 1} expands {place.in_channels} channels to {width:g};"
            f" {EXPANSIONS[0]} to {EXPANSIONS[1]} times are allowed",
            amount,
        )
        for place, width, amount in zip(blocks, widths, amounts, strict=True)
    ]


def _inner_width(place: Place) -> float:
    return inner_width(place.block, place.in_channels, float(place_counts(place)[1]))


def _beyond(ratio: Floats, low: float, high: float) -> Floats:
    excess: Floats = np.log(np.maximum(ratio / high, 1.0)) + np.log(np.maximum(low / ratio, 1.0))
    return excess


# Hull


@dataclass(frozen=True, slots=True)
class Hull:
    """Range of each feature over the networks that the prior was fitted to.

    Arrays have shape (9, 1), in the order of `FEATURES`; infinite where a feature has no limit.
    """

    low: Floats
    high: Floats

    @classmethod
    def of(cls, ranges: dict[str, tuple[float, float]]) -> Hull:
        """Hull from the ranges of some features; the others are without limits."""
        unlimited = (-math.inf, math.inf)
        pairs = np.array([ranges.get(name, unlimited) for name in FEATURES])
        return cls(pairs[:, :1], pairs[:, 1:])

    @property
    def rewarded(self) -> Floats:
        """Highest value of each feature that is rewarded: (9, 1)."""
        limits = [REWARD_LIMITS.get(name, math.inf) for name in FEATURES]
        rewarded: Floats = np.minimum(self.high, np.array(limits)[:, None])
        return rewarded

    def distance(self, features: Floats) -> Floats:
        """Euclidean distance of features (9, n) from the hull: (n,)."""
        outside = np.maximum(features - self.high, 0) + np.maximum(self.low - features, 0)
        distance: Floats = np.sqrt(np.square(outside).sum(axis=0))
        return distance


def changed(features: Floats, hull: Hull, tail: Floats, dropped: Floats) -> NDArray[np.bool_]:
    """Where a guard changes the estimate: features (9, n), tail parameters and blocks not counted
    (n,); gives (n,)."""
    over = np.any(features > hull.rewarded, axis=0)
    found: NDArray[np.bool_] = over | (tail > TAIL_PARAMS) | (dropped > 0)
    return found
