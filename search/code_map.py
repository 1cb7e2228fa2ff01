"""Codes of a space without some choices, and of the full one that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.space import SearchSpace
from palmette.space.search_space import Codes


@dataclass(frozen=True, slots=True)
class CodeMap:
    """From codes of a restricted space to codes of the full one.

    `columns` are the genes of the full space that still vary, `choices[column, index]` the full
    index of a restricted one of which there are `counts`, `fixed` a full code with the only choice
    where just one is left.
    """

    columns: Codes
    choices: Codes
    counts: Codes
    fixed: Codes

    @classmethod
    def between(cls, restricted: SearchSpace, full: SearchSpace) -> CodeMap:
        """Map from a space to the one that `SearchSpace.restrict` made it from."""
        kept = {
            gene.name: restricted.sections[section][key]
            for gene in full.genes
            for section, key in [gene.name.split(".")]
        }
        indices = [[g.choices.index(choice) for choice in kept[g.name]] for g in full.genes]
        varying = [i for i, index in enumerate(indices) if len(index) > 1]
        widest = max((len(index) for index in indices), default=0)
        choices = np.zeros((len(varying), widest), dtype=np.int64)
        for row, gene in enumerate(varying):
            choices[row, : len(indices[gene])] = indices[gene]
        counts = np.array([len(indices[gene]) for gene in varying], dtype=np.int64)
        fixed = np.array([index[0] for index in indices], dtype=np.int64)
        return cls(np.array(varying, dtype=np.int64), choices, counts, fixed)

    def full(self, codes: Codes) -> Codes:
        """Codes (n, genes) of the restricted space as codes of the full one."""
        full = np.repeat(self.fixed[None, :], len(codes), axis=0)
        full[:, self.columns] = self.choices[np.arange(len(self.columns)), codes]
        return full

    def restricted(self, full: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """Codes (n, genes) of the restricted space, and a mask (n,) of those that lie in it.

        A code outside has 0 where the restricted space lacks its choice.

        Args:
            full: codes (n, genes) of the full space.
        """
        alone = np.setdiff1d(np.arange(full.shape[1]), self.columns)
        inside = (full[:, alone] == self.fixed[alone]).all(axis=1)
        codes = np.zeros((len(full), len(self.columns)), dtype=np.int64)
        for gene, (column, count) in enumerate(zip(self.columns, self.counts, strict=True)):
            same = full[:, column, None] == self.choices[gene, :count]
            inside &= same.any(axis=1)
            codes[:, gene] = same.argmax(axis=1)
        return codes, inside
