"""Cost forms: which features a unit's milliseconds are made of.

A form prices an op as

    floor + sum(price * feature) + max(sum(price * feature of computing), price * feature of moving)

with all prices positive; without the two last lists it is linear. A network's milliseconds are a
constant plus the sum over its ops. Forms and families follow our fits to the 2020 timings and to
those of iOS 16; `palmette latency validate` prints what they reach.

Permutations and gathers took the CPU of 2020 time by what they moved, the GPU by their number. Only
one network has dilated convolutions: without their own price it would bend all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.latency.targets import ELEMENT_FLOOR_MS, Target
from palmette.latency.whole.features import FEATURES, macs, traffic, weights
from palmette.space import OpTable

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Form:
    """Names of features by their role; see the module's formula."""

    name: str
    additive: tuple[str, ...]
    compute: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """All features in the order of their prices."""
        return (*self.additive, *self.compute, *self.moved)

    def matrix(self, ops: OpTable) -> Floats:
        """Feature values, shape (ops, features)."""
        return np.stack([FEATURES[name](ops) for name in self.features], axis=1)

    def active(self, matrix: Floats, prices: Floats) -> Floats:
        """The matrix with the losing side of the roofline set to zero, per op.

        Multiplied by the prices and summed it gives the cost of the ops.
        """
        if not self.moved:
            return matrix
        first, last = len(self.additive), len(self.features) - len(self.moved)
        computing = matrix[:, first:last] @ prices[first:last] >= matrix[:, last:] @ prices[last:]
        counted = matrix.copy()
        counted[:, first:last] *= computing[:, None]
        counted[:, last:] *= ~computing[:, None]
        return counted


FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        Form(
            "cpu_linear",
            (
                "macs_point",
                "macs_depth",
                "macs_dense",
                "elements",
                "clipped",
                "sigmoided",
                "weights",
                "moves",
                "macs_dilated",
            ),
        ),
        Form(
            "cpu_roofline",
            ("layers", "clipped", "sigmoided", "gated", "weights", "moves", "macs_dilated"),
            ("macs_point", "macs_depth", "macs_dense"),
            ("elements",),
        ),
        Form(
            "gpu_linear",
            (
                "layers",
                "macs_point",
                "macs_dense",
                "elements",
                "activated",
                "weights",
                "shuffles",
            ),
        ),
        Form(
            "gpu_roofline",
            ("layers", "activated", "gates", "weights", "shuffles"),
            ("macs_point", "macs_depth", "macs_dense"),
            ("elements",),
        ),
        Form("ane_native_ios13", ("macs", "elements", "dispatched")),
        Form("ane_ios16", ("elements", "weights", "spilled", "gated")),
    )
}
"""Every form by name, as stored predictors name them."""


@dataclass(frozen=True, slots=True)
class Family:
    """How targets of one family are modelled.

    `forms` are fitted side by side and blended by the geometric mean. `fallback` maps a feature to
    the family on whose unit a network runs instead as soon as it has an op with that feature: the
    iOS 13 Neural Engine either ran a network or left it to another unit. `unpriced` are features of
    ops that the forms cannot see: networks that have them teach no prices.
    """

    forms: tuple[str, ...]
    fallback: tuple[tuple[str, str], ...] = ()
    unpriced: tuple[str, ...] = ()


FEATURE_WORDS = {
    "gates": "gates (squeeze-and-excitation)",
    "moves": "moved channels (shuffles, slices)",
}
"""Features by which a network leaves its unit, in words."""

FAMILIES: dict[str, Family] = {
    "cpu-2020": Family(("cpu_linear", "cpu_roofline")),
    "gpu-2020": Family(("gpu_linear", "gpu_roofline")),
    # shuffles were left to the CPU, a multiplication of a map by a vector to the GPU
    "ane-2020": Family(
        ("ane_native_ios13",), (("moves", "cpu-2020"), ("gates", "gpu-2020")), ("macs_dilated",)
    ),
    "ane-ios16": Family(("ane_ios16",), unpriced=("unusual",)),
}


UNIT_FAMILIES = {"cpu": "cpu-2020", "gpu": "gpu-2020", "ane": "ane-ios16"}
"""Unit -> the family whose forms serve a target that is in none, by itself."""


def family_of(target: Target) -> str:
    """Family of `FAMILIES` whose forms a target has."""
    return target.family or UNIT_FAMILIES[target.unit]


def floor_ms(ops: OpTable, target: Target) -> Floats:
    """Least milliseconds of each op on a target's unit, shape (ops,): see `targets`."""
    moved = traffic(ops) + weights(ops)
    return macs(ops) * target.mac_floor_ms + moved * ELEMENT_FLOOR_MS
