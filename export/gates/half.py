"""Third gate: half precision. What a phone's arithmetic may make of the network.

Every half-precision result is rounded to half; sums inside an operation stay single, and so do the
look-up tables that a Neural Engine has for activations: it is an estimate, not that chip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from palmette.export.errors import ExportError
from palmette.export.gates.gate import Gate
from palmette.export.gates.observed import distance, references, run_watched, watched
from palmette.export.gates.subject import Subject
from palmette.export.interpreter import Interpreter, Operation, Value
from palmette.space.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "half"
SHOWS = "in emulated half precision nothing overflows, and the outputs stay close to torch's"
TOLERANCE = 5e-2
"""Of the largest output."""


def half_gate(subject: Subject, network: nn.Module | None, images: Sequence[Tensor]) -> Gate:
    """Whether a program keeps its outputs in half precision.

    Args:
        subject: the package.
        network: in torch, with the weights of the package; None if they could not be read.
        images: pixels from 0 to 255.
    """
    if network is None:
        return Gate(NAME, SHOWS, None, "the weights are not those of the network")
    overflows: Counter[str] = Counter()

    def watch(operation: Operation, output: Value, value: Tensor) -> None:
        if value.is_floating_point() and not bool(value.isfinite().all()):
            overflows[operation.where] += int((~value.isfinite()).sum())

    try:
        interpreter = Interpreter.from_package(subject.path)
        names = watched(subject, interpreter.program)
        found = [run_watched(interpreter, names, x, half=True, hook=watch) for x in images]
        reference = references(subject, network, stored=True)
        original = references(subject, subject.module, stored=False)
        gap = distance(subject, found, [reference(image) for image in images])
        whole = distance(subject, found, [original(image) for image in images])
    except (ExportError, InputError) as error:
        return Gate(NAME, SHOWS, False, str(error))
    figures = {
        "error": gap.relative,
        "tolerance": TOLERANCE,
        "error_to_original": whole.relative,
        "top1_agreement": whole.agreement,
        "overflows": dict(overflows),
    }
    return Gate(NAME, SHOWS, *_judged(subject, overflows, gap.relative, whole.relative), figures)


def _judged(
    subject: Subject, overflows: Counter[str], gap: float, whole: float
) -> tuple[bool, str]:
    if overflows:
        where, count = next(iter(overflows.items()))
        return False, f"{where}: {count} values overflow, the first of {len(overflows)} operations"
    if gap > TOLERANCE:
        return False, f"in half precision the outputs are {gap:.2g} from torch"
    if whole > TOLERANCE and not subject.compressed:
        return False, f"its weights in half precision put the outputs {whole:.2g} from the original"
    return True, ""
