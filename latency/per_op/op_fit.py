"""Fitting a target to timings per op: the op model is chosen on the error of whole networks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from palmette.latency.effects import (
    ACTIVATIONS,
    KERNELS,
    OP_SORTS,
    RESOLUTION_REACH,
    Support,
    effects,
)
from palmette.latency.per_op.kernels import KernelTable
from palmette.latency.per_op.network_cost import NetworkModel, TimedKernels, choose, fit_networks
from palmette.latency.per_op.op_cost import STRICT_MODELS
from palmette.latency.per_op.op_timed import OpHull, OpTimedModel
from palmette.latency.per_op.op_timings import OpTimings, gather
from palmette.latency.per_op.power_law import LEAST_ROWS
from palmette.latency.targets import Target
from palmette.latency.uncertainty import estimate_from
from palmette.latency.whole.fitted import Fitted, marks, rounded
from palmette.space import ACTIVATIONS as ALL_ACTIVATIONS

METHOD = "Student-t on log errors with whole families of networks held out"
LEAST_SHAPES = LEAST_ROWS
"""Timed shapes that must show a choice."""


def fit_ops(timings: OpTimings, chosen: NetworkModel) -> Fitted:
    """Everything that is fitted to a target's timings per op, around a network model of them."""
    scale, constant_ms, slow_ms = chosen.calibration.coefficients_.tolist()
    every = timings.kernels
    model = OpTimedModel(
        timings.target,
        chosen.name,
        chosen.ops,
        scale,
        constant_ms,
        slow_ms,
        OpHull.of(every.kernels),
        len(timings.names),
    )
    errors = dict(zip(timings.names, chosen.errors.tolist(), strict=True))
    timed_ms = dict(zip(timings.names, timings.networks.ms.tolist(), strict=True))
    kin = dict(zip(timings.names, timings.networks.families, strict=True))
    sums = dict(zip(timings.names, timings.sums, strict=True))
    known = support(every, timings.networks.kernels)
    members = [replace(model, ops=ops) for ops in chosen.members]
    return Fitted(
        model,
        estimate_from(sums, errors, kin.__getitem__, METHOD),
        known,
        effects(model, members, known),
        errors,
        _digest(timings),
        timed=marks(timed_ms),
        timed_ms=rounded(timed_ms),
    )


def support(timed: TimedKernels, whole: KernelTable | None = None) -> Support:
    """Choices shown by timed kernels of at least `LEAST_SHAPES` shapes.

    A kernel is timed for itself, beside others that differ in one thing: unlike with whole
    networks, shapes of one design tell what a choice costs. Sides of images are also those of
    `whole`, the kernels of networks that were timed: where a call costs more than a first
    convolution does, no op tells them.
    """
    table = timed.kernels.distinct()[0]
    window, act = table.column("window"), table.column("act")
    depthwise, gates = table.is_sort("depthwise"), table.is_sort("mul") | (table.column("muls") > 0)
    first = table.column("in_channels") == 3
    images, dense = table.is_sort("conv") & first, table.is_sort("conv") & ~first
    areas = table.column("in_area")[images]
    if whole is not None:
        seen = whole.is_sort("conv") & (whole.column("in_channels") == 3)
        areas = np.concatenate([areas, whole.column("in_area")[seen]])
    sides = np.sqrt(areas if len(areas) else table.column("in_area"))
    shown = {
        **{f"kernel:{k}": depthwise & (window == k * k) for k in KERNELS},
        **{f"activation:{a}": act == ALL_ACTIVATIONS.index(a) for a in ACTIVATIONS},
        **{f"op:{name}": table.is_sort(name) for name in ("concat", "slice", "grouped")},
        **{f"op:dense{k}": dense & (window == k * k) for k in KERNELS},
    }
    known = {choice for choice, rows in shown.items() if rows.sum() >= LEAST_SHAPES}
    reach = RESOLUTION_REACH
    return Support(
        tuple(kernel for kernel in KERNELS if f"kernel:{kernel}" in known),
        tuple(name for name in ACTIVATIONS if f"activation:{name}" in known),
        bool(gates.sum() >= LEAST_SHAPES),
        (round(float(sides.min()) / reach), round(float(sides.max()) * reach)),
        tuple(name for name in OP_SORTS if f"op:{name}" in known),
    )


def _digest(timings: OpTimings) -> str:
    """Hash of the timings that were fitted, 16 hexadecimal digits; rounded to nine."""
    every = timings.kernels
    numbers = np.concatenate([timings.networks.ms, every.ms, every.kernels.work.sum(axis=0)])
    text = " ".join([str(timings.target), *timings.names, *(f"{n:.9g}" for n in numbers)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class OpFit:
    """What was fitted to timings per op, to which, and all models that were compared."""

    fitted: Fitted
    timings: OpTimings
    models: Mapping[str, NetworkModel]


def fit_op_target(
    rows: pd.DataFrame, target: Target, names: Sequence[str] = STRICT_MODELS
) -> OpFit:
    """Fit a target to the rows of a timing table that has ops or chains of it.

    The model of the least held-out error of networks is chosen from those of `names`.

    Raises:
        InputError: too little to fit; see `gather`.
    """
    timings = gather(rows, target)
    models = fit_networks(timings.networks, names, apart=timings.apart)
    fitted = replace(
        fit_ops(timings, choose(models, timings.kernels)),
        compared={name: model.held_out_mape for name, model in models.items()},
        left_out=timings.left_out,
    )
    return OpFit(fitted, timings, models)
