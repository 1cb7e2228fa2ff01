"""How far a prediction can be off: Student-t intervals on leave-one-network-out log errors.

For every network the family is fitted again without it, on all targets and in all its widths and
resolutions. The spread of a class of networks on a target is the root mean square of its designs'
log errors; with n designs the interval at confidence c is

    ms * exp(+-t_n((1 + c) / 2) * spread * sqrt(1 + 1 / n))

It is parametric: no distribution-free interval above n / (n + 1) exists for so few networks.
Networks with more or less work than any that was timed get more: the spread grows by a tenth of
their largest log distance in MACs, elements or weights (a choice of ours, not a fit).
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from palmette.latency.budget import expect_confidence
from palmette.latency.stored import listed, number, text, whole
from palmette.latency.whole.features import FEATURES
from palmette.latency.whole.model import Measured, TargetModel, fit_family
from palmette.space import ZOO, Architecture, OpTable, load

Floats = NDArray[np.float64]

DEFAULT_CONFIDENCE = 0.8
HULL_FEATURES = ("macs", "elements", "weights")
HULL_GROWTH = 0.1
METHOD = "Student-t on leave-one-network-out log errors"
LEAST_SPREAD = 1e-3
"""Timings are printed to two or three digits: no fit of a few can be better than that."""
CLASSES = ("mobile", "other")
CHANNELS = ("macs_dense", "macs_depth", "unusual", *HULL_FEATURES)
"""Feature sums from which a network's class and its distance from the timed ones follow."""


@functools.cache
def design(network: str) -> str:
    """Name without width, resolution and `_as_timed`: what must be held out together.

    Architecture texts lose their resolution alone, and those of zoo networks become their names.
    """
    if "|" in network:
        architecture = Architecture.from_text(network)
        zoo = (name for name in ZOO if load(name).stages == architecture.stages)
        return next(zoo, architecture.to_text().partition(" ")[2])
    name = Path(network).stem if network.endswith(".csv") else network
    layout = re.sub(r"(_backbone_\d+|@\d+x\d+|_as_timed)$", "", name)
    return re.sub(r"_\d+\.\d+$", "", layout)


def class_index(sums: Floats) -> NDArray[np.int64]:
    """Class of networks by their `CHANNELS` sums (..., channels): 0 mobile, 1 other.

    Mobile networks have depthwise convolutions, at most half of their MACs in other kxk ones, and
    no dilated convolution, permutation or gather.
    """
    dense, depthwise, unusual, macs = (sums[..., index] for index in range(4))
    mobile = (depthwise > 0) & (dense <= 0.5 * macs) & (unusual == 0)
    return np.asarray(~mobile, dtype=np.int64)


def hull_channels(ops: OpTable) -> Floats:
    """Values of `CHANNELS` for each op, shape (ops, channels)."""
    return np.stack([FEATURES[name](ops) for name in CHANNELS], axis=1)


def hull_sums(measured: Measured, network: str) -> Floats:
    """Sums of `CHANNELS` over a timed network, shape (channels,)."""
    return np.array([measured.total(network, name) for name in CHANNELS])


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Spread of log errors by class of networks, and the hull of the timed networks.

    `spread` and `networks` follow `CLASSES`; `hull` has a (lowest, highest) log sum per
    `HULL_FEATURES`.
    """

    spread: tuple[float, float]
    networks: tuple[int, int]
    hull: tuple[tuple[float, float], ...]
    method: str = METHOD
    """How the spread was found, in words."""

    def log_spread(self, sums: Floats) -> Floats:
        """Spread of the log prediction from `CHANNELS` sums (..., channels)."""
        logs = np.log(np.maximum(sums[..., 3:], 1e-9))
        low, high = np.array(self.hull).T
        distance = np.maximum(np.maximum(low - logs, logs - high), 0).max(axis=-1)
        spread: Floats = np.hypot(np.array(self.spread)[class_index(sums)], HULL_GROWTH * distance)
        return spread

    def outside(self, sums: Floats) -> NDArray[np.bool_]:
        """Whether a network's work lies outside that of all timed networks."""
        logs = np.log(np.maximum(sums[..., 3:], 1e-9))
        low, high = np.array(self.hull).T
        mask: NDArray[np.bool_] = ((logs < low - 1e-9) | (logs > high + 1e-9)).any(axis=-1)
        return mask

    def factor(self, sums: Floats, confidence: float, two_sided: bool = True) -> Floats:
        """Factor by which the time may be off, (...,) >= 1.

        Args:
            sums: `CHANNELS` sums, (..., channels).
            confidence: above 0.5 and below 1. Two-sided: share of networks inside ms / factor to
                ms * factor; else share below ms * factor.
            two_sided: see `confidence`.
        """
        expect_confidence(confidence)
        count = np.array(self.networks)
        quantile = stdtrit(count, (1 + confidence) / 2 if two_sided else confidence)
        width = quantile * np.sqrt(1 + 1 / count)  # of each class: the quantiles are dear
        factor: Floats = np.exp(width[class_index(sums)] * self.log_spread(sums))
        return factor

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": self.method,
            "classes": {
                name: {"spread": spread, "networks": count}
                for name, spread, count in zip(CLASSES, self.spread, self.networks, strict=True)
            },
            "hull": dict(zip(HULL_FEATURES, map(list, self.hull), strict=True)),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Uncertainty:
        """From plain values; raises KeyError, TypeError or ValueError on malformed ones."""
        classes = [data["classes"][name] for name in CLASSES]
        spread = [number(row["spread"], LEAST_SPREAD) for row in classes]
        counts = [whole(row["networks"], 1) for row in classes]
        hull = []
        for name in HULL_FEATURES:
            low, high = (number(value) for value in listed(data["hull"][name]))
            hull.append((low, number(high, low)))
        return cls(
            (spread[0], spread[1]), (counts[0], counts[1]), tuple(hull), text(data["method"])
        )


def held_out_fits(family: str, measured: Measured) -> dict[str, dict[str, TargetModel]]:
    """Models of a family fitted without each design in turn: design -> target -> model."""
    own = {name for rows in measured.latency_ms.values() for name in rows}
    designs = sorted({design(name) for name in own})
    return {
        held: fit_family(
            family, measured.without(frozenset(n for n in measured.ops if design(n) == held))
        )
        for held in designs
    }


def held_out_errors(
    targets: list[str], measured: Measured, fits: Mapping[str, Mapping[str, TargetModel]]
) -> dict[str, dict[str, float]]:
    """Log of predicted over measured with the network held out: target -> network -> error."""
    errors: dict[str, dict[str, float]] = {}
    for target in targets:
        rows = measured.latency_ms[target]
        errors[target] = {
            name: math.log(measured.predict(name, fits[design(name)][target]) / ms)
            for name, ms in rows.items()
            if target in fits[design(name)]
        }
    return errors


def estimate(measured: Measured, errors: Mapping[str, float]) -> Uncertainty:
    """Uncertainty of a target from its held-out errors (network -> log error)."""
    return estimate_from({name: hull_sums(measured, name) for name in errors}, errors)


def estimate_from(
    sums: Mapping[str, Floats],
    errors: Mapping[str, float],
    kin: Callable[[str], str] = design,
    method: str = METHOD,
) -> Uncertainty:
    """Uncertainty from held-out log errors of networks and their `CHANNELS` sums.

    `kin` says which networks were held out together: they count once. A class that no timed network
    is of takes the spread of all.
    """
    everything = _mean_squares(errors, kin)
    mobile = {name: e for name, e in errors.items() if class_index(sums[name]) == 0}
    squares = [_mean_squares(mobile, kin) or everything, everything]
    logs = np.log(np.array([total[3:] for total in sums.values()]))
    spread = [max(float(np.sqrt(np.mean(values))), LEAST_SPREAD) for values in squares]
    hull = zip(logs.min(axis=0).tolist(), logs.max(axis=0).tolist(), strict=True)
    counts = (len(squares[0]), len(squares[1]))
    return Uncertainty((spread[0], spread[1]), counts, tuple(hull), method)


def _mean_squares(errors: Mapping[str, float], kin: Callable[[str], str]) -> list[float]:
    """Mean squared error of each kin: it counts once, in however many widths it was timed."""
    squares: dict[str, list[float]] = {}
    for name, error in errors.items():
        squares.setdefault(kin(name), []).append(error**2)
    return [float(np.mean(values)) for values in squares.values()]
