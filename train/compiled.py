"""The accuracy prior over a compiled space: one table row per slot, then the shared formula.

The sums that the features are made of add up over slots, so a batch of codes costs a lookup and the
same formula that single architectures go through (`AccuracyPrior.judge`); a test holds the two
paths to 1e-9.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from palmette.space.compiled import CompiledSpace, Ints, Slot, SpaceTable
from palmette.space.errors import expect
from palmette.space.search_space import Codes
from palmette.train import families, guards
from palmette.train.features import (
    BLOCK_SUMS,
    SUMS,
    Floats,
    block_counts,
    log_aspect,
    log_head,
    log_resolution,
    op_values,
    placed,
    stem_counts,
)

if TYPE_CHECKING:
    from palmette.train.prior import AccuracyPrior, PriorBatch

_EXTRA = (
    5  # channels after SUMS: blocks not counted, violation, variance of families, blocks, aspect
)


@dataclass(frozen=True, slots=True)
class CompiledPrior:
    """A prior for the codes of one space."""

    prior: AccuracyPrior
    table: SpaceTable
    """Channels: `features.SUMS`, blocks not counted, violation, what `families.share_of` gives,
    the image's `log_aspect`, and kxk blocks at each of `levels`."""
    levels: tuple[int, ...]
    """Output strides at which this space can stack more blocks than are credible."""
    stride_violation: float
    offset: float

    @classmethod
    def of(cls, prior: AccuracyPrior, space: CompiledSpace, offset: float) -> CompiledPrior:
        """Tables of a prior for a space; `offset` is u of the recipe.

        Raises:
            InputError: the prior cannot judge a block, or some network of the space has no kxk
                convolution early or late.
        """
        families.check_space(space.blocks)
        op_sums = space.block_sums(op_values(space.ops))
        counts = block_counts(op_sums, space.block_params)
        levels = tuple(level for level in _strides(space) if _can_exceed(space, counts, level))
        _check_means(space, counts)
        blocks = _block_values(space, counts)
        table = space.table(lambda slot: _slot_values(space, slot, counts, blocks, levels))
        missing = sum(level not in _strides(space) for level in guards.LEVELS)
        stride = guards.stride_excess(space.slots[-1].out_stride)
        return cls(prior, table, levels, missing + stride, offset)

    def evaluate(self, codes: Codes) -> PriorBatch:
        """Guarded estimates of codes (n, genes)."""
        sums = self.table.sums(codes)
        dropped, violation, variance, blocks, aspect = sums[:, len(SUMS) : len(SUMS) + _EXTRA].T
        violation = violation + self.stride_violation
        for index, level in enumerate(self.levels):
            depth = sums[:, len(SUMS) + _EXTRA + index]
            violation += np.maximum(depth - guards.level_limit(level), 0)
        return self.prior.judge(
            sums[:, : len(SUMS)], dropped, violation, variance / blocks, aspect, self.offset
        )


def _block_values(space: CompiledSpace, counts: Floats) -> Floats:
    """Of each block: excess of its expansion, and its `families.share_of`; (blocks, 3)."""
    inner = [
        guards.inner_width(block, int(before), float(width))
        for block, before, width in zip(space.blocks, space.block_inputs, counts[:, 1], strict=True)
    ]
    excess = guards.expansion_excess(np.array(inner), space.block_inputs.astype(np.float64))
    shares = [
        families.share_of(block, bool(kxk > 0))
        for block, kxk in zip(space.blocks, counts[:, 0], strict=True)
    ]
    return np.column_stack((excess, np.array(shares)))


def _slot_values(
    space: CompiledSpace, slot: Slot, counts: Floats, blocks: Floats, levels: tuple[int, ...]
) -> Floats:
    """Channels of a slot's entries (entries, 17 + levels)."""
    last = space.space.depth
    counted = replace(slot, depth=_counted_depth(slot, counts))
    if slot.stage == -1:
        counts = stem_counts(counts)
    values = np.zeros((len(slot), len(SUMS) + _EXTRA + len(levels)))
    values[:, : len(BLOCK_SUMS)] = space.slot_sums(counted, placed(counts, slot.out_stride))
    if slot.stage == -1:
        height, width = slot.height.astype(np.float64), slot.width.astype(np.float64)
        values[:, SUMS.index("log_resolution")] = log_resolution(height, width)
        values[:, len(SUMS) + 4] = log_aspect(height, width)
    elif slot.stage == last:
        values[:, SUMS.index("log_head")] = log_head(slot.out_channels.astype(np.float64))
    else:
        values[:, len(SUMS)] = slot.depth - counted.depth
        values[:, len(SUMS) + 1] = _slot_violation(space, slot, counts, blocks)
        values[:, len(SUMS) + 2 : len(SUMS) + 4] = space.slot_sums(counted, blocks[:, 1:])
        for index, level in enumerate(levels):
            depth = _kxk_depth(slot, counts)
            values[:, len(SUMS) + _EXTRA + index] = depth if slot.out_stride == level else 0
    return values


def _kxk_depth(slot: Slot, counts: Floats) -> Ints:
    """Blocks with a kxk convolution: (entries,)."""
    kxk = (counts[:, 0] > 0).astype(np.int64)
    depth: Ints = kxk[slot.first] + (slot.depth - 1) * kxk[slot.repeat]
    return depth


def _counted_depth(slot: Slot, counts: Floats) -> Ints:
    """Blocks of a slot that `guards.counts_in_features`: (entries,)."""
    kxk = (counts[:, 0] > 0).astype(np.int64)
    room = guards.depth_limit(slot.out_stride) - kxk[slot.first]
    repeats = np.where(kxk[slot.repeat] > 0, np.minimum(slot.depth - 1, room), slot.depth - 1)
    depth: Ints = 1 + repeats
    return depth


def _slot_violation(space: CompiledSpace, slot: Slot, counts: Floats, blocks: Floats) -> Floats:
    """Width and expansion rules of a stage's entries: (entries,)."""
    amount: Floats = space.slot_sums(slot, blocks[:, :1])[:, 0]
    if slot.stage > 0:
        before, after = slot.in_channels.astype(np.float64), slot.out_channels.astype(np.float64)
        excess = guards.width_excess(before, after)
        amount = amount + np.where(_kxk_depth(slot, counts) > 0, excess, 0.0)
    return amount


def _stages(space: CompiledSpace) -> list[Slot]:
    return [slot for slot in space.slots if 0 <= slot.stage < space.space.depth]


def _strides(space: CompiledSpace) -> list[int]:
    return sorted({slot.out_stride for slot in _stages(space)})


def _can_exceed(space: CompiledSpace, counts: Floats, level: int) -> bool:
    deepest = sum(
        int(_kxk_depth(slot, counts).max()) for slot in _stages(space) if slot.out_stride == level
    )
    return deepest > guards.level_limit(level)


def _check_means(space: CompiledSpace, counts: Floats) -> None:
    """Every network of the space has kxk blocks on both sides of the early-late boundary."""
    fewest = np.zeros(2)
    for slot in _stages(space):
        fewest += placed(counts, slot.out_stride)[slot.first][:, [0, 2]].min(axis=0)
    expect(
        bool(np.all(fewest > 0)),
        "accuracy prior: it judges networks with a total stride of 32 and a block at each output"
        f" stride from 4 on; space '{space.space.name}' has networks without kxk convolutions up to"
        f" an output stride of 8 or from 16 on; change its strides, or {families.OWN_ACCURACY}",
    )
