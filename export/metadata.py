"""What a package says of itself in words: keys, and under which of them milliseconds may stand.

Milliseconds belong to a runtime, and a runtime timed one format: `latency_metadata` decides under
which name a package may carry a prediction.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from palmette.export.formats import RUNTIME_KINDS
from palmette.export.scaling import BIAS, SCALE, SCALED_BY
from palmette.space.errors import expect

logger = logging.getLogger(__name__)

OWN_KEYS = (
    *("architecture", "architecture_id", "weights", "labels", "palmette_version"),
    *("system", "sizes", SCALE, BIAS, SCALED_BY),
)
RESERVED_KEYS = frozenset(OWN_KEYS)
"""User-defined metadata that `export` writes itself."""

Bounds = tuple[float, float]
"""Lower and upper end of an interval."""


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Refuse keys and values that are not text, and keys that the export writes itself.

    Raises:
        InputError: names the key.
    """
    for key, value in metadata.items():
        expect(
            isinstance(key, str) and key != "" and isinstance(value, str),
            f"metadata: keys and values must be text, got {key!r}: {value!r}",
        )
        expect(key not in RESERVED_KEYS, f"metadata: '{key}' is written by the export itself")


def latency_metadata(
    runtime: str,
    kind: str,
    latency_ms: float,
    interval_ms: Bounds | None = None,
    confidence: float | None = None,
    sustained: bool = False,
) -> dict[str, str]:
    """Metadata entries for a prediction made for `runtime`, in a package of format `kind`.

    The entry is `predicted_ms` if that runtime timed this format (`RUNTIME_KINDS`). Otherwise the
    figure says nothing about the package itself: it becomes `predicted_ms_on_RUNTIME`, and a
    warning is logged. An interval is called the same with `_lower` and `_upper` behind
    `predicted_ms`, and its confidence `predicted_ms_confidence`. Of a `sustained` prediction, for a
    phone that has got warm, all are called `predicted_sustained_ms`.

    Raises:
        InputError: a latency is not a positive number of milliseconds.
    """
    given = {"": latency_ms}
    if interval_ms is not None:
        given |= dict(zip(("_lower", "_upper"), interval_ms, strict=True))
    for value in given.values():
        expect(0 < value < math.inf, f"latency_ms: must be positive, got {value!r}")
    name = "predicted_sustained_ms" if sustained else "predicted_ms"
    own = RUNTIME_KINDS.get(runtime) == kind
    if not own:
        logger.warning(
            "the prediction is for %s, which did not time the format '%s': the package carries it"
            " as %s_on_%s",
            runtime,
            kind,
            name,
            runtime,
        )
    on = "" if own else f"_on_{runtime}"
    found = {f"{name}{end}{on}": f"{value:.4g}" for end, value in given.items()}
    if confidence is not None:
        found[f"{name}_confidence{on}"] = f"{confidence:g}"
    return found
