"""Bytes of the Core ML package that an export writes, op by op, without writing it.

An ML Program keeps weights in one file: every array begins with 64 bytes that describe it and is
padded to 64 bytes (coremltools, MILBlob storage format). Below 16 bits a weight, convolutions and
linear layers store whole numbers and a scale of 16 bits for each output channel; the first layer
stays as it is, and so do small weights and all biases (`palmette.export.compression`). The rest is
the graph: names, shapes and settings of ops, fitted to packages of our own exports
(`benchmarks/package_sizes.py`, which prints the errors).

Packages of neural-network format hold the same weights without that padding, and a smaller graph.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palmette.search.objectives.precision import PRECISIONS
from palmette.space.architecture import IMAGE_CHANNELS
from palmette.space.ops import OpTable

Floats = NDArray[np.float64]

LEAST_VALUES = 512
"""That of `palmette.export.compression`, which is slow to import; a test holds them alike."""
PACKAGE = 1150.0
"""What every package has: manifest, description, file header."""
_WEIGHTED = 1320.0
_PACKED = 166.0
"""On top, for a layer below 16 bits a weight."""
_OTHER = 250.0
_ACTS: dict[tuple[str, ...], float] = {
    ("none",): 0.0,
    ("relu6",): 496.0,
    ("hswish", "hsigmoid"): 891.0,
}
_ACT = 197.0
"""An activation that the program has an op for."""
_BLOCK = 64


def package_bytes(ops: OpTable, precision: str) -> Floats:
    """Bytes that each op adds to a package, in whole numbers; shape (ops,).

    Args:
        ops: of a network, or of parts of one.
        precision: a key of `PRECISIONS`.
    """
    bits = PRECISIONS[precision].bits
    biases = np.where(ops.weights > 0, ops.out_channels, 0).astype(np.float64)
    values = ops.weights - biases
    first = ops.is_kind("conv") & (ops.in_channels == IMAGE_CHANNELS)
    small = values <= LEAST_VALUES
    packed = (values > 0) & (bits < 16) & ~first & ~small & ops.is_kind("conv", "linear")
    stored = np.where(packed, _stored(values, bits) + _stored(biases, 16), _stored(values, 16))
    graph = np.where(values > 0, _WEIGHTED, _OTHER) + np.where(packed, _PACKED, 0.0)
    total: Floats = stored + _stored(biases, 16) + graph + _act_bytes(ops)
    return total


def _stored(values: Floats, bits: int) -> Floats:
    """Bytes of arrays of so many values; nothing for none."""
    blocks: Floats = 1 + np.ceil(values * bits / 8 / _BLOCK)
    stored: Floats = np.where(values > 0, blocks * _BLOCK, 0.0)
    return stored


def _act_bytes(ops: OpTable) -> Floats:
    found = np.full(len(ops), _ACT)
    for names, size in _ACTS.items():
        found[ops.has_act(*names)] = size
    return found
