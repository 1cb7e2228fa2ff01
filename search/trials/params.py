"""Between codes of a space and parameters of trials, a categorical one for each gene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.space import SearchSpace
from palmette.space.search_space import Codes

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """A categorical distribution of each gene."""
    from optuna.distributions import CategoricalDistribution

    return {gene.name: CategoricalDistribution(gene.choices) for gene in space.genes}


def params_of(space: SearchSpace, code: Codes) -> dict[str, Any]:
    """Gene name to choice, of a code (genes,)."""
    genes = space.genes
    return {gene.name: gene.choices[int(i)] for gene, i in zip(genes, code, strict=True)}


def codes_of(space: SearchSpace, params: Sequence[dict[str, Any]]) -> Codes:
    """Codes (n, genes) of trials' parameters.

    Raises:
        KeyError, ValueError: a gene is missing, or has no such choice.
    """
    return np.array(
        [[gene.choices.index(row[gene.name]) for gene in space.genes] for row in params],
        dtype=np.int64,
    ).reshape(len(params), len(space.genes))
