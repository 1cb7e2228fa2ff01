"""What a kernel might take where no predictor can be asked: a guess from its counts.

One rule for all units but for its speed: a start, multiply-accumulates (depthwise and grouped ones
ten times as dear, as they read much for little work) and elements moved. The guess decides only
what is worth timing, and says roughly how long a plan runs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palmette.latency.per_op.kernels import KernelTable

Floats = NDArray[np.float64]

START_MS = 0.01
MACS_PER_MS, SPARSE_MACS_PER_MS, ELEMENTS_PER_MS = 4e7, 4e6, 1e6
"""Of one core of a laptop, in round numbers."""
SPEED = {"cpu": 1.0, "gpu": 4.0, "ane": 30.0}
"""Of a unit over that core."""


def rough_ms(kernels: KernelTable, unit: str) -> Floats:
    """Milliseconds that kernels might take on a unit, (n,), positive."""
    sparse = kernels.is_sort("depthwise", "grouped")
    rate = np.where(sparse, SPARSE_MACS_PER_MS, MACS_PER_MS)
    work = kernels.column("macs") / rate + kernels.column("moved") / ELEMENTS_PER_MS
    found: Floats = (START_MS + work) / SPEED[unit]
    return found
