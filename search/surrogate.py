"""A fast stand-in for measured accuracies: each choice of each gene adds its points.

A search looks at a million codes; an estimator that evaluates or trains a network can look at some
hundreds. The sum is fitted to these by ridge regression, its error is that of networks left out.
Measured networks correct it where they are: the search measures its shortlist.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from palmette.space.errors import expect
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]
FEWEST = 8
ALPHAS = tuple(10.0**power for power in range(-3, 4))
FOLDS = 10


@dataclass(frozen=True, slots=True)
class Surrogate:
    """Points of top-1 by choice; fitted by `fit`."""

    mean: float
    points: Floats
    """(genes, most choices of a gene)."""
    sigma: float
    """Root mean square error on networks left out, in points."""
    tau: float
    """Kendall's tau on networks left out."""

    @classmethod
    def fit(cls, codes: Codes, top1: Floats, cardinalities: Codes) -> Surrogate:
        """Fit to measured networks.

        Args:
            codes: (n, genes), at least eight.
            top1: (n,) in %.
            cardinalities: choices of each gene (genes,).
        """
        from sklearn.linear_model import Ridge, RidgeCV
        from sklearn.model_selection import KFold, cross_val_predict

        expect(len(codes) >= FEWEST, f"samples: at least {FEWEST} networks, got {len(codes)}")
        columns = [(gene, choice) for gene, n in enumerate(cardinalities) for choice in range(n)]
        made = np.stack([codes[:, gene] == choice for gene, choice in columns], axis=1)
        alpha = RidgeCV(ALPHAS).fit(made, top1).alpha_
        folds = KFold(min(FOLDS, len(codes)), shuffle=True, random_state=0)
        held_out = cross_val_predict(Ridge(alpha), made, top1, cv=folds)
        model = Ridge(alpha).fit(made, top1)
        points = np.zeros((len(cardinalities), int(max(cardinalities, default=1))))
        for (gene, choice), value in zip(columns, model.coef_, strict=True):
            points[gene, choice] = value
        return cls(
            float(model.intercept_),
            points,
            float(np.sqrt(np.mean((held_out - top1) ** 2))),
            float(kendalltau(held_out, top1).statistic),
        )

    def predict(self, codes: Codes) -> Floats:
        """Top-1 in % of codes (n, genes)."""
        found: Floats = self.mean + self.points[np.arange(codes.shape[1]), codes].sum(axis=1)
        return found
