"""Running a program: operation by operation, every result checked against its declared type.

Two arithmetics. Single precision on the stored weights tells whether graph and weights are right;
half precision emulated, each half-precision result rounded to half, tells what a phone's arithmetic
may make of it. Sums inside an operation stay in single precision in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.export.errors import ExportError
from palmette.export.interpreter.neural_network import NETWORKS, read_network
from palmette.export.interpreter.ops import constants
from palmette.export.interpreter.program import Array, Operation, Program, Value, read_program
from palmette.export.package import network_of, read_spec
from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from torch import Tensor

Hook = Callable[[Operation, Value, "Tensor"], None]
"""Called with every tensor that an operation gives."""

LISTS = frozenset({"values"})
"""Inputs that are lists, of however many values."""


@dataclass(frozen=True, slots=True)
class _Step:
    """An operation with its function and those inputs that are constant."""

    operation: Operation
    function: Callable[..., Any]
    fixed: dict[str, Any]
    named: dict[str, tuple[str, ...]]


class Interpreter:
    """A program ready to run: constants expanded, every operation known.

    Args:
        program: as `read_program` gives it.

    Raises:
        InputError: an operation that is not known, or a damaged constant; the message names it.
    """

    def __init__(self, program: Program) -> None:
        from palmette.export.interpreter.ops import OPERATIONS  # brings torch

        self.program = program
        self.constants = expanded_constants(program)
        running = [op for op in program.operations if not is_constant(op)]
        for op in running:
            expect(
                op.kind in OPERATIONS,
                f"{op.where}: this kind of operation is not known to the interpreter",
            )
        operands = {name: _operand(array) for name, array in self.constants.items()}
        self._steps = [_step(op, OPERATIONS[op.kind], operands) for op in running]
        self._operands = operands

    @classmethod
    def from_package(cls, path: Path, function: str = "main") -> Interpreter:
        """The program in a package, or its network of the older format as one."""
        kind = network_of(read_spec(path)).WhichOneof("Type")
        if kind in NETWORKS:
            return cls(read_network(path))
        return cls(read_program(path, function))

    def run(
        self, inputs: Mapping[str, Tensor], *, half: bool = False, hook: Hook | None = None
    ) -> dict[str, Any]:
        """Outputs by name, tensors of single precision where the program says half.

        Args:
            inputs: by name; an image as pixels from 0 to 255, (1, 3, height, width).
            half: whether each half-precision result is rounded to half.
            hook: called with every tensor.

        Raises:
            InputError: an input is missing or of another shape.
            ExportError: an operation fails, or gives another shape or type than it declares.
        """
        import torch

        values = dict(self._operands)
        for entry in self.program.inputs:
            expect(entry.name in inputs, f"program: needs the input '{entry.name}'")
            given = inputs[entry.name]
            expect(
                _fits(tuple(given.shape), entry),
                f"program: input '{entry.name}' has the shape {tuple(given.shape)}, needs"
                f" {entry.shape}",
            )
            values[entry.name] = given.float()
        with torch.inference_mode():
            for step in self._steps:
                for output, value in _results(step, values):
                    rounded = half and output.dtype == "FLOAT16"
                    values[output.name] = value.half().float() if rounded else value
                    if hook is not None and isinstance(value, torch.Tensor):
                        hook(step.operation, output, values[output.name])
        return {name: values[name] for name in self.program.outputs}


def is_constant(operation: Operation) -> bool:
    """Whether an operation gives a constant, plain or compressed."""
    return operation.kind == "const" or operation.kind.startswith("constexpr_")


def expanded_constants(program: Program) -> dict[str, Array]:
    """All constants of a program by name, compressed ones expanded.

    Raises:
        InputError: an unknown form of compression, or parameters that contradict each other.
    """
    found: dict[str, Array] = {}
    for op in program.operations:
        if op.kind == "const":
            found[op.name] = op.attributes["val"]
        elif is_constant(op):
            results = _expanded(op, found)
            for output, array in zip(op.outputs, results, strict=True):
                expect(
                    _fits(array.shape, output),
                    f"{op.where}: expands to the shape {array.shape}, declares {output.shape}",
                )
                found[output.name] = array
    return found


def _expanded(op: Operation, known: Mapping[str, Array]) -> tuple[Array, ...]:
    expect(op.kind in constants.TABLE, f"{op.where}: this form of compression is not known")
    given = {
        key: known[item] if isinstance(item, str) else item for key, (item,) in op.inputs.items()
    }
    reason = ""
    try:
        result = constants.TABLE[op.kind](**given, **op.attributes)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        reason = f"{op.where}: cannot be expanded ({_line(error)})"
    if reason:
        raise InputError(reason)
    return result if isinstance(result, tuple) else (result,)


def _step(op: Operation, function: Callable[..., Any], operands: Mapping[str, Any]) -> _Step:
    fixed: dict[str, Any] = dict(op.attributes)
    named: dict[str, tuple[str, ...]] = {}
    for key, items in op.inputs.items():
        texts = tuple(item for item in items if isinstance(item, str))
        if len(texts) < len(items):  # a constant in the operation itself, or a list of them
            own = [operands[x] if isinstance(x, str) else _operand(x) for x in items]
            fixed[key] = own if len(own) > 1 else own[0]
        elif key not in LISTS and texts[0] in operands:
            fixed[key] = operands[texts[0]]
        else:
            named[key] = texts
    return _Step(op, function, fixed, named)


def _results(step: _Step, values: Mapping[str, Any]) -> Iterator[tuple[Value, Any]]:
    """What an operation gives, after its types are checked."""
    op = step.operation
    named = {
        key: [values[name] for name in names] if key in LISTS else values[names[0]]
        for key, names in step.named.items()
    }
    reason = ""
    try:
        result = step.function(**step.fixed, **named)
    except (TypeError, ValueError, IndexError, KeyError, RuntimeError) as error:
        reason = f"{op.where}: does not run ({_line(error)})"
    if reason:
        raise ExportError(reason)
    results = result if isinstance(result, tuple) else (result,)
    if len(results) != len(op.outputs):
        raise ExportError(f"{op.where}: gives {len(results)} values, declares {len(op.outputs)}")
    for output, value in zip(op.outputs, results, strict=True):
        _check_type(op, output, value)
        yield output, value


def _check_type(op: Operation, output: Value, value: Any) -> None:
    if output.dtype in ("", "STRING"):
        return
    if not _fits(tuple(value.shape), output):
        raise ExportError(
            f"{op.where}: gives the shape {tuple(value.shape)}, declares {output.shape}"
        )
    found = str(value.dtype).removeprefix("torch.")
    if found != _RUNNING.get(output.dtype, ""):
        raise ExportError(f"{op.where}: gives values of type {found}, declares {output.dtype}")


_RUNNING = {
    "FLOAT16": "float32",
    "FLOAT32": "float32",
    "INT32": "int32",
    "INT16": "int16",
    "INT8": "int8",
    "UINT8": "uint8",
    "BOOL": "bool",
}
"""Types in which values of a program's types are held."""


def _fits(shape: tuple[int, ...], declared: Value) -> bool:
    return (
        declared.shape is None
        or (len(shape) == len(declared.shape))
        and all(wanted in (None, size) for size, wanted in zip(shape, declared.shape, strict=True))
    )


def _operand(array: Array) -> Any:
    """A constant as operations take it: real values as a tensor, others as plain values."""
    import torch

    if np.issubdtype(array.dtype, np.floating):
        return torch.from_numpy(array.astype(np.float32))
    return array.tolist()


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__} {error}".split())[:200]
