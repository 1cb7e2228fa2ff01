"""Gradient-boosted regression trees as plain arrays: fitted by scikit-learn, evaluated by numpy.

A stored predictor holds numbers that any reader can follow, needs no scikit-learn to be read, and
loads nothing that could run code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CHUNK = 512
"""Rows that walk at once: enough to hide the loop, few enough for the cache."""


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """Trees whose values add up to a base.

    All nodes of all trees lie in a row, each tree from its root at `roots` on, children behind
    their parent. A row of features goes left if `feature <= threshold`; a leaf is its own child.
    """

    base: float
    roots: Ints
    features: Ints
    thresholds: Floats
    left: Ints
    right: Ints
    values: Floats

    def predict(self, rows: Floats) -> Floats:
        """Sum over the trees for rows of features (n, features): (n,)."""
        parts = [self._chunk(rows[at : at + CHUNK]) for at in range(0, len(rows), CHUNK)]
        return np.concatenate([np.zeros(0), *parts])

    def _chunk(self, rows: Floats) -> Floats:
        """All rows walk through all trees at once; those that reached a leaf stay behind."""
        trees = len(self.roots)
        node = np.tile(self.roots, len(rows))  # of each pair of a row and a tree
        pairs = np.flatnonzero(self.left[node] != node)
        while len(pairs):
            at = node[pairs]
            goes_left = rows[pairs // trees, self.features[at]] <= self.thresholds[at]
            at = np.where(goes_left, self.left[at], self.right[at])
            node[pairs] = at
            pairs = pairs[self.left[at] != at]
        total: Floats = self.base + self.values[node].reshape(len(rows), trees).sum(axis=1)
        return total

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in plain.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BoostedTrees:
        """From plain values.

        Raises:
            KeyError, TypeError, ValueError: malformed values, or nodes that do not form trees.
        """
        roots, features, left, right = (
            np.array(data[name], dtype=np.int64) for name in ("roots", "features", "left", "right")
        )
        thresholds, values = (np.array(data[n], dtype=float) for n in ("thresholds", "values"))
        trees = cls(float(data["base"]), roots, features, thresholds, left, right, values)
        nodes = np.arange(len(trees.values))
        arrays = (trees.features, trees.left, trees.right, trees.thresholds)
        if any(array.shape != nodes.shape for array in arrays) or trees.roots.ndim != 1:
            raise ValueError("the arrays of the nodes must have one length")
        if not np.isfinite(np.concatenate([[trees.base], thresholds, values])).all():
            raise ValueError("base, thresholds and values must be finite")
        leaves = (trees.left == nodes) & (trees.right == nodes)
        # children behind their parents: no walk can run in circles
        behind = (trees.left > nodes) & (trees.right > nodes)
        behind &= (trees.left < len(nodes)) & (trees.right < len(nodes))
        if not (leaves | behind).all() or (trees.features < 0).any():
            raise ValueError("children must lie behind their parents")
        if ((trees.roots < 0) | (trees.roots >= len(nodes))).any():
            raise ValueError("a root is no node")
        return trees

    @classmethod
    def fit(
        cls,
        rows: Floats,
        targets: Floats,
        rising: Sequence[bool],
        trees: int = 300,
        leaves: int = 31,
        least_rows: int = 8,
        rate: float = 0.06,
    ) -> BoostedTrees:
        """Trees of least squares.

        Args:
            rows: (n, features), finite.
            targets: (n,).
            rising: for each feature, whether the sum of trees must not fall along it.
            trees, leaves, least_rows, rate: number of trees, leaves and rows in a leaf, step.
        """
        from sklearn.ensemble import HistGradientBoostingRegressor  # slow to import
        from threadpoolctl import threadpool_limits

        model = HistGradientBoostingRegressor(
            max_iter=trees,
            max_leaf_nodes=leaves,
            min_samples_leaf=least_rows,
            learning_rate=rate,
            monotonic_cst=[int(one) for one in rising],
            early_stopping=False,
            random_state=0,
        )
        # some thousand rows: several threads wait for each other longer than they work
        with threadpool_limits(1):
            model.fit(rows, targets)
        return cls.of(model)

    @classmethod
    def of(cls, model: Any) -> BoostedTrees:
        """Trees of a fitted `HistGradientBoostingRegressor` without categories."""
        pieces = [stage[0].nodes for stage in model._predictors]
        starts = np.cumsum([0, *(len(piece) for piece in pieces)])[:-1].astype(np.int64)
        nodes = np.concatenate(pieces)
        offset = np.repeat(starts, [len(piece) for piece in pieces])
        own, leaf = np.arange(len(nodes)), nodes["is_leaf"].astype(bool)
        # a threshold of infinity sends all that is not missing left; nothing is missing here
        most = np.finfo(float).max
        return cls(
            float(np.ravel(model._baseline_prediction)[0]),
            starts,
            np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
            np.where(leaf, 0.0, np.minimum(nodes["num_threshold"], most)),
            np.where(leaf, own, nodes["left"].astype(np.int64) + offset),
            np.where(leaf, own, nodes["right"].astype(np.int64) + offset),
            nodes["value"].astype(float),
        )
