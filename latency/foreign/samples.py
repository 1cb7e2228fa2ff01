"""Timings whose single calls are known: the figures of a `Result` from its samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palmette.latency.timings import LONGEST_MS
from palmette.space.errors import expect

MOST_SAMPLES = 10_000_000


def figures_of(samples: Any, in_ms: float, where: str) -> dict[str, Any]:
    """Fields of a `Result`: n, median, quantiles, least and mean, in milliseconds.

    Args:
        samples: times of single calls.
        in_ms: milliseconds of the unit that they are in.
        where: names them in messages.

    Raises:
        InputError: no samples, or one that is not a positive time.
    """
    import numpy as np  # slow to import

    expect(
        isinstance(samples, Sequence) and not isinstance(samples, str) and len(samples) > 0,
        f"{where}: samples must be a list of times, got {samples!r:.60}",
    )
    expect(len(samples) <= MOST_SAMPLES, f"{where}: more than {MOST_SAMPLES} samples")
    for at, value in enumerate(samples):
        expect(
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and 0 < value <= LONGEST_MS / in_ms,  # no product: whole numbers have no end
            f"{where}: sample {at + 1} must be a positive time, got {value!r:.60}",
        )
    ms = np.array(samples, dtype=float) * in_ms
    p10, median, p90 = np.quantile(ms, [0.1, 0.5, 0.9]).tolist()
    return {
        "n": len(ms),
        "median_ms": median,
        "p10_ms": p10,
        "p90_ms": p90,
        "min_ms": float(ms.min()),
        "mean_ms": float(ms.mean()),
    }
