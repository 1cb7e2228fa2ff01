"""Networks bred for the most work in each band of predicted milliseconds, as a search would pick.

A small stand-in for `palmette.search`, which stands above this folder: quality is log MACs plus log
weights in place of accuracy, and every band of milliseconds keeps its best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.latency.effects import Support
from palmette.latency.identified import unknown
from palmette.latency.uncertainty import CHANNELS, Uncertainty, hull_channels
from palmette.latency.whole.model import TargetModel
from palmette.space import CompiledSpace, OpTable
from palmette.space.compiled import SpaceTable
from palmette.space.search_space import Codes, SearchSpace

Floats = NDArray[np.float64]

CONFIDENCE = 0.8
BANDS, KEPT, GENERATIONS, CHILDREN = 16, 16, 30, 1024
"""Bands of milliseconds, networks kept in each, and the size of the breeding."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How predictions fare on a set of networks, as fractions of 1."""

    inside: float
    """Inside the two-sided interval."""
    below: float
    """Below the upper end that a search holds a budget with (one-sided)."""
    ratio: float
    """Geometric mean of true over predicted milliseconds."""


@dataclass(frozen=True, slots=True)
class Judge:
    """A predictor and the truth of one target, as tables over a search space."""

    table: SpaceTable
    model: TargetModel
    truth: TargetModel
    spread: Uncertainty
    ends: tuple[int, int]
    """Where the channels of the model and of the truth end; those of the hull follow."""

    @classmethod
    def of(
        cls, compiled: CompiledSpace, model: TargetModel, spread: Uncertainty, truth: TargetModel
    ) -> Judge:
        """Tables of a model with its spread, and of a truth, over a compiled space."""

        def values(ops: OpTable) -> Floats:
            return np.concatenate(
                [model.channels(ops), truth.channels(ops), hull_channels(ops)], axis=1
            )

        none = OpTable.of(())
        own = model.channels(none).shape[1]
        ends = own, own + truth.channels(none).shape[1]
        return cls(compiled.cost_table(values), model, truth, spread, ends)

    def rate(self, codes: Codes) -> tuple[Floats, Floats]:
        """Milliseconds that a search keeps below the budget, and log MACs plus log weights."""
        sums = self.table.sums(codes)
        hull = sums[:, self.ends[1] :]
        factor = self.spread.factor(hull, CONFIDENCE, two_sided=False)
        upper_ms: Floats = self.model.combine(sums[:, : self.ends[0]]) * factor
        quality: Floats = np.log(hull[:, [_MACS, _WEIGHTS]]).sum(axis=1)
        return upper_ms, quality

    def shares(self, codes: Codes, pool: Floats) -> Shares:
        """How codes fare, each with every error of a pool."""
        sums = self.table.sums(codes)
        ms = self.model.combine(sums[:, : self.ends[0]])
        true_ms = self.truth.combine(sums[:, self.ends[0] : self.ends[1]])
        error = np.log(true_ms / ms)[:, None] + pool
        widths = [
            np.log(self.spread.factor(sums[:, self.ends[1] :], CONFIDENCE, two_sided))[:, None]
            for two_sided in (True, False)
        ]
        return Shares(
            float((np.abs(error) <= widths[0]).mean()),
            float((error <= widths[1]).mean()),
            float(np.exp(error.mean())),
        )


_MACS, _WEIGHTS = CHANNELS.index("macs"), CHANNELS.index("weights")


def allowed_choices(space: SearchSpace, known: Support) -> list[Codes]:
    """Indices of the choices of each gene that the timings identify; others a search bars."""

    return [
        np.array(
            [
                index
                for index, choice in enumerate(gene.choices)
                if not unknown(space, known, gene.section, gene.key, choice)
            ]
        )
        for gene in space.genes
    ]


def sample(allowed: list[Codes], count: int, rng: np.random.Generator) -> Codes:
    """Random codes of allowed choices, shape (count, genes)."""
    return np.stack([rng.choice(choices, size=count) for choices in allowed], axis=1)


def bred(
    judge: Judge, allowed: list[Codes], start: Codes, edges: Floats, rng: np.random.Generator
) -> Codes:
    """The best network of each band of milliseconds, after breeding by mutation."""
    codes = best(judge, start, edges, KEPT)
    for _ in range(GENERATIONS):
        children = codes[rng.integers(0, len(codes), size=CHILDREN)]
        mutated = rng.random(children.shape) < 1.5 / children.shape[1]
        children = np.where(mutated, sample(allowed, CHILDREN, rng), children)
        codes = best(judge, np.unique(np.concatenate([codes, children]), axis=0), edges, KEPT)
    return best(judge, codes, edges, 1)


def best(judge: Judge, codes: Codes, edges: Floats, count: int) -> Codes:
    """The best few codes of each band; edges (bands + 1,) in ms."""
    upper_ms, quality = judge.rate(codes)
    band = np.searchsorted(edges, upper_ms)
    order = np.lexsort((-quality, band))
    sorted_band = band[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_band, sorted_band)
    kept = (rank < count) & (sorted_band > 0) & (sorted_band < len(edges))
    chosen: Codes = codes[order[kept]]
    return chosen
