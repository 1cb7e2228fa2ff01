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

from palmette.latency.kernels import FAST_CONVS, WORK, FastConv, Kernel, KernelTable
from palmette.latency.power_law import (
    GROUPS,
    LEAST_ROWS,
    PowerLaw,
    fit_power_law,
    generators,
    trait_flags,
)
from palmette.latency.robust import PositiveFit, Prior, fit_positive
from palmette.latency.trees import BoostedTrees
from palmette.space.errors import expect

Floats = NDArray[np.float64]
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
DENSE = ("conv", "conv_transpose")


class OpModel(Protocol):
    """What every model of kernels offers."""

    def fit(self, kernels: Kernels, ms: Floats) -> Self:
        """Fit to milliseconds (n,) of kernels."""
        ...

    def op_ms(self, kernels: Kernels) -> Floats:
        """Milliseconds of kernels, (n,), positive."""
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

    def op_ms(self, kernels: Kernels) -> Floats:
        """Milliseconds of kernels, (n,), positive."""
        table = _table(kernels)
        ms: Floats = _amounts(table, self.fast_) @ self.prices_ + _floor(table)
        return ms

    predict = op_ms

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
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
    """Sums of power laws for each group of sorts; `ParametricOps` where a group has few rows."""

    parametric_: ParametricOps
    laws_: dict[int, PowerLaw]

    def fit(self, kernels: Kernels, ms: Floats) -> Self:
        """Fit to milliseconds (n,); raises InputError for none, or one that is not positive."""
        table, ms = _checked(kernels, ms)
        self.parametric_ = ParametricOps().fit(table, ms)
        generated, flags = generators(table, self.parametric_.fast_), trait_flags(table)
        self.laws_ = {}
        for group, sorts in enumerate(GROUPS):
            rows = table.is_sort(*sorts)
            if rows.sum() >= LEAST_ROWS:
                law = fit_power_law(generated[rows], flags[rows], np.log(ms[rows]))
                self.laws_[group] = law
        return self

    def op_ms(self, kernels: Kernels) -> Floats:
        """Milliseconds of kernels, (n,), positive."""
        table = _table(kernels)
        generated, flags = generators(table, self.parametric_.fast_), trait_flags(table)
        ms, floor = self.parametric_.op_ms(table), _floor(table)
        for group, law in self.laws_.items():
            rows = table.is_sort(*GROUPS[group])
            ms[rows] = np.exp(law.log_ms(generated[rows], flags[rows])) + floor[rows]
        return ms

    predict = op_ms

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        laws = {str(group): law.to_dict() for group, law in self.laws_.items()}
        return {"parametric": self.parametric_.to_dict(), "laws": laws}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PowerOps:
        """From plain values; raises KeyError, TypeError or ValueError on malformed ones."""
        model = cls()
        model.parametric_ = ParametricOps.from_dict(data["parametric"])
        model.laws_ = {int(g): PowerLaw.from_dict(law) for g, law in data["laws"].items()}
        if not set(model.laws_) <= set(range(len(GROUPS))):
            raise ValueError(f"groups are 0 to {len(GROUPS) - 1}")
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


def _fit_prices(table: KernelTable, fast: FastConv, ms: Floats) -> PositiveFit:
    amounts = _amounts(table, fast)
    share = np.median(ms) / amounts.shape[1]
    present = [column[column > 0] for column in amounts.T]
    middle = np.log([share / np.median(some) if len(some) else share for some in present])
    prior = Prior(middle, np.full(len(middle), PRICE_SPREAD))
    return fit_positive(amounts, ms, prior, ROBUST_SCALE, _floor(table))
