"""What an op costs a unit, as numbers: one function per feature, vectorised over an `OpTable`.

All in millions per image (MACs, elements, weights), but for layers and blocks, which are counted.
Layers are counted as the 2020 converter wrote them: it had no ReLU6, hard-swish or hard-sigmoid and
spelt them out, and each written layer read and wrote the whole map.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from palmette.space import ACTIVATIONS, OpTable

Floats = NDArray[np.float64]

MILLION = 1e6

LAYERS_IOS13 = {"none": 0, "relu": 0, "lrelu": 0, "relu6": 4, "hswish": 7, "hsigmoid": 5}
"""Layers that the iOS 13 format needed for an activation; 0: fused into the layer before."""
SIGMOIDS = ("swish", "sigmoid", "gelu")
MOVES = ("permute", "gather")
WORKING_SET = 1_050_000
"""fp16 elements that stay on the chip of a Neural Engine, by public measurements of one of 2020."""

_BILLED = ("conv", "conv_transpose", "linear", "pool")
_LAYERS = (*_BILLED, "mean", "add", "mul", "concat", "permute", "gather", "slice", "resize", "norm")


def macs_point(ops: OpTable) -> Floats:
    """MACs of 1x1 convolutions and linear layers."""
    values: Floats = ops.macs * ((ops.area == 1) & ~ops.depthwise) / MILLION
    return values


def macs_depth(ops: OpTable) -> Floats:
    """MACs of depthwise convolutions."""
    return ops.macs * ops.depthwise / MILLION


def macs_dense(ops: OpTable) -> Floats:
    """MACs of all other kxk convolutions."""
    return ops.macs * ((ops.area > 1) & ~ops.depthwise) / MILLION


def macs(ops: OpTable) -> Floats:
    """All MACs."""
    return ops.macs / MILLION


def elements(ops: OpTable) -> Floats:
    """Elements that convolutions, linear layers and poolings read and write."""
    moved = ops.in_elements + np.where(ops.is_kind("pool"), 0.0, ops.out_elements)
    return moved * ops.is_kind(*_BILLED) / MILLION


def traffic(ops: OpTable) -> Floats:
    """Elements that any op reads and writes."""
    return (ops.in_elements + ops.out_elements) / MILLION


def spilled(ops: OpTable) -> Floats:
    """Elements of those maps that no longer fit on the chip."""
    larger = np.maximum(ops.in_elements, ops.out_elements)
    return np.where(larger > WORKING_SET, larger - WORKING_SET, 0.0) / MILLION


def weights(ops: OpTable) -> Floats:
    """Weights and biases."""
    return ops.weights / MILLION


def clipped(ops: OpTable) -> Floats:
    """Elements through spelt-out activations, once per layer beyond the first."""
    return ops.out_elements * np.maximum(_layers(ops) - 1, 0) / MILLION


def sigmoided(ops: OpTable) -> Floats:
    """Elements through sigmoids, SiLU's included."""
    return ops.out_elements * ops.has_act(*SIGMOIDS) / MILLION


def activated(ops: OpTable) -> Floats:
    """Elements through slow activations; SiLU counts as two layers."""
    return clipped(ops) + sigmoided(ops)


def dispatched(ops: OpTable) -> Floats:
    """Ops that a unit starts one by one, activations fused."""
    return ops.is_kind(*_LAYERS).astype(np.float64)


def layers(ops: OpTable) -> Floats:
    """Layers after the converter's expansion of activations."""
    spelt_out = np.where(ops.has_act("swish", "gelu"), 2, _layers(ops))
    spelt_out = np.where(ops.has_act("sigmoid"), 1, spelt_out)
    started = dispatched(ops)
    return started + spelt_out


def gates(ops: OpTable) -> Floats:
    """Squeeze-and-excitation blocks: multiplications of a map by a vector."""
    values: Floats = np.asarray(ops.broadcast & ops.is_kind("mul"), dtype=np.float64)
    return values


def gated(ops: OpTable) -> Floats:
    """Elements that squeeze-and-excitation scales."""
    return gates(ops) * ops.out_elements / MILLION


def moves(ops: OpTable) -> Floats:
    """Elements that permutations and gathers move."""
    return ops.is_kind(*MOVES) * ops.out_elements / MILLION


def shuffles(ops: OpTable) -> Floats:
    """Permutations and gathers, counted."""
    return ops.is_kind(*MOVES).astype(np.float64)


def macs_dilated(ops: OpTable) -> Floats:
    """MACs of dilated convolutions, which also count by their kind."""
    values: Floats = ops.macs * (ops.dilation > 1) / MILLION
    return values


def unusual(ops: OpTable) -> Floats:
    """Ops that few networks have: dilated convolutions, permutations and gathers."""
    return shuffles(ops) + (ops.dilation > 1)


def _layers(ops: OpTable) -> NDArray[np.int64]:
    counts = np.array([LAYERS_IOS13.get(act, 0) for act in ACTIVATIONS], dtype=np.int64)
    return counts[ops.act]


FEATURES: dict[str, Callable[[OpTable], Floats]] = {
    function.__name__: function
    for function in (
        macs_point,
        macs_depth,
        macs_dense,
        macs,
        elements,
        traffic,
        spilled,
        weights,
        clipped,
        sigmoided,
        activated,
        layers,
        dispatched,
        gates,
        gated,
        moves,
        shuffles,
        macs_dilated,
        unusual,
    )
}
"""Every feature by name, as stored predictors name them."""
