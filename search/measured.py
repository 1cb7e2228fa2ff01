"""Accuracies that are measured: some random networks at the start, to which a surrogate is fitted,
and in the end every network of the shortlist, one a trial. What was measured is kept in a file.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from palmette.search.accuracy import Told
from palmette.search.surrogate import Surrogate
from palmette.space import Architecture, InputError, SearchSpace
from palmette.space.files import write_text
from palmette.space.search_space import Codes
from palmette.train import TIE_POINTS, PriorBatch

if TYPE_CHECKING:
    from palmette.train.estimates import Measured

SAMPLES = 200


class Estimator(Protocol):
    """What measures networks: `SupernetAccuracy`, `ProxyAccuracy`."""

    def evaluate(self, networks: Sequence[Architecture]) -> Measured:
        """Top-1 of networks, with intervals."""
        ...


class MeasuredAccuracy:
    """Accuracies by an estimator that measures, with a surrogate for what it has not measured.

    Args:
        rung: `supernet` or `proxy`.
        id: hash of the estimator.
        space: whose codes are asked about.
        estimator: measures networks of the space.
        data: what it measures on, for words.
        samples: random networks that the surrogate is fitted to, or all of a smaller space.
        seed: of these.
    """

    def __init__(
        self,
        rung: str,
        id: str,
        space: SearchSpace,
        estimator: Estimator,
        data: str,
        samples: int,
        seed: int,
    ) -> None:
        self.rung, self.id, self.space = rung, id, space
        self.estimator, self.data = estimator, data
        self.label = f"{rung} on {data}"
        self.samples, self.seed = samples, seed
        self.surrogate: Surrogate | None = None
        self.path: Path | None = None
        self._kept: dict[str, tuple[float, float]] = {}
        self._known = np.empty((0, len(space.genes)), np.int64)
        self._values = np.empty((0, 2))
        rng = np.random.default_rng(0)
        self._weights = rng.integers(1, 2**63, len(space.genes), dtype=np.uint64) | np.uint64(1)

    @property
    def tie_points(self) -> float:
        """One standard deviation of the difference of two measured networks, or the prior's."""
        if not len(self._values):
            return TIE_POINTS
        return max(TIE_POINTS, float(np.sqrt(2) * self._values[:, 1].mean()))

    def prepare(self, path: Path, told: Told | None = None) -> None:
        """Measure random networks, as far as `path` has not kept them, and fit the surrogate."""
        self.path = path
        self._kept = _read(path)
        rng = np.random.default_rng([self.seed, len(self.space.genes)])
        wanted = min(self.samples, self.space.size)
        drawn: dict[tuple[int, ...], Codes] = {}
        while len(drawn) < wanted:
            code = self.space.sample(1, rng)[0]
            drawn[tuple(code.tolist())] = code
        for done, code in enumerate(drawn.values()):
            self.measure(code[None])
            if told is not None:
                told(done + 1, wanted)
        codes = np.stack(list(drawn.values()))
        self.surrogate = Surrogate.fit(codes, self.evaluate(codes).top1, self.space.cardinalities)

    def measure(self, codes: Codes) -> None:
        """Measure codes (n, genes) that are not known."""
        for code in codes:
            if (self._places(code[None]) >= 0).all():
                continue
            network = self.space.decode(code)
            if network.id not in self._kept:
                found = self.estimator.evaluate([network])
                self._kept[network.id] = float(found.top1[0]), float(found.sigma[0])
                if self.path is not None:
                    _write(self.path, self._kept)
            self._add(code, self._kept[network.id])

    def evaluate(self, codes: Codes) -> PriorBatch:
        """Measured top-1 where there is one, else the surrogate's; before `prepare` nothing."""
        top1, sigma = np.zeros(len(codes)), np.zeros(len(codes))
        if self.surrogate is not None:
            top1 = np.clip(self.surrogate.predict(codes), 0.0, 100.0)
            sigma = np.full(len(codes), self.surrogate.sigma)
        at = self._places(codes)
        top1[at >= 0], sigma[at >= 0] = self._values[at[at >= 0]].T
        nothing = np.zeros(len(codes))
        return PriorBatch(top1, sigma, nothing, nothing > 0)

    def guards(self, network: Architecture) -> list[str]:
        """None: what is measured needs no guard against extrapolation."""
        return []

    def words(self) -> str:
        """Estimator, data, and the error of the surrogate."""
        assert self.surrogate is not None
        return (
            f"measured by a {self.rung} on '{self.data}', not ImageNet's; networks that were not"
            f" measured by a sum over {len(self._kept)} that were (on networks left out: error"
            f" {self.surrogate.sigma:.2f} points, Kendall tau {self.surrogate.tau:.2f})"
        )

    def _add(self, code: Codes, value: tuple[float, float]) -> None:
        known = np.concatenate([self._known, code[None]])
        values = np.concatenate([self._values, np.array([value])])
        order = np.argsort(self._keys(known), kind="stable")
        self._known, self._values = known[order], values[order]

    def _keys(self, codes: Codes) -> NDArray[np.uint64]:
        """A hash of each code; equal ones are compared code by code."""
        found: NDArray[np.uint64] = (codes.astype(np.uint64) * self._weights).sum(axis=1)
        return found

    def _places(self, codes: Codes) -> NDArray[np.int64]:
        """Index of each code among the known ones, -1 if it is not there."""
        if not len(self._known):
            return np.full(len(codes), -1)
        at = np.searchsorted(self._keys(self._known), self._keys(codes))
        at = np.minimum(at, len(self._known) - 1)
        same = (self._known[at] == codes).all(axis=1)
        found: NDArray[np.int64] = np.where(same, at, -1)
        return found


def _read(path: Path) -> dict[str, tuple[float, float]]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return {row["id"]: (float(row["top1"]), float(row["sigma"])) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: corrupt ({error}); remove it, and its networks are measured again"
        ) from None


def _write(path: Path, kept: dict[str, tuple[float, float]]) -> None:
    rows = [f"{name},{top1!r},{sigma!r}" for name, (top1, sigma) in kept.items()]
    write_text(path, "\n".join(["id,top1,sigma", *rows, ""]))
