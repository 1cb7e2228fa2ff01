"""Choices and networks whose ops a target's unit refuses, by the rules of `export.unit_rules`.

Counted once for every block of a compiled space, so that a candidate costs a row of a table. A
choice is barred if no network of the space could have it without a refused op; what is refused in
some combinations alone is a limit that those break.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from palmette.export.unit_rules import LEVELS, Era, count_levels, rules_for
from palmette.space import CompiledSpace, SearchSpace
from palmette.space.compiled import Slot, SpaceTable
from palmette.space.errors import expect

REFUSED, AT_RISK = LEVELS.index("refused"), LEVELS.index("risk")


def level_table(compiled: CompiledSpace, era: Era) -> SpaceTable:
    """Numbers of ops at each of `LEVELS` as a lookup table; its channels are the levels."""
    return compiled.cost_table(lambda ops: count_levels(ops, era))


def without_refused(
    compiled: CompiledSpace, searched: SearchSpace, era: Era
) -> tuple[SearchSpace, list[str]]:
    """A space without the choices that always bring a refused op, and their names.

    Args:
        compiled: the full space.
        searched: the same, or with fewer choices.
        era: unit, system and chip.

    Raises:
        InputError: no choice of a gene is left, or a part has a refused op whatever is chosen.
    """
    genes = compiled.space.genes
    left = [
        np.isin(np.arange(len(gene.choices)), _kept(gene.choices, searched, gene.name))
        for gene in genes
    ]
    before = [mask.copy() for mask in left]
    blocks = compiled.block_sums(count_levels(compiled.ops, era))
    refused = [compiled.slot_sums(slot, blocks)[:, REFUSED] > 0 for slot in compiled.slots]
    rules = ", ".join(r.name for r in rules_for(era) if r.level == LEVELS[REFUSED])
    remedy = f"refuses ({rules}); leave --exportable out, or give a space without them"
    changed = True
    while changed:  # what is barred in one place may leave nothing but refused in another
        changed = False
        for slot, bad in zip(compiled.slots, refused, strict=True):
            expect(
                bool(slot.columns) or not bad.all(),
                f"space '{searched.name}': a part that does not vary has ops that the unit"
                f" '{era.unit}' {remedy}",
            )
            for column, choice in list(_always(slot, bad, left)):
                left[column][choice], changed = False, True
                expect(
                    bool(left[column].any()),
                    f"space '{searched.name}': every choice of {genes[column].name} brings ops that"
                    f" the unit '{era.unit}' {remedy}",
                )
    names = []
    for gene, was, mask in zip(genes, before, left, strict=True):
        if (was & ~mask).any():
            names += [f"{gene.name}={gene.choices[i]}" for i in np.flatnonzero(was & ~mask)]
            searched = searched.restrict(gene.name, [gene.choices[i] for i in np.flatnonzero(mask)])
    return searched, names


def _kept(choices: tuple[object, ...], searched: SearchSpace, name: str) -> list[int]:
    section, _, key = name.partition(".")
    return [i for i, choice in enumerate(choices) if choice in searched.sections[section][key]]


def _always(
    slot: Slot, bad: NDArray[np.bool_], left: list[NDArray[np.bool_]]
) -> Iterator[tuple[int, int]]:
    """Genes (columns) and choices with which each entry of a slot that is left is a bad one."""
    entries = np.arange(len(slot))
    digits = {
        column: entries // weight % len(left[column])
        for column, weight in zip(slot.columns, slot.radix, strict=True)
    }
    open_ = np.ones(len(slot), dtype=np.bool_)
    for column, digit in digits.items():
        open_ &= left[column][digit]
    for column, digit in digits.items():
        for choice in np.flatnonzero(left[column]):
            mine = open_ & (digit == choice)
            if bad[mine].all():
                yield column, int(choice)
