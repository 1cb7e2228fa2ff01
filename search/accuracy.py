"""Where the accuracies of a search come from: the published prior, or the user's own images.

The prior costs nothing. A supernet and short trainings measure networks (`search.measured`), named
`supernet:FILE` and `proxy:RECIPE` (`search.source`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from palmette.space import Architecture, CompiledSpace
from palmette.space.search_space import Codes
from palmette.train import TIE_POINTS, AccuracyPrior, CompiledPrior, PriorBatch
from palmette.train.prior import CV_MAE_POINTS, MEAN_RECIPE

if TYPE_CHECKING:
    from palmette.search.trials.task import Evaluator

PRIOR = "prior"
Floats = NDArray[np.float64]
Prior = Callable[[Codes], PriorBatch]
"""Top-1 that is expected of codes of the full space."""


def source_of(accuracy: Accuracy) -> str:
    """Where accuracies come from, in words that are the same only for figures that compare."""
    return accuracy.label + (f", {accuracy.id}" if accuracy.id else "")


class Accuracy(Protocol):
    """Accuracies of a space's codes."""

    @property
    def rung(self) -> str:
        """`prior`, `supernet` or `proxy`."""
        ...

    @property
    def label(self) -> str:
        """The rung and what it refers to, in few words."""
        ...

    @property
    def id(self) -> str:
        """Hash of what measures; empty for the prior."""
        ...

    @property
    def data(self) -> str:
        """Name of the images that it measures on; empty for the prior."""
        ...

    @property
    def tie_points(self) -> float:
        """Below this difference the order of two networks is not known."""
        ...

    @property
    def evaluator(self) -> Evaluator | None:
        """What measures networks; None where `evaluate` knows them all."""
        ...

    @property
    def prior(self) -> Prior | None:
        """What is expected before anything is measured; None where the prior can't judge."""
        ...

    def learn(self, codes: Codes, top1: Floats, sigma: Floats, ms: Floats | None = None) -> None:
        """Take in what was measured of codes (n, genes): top-1 in %, its sigma, and ms, (n,)."""
        ...

    def evaluate(self, codes: Codes) -> PriorBatch:
        """Estimates of codes (n, genes)."""
        ...

    def guards(self, network: Architecture) -> list[str]:
        """What is held against a network."""
        ...

    def words(self) -> str:
        """Where top-1 comes from, and how far it is off."""
        ...

    @property
    def caution(self) -> str:
        """What speaks against all of its values, in a sentence; blank where nothing does."""
        ...


class PriorAccuracy:
    """The accuracy prior."""

    rung, id, data, tie_points, caution = PRIOR, "", "", TIE_POINTS, ""

    def __init__(self, space: CompiledSpace, recipe: str | None) -> None:
        self.recipe = recipe
        self.evaluator: Evaluator | None = None
        self.label = f"{PRIOR}, {recipe or MEAN_RECIPE}"
        self.compiled: CompiledPrior = AccuracyPrior.load().compile(space, recipe)
        self.prior: Prior | None = self.compiled.evaluate

    def learn(self, codes: Codes, top1: Floats, sigma: Floats, ms: Floats | None = None) -> None:
        """Nothing to learn."""

    def evaluate(self, codes: Codes) -> PriorBatch:
        """See `CompiledPrior.evaluate`."""
        return self.compiled.evaluate(codes)

    def guards(self, network: Architecture) -> list[str]:
        """Guards of the prior that act on a network."""
        return self.compiled.prior.active_guards(network)

    def words(self) -> str:
        """Recipe and cross-validated error."""
        recipe = f"recipe {self.recipe}" if self.recipe else "mean of the training recipes"
        return (
            f"estimated by the published prior, {recipe}, cross-validated MAE {CV_MAE_POINTS}"
            " points"
        )
