"""An export for a target's runtime, from plain values: what the command line and a run ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.export.coreml import export
from palmette.export.formats import kind_for_runtime, system_for_runtime
from palmette.export.metadata import Bounds, latency_metadata
from palmette.export.options import ExportOptions, Suppression
from palmette.export.scaling import IMAGE, Channels, Scale
from palmette.export.sizes import Flexible
from palmette.space.architecture import Architecture

if TYPE_CHECKING:
    from torch import nn


def export_for_runtime(
    architecture: Architecture,
    path: Path,
    *,
    runtime: str = "coreml-ios16",
    module: nn.Module | None = None,
    **values: Any,
) -> Path:
    """Export for a target's runtime, from plain values; see `export`.

    Args:
        architecture: the network.
        path: of the package; the format's suffix is added if it has none.
        runtime: of the target, the part after `@`; it decides the format.
        module: with trained weights, in evaluation mode.
        values: those of `options_for_runtime`.

    Returns:
        Path of the package.
    """
    options = options_for_runtime(runtime, **values)
    return export(architecture, path, options=options, module=module)


def options_for_runtime(
    runtime: str,
    *,
    kind: str | None = None,
    ios: int | None = None,
    labels: tuple[str, ...] | None = None,
    scale: Scale = 1 / 127.5,
    bias: Channels = (-1.0, -1.0, -1.0),
    predicted_ms: float | None = None,
    interval_ms: Bounds | None = None,
    interval_confidence: float | None = None,
    sustained: bool = False,
    metadata: Mapping[str, str] | None = None,
    nms: str | None = None,
    iou: float | None = None,
    confidence: float | None = None,
    class_map: bool = False,
    input_kind: str = IMAGE,
    sizes: Flexible | None = None,
    batch: int = 1,
    outputs: tuple[str, ...] | None = None,
) -> ExportOptions:
    """Options of an export for a target's runtime.

    Args:
        runtime: of the target; it decides the format.
        kind: a format that overrides the runtime's.
        ios: oldest system that must read the package, such as 17.
        labels: of the classes in order; `read_labels` has them of a file, trained weights as
            `classes`.
        scale: see `ExportOptions`; so are `bias`, `class_map`, `sizes`, `batch` and `outputs`.
        bias: see there.
        predicted_ms: latency predicted for that runtime; for the metadata.
        interval_ms: lower and upper end of its interval.
        interval_confidence: share of networks whose time lies inside, 0 to 1.
        sustained: whether these are times of a phone that has got warm.
        metadata: further user-defined keys.
        nms: of a detector, a form of `NMS_FORMS`; in the program, the op is that of the runtime's
            system unless `ios` says another.
        iou: see `Suppression`.
        confidence: see `Suppression`.
        class_map: see there.
        input_kind: `ExportOptions.input`.
        sizes: see there.
        batch: see there.
        outputs: see there.

    Raises:
        InputError: a value breaks a rule; the message names it.
    """
    kind = kind_for_runtime(runtime) if kind is None else kind
    texts = dict(metadata or {})
    if predicted_ms is not None:
        texts |= latency_metadata(
            runtime, kind, predicted_ms, interval_ms, interval_confidence, sustained
        )
    system = None if ios is None else f"iOS{ios}"
    if system is None and nms == "program":
        system = system_for_runtime(runtime, kind)
    return ExportOptions(
        kind,
        labels,
        scale,
        bias,
        texts,
        _suppression(nms, iou, confidence),
        class_map,
        system,
        input_kind,
        sizes,
        batch,
        outputs,
    )


def _suppression(
    form: str | None, iou: float | None, confidence: float | None
) -> Suppression | None:
    """What was given over the defaults; None if nothing was."""
    if form is None and iou is None and confidence is None:
        return None
    default = Suppression()
    return Suppression(
        default.form if form is None else form,
        default.iou if iou is None else iou,
        default.confidence if confidence is None else confidence,
    )
