"""`AccuracyPrior`: ImageNet top-1 of a network that nobody trained, from published results.

First rung of the accuracy estimators: free, and honest to about 1.3 points (mean error on families
of networks left out of the fit); two designs less than 0.5 points apart have no known order. An
additive power law in nine features (`formula`, `features`), evaluated behind guards (`guards`).
Recipes of training span 5 points around one network, so a figure means nothing without its recipe.

On networks of blocks that it was not fitted to, sigma also has the errors known of their families
(`families`). Every network behind the fit was square: one that is not counts as the square of its
area, and sigma also has half of what the estimates of the squares of its two sides differ by, for
nobody measured how much of that shape costs.

Coefficients: `data/accuracy_prior.json`, fitted to published ImageNet results and to
Accel-NASBench (Ahmad et al., Apache-2.0), once in full and once without each of 18 families.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.space.architecture import Architecture
from palmette.space.compiled import CompiledSpace
from palmette.space.errors import InputError, expect
from palmette.train import compiled, families, guards
from palmette.train.features import (
    FEATURES,
    SUMS,
    Floats,
    Place,
    features_of,
    log_aspect,
    places,
    sums_of,
)
from palmette.train.formula import (
    FIXED,
    TERMS,
    Coefficients,
    Formula,
    jackknife_variance,
    number_pair,
)

FORMAT = "palmette/accuracy-prior@1"
CV_MAE_POINTS = 1.3
"""Mean absolute error in points on families of networks left out of the fit."""
MEAN_RECIPE = "mean recipe"
LAMBDA = 0.5
CONFIDENCE = 0.8

_RESIDUAL_SD = 1.7  # points; root mean square error on families left out
_HULL_SD = 1.0  # points per unit of distance outside the hull
_Z = 1.2815515655446004  # two-sided 80 % of a normal distribution
_CHANCE = 0.1  # % top-1 by guessing among 1000 classes

_TAIL = SUMS.index("tail")
_SIZE = list(FEATURES).index("R")
_HULL = {**TERMS, "K": "Kall", "H": "lf"}
"""Names in the file of coefficients."""


@dataclass(frozen=True, slots=True)
class PriorBatch:
    """Estimates for n networks; arrays of shape (n,)."""

    top1: Floats
    """%, behind the guards."""
    sigma: Floats
    """Standard deviation of the estimate in points."""
    violation: Floats
    """0 for a structurally valid network, else how far it is from one."""
    guarded: NDArray[np.bool_]
    """True where a guard withheld a reward."""

    def interval(self) -> tuple[Floats, Floats]:
        """Lower and upper end of the 80 % interval of a normal distribution, in %."""
        half = _Z * self.sigma
        return np.maximum(self.top1 - half, 0.0), np.minimum(self.top1 + half, 100.0)

    def score(self, lam: float = LAMBDA) -> Floats:
        """What a search ranks by: estimate - lam * sigma."""
        return self.top1 - lam * self.sigma


@dataclass(frozen=True, slots=True)
class AccuracyPrior:
    """The estimator; `load` gives the one shipped with palmette.

    `bare` is the formula without guards, `left_out` the families that its fits after the first did
    without, `recipes` the u of each recipe.
    """

    bare: Formula
    left_out: tuple[str, ...]
    recipes: Mapping[str, float]
    hull: guards.Hull

    # Where priors come from

    @classmethod
    @functools.cache
    def load(cls) -> AccuracyPrior:
        """The prior shipped with palmette."""
        path = files("palmette.train") / "data" / "accuracy_prior.json"
        return cls.from_dict(json.loads(path.read_text("utf-8")), path.name)

    @classmethod
    def from_dict(cls, data: Any, where: str = "accuracy prior") -> AccuracyPrior:
        """Prior from the plain values of its JSON file.

        Raises:
            InputError: another format version, or a coefficient is missing or not a number.
        """
        expect(
            isinstance(data, dict) and data.get("format") == FORMAT,
            f"{where}: key 'format' must be '{FORMAT}'",
        )
        try:
            hull, members = data["hull"], data["jackknife_members"]
            fits = [Coefficients.from_dict(fit) for fit in (data["center"], *members.values())]
            return cls(
                Formula.of(fits, {name: float(data["fixed"][key]) for name, key in FIXED.items()}),
                tuple(members),
                {name: float(u) for name, u in data["recipe_u"].items()},
                guards.Hull.of({name: number_pair(hull[key]) for name, key in _HULL.items()}),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{where}: a coefficient is missing or no number ({error!r})"
            ) from None

    # Estimates

    def features(self, architecture: Architecture) -> dict[str, float]:
        """The nine features of the whole network, before any guard (see `features`).

        Raises:
            InputError: the prior cannot judge the network (see `families`).
        """
        sums = sums_of(architecture, list(places(architecture)))
        return dict(zip(FEATURES, features_of(sums[None])[:, 0].tolist(), strict=True))

    def formula(self, features: Mapping[str, float], recipe: str | None = None) -> float:
        """Top-1 in % by the bare formula, without guards."""
        column = np.array([[features[name]] for name in FEATURES])
        return float(100.0 - self.bare.errors(column, self.recipe_offset(recipe))[0, 0])

    def evaluate(
        self, architectures: Sequence[Architecture], recipe: str | None = None
    ) -> PriorBatch:
        """Guarded estimates of architectures.

        Raises:
            InputError: an unknown recipe, or a block that the prior cannot judge.
        """
        sums, dropped, violation, variance, aspect = [], [], [], [], []
        for architecture in architectures:
            stand = list(places(architecture))
            counted = [place for place in stand if guards.counts_in_features(place)]
            sums.append(sums_of(architecture, counted))
            dropped.append(len(stand) - len(counted))
            violation.append(sum(v.amount for v in guards.violations(architecture)))
            variance.append(_family_variance(_stage_shares(architecture, counted)))
            aspect.append(architecture.resolution)
        return self.judge(
            np.array(sums).reshape(-1, len(SUMS)),
            np.array(dropped, dtype=np.float64),
            np.array(violation, dtype=np.float64),
            np.array(variance, dtype=np.float64),
            log_aspect(*np.array(aspect, dtype=np.float64).reshape(-1, 2).T),
            self.recipe_offset(recipe),
        )

    def predict(
        self, architectures: Sequence[Architecture], recipe: str | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """Top-1 and the ends of its 80 % interval in %, each of shape (n,); raises as `evaluate`.

        The interval is a normal one with the sigma of `PriorBatch`: residual (1.7 points),
        jackknife, distance outside the hull (1 point per unit), the families' part (`families`) and
        that of a shape that is not square added in squares.
        """
        batch = self.evaluate(architectures, recipe)
        return (batch.top1, *batch.interval())

    def score(
        self, architectures: Sequence[Architecture], recipe: str | None = None, lam: float = LAMBDA
    ) -> Floats:
        """Estimate - lam * sigma, shape (n,): what a search ranks by; raises as `evaluate`."""
        return self.evaluate(architectures, recipe).score(lam)

    def compile(self, space: CompiledSpace, recipe: str | None = None) -> compiled.CompiledPrior:
        """The same estimates for codes of a space, by the hundred thousand.

        Raises:
            InputError: an unknown recipe, or a block that the prior cannot judge.
        """
        return compiled.CompiledPrior.of(self, space, self.recipe_offset(recipe))

    def recipe_offset(self, recipe: str | None) -> float:
        """u of a recipe by name; 0 for None, the mean recipe."""
        if recipe is None:
            return 0.0
        expect(
            recipe in self.recipes,
            f"recipe '{recipe}' is unknown; known: {', '.join(self.recipes)}",
        )
        return self.recipes[recipe]

    def judge(
        self,
        sums: Floats,
        dropped: Floats,
        violation: Floats,
        family_variance: Floats,
        aspect: Floats,
        offset: float = 0.0,
    ) -> PriorBatch:
        """Estimates from `features.SUMS` (n, 12) over the blocks that count.

        Args:
            sums: one row per network.
            dropped: blocks past the depth limit, (n,).
            violation: amount of structural violations, (n,).
            family_variance: what families of blocks outside the fit add to sigma^2, (n,).
            aspect: `features.log_aspect` of the image, (n,).
            offset: u of the recipe.
        """
        features = features_of(sums, guards.TAIL_PARAMS)
        guarded = guards.changed(features, self.hull, sums[:, _TAIL], dropped)
        rewarded = np.minimum(features, self.hull.rewarded)
        errors = self.bare.errors(rewarded, offset)
        top1 = np.maximum(100.0 - errors[0], _CHANCE)
        distance = _HULL_SD * self.hull.distance(features)
        variance = _RESIDUAL_SD**2 + jackknife_variance(errors[1:]) + np.square(distance)
        variance += family_variance + self._shape_variance(rewarded, aspect, offset)
        return PriorBatch(top1, np.sqrt(variance), violation, guarded)

    def _shape_variance(self, features: Floats, aspect: Floats, offset: float) -> Floats:
        """Of images that are not square: half the difference that their sides make, squared."""
        variance = np.zeros_like(aspect)
        oblong = np.flatnonzero(aspect)
        if len(oblong):
            sides = []
            for half in (-aspect[oblong] / 2, aspect[oblong] / 2):
                moved = features[:, oblong].copy()
                moved[_SIZE] += half
                sides.append(self.bare.errors(moved, offset)[0])
            variance[oblong] = np.square((sides[0] - sides[1]) / 2)
        return variance

    def active_guards(self, architecture: Architecture) -> list[str]:
        """Every guard that changes the estimate of an architecture, or that it violates."""
        stand = list(places(architecture))
        counted = [place for place in stand if guards.counts_in_features(place)]
        sums = sums_of(architecture, counted)
        found = []
        if len(counted) < len(stand):
            surplus = len(stand) - len(counted)
            found.append(f"depth: {surplus} blocks past the limit of their stage don't count")
        if sums[_TAIL] > guards.TAIL_PARAMS:
            found.append(
                f"head: of {sums[_TAIL] / 1e6:.2f} M parameters in 1x1 convolutions outside the"
                f" blocks {guards.TAIL_PARAMS / 1e6:g} M count"
            )
        features = features_of(sums[None], guards.TAIL_PARAMS)
        rows = zip(FEATURES.items(), features[:, 0], self.hull.rewarded[:, 0], strict=True)
        found += [
            f"hull: {word}: {name} = {value:.3f} counts as {limit:g}"
            for (name, word), value, limit in rows
            if value > limit
        ]
        broken = [f"structure: {v.text}" for v in guards.violations(architecture)]
        return list(dict.fromkeys(found + broken))  # repeated blocks break a rule alike

    def widened(self, architecture: Architecture) -> list[dict[str, Any]]:
        """Families of blocks outside the fit that widen the estimate of an architecture.

        Of each: `family` (kind of block), `share` of the blocks that count, `networks` (published
        ones behind it), `bias` and `spread` of the prior on these in points, and `variance`, what
        sigma^2 gains.
        """
        counted = [place for place in places(architecture) if guards.counts_in_features(place)]
        shares = _stage_shares(architecture, counted)
        total, table = sum(count for _, _, count in shares), families.load()
        found: dict[str, float] = {}
        for name, _, count in shares:
            if name in table:
                found[name] = found.get(name, 0.0) + count
        return [
            {
                "family": name,
                "share": count / total,
                "networks": len(table[name].errors),
                "bias": table[name].bias,
                "spread": table[name].spread,
                "variance": count / total * table[name].variance,
            }
            for name, count in found.items()
        ]

    def report(self, architecture: Architecture, recipe: str | None = None) -> dict[str, Any]:
        """Everything that `palmette accuracy` says, as plain values; raises as `evaluate`."""
        batch = self.evaluate([architecture], recipe)
        lower, upper = batch.interval()
        return {
            "rung": "prior",
            "recipe": recipe or MEAN_RECIPE,
            "top1": float(batch.top1[0]),
            "lower": float(lower[0]),
            "upper": float(upper[0]),
            "interval_confidence": CONFIDENCE,
            "sigma": float(batch.sigma[0]),
            "cross_validated_mae": CV_MAE_POINTS,
            "tie_points": guards.TIE_POINTS,
            "features": self.features(architecture),
            "active_guards": self.active_guards(architecture),
            "widened": self.widened(architecture),
        }


def widening_line(row: Mapping[str, Any]) -> str:
    """A row of `AccuracyPrior.widened` in words."""
    return (
        f"'{row['family']}' blocks, {row['share']:.0%} of those that count, are outside the fit; on"
        f" {row['networks']} published networks with them the prior is off by"
        f" {row['bias']:+.1f} points, spread {row['spread']:.1f}"
    )


def _stage_shares(
    architecture: Architecture, counted: Sequence[Place]
) -> list[tuple[str, float, float]]:
    """Family of each block of the stages, with its `families.share_of`."""
    return [
        (families.family_of(place.block), *families.share_of(place.block, place.kxk))
        for place in counted
        if 0 <= place.stage < len(architecture.stages)
    ]


def _family_variance(shares: Sequence[tuple[str, float, float]]) -> float:
    return sum(weighted for _, weighted, _ in shares) / sum(blocks for *_, blocks in shares)
