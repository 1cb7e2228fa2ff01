"""An export for a target's runtime, from plain values: what the command line and a run ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.export.coreml import export
from palmette.export.labels import read_labels
from palmette.export.options import (
    ExportOptions,
    Suppression,
    kind_for_runtime,
    latency_metadata,
    system_for_runtime,
)
from palmette.space.architecture import Architecture

if TYPE_CHECKING:
    from torch import nn


def export_for_runtime(
    architecture: Architecture,
    path: Path,
    *,
    runtime: str = "coreml-ios16",
    kind: str | None = None,
    labels_file: Path | None = None,
    scale: float = 1 / 127.5,
    bias: tuple[float, float, float] = (-1.0, -1.0, -1.0),
    predicted_ms: float | None = None,
    metadata: Mapping[str, str] | None = None,
    module: nn.Module | None = None,
    nms: str | None = None,
    iou: float | None = None,
    confidence: float | None = None,
    class_map: bool = False,
) -> Path:
    """Export for a target's runtime, from plain values; see `export`.

    Args:
        architecture: the network.
        path: of the package; the format's suffix is added if it has none.
        runtime: of the target, the part after `@`; it decides the format.
        kind: a format that overrides the runtime's.
        labels_file: class labels, one a line.
        scale: see `ExportOptions`.
        bias: see `ExportOptions`.
        predicted_ms: latency predicted for that runtime; for the metadata.
        metadata: further user-defined keys.
        module: with trained weights, in evaluation mode.
        nms: of a detector, a form of `NMS_FORMS`; in the program, the op is that of the runtime's
            system.
        iou: see `Suppression`.
        confidence: see `Suppression`.
        class_map: see `ExportOptions`.

    Returns:
        Path of the package.
    """
    kind = kind_for_runtime(runtime) if kind is None else kind
    texts = dict(metadata or {})
    if predicted_ms is not None:
        texts |= latency_metadata(runtime, kind, predicted_ms)
    labels = None if labels_file is None else read_labels(labels_file)
    suppression = _suppression(nms, iou, confidence)
    system = system_for_runtime(runtime, kind) if nms == "program" else None
    options = ExportOptions(kind, labels, scale, bias, texts, suppression, class_map, system)
    return export(architecture, path, options=options, module=module)


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
