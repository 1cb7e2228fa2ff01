"""A package on disk held against the torch network that it should be: `palmette verify`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.export.functions import alone
from palmette.export.gates.gate import Gate
from palmette.export.gates.graph import graph_gate
from palmette.export.gates.half import half_gate
from palmette.export.gates.labels import labels_gate
from palmette.export.gates.observed import inputs_of
from palmette.export.gates.subject import Subject, open_subject
from palmette.export.gates.suppression import suppression_gate
from palmette.export.gates.weights import weights_gate
from palmette.export.scaling import Channels, Scale
from palmette.space.architecture import IMAGE_CHANNELS, Architecture
from palmette.space.errors import expect

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

IMAGES = 4
"""Images that a package is run on, where no other number is given."""
UNPROVEN = (
    "that Apple's compiler takes the package, and on which unit its operations run",
    "the arithmetic of a Neural Engine: look-up tables of activations, the order of sums",
    "how an image is decoded, and its colours",
    "the meaning of operations where their published definition and its reading here both err",
)
"""What no check on this machine can show; a script for a Mac does the rest."""
UNPROVEN_BOXES = "ties of a suppression, and the rows behind its last box"
UNPROVEN_STAGE = "the second stage: its settings were read back, it was not run"
UNPROVEN_COMPRESSED = (
    "that compressed weights are those that the scheme chose: others that keep its promise pass,"
    " and where a package names no scheme, any that are near the network's"
)
UNPROVEN_LAYERS = "sizes of maps inside a network of the older format, which declares none"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gates said of a package."""

    path: Path
    architecture: Architecture
    gates: tuple[Gate, ...]
    unproven: tuple[str, ...]
    images: int

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return all(gate.passed is not False for gate in self.gates)

    def table(self) -> pd.DataFrame:
        """A row for each gate: `gate`, `passed`, `error` and its `limit`, what a pass `shows`."""
        import pandas as pd

        return pd.DataFrame(
            {
                "gate": gate.name,
                "passed": gate.passed,
                "error": gate.figures.get("error"),
                "limit": gate.figures.get("tolerance"),
                "shows": gate.reason or gate.shows,
            }
            for gate in self.gates
        )

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "package": str(self.path),
            "architecture_id": self.architecture.id,
            "passed": self.passed,
            "images": self.images,
            "gates": [
                {
                    "name": gate.name,
                    "passed": gate.passed,
                    "shows": gate.shows,
                    "reason": gate.reason,
                    **gate.figures,
                }
                for gate in self.gates
            ],
            "not_proven": list(self.unproven),
        }


def verify(
    path: Path,
    architecture: Architecture,
    *,
    module: nn.Module | None = None,
    scale: Scale = 1 / 127.5,
    bias: Channels = (-1.0, -1.0, -1.0),
    images: int = IMAGES,
    function: str = "",
    classes: tuple[str, ...] | None = None,
) -> Verdict:
    """Hold a package against its network through three gates.

    A package of several sizes is run at each of them, or at the ends of their range.

    Args:
        path: a package that palmette exported, compressed or not.
        architecture: that it should hold.
        module: with the weights that it should hold, in evaluation mode; by default those that an
            export without weights has.
        scale: of pixels, see `ExportOptions`.
        bias: see `ExportOptions`.
        images: of seeded noise, on which outputs are compared.
        function: that is held against the network, of a package with several.
        classes: names that the weights know, in the order of the outputs, to hold labels against.

    Raises:
        InputError: not a package, one of another architecture, or no such function; the message
            names it.
    """
    expect(images > 0, f"images: must be at least 1, got {images}")
    if function:
        with tempfile.TemporaryDirectory() as folder:
            one = alone(path, function, Path(folder))
            found = verify(
                one,
                architecture,
                module=module,
                scale=scale,
                bias=bias,
                images=images,
                classes=classes,
            )
            return replace(found, path=path)
    subject = open_subject(path, architecture, module, scale, bias)
    pixels = inputs_of(subject, _images(subject, images))
    weights, network = weights_gate(subject, pixels)
    gates = [graph_gate(subject, pixels), weights, half_gate(subject, network, pixels)]
    gates += labels_gate(subject.options.labels, classes)
    if subject.options.suppression is not None:
        gates.insert(2, suppression_gate(subject, pixels))
    return Verdict(path, architecture, tuple(gates), _unproven(subject), images)


def _images(subject: Subject, count: int) -> list[Tensor]:
    """Images of the network's own size, and one of every other size that stands for all."""
    own, sizes = subject.architecture, subject.options.sizes
    others = [] if sizes is None else [x for x in sizes.samples() if x != own.resolution]
    further = [sample_images(own.with_resolution(*size), 1)[0] for size in others]
    return [*sample_images(own, count), *further]


def sample_images(architecture: Architecture, count: int) -> list[Tensor]:
    """Images (1, 3, height, width) of pixels from 0 to 255: noise over soft shapes, seeded."""
    import torch

    random = torch.Generator().manual_seed(0)
    size = (1, IMAGE_CHANNELS, *architecture.resolution)
    found = []
    for _ in range(count):
        soft = torch.rand((1, IMAGE_CHANNELS, 5, 5), generator=random) * 255
        shapes = torch.nn.functional.interpolate(soft, size[2:], mode="bilinear")
        noise = torch.rand(size, generator=random) * 128 - 64
        found.append((shapes + noise).clamp(0, 255).round())
    return found


def _unproven(subject: Subject) -> tuple[str, ...]:
    form = subject.options.suppression.form if subject.options.suppression else ""
    special = {
        UNPROVEN_BOXES: form == "program",
        UNPROVEN_STAGE: form == "pipeline",
        UNPROVEN_COMPRESSED: subject.compressed,
        UNPROVEN_LAYERS: subject.options.kind != "mlprogram",
    }
    return (*UNPROVEN, *(line for line, applies in special.items() if applies))
