"""Models of what a kernel costs, fitted to timings of kernels. One interface, four forms.

    model.fit(kernels, ms).op_ms(kernels) -> (n,) ms, all positive

* `ParametricOps`: prices times work over a physical floor; for few rows;
* `PowerOps`: sums of power laws by sort of kernel over the same floor;
* `TreeOps`: those, and boosted trees that do not fall along any work;
* `NearestOps`: look-up, else the nearest timed kernels on the scale of the power laws.

The first three are strictly increasing: a larger window, more channels or more resolution never
comes cheaper or free. `NearestOps` is not (a neighbour drops out, another comes in): no search may
use it. Kernels are given as such or as their `KernelTable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from palmette.latency.per_op.kernels import FAST_CONVS, TRAITS, WORK, FastConv, Kernel, KernelTable
from palmette.latency.per_op.power_law import (
    GROUPS,
    LEAST_ROWS,
    PowerLaw,
    fit_power_law,
    generators,
    trait_flags,
)
from palmette.latency.per_op.trees import BoostedTrees
from palmette.latency.robust import PositiveFit, Prior, fit_positive
from palmette.latency.stored import number, whole
from palmette.space.errors import expect

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Kernels = KernelTable | Sequence[Kernel]

ROBUST_SCALE, PRICE_SPREAD = 0.2, 1.0
FLOOR_MS = {"macs": 1e-11, "moved": 1e-10}
"""Least ms per MAC and per element: 100 tera-MACs and 10 tera-elements a second."""
PRICES = (
    "start",
    "macs",
    "macs_depthwise",
    "macs_grouped",
    "macs_linear",
    "read",
    "written",
    "weights",
    "fused",
)
_MACS = ("macs", "macs_grouped", "macs_depthwise", "macs_linear")
LIKE_PRICES = {
    **{name: (name, *_MACS, "read") for name in _MACS},
    **{name: (name, "read", "written", "start") for name in ("weights", "fused")},
}
"""Price -> prices of the same unit in whose place it comes, the first that was shown."""
DENSE = ("conv", "conv_transpose")
LARGEST_LOG = 600.0


class OpModel(Protocol):
    """What every model of kernels offers."""

    def fit(self, kernels: Kernels, ms: Floats) -> Self:
        """Fit to milliseconds (n,) of kernels."""
        ...

    def op_ms(self, kernels: Kernels) -> Floats:
        """Milliseconds of kernels, (n,), positive."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        ...


class ParametricOps(RegressorMixin, BaseEstimator):
    """Non-negative prices of work: `floor + sum(price * amount)`, see `PRICES`.

    Maximum a posteriori in log prices with a soft L1 loss of the log error; the prior gives each
    price an equal share of the median time. The rule of the fast 3x3 convolution (`FastConv`) that
    fits the dense convolutions best is chosen first.
    """

    prices_: Floats
    fast_: FastConv

    def fit(self, kernels: Kernels, ms: Floats) -> Self:
        """Fit to milliseconds (n,); raises InputError for none, or one that is not positive."""
        table, ms = _checked(kernels, ms)
        dense = table.is_sort(*DENSE)
        self.fast_ = FastConv()
        if dense.sum() >= LEAST_ROWS:
            some, times = table.take(dense), ms[dense]
            fits = [_fit_prices(some, fast, times).loss for fast in FAST_CONVS]
            self.fast_ = FAST_CONVS[int(np.argmin(fits))]
        self.prices_ = _fit_prices(table, self.fast_, ms).coefficients
        return self

    def fit_sums(self, kernels: Kernels, group: Ints, ms: Floats) -> Self:
        """Fit to milliseconds (groups,) of kernels that were timed together.

        `group` (n,) says which group each kernel is of.
        """
        self.fast_ = FastConv()
        self.prices_ = _fit_prices(_table(kernels), self.fast_, ms, group).coefficients
        return self

    def op_ms(self, kernels: Kernels) -> Floats:
        """Milliseconds of kernels, (n,), positive."""
        check_is_fitted(self)
        table = _table(kernels)
        ms: Floats = _amounts(table, self.fast_) @ self.prices_ + _floor(table)
        return ms

    predict = op_ms

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        check_is_fitted(self)
        fast = self.fast_
        return {
            "prices": dict(zip(PRICES, self.prices_.tolist(), strict=True)),
            "fast_conv": [fast.share, fast.channels, fast.area],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ParametricOps:
        """From plain values; raises KeyError, TypeError or ValueError on malformed ones."""
        model = cls()
        model.prices_ = np.array([float(data["prices"][name]) for name in PRICES])
        share, channels, area = data["fast_conv"]
        model.fast_ = FastConv(float(share), int(channels), int(area))
        if not (np.isfinite(model.prices_) & (model.prices_ >= 0)).all():
            raise ValueError("prices must be finite and not negative")
        # with less than a ninth a 3x3 convolution would count less than a 1x1
        if not (1 / 9 <= model.fast_.share <= 1 and min(channels, area) >= 1):
            raise ValueError("fast_conv is a share of 1/9 to 1, and channels and area of 1 or more")
        return model


class PowerOps(RegressorMixin, BaseEstimator):
    """Sums of power laws for each group of sorts; `ParametricOps` where a group has few rows.

    A law never leaves the parametric model by more than it does on the kernels it was fitted to:
    products of powers of a few rows run away outside them. The middle of three increasing functions
    increases too.
    """

    parametric_: ParametricOps
    laws_: dict[int, PowerLaw]
    reach_: dict[int, float]

    def fit(self, kernels: Kernels, ms: Floats) -> Self:
        """Fit to milliseconds (n,); raises InputError for none, or one that is not positive."""
        table, ms = _checked(kernels, ms)
        self.parametric_ = ParametricOps().fit(table, ms)
        generated, flags = generators(table, self.parametric_.fast_), trait_flags(table)
        plain = np.log(self.parametric_.op_ms(table))
        self.laws_, self.reach_ = {}, {}
        for group, sorts in enumerate(GROUPS):
            rows = table.is_sort(*sorts)
            if rows.sum() >= LEAST_ROWS:
                law = fit_power_law(generated[rows], flags[rows], np.log(ms[rows]))
                self.laws_[group] = law
                away = law.log_ms(generated[rows], flags[rows]) - plain[rows]
                self.reach_[group] = float(np.exp(np.abs(away).max()))
        return self

    def op_ms(self, kernels: Kernels) -> Floats:
        """Milliseconds of kernels, (n,), positive."""
        check_is_fitted(self)
        table = _table(kernels)
        generated, flags = generators(table, self.parametric_.fast_), trait_flags(table)
        ms, floor = self.parametric_.op_ms(table), _floor(table)
        for group, law in self.laws_.items():
            rows = table.is_sort(*GROUPS[group])
            reach, plain = self.reach_[group], ms[rows]
            # a law run away to infinity is cut back all the same
            powers = np.exp(np.minimum(law.log_ms(generated[rows], flags[rows]), LARGEST_LOG))
            ms[rows] = np.clip(powers + floor[rows], plain / reach, plain * reach)
        return ms

    predict = op_ms

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        check_is_fitted(self)
        return {
            "parametric": self.parametric_.to_dict(),
            "laws": {str(group): law.to_dict() for group, law in self.laws_.items()},
            "reach": {str(group): reach for group, reach in self.reach_.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PowerOps:
        """From plain values; raises KeyError, TypeError or ValueError on malformed ones."""
        model = cls()
        model.parametric_ = ParametricOps.from_dict(data["parametric"])
        model.laws_ = {int(g): PowerLaw.from_dict(law) for g, law in data["laws"].items()}
        if not set(model.laws_) <= set(range(len(GROUPS))):
            raise ValueError(f"groups are 0 to {len(GROUPS) - 1}")
        model.reach_ = {group: number(data["reach"][str(group)], 1.0) for group in model.laws_}
        return model


class TreeOps(RegressorMixin, BaseEstimator):
    """Geometric mean of power laws and of boosted trees that do not fall along any work.

    The trees are fitted to `log(ms) - slope * log(power laws)`; the power laws are one of their
    features. The part that stays outside makes the total rise strictly, also beyond the timed
    kernels. Not all of it stays outside: where power laws rise too fast, trees that may not fall
    could not make up for it. The mean takes back half of what the trees learnt by heart.

    Args:
        slope: part of the log power laws that the trees leave alone, above 0, at most 1.
        share: weight of the trees in the mean, above 0, at most 1.
        trees: number of trees.
        leaves: most leaves of a tree.
        backbone: fitted power laws; fitted here if None.
    """

    backbone_: PowerOps
    trees_: BoostedTrees

    def __init__(
        self,
        slope: float = 0.2,
        share: float = 0.5,
        trees: int = 300,
        leaves: int = 31,
        backbone: PowerOps | None = None,
    ) -> None:
        self.slope = slope
        self.share = share
        self.trees = trees
        self.leaves = leaves
        self.backbone = backbone

    def fit(self, kernels: Kernels, ms: Floats) -> Self:
        """Fit to milliseconds (n,); raises InputError for none, or one that is not positive."""
        table, ms = _checked(kernels, ms)
        for name in ("slope", "share"):
            value = getattr(self, name)
            expect(0 < value <= 1, f"{name} must be above 0 and at most 1, got {value}")
        self.backbone_ = self.backbone or PowerOps().fit(table, ms)
        rows, logs = self._rows(table)
        rising = [True] * (len(WORK) + 2) + [False] * table.traits.shape[1]
        targets = np.log(ms) - self.slope * logs
        self.trees_ = BoostedTrees.fit(rows, targets, rising, self.trees, self.leaves)
        return self

    def op_ms(self, kernels: Kernels) -> Floats:
        """Milliseconds of kernels, (n,), positive."""
        check_is_fitted(self)
        rows, logs = self._rows(_table(kernels))
        grown = self.slope * logs + self.trees_.predict(rows)
        ms: Floats = np.exp((1 - self.share) * logs + self.share * grown)
        return ms

    predict = op_ms

    def _rows(self, table: KernelTable) -> tuple[Floats, Floats]:
        """Features of the trees, and log power laws."""
        logs = np.log(self.backbone_.op_ms(table))
        fast = self.backbone_.parametric_.fast_.macs(table)
        work = np.log(np.maximum(np.column_stack([fast, table.work]), 1.0))
        return np.column_stack([logs, work, table.traits]), logs

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        check_is_fitted(self)
        return {
            "slope": self.slope,
            "share": self.share,
            "backbone": self.backbone_.to_dict(),
            "trees": self.trees_.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TreeOps:
        """From plain values; raises KeyError, TypeError or ValueError on malformed ones."""
        model = cls(float(data["slope"]), float(data["share"]))
        if not (0 < model.slope <= 1 and 0 < model.share <= 1):
            raise ValueError("slope and share must be above 0 and at most 1")
        model.backbone_ = PowerOps.from_dict(data["backbone"])
        model.trees_ = BoostedTrees.from_dict(data["trees"])
        columns = len(WORK) + 2 + len(TRAITS)
        if (model.trees_.features >= columns).any():
            raise ValueError(f"trees have {columns} features")
        return model


class NearestOps(RegressorMixin, BaseEstimator):
    """The median of equal kernels, else neighbours on `log(ms / power laws)` by inverse distance.

    Not monotone: the choice of models and tables may use it, a search may not.

    Args:
        neighbours: how many timed kernels are asked.
        backbone: fitted power laws; fitted here if None.
    """

    backbone_: PowerOps
    points_: Floats
    logs_: Floats

    def __init__(self, neighbours: int = 4, backbone: PowerOps | None = None) -> None:
        self.neighbours = neighbours
        self.backbone = backbone

    def fit(self, kernels: Kernels, ms: Floats) -> Self:
        """Fit to milliseconds (n,); raises InputError for none, or one that is not positive."""
        table, ms = _checked(kernels, ms)
        self.backbone_ = self.backbone or PowerOps().fit(table, ms)
        places, groups = np.unique(_places(table), axis=0, return_inverse=True)
        logs = np.log(ms / self.backbone_.op_ms(table))
        groups = groups.ravel()
        self.points_ = places
        self.logs_ = np.array([np.median(logs[groups == group]) for group in range(len(places))])
        return self

    def op_ms(self, kernels: Kernels) -> Floats:
        """Milliseconds of kernels, (n,), positive."""
        check_is_fitted(self)
        table = _table(kernels)
        count = min(self.neighbours, len(self.points_))
        ranks = list(range(1, count + 1))  # a list keeps the second axis also for one neighbour
        far, near = cKDTree(self.points_).query(_places(table), k=ranks)
        weights = 1.0 / np.maximum(
            np.asarray(far), 1e-12
        )  # a kernel that was timed outweighs all others
        mean = (weights * self.logs_[near]).sum(axis=1) / weights.sum(axis=1)
        ms: Floats = np.exp(mean) * self.backbone_.op_ms(table)
        return ms

    predict = op_ms

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        check_is_fitted(self)
        return {
            "neighbours": self.neighbours,
            "backbone": self.backbone_.to_dict(),
            "points": self.points_.tolist(),
            "logs": self.logs_.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NearestOps:
        """From plain values; raises KeyError, TypeError or ValueError on malformed ones."""
        model = cls(whole(data["neighbours"], 1))
        model.backbone_ = PowerOps.from_dict(data["backbone"])
        model.points_ = np.array(data["points"], dtype=float)
        model.logs_ = np.array(data["logs"], dtype=float)
        if model.points_.shape != (len(model.logs_), len(WORK) + len(TRAITS)) or not len(
            model.logs_
        ):
            raise ValueError(f"points must be (n, {len(WORK) + len(TRAITS)}), and logs (n,)")
        if not (np.isfinite(model.points_).all() and np.isfinite(model.logs_).all()):
            raise ValueError("points and logs must be finite")
        return model


STRICT_MODELS = ("parametric", "power", "trees")
"""Models that rise strictly: what a search may use."""
OP_MODELS = (*STRICT_MODELS, "nearest")


def fit_op_models(
    kernels: Kernels, ms: Floats, names: Sequence[str] = OP_MODELS
) -> dict[str, OpModel]:
    """Models by name, all on the same power laws; raises InputError as their `fit`."""
    table = _table(kernels)
    backbone = PowerOps().fit(table, ms)
    found: dict[str, OpModel] = {"parametric": backbone.parametric_, "power": backbone}
    later: dict[str, OpModel] = {
        "trees": TreeOps(backbone=backbone),
        "nearest": NearestOps(backbone=backbone),
    }
    found |= {name: model.fit(table, ms) for name, model in later.items() if name in names}
    return {name: found[name] for name in names}


def _places(table: KernelTable) -> Floats:
    # kernels of different sorts are not neighbours, whatever their shapes
    return np.column_stack([np.log(np.maximum(table.work, 1.0)), table.traits * 10.0])


def _table(kernels: Kernels) -> KernelTable:
    return kernels if isinstance(kernels, KernelTable) else KernelTable.of(kernels)


def _checked(kernels: Kernels, ms: Floats) -> tuple[KernelTable, Floats]:
    table, ms = _table(kernels), np.asarray(ms, dtype=float)
    expect(ms.shape == (len(table),), f"{len(table)} kernels need as many ms, got {ms.shape}")
    expect(bool((np.isfinite(ms) & (ms > 0)).all()), "ms of kernels must be positive and finite")
    return table, ms


def _amounts(table: KernelTable, fast: FastConv) -> Floats:
    macs, sort = fast.macs(table), table.is_sort
    columns = {
        "start": np.ones(len(table)),
        "macs": macs * sort(*DENSE),
        "macs_depthwise": macs * sort("depthwise"),
        "macs_grouped": macs * sort("grouped"),
        "macs_linear": macs * sort("linear", "matmul"),
        **{name: table.column(name) for name in ("read", "written", "weights", "fused")},
    }
    return np.stack([columns[name] for name in PRICES], axis=1)


def _floor(table: KernelTable) -> Floats:
    parts = [table.column(name) * price for name, price in FLOOR_MS.items()]
    total: Floats = np.sum(parts, axis=0)
    return total


def _fit_prices(
    table: KernelTable, fast: FastConv, ms: Floats, group: Ints | None = None
) -> PositiveFit:
    amounts, floor = _amounts(table, fast), _floor(table)
    if group is not None:
        amounts = np.stack([np.bincount(group, column) for column in amounts.T], axis=1)
        floor = np.bincount(group, floor).astype(np.float64)
    share = np.median(ms) / amounts.shape[1]
    present = [column[column > 0] for column in amounts.T]
    middle = np.log([share / np.median(some) if len(some) else share for some in present])
    prior = Prior(middle, np.full(len(middle), PRICE_SPREAD))
    found = fit_positive(amounts, ms, prior, ROBUST_SCALE, floor)
    shown = {name for name, some in zip(PRICES, present, strict=True) if len(some)}
    for place, name in enumerate(PRICES):
        # nothing that was timed shows this price: an arbitrary one would ruin what is not timed
        like = next((other for other in LIKE_PRICES.get(name, ()) if other in shown), name)
        found.coefficients[place] = found.coefficients[PRICES.index(like)]
    return found
