"""First gate: a single-precision conversion computes what torch does, the package has its graph.

Single precision leaves no rounding to hide behind: what differs by more than 1e-5 is another
computation. The package itself holds half precision; its operations, their wiring and their
parameters are compared one by one with those of the conversion that was run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from palmette.export.conversion import convert
from palmette.export.errors import ExportError
from palmette.export.gates.gate import Gate
from palmette.export.gates.observed import distance, references, run_watched, watched
from palmette.export.gates.subject import Subject
from palmette.export.interpreter import Interpreter, Operation, Program, Value
from palmette.export.interpreter.program import Array
from palmette.export.interpreter.run import is_constant
from palmette.export.package import write_package

if TYPE_CHECKING:
    from torch import Tensor

NAME = "graph"
SHOWS = (
    "converted in single precision the network computes what torch does, and the package has the"
    " same operations, wiring and parameters"
)
TOLERANCE = 1e-5
"""Of the largest output."""


def graph_gate(subject: Subject, images: Sequence[Tensor]) -> Gate:
    """Whether a package's graph is that of its network."""
    try:
        single = _single(subject)
        names = watched(subject, single.program)
        reference = references(subject, subject.module, stored=False)
        found = [run_watched(single, names, image) for image in images]
        gap = distance(subject, found, [reference(image) for image in images])
        figures = {"error": gap.relative, "tolerance": TOLERANCE}
        if gap.relative > TOLERANCE:
            reason = f"a conversion in single precision is {gap.relative:.2g} from torch"
            return Gate(NAME, SHOWS, False, reason, figures)
        compare_graphs(subject.graph, single.program)
    except ExportError as error:
        return Gate(NAME, SHOWS, False, str(error))
    return Gate(NAME, SHOWS, True, figures=figures)


def _single(subject: Subject) -> Interpreter:
    """The network converted anew, all in single precision."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec, weight_file = convert(subject.folded.module, subject.plan, folder, single=True)
        path = folder / f"single{subject.options.format.suffix}"
        write_package(spec, weight_file, path)
        return Interpreter.from_package(path)


def compare_graphs(found: Program, wanted: Program) -> None:
    """Check that two programs differ in precision and weights alone.

    Raises:
        ExportError: an operation, a wire, a parameter or an output differs; the message names it.
    """
    ours, theirs = _Graph(found), _Graph(wanted)
    for op, other in zip(ours.operations, theirs.operations, strict=False):
        if op.kind != other.kind:
            raise ExportError(f"{op.where}: should be a '{other.kind}'")
        if op.inputs.keys() != other.inputs.keys():
            raise ExportError(f"{op.where}: takes {sorted(op.inputs)}, not {sorted(other.inputs)}")
        for key in op.inputs:
            _compare_inputs(op, key, list(ours.read(op, key)), list(theirs.read(other, key)))
        shapes = [[output.shape for output in x.outputs] for x in (op, other)]
        if shapes[0] != shapes[1]:
            raise ExportError(f"{op.where}: gives the shapes {shapes[0]}, should give {shapes[1]}")
    if len(ours.operations) != len(theirs.operations):
        counts = f"{len(ours.operations)} operations, the network {len(theirs.operations)}"
        raise ExportError(f"the package has {counts}")
    if ours.outputs() != theirs.outputs():
        raise ExportError("the outputs are not made by the operations that should make them")


Read = tuple[int, int] | str | Array
"""A value: the operation that made it and which of its outputs it is, an input, or a constant."""


class _Graph:
    """A program without its casts: precision is not compared, and puts casts in other places."""

    def __init__(self, program: Program) -> None:
        self.program = program
        running = [op for op in program.operations if not is_constant(op)]
        self.operations = [op for op in running if op.kind != "cast"]
        self.origins: dict[str, str] = {
            op.name: str(op.inputs["x"][0]) for op in running if op.kind == "cast"
        }
        self.places: dict[str, Read] = {entry.name: entry.name for entry in program.inputs}
        for op in program.operations:
            if op.kind == "const":
                self.places[op.outputs[0].name] = op.attributes["val"]
            elif is_constant(op):  # a compressed weight stands for a plain one of its shape
                self.places |= {x.name: np.zeros(_sizes(x), np.float16) for x in op.outputs}
        for at, op in enumerate(self.operations):
            self.places |= {output.name: (at, n) for n, output in enumerate(op.outputs)}

    def place(self, name: str) -> Read:
        while name in self.origins:
            name = self.origins[name]
        return self.places[name]

    def read(self, op: Operation, key: str) -> Iterator[Read]:
        for item in op.inputs[key]:
            yield self.place(item) if isinstance(item, str) else item

    def outputs(self) -> dict[str, Read]:
        return {name: self.place(name) for name in self.program.outputs}


def _sizes(output: Value) -> tuple[int, ...]:
    return tuple(size or 0 for size in output.shape or ())


def _compare_inputs(op: Operation, key: str, found: list[Read], wanted: list[Read]) -> None:
    same = len(found) == len(wanted) and all(map(_equal, found, wanted))
    if not same:
        shown = [_shown(values) for values in (found, wanted)]
        raise ExportError(f"{op.where}: '{key}' is {shown[0]}, should be {shown[1]}")


def _equal(found: Read, wanted: Read) -> bool:
    if not isinstance(found, np.ndarray) or not isinstance(wanted, np.ndarray):
        return type(found) is type(wanted) and found == wanted
    if found.shape != wanted.shape:
        return False
    if np.issubdtype(found.dtype, np.floating):
        # tensors are weights: another gate; numbers may be rounded
        return found.ndim > 0 or _half(found) == _half(wanted)
    return bool((found == wanted).all())


def _half(value: Array) -> np.float16:
    with np.errstate(over="ignore"):
        return np.float16(value)


def _shown(values: list[Read]) -> str:
    return ", ".join(
        f"{value.tolist()}"
        if isinstance(value, np.ndarray) and value.size < 10
        else "a constant"
        if isinstance(value, np.ndarray)
        else value
        if isinstance(value, str)
        else f"output {value[1]} of operation {value[0]}"
        for value in values
    )
