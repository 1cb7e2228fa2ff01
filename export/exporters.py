"""Exporters by the name of their framework: one small interface, whatever stands behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from palmette.export.core_ai import export_core_ai
from palmette.export.coreml import export
from palmette.space.architecture import Architecture

if TYPE_CHECKING:
    from torch import nn


class Exporter(Protocol):
    """Writes a network for an inference framework, proves what it can, and gives the path.

    Freshly initialised weights if no module is given. Nothing is left behind by a failure: an
    `InputError` for a wrong argument, an `ExportError` if the file does not equal the module.
    """

    def __call__(
        self, architecture: Architecture, path: Path, *, module: nn.Module | None = None
    ) -> Path: ...


EXPORTERS: dict[str, Exporter] = {"coreml": export, "coreai": export_core_ai}
