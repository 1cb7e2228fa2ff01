"""What an export needs to know: format, labels, image scaling, suppression of boxes, metadata.

Milliseconds belong to a runtime, and a runtime timed one format: `latency_metadata` decides under
which name a package may carry a prediction.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from palmette.export.labels import check_labels
from palmette.space.errors import expect

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Format:
    """One of Core ML's formats: suffix of its files, and the systems that one can ask it to fit.

    A package is written for the oldest of `systems`; for `resizing_system` at least if it resizes
    maps bilinearly.
    """

    suffix: str
    systems: tuple[str, ...]
    resizing_system: str

    @property
    def minimum_target(self) -> str:
        """Oldest system that reads the format."""
        return self.systems[0]


FORMATS: dict[str, Format] = {
    "mlprogram": Format(".mlpackage", ("iOS16", "iOS17", "iOS18", "iOS26"), "iOS16"),
    "neuralnetwork": Format(".mlmodel", ("iOS13", "iOS14"), "iOS14"),
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

RESERVED_KEYS = frozenset({"architecture", "architecture_id", "weights", "labels"})
"""User-defined metadata that `export` writes itself."""

NMS_FORMS = ("pipeline", "program", "none")
"""Where non-maximum suppression runs: in a stage of its own, in the program, or nowhere."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """Non-maximum suppression of a detector's boxes, class by class.

    Raises:
        InputError: a value breaks a rule; the message names it.
    """

    form: str = "pipeline"
    """One of `NMS_FORMS`."""
    iou: float = 0.45
    """Of two boxes of a class that overlap by more (intersection over union), one stays."""
    confidence: float = 0.25
    """Boxes whose best score is below are left out."""

    def __post_init__(self) -> None:
        expect(
            self.form in NMS_FORMS,
            f"nms: unknown form '{self.form}'; known forms are {', '.join(NMS_FORMS)}",
        )
        for name in ("iou", "confidence"):
            value = getattr(self, name)
            expect(
                isinstance(value, int | float) and 0 <= value <= 1,
                f"{name}: must be a number from 0 to 1, got {value!r}",
            )


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
    """Class names in the order of the outputs. A classifier gets a softmax and gives names."""
    scale: float = 1 / 127.5
    bias: tuple[float, float, float] = (-1.0, -1.0, -1.0)
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User-defined keys, besides those that `export` writes itself (`RESERVED_KEYS`)."""
    suppression: Suppression | None = None
    """Of a detector's boxes; `Suppression()` if it is left out. Refused for other heads."""
    class_map: bool = False
    """Whether a segmenter ends in the best class of each pixel instead of scores."""
    system: str | None = None
    """Oldest system that must read the package, one of `Format.systems`; the first that can."""

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
        expect(
            self.system is None or self.system in self.format.systems,
            f"system: '{self.kind}' is written for {', '.join(self.format.systems)}; got"
            f" '{self.system}'",
        )
        in_program = self.suppression is not None and self.suppression.form == "program"
        expect(
            self.kind == "mlprogram" or not in_program,
            f"nms: 'program' is an op of ML Programs, '{self.kind}' has none; choose 'pipeline', or"
            " the format 'mlprogram' and iOS 16",
        )
        if self.labels is not None:
            check_labels(self.labels, "labels")
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


def system_for_runtime(runtime: str, kind: str) -> str | None:
    """System of a runtime, such as `iOS17`, or None if a format is not written for that one."""
    system = runtime.replace("coreml-ios", "iOS")
    return system if system in FORMATS[kind].systems else None


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
