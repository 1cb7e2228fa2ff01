"""Whether a package's labels stand in the order of the classes that its weights learned."""

from __future__ import annotations

from typing import Any

from palmette.export.errors import ExportError
from palmette.export.gates.gate import Gate, ask
from palmette.export.labels import reordered

SHOWS = "no label that names a class of the weights stands in another's place"


def labels_gate(labels: tuple[str, ...] | None, classes: tuple[str, ...] | None) -> list[Gate]:
    """The gate, where package and weights both name classes.

    Args:
        labels: of the package.
        classes: of its weights, in the order of the outputs.
    """
    if labels is None or classes is None:
        return []

    def question() -> dict[str, Any]:
        if reordered(labels, classes):
            at = next(
                n for n, pair in enumerate(zip(labels, classes, strict=True)) if len({*pair}) > 1
            )
            raise ExportError(
                f"output {at} is '{classes[at]}' by the weights, '{labels[at]}' by the package"
            )
        return {}

    return [ask("labels", SHOWS, question)]
