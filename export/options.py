"""What an export needs to know: format, input, labels, image scaling, suppression, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from palmette.export.formats import FORMATS, HALF_ARRAYS_SINCE, Format
from palmette.export.labels import check_labels, check_names
from palmette.export.metadata import check_metadata
from palmette.export.scaling import IMAGE, INPUTS, TENSOR, Channels, Scale, check_scaling
from palmette.export.sizes import Flexible
from palmette.space.errors import expect

MOST_BATCH = 1024
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
    was trained with. `palmette.export.scaling` says where it is done.

    Raises:
        InputError: a value breaks a rule; the message names it.
    """

    kind: str = "mlprogram"
    """A key of `FORMATS`."""
    labels: tuple[str, ...] | None = None
    """Class names in the order of the outputs. A classifier gets a softmax and gives names."""
    scale: Scale = 1 / 127.5
    """One for all channels, or one for each."""
    bias: Channels = (-1.0, -1.0, -1.0)
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User-defined keys, besides those that `export` writes itself (`metadata.RESERVED_KEYS`)."""
    suppression: Suppression | None = None
    """Of a detector's boxes; `Suppression()` if it is left out. Refused for other heads."""
    class_map: bool = False
    """Whether a segmenter ends in the best class of each pixel instead of scores."""
    system: str | None = None
    """Oldest system that must read the package, one of `Format.systems`; the usual one."""
    input: str = IMAGE
    """One of `INPUTS`; a tensor is what the network sees, scaled already."""
    sizes: Flexible | None = None
    """Further sizes of the image that the package takes; by default only the architecture's."""
    batch: int = 1
    """Images in one tensor."""
    outputs: tuple[str, ...] | None = None
    """Names of the outputs in order instead of the head's own."""

    def __post_init__(self) -> None:
        expect(
            self.kind in FORMATS,
            f"kind: unknown format '{self.kind}'; known formats are {', '.join(FORMATS)}",
        )
        check_scaling(self.scale, self.bias)
        self._check_system()
        self._check_input()
        if self.outputs is not None:
            check_names(self.outputs)
        in_program = self.suppression is not None and self.suppression.form == "program"
        expect(
            self.kind == "mlprogram" or not in_program,
            f"nms: 'program' is an op of ML Programs, '{self.kind}' has none; choose 'pipeline', or"
            " the format 'mlprogram' and iOS 16",
        )
        if self.labels is not None:
            check_labels(self.labels, "labels")
        check_metadata(self.metadata)

    def _check_system(self) -> None:
        others = [kind for kind, row in FORMATS.items() if self.system in row.systems]
        advice = f"; '{others[0]}' is" if others else ""
        expect(
            self.system is None or self.system in self.format.systems,
            f"system: '{self.kind}' is written for {', '.join(self.format.systems)}, and read by"
            f" every later one; got '{self.system}'{advice}",
        )

    def _check_input(self) -> None:
        expect(
            self.input in INPUTS,
            f"input: unknown kind '{self.input}'; known kinds are {', '.join(INPUTS)}",
        )
        expect(
            type(self.batch) is int and 0 < self.batch <= MOST_BATCH,
            f"batch: must be a whole number from 1 to {MOST_BATCH}, got {self.batch!r}",
        )
        expect(
            self.batch == 1 or self.input == TENSOR,
            f"batch: an image input is one image, got {self.batch}; Core ML predicts many by"
            " MLBatchProvider with any package, or choose the input 'tensor'",
        )
        expect(
            self.input == IMAGE or self.system != "iOS15",
            f"input: a 'tensor' is of half precision, which Core ML takes since"
            f" {HALF_ARRAYS_SINCE}; got iOS15",
        )

    @property
    def format(self) -> Format:
        """The chosen format's row."""
        return FORMATS[self.kind]
