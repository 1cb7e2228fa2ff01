"""Genes as steps: codes as rows of plus and minus a half, so that distances of choices add up.

A gene of ordered choices (numbers) has a column for each step between neighbours, so that two
choices differ in as many columns as there are steps between them (a thermometer). A gene of names
has a column for each choice. A weighted sum over columns can give every choice its own points; the
squared distance of two rows counts the steps between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.space import SearchSpace
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]
_NAMED = np.sqrt(0.5)  # two columns differ between two names: together one step


@dataclass(frozen=True, slots=True)
class Encoding:
    """Tables of a space's genes."""

    values: Floats
    """All choices of all genes, one below the other: (choices, columns)."""
    starts: Codes
    """First row of each gene (genes,)."""
    gene: Codes
    """Gene of each column (columns,)."""

    @classmethod
    def of(cls, space: SearchSpace) -> Encoding:
        """The encoding of a space's codes."""
        parts = [
            _steps(len(gene.choices)) if _ordered(gene.choices) else _names(len(gene.choices))
            for gene in space.genes
        ]
        width = [part.shape[1] for part in parts]
        values = np.zeros((sum(map(len, parts)), sum(width)))
        row = column = 0
        for part in parts:
            values[row : row + len(part), column : column + part.shape[1]] = part
            row, column = row + len(part), column + part.shape[1]
        starts = np.cumsum([0, *(len(part) for part in parts)])[:-1].astype(np.int64)
        return cls(values, starts, np.repeat(np.arange(len(parts)), width))

    def rows(self, codes: Codes) -> Floats:
        """Codes (n, genes) as rows (n, columns)."""
        rows = np.zeros((len(codes), self.values.shape[1]))
        for gene, start in enumerate(self.starts):
            own = np.flatnonzero(self.gene == gene)
            if len(own):
                rows[:, own] = self.values[start + codes[:, gene]][:, own]
        return rows


def _ordered(choices: tuple[object, ...]) -> bool:
    numbers = [c for c in choices if isinstance(c, int | float) and not isinstance(c, bool)]
    return len(numbers) == len(choices) and numbers == sorted(numbers)


def _steps(count: int) -> Floats:
    return np.tril(np.ones((count, count - 1)), -1) - 0.5


def _names(count: int) -> Floats:
    named: Floats = (np.eye(count) - 0.5) * _NAMED
    return named
