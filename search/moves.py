"""Ways from codes to new codes: random ones, children of a front, neighbours, all in order.

Children come from parents spread evenly along the front, cross whole groups of genes with a mate
that is near on it (near points are alike, so what they differ in can be exchanged), and change up
to three genes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palmette.search.archive import Archive

Codes = NDArray[np.int64]
Ints = NDArray[np.int64]

_NEAR = 0.02  # share of the front, to either side, that counts as near
_FAR = 0.1  # share of mates that come from anywhere: the way across the front
_CROSSED = 0.5  # share of children that have a mate
_MUTATIONS = (0.5, 0.3, 0.2)  # shares of one, two and three changed genes

Explored = tuple[Archive, Codes]


@dataclass(frozen=True, slots=True)
class Moves:
    """Ways from codes of one space to new codes."""

    cardinalities: Ints
    free: Ints
    """Genes with more than one choice."""
    groups: Ints
    group_count: int
    step_gene: Ints
    """Gene and distance of each one-gene step."""
    step_by: Ints
    salt: NDArray[np.uint64]

    @classmethod
    def of(cls, cardinalities: Ints, groups: Sequence[int] | None) -> Moves:
        genes = len(cardinalities)
        if cardinalities.ndim != 1 or genes == 0 or cardinalities.min() < 1:
            raise ValueError(f"cardinalities must be positive integers, got {cardinalities}")
        labels = np.arange(genes) if groups is None else np.asarray(groups)
        if labels.shape != (genes,):
            raise ValueError(f"groups must have one number per gene ({genes}), got {labels.shape}")
        known, number = np.unique(labels, return_inverse=True)
        steps = [np.arange(1, count) for count in cardinalities]
        odd = np.random.default_rng(0).integers(0, 2**63, genes, dtype=np.uint64) * 2 + 1
        return cls(
            cardinalities,
            np.flatnonzero(cardinalities > 1),
            number.astype(np.int64),
            len(known),
            np.repeat(np.arange(genes), cardinalities - 1),
            np.concatenate(steps),
            odd.astype(np.uint64),
        )

    @property
    def genes(self) -> int:
        """Length of a code."""
        return len(self.cardinalities)

    def random(self, count: int, rng: np.random.Generator) -> Codes:
        """Uniform random codes."""
        return rng.integers(0, self.cardinalities, size=(count, self.genes))

    def enumerated(self, start: int, count: int) -> Codes:
        """The next codes in counting order, last gene fastest."""
        stop = min(start + count, math.prod(self.cardinalities.tolist()))
        digits = np.unravel_index(np.arange(start, stop), self.cardinalities.tolist())
        return np.stack(digits, axis=1).astype(np.int64)

    def distinct(self, codes: Codes) -> Codes:
        """The codes, each once, in an order that only depends on the set."""
        # 64-bit hashes by multiplication: two codes of a batch share one in about 1e-12 of batches
        hashes = codes.astype(np.uint64) @ self.salt
        distinct: Codes = codes[np.unique(hashes, return_index=True)[1]]
        return distinct

    def neighbours(self, archive: Archive, count: int, rng: np.random.Generator) -> Explored:
        """Neighbours of as many unexplored codes as make about `count`, and those marked."""
        unexplored = np.flatnonzero(~archive.explored)
        steps = len(self.step_gene)
        chosen = rng.permutation(unexplored)[: max(1, count // max(1, steps))]
        codes = np.repeat(archive.codes[chosen, None, :], steps, axis=1)
        index = np.arange(steps)
        moved = codes[:, index, self.step_gene] + self.step_by
        codes[:, index, self.step_gene] = moved % self.cardinalities[self.step_gene]
        explored = archive.explored.copy()
        explored[chosen] = True
        return replace(archive, explored=explored), codes.reshape(-1, codes.shape[2])

    def children(self, codes: Codes, count: int, rng: np.random.Generator) -> Codes:
        """Children of codes (n, genes) that lie in the order of the front: (count, genes)."""
        parents, mates = self._pairs(len(codes), count, rng)
        crossed = rng.random(count) < _CROSSED
        # half of the mates give one group on average, half give half of the groups
        rate = np.where(rng.random(count) < 0.5, 1 / self.group_count, 0.5) * crossed
        taken = rng.random((count, self.group_count)) < rate[:, None]
        children = np.where(taken[:, self.groups], codes[mates], codes[parents])
        # half of the crossed children are left at that
        kept = crossed & (rng.random(count) < 0.5)
        changes = np.where(kept, 0, 1 + rng.choice(3, size=count, p=_MUTATIONS))
        for change in range(len(_MUTATIONS) if len(self.free) else 0):
            self._mutate(children, np.flatnonzero(changes > change), rng)
        return children

    def _pairs(self, size: int, count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Places of parents and mates on a front of `size` codes."""
        parents = rng.integers(0, size, count)
        reach = max(2, int(_NEAR * size))
        mates = np.clip(parents + rng.integers(-reach, reach + 1, count), 0, size - 1)
        far = rng.random(count) < _FAR
        return parents, np.where(far, rng.integers(0, size, count), mates)

    def _mutate(self, codes: Codes, rows: Ints, rng: np.random.Generator) -> None:
        """Change one random gene in some rows: half to a next choice, half to any other one."""
        genes = self.free[rng.integers(0, len(self.free), len(rows))]
        choices = self.cardinalities[genes]
        old = codes[rows, genes]
        step = np.clip(old + rng.choice((-1, 1), len(rows)), 0, choices - 1)
        other = (old + 1 + rng.integers(0, choices - 1)) % choices
        codes[rows, genes] = np.where(rng.random(len(rows)) < 0.5, step, other)
