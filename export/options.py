"""What an export needs to know: format, labels, image scaling, metadata.

Milliseconds belong to a runtime, and a runtime timed one format: `latency_metadata` decides under
which name a package may carry a prediction.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from palmette.space.errors import InputError, expect

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Format:
    """One of Core ML's formats: suffix of its files, and the oldest system that must read them."""

    suffix: str
    minimum_target: str


FORMATS: dict[str, Format] = {
    "mlprogram": Format(".mlpackage", "iOS16"),
    "neuralnetwork": Format(".mlmodel", "iOS13"),
}
"""Formats by the name that coremltools gives them."""

RUNTIME_KINDS: dict[str, str] = {
    **dict.fromkeys(("coreml-ios12", "coreml-ios13", "coreml-ios14"), "neuralnetwork"),
    # Apple counted on from 18 to 26
    **dict.fromkeys(
        ("coreml-ios15", "coreml-ios16", "coreml-ios17", "coreml-ios18", "coreml-ios26"),
        "mlprogram",
    ),
}
"""Format that each Core ML runtime timed; runtimes that are not here timed neither."""

RESERVED_KEYS = frozenset({"architecture", "architecture_id", "weights"})
"""User-defined metadata that `export` writes itself."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How to export; weights are half precision in both formats.

    The network sees `pixel * scale + bias`, pixels from 0 to 255 in RGB order; give what the module
    was trained with. Core ML takes one scale for all channels and a bias for each.

    Raises:
        InputError: a value breaks a rule; the message names it.
    """

    kind: str = "mlprogram"
    """A key of `FORMATS`."""
    labels: tuple[str, ...] | None = None
    """Class names in the order of the outputs; adds a softmax and makes a classifier."""
    scale: float = 1 / 127.5
    bias: tuple[float, float, float] = (-1.0, -1.0, -1.0)
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User-defined keys, besides those that `export` writes itself (`RESERVED_KEYS`)."""

    def __post_init__(self) -> None:
        expect(
            self.kind in FORMATS,
            f"kind: unknown format '{self.kind}'; known formats are {', '.join(FORMATS)}",
        )
        expect(
            isinstance(self.scale, int | float) and 0 < self.scale < math.inf,
            f"scale: must be one positive number for all channels, got {self.scale!r}",
        )
        expect(
            len(self.bias) == 3
            and all(isinstance(v, int | float) and math.isfinite(v) for v in self.bias),
            f"bias: must be three finite numbers (red, green, blue), got {self.bias!r}",
        )
        if self.labels is not None:
            _check_labels(self.labels, "labels")
        for key, value in self.metadata.items():
            expect(
                isinstance(key, str) and key != "" and isinstance(value, str),
                f"metadata: keys and values must be text, got {key!r}: {value!r}",
            )
            expect(key not in RESERVED_KEYS, f"metadata: '{key}' is written by the export itself")

    @property
    def format(self) -> Format:
        """The chosen format's row."""
        return FORMATS[self.kind]


def kind_for_runtime(runtime: str) -> str:
    """Format that a target's runtime timed, such as `mlprogram` for `coreml-ios16`.

    Raises:
        InputError: the runtime is not one of Core ML's; the message lists those.
    """
    expect(
        runtime in RUNTIME_KINDS,
        f"runtime '{runtime}': runs no Core ML packages; those are {', '.join(RUNTIME_KINDS)};"
        " choose a format yourself",
    )
    return RUNTIME_KINDS[runtime]


def latency_metadata(runtime: str, kind: str, latency_ms: float) -> dict[str, str]:
    """Metadata entry for a prediction made for `runtime`, in a package of format `kind`.

    The entry is `predicted_ms` if that runtime timed this format (`RUNTIME_KINDS`). Otherwise the
    figure says nothing about the package itself: it becomes `predicted_ms_on_RUNTIME`, and a
    warning is logged.

    Raises:
        InputError: the latency is not a positive number of milliseconds.
    """
    expect(0 < latency_ms < math.inf, f"latency_ms: must be positive, got {latency_ms!r}")
    if RUNTIME_KINDS.get(runtime) == kind:
        return {"predicted_ms": f"{latency_ms:.4g}"}
    logger.warning(
        "the prediction is for %s, which did not time the format '%s': the package carries it as"
        " predicted_ms_on_%s",
        runtime,
        kind,
        runtime,
    )
    return {f"predicted_ms_on_{runtime}": f"{latency_ms:.4g}"}


def read_labels(path: Path) -> tuple[str, ...]:
    """Class labels from a UTF-8 text file, one a line, in the order of the network's outputs.

    Raises:
        InputError: unreadable, not UTF-8, an empty line, or a label that comes twice.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"labels file {path}: cannot be read ({reason})") from None
    labels = tuple(line.strip() for line in text.splitlines())
    _check_labels(labels, f"labels file {path}")
    return labels


def _check_labels(labels: tuple[str, ...], where: str) -> None:
    expect(len(labels) > 0, f"{where}: no labels; give one a line")
    for number, label in enumerate(labels, 1):
        expect(
            isinstance(label, str) and label.strip() != "",
            f"{where}: label {number} is empty; every class needs one",
        )
    repeated = [label for label, count in Counter(labels).items() if count > 1]
    if repeated:
        numbers = [str(n) for n, label in enumerate(labels, 1) if label == repeated[0]]
        raise InputError(
            f"{where}: '{repeated[0]}' is label {' and '.join(numbers)}; labels must be unique"
        )
