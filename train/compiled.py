"""The accuracy prior over a compiled space: one table row per slot, then the shared formula.

The sums that the features are made of add up over slots, so a batch of codes costs a lookup and the
same formula that single architectures go through (`AccuracyPrior.judge`); a test holds the two
paths to 1e-9.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from palmette.space.compiled import CompiledSpace, Slot, SpaceTable
from palmette.space.errors import expect
from palmette.space.search_space import Codes
from palmette.train import guards
from palmette.train.features import (
    BLOCK_SUMS,
    SUMS,
    Floats,
    block_counts,
    check_ops,
    log_head,
    log_resolution,
    op_values,
    placed,
    stem_counts,
)

if TYPE_CHECKING:
    from palmette.train.prior import AccuracyPrior, PriorBatch

_EXTRA = 2  # channels after SUMS: blocks not counted, structural violation


@dataclass(frozen=True, slots=True)
class CompiledPrior:
    """A prior for the codes of one space."""

    prior: AccuracyPrior
    table: SpaceTable
    """Channels: `features.SUMS`, blocks not counted, violation, kxk blocks at each of `levels`."""
    levels: tuple[int, ...]
    """Output strides at which this space can stack more blocks than are credible."""
    stride_violation: float
    offset: float

    @classmethod
    def of(cls, prior: AccuracyPrior, space: CompiledSpace, offset: float) -> CompiledPrior:
        """Tables of a prior for a space; `offset` is u of the recipe.

        Raises:
            InputError: the prior was not fitted to a block, or some network of the space has no kxk
                convolution early or late.
        """
        check_ops(space.ops)
        op_sums = space.block_sums(op_values(space.ops))
        counts = block_counts(op_sums, space.block_params)
        levels = tuple(level for level in _strides(space) if _can_exceed(space, counts, level))
        _check_means(space, counts)
        table = space.table(lambda slot: _slot_values(space, slot, counts, levels))
        missing = sum(level not in _strides(space) for level in guards.LEVELS)
        stride = guards.stride_excess(space.slots[-1].out_stride)
        return cls(prior, table, levels, missing + stride, offset)

    def evaluate(self, codes: Codes) -> PriorBatch:
        """Guarded estimates of codes (n, genes)."""
        sums = self.table.sums(codes)
        violation = sums[:, len(SUMS) + 1] + self.stride_violation
        for index, level in enumerate(self.levels):
            depth = sums[:, len(SUMS) + _EXTRA + index]
            violation += np.maximum(depth - guards.level_limit(level), 0)
        return self.prior.judge(sums[:, : len(SUMS)], sums[:, len(SUMS)], violation, self.offset)


def _slot_values(
    space: CompiledSpace, slot: Slot, counts: Floats, levels: tuple[int, ...]
) -> Floats:
    """Channels of a slot's entries (entries, 14 + levels)."""
    last = space.space.depth
    limit = np.where(counts[slot.first, 0] > 0, guards.depth_limit(slot.out_stride), slot.depth)
    counted = replace(slot, depth=np.minimum(slot.depth, limit))
    if slot.stage == -1:
        counts = stem_counts(counts)
    values = np.zeros((len(slot), len(SUMS) + _EXTRA + len(levels)))
    values[:, : len(BLOCK_SUMS)] = space.slot_sums(counted, placed(counts, slot.out_stride))
    if slot.stage == -1:
        size = slot.resolution.astype(np.float64)
        values[:, SUMS.index("log_resolution")] = log_resolution(size, size)
    elif slot.stage == last:
        values[:, SUMS.index("log_head")] = log_head(slot.out_channels.astype(np.float64))
    else:
        values[:, len(SUMS)] = slot.depth - counted.depth
        values[:, len(SUMS) + 1] = _slot_violation(slot, counts)
        for index, level in enumerate(levels):
            depth = slot.depth * counts[slot.first, 0]
            values[:, len(SUMS) + _EXTRA + index] = depth if slot.out_stride == level else 0
    return values


def _slot_violation(slot: Slot, counts: Floats) -> Floats:
    """Width and expansion rules of a stage's entries: (entries,)."""
    before, after = slot.in_channels.astype(np.float64), slot.out_channels.astype(np.float64)
    kxk = counts[slot.first, 0] > 0
    first, repeat = counts[slot.first, 1], counts[slot.repeat, 1]
    amount = guards.expansion_excess(np.where(kxk, first, before), before)
    amount += (slot.depth - 1) * guards.expansion_excess(np.where(kxk, repeat, after), after)
    if slot.stage > 0:
        amount += guards.width_excess(before, after)
    return np.where(kxk, amount, 0.0)


def _stages(space: CompiledSpace) -> list[Slot]:
    return [slot for slot in space.slots if 0 <= slot.stage < space.space.depth]


def _strides(space: CompiledSpace) -> list[int]:
    return sorted({slot.out_stride for slot in _stages(space)})


def _can_exceed(space: CompiledSpace, counts: Floats, level: int) -> bool:
    deepest = sum(
        int((slot.depth * counts[slot.first, 0]).max())
        for slot in _stages(space)
        if slot.out_stride == level
    )
    return deepest > guards.level_limit(level)


def _check_means(space: CompiledSpace, counts: Floats) -> None:
    """Every network of the space has kxk blocks on both sides of the early-late boundary."""
    fewest = np.zeros(2)
    for slot in _stages(space):
        fewest += placed(counts, slot.out_stride)[slot.first][:, [0, 2]].min(axis=0)
    expect(
        bool(np.all(fewest > 0)),
        "accuracy prior: every network of a space needs kxk convolutions at early and late output"
        f" strides; space '{space.space.name}' has networks without",
    )
