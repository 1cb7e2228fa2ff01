"""An ML Program on disk as plain data: inputs, operations with decoded constants, outputs.

Read from the protobuf and the weight files, with none of the converter's own decoders. Constants
are arrays of the type that they are stored in; `palmette.export.interpreter.constants` expands
compressed ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.export.blobs import ELEMENTS, WeightFiles, decoded
from palmette.export.package import model_file, network_of, read_spec
from palmette.space.errors import InputError, expect

Array = NDArray[Any]
Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """Name, type and shape of what an operation gives; None for sizes that are not fixed."""

    name: str
    dtype: str
    """As ML Programs call it: FLOAT16, INT32, ...; empty for a list or a dictionary."""
    shape: Shape | None = ()
    """None: not declared, as in the older format."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; each input is the names of the values that it takes, or a constant."""

    kind: str
    name: str
    inputs: dict[str, tuple[str | Array, ...]]
    attributes: dict[str, Array]
    outputs: tuple[Value, ...]

    @property
    def where(self) -> str:
        """How messages call it."""
        return f"operation '{self.name}' ({self.kind})"


@dataclass(frozen=True, slots=True)
class Program:
    """One function of an ML Program."""

    inputs: tuple[Value, ...]
    operations: tuple[Operation, ...]
    """In order; constants among them."""
    outputs: tuple[str, ...]


def read_program(path: Path, function: str = "main", *, weights: bool = True) -> Program:
    """A function of the ML Program in a package, or of the first stage of its pipeline.

    Args:
        path: the package.
        function: its name.
        weights: whether weight files are read; otherwise what lies in them are zeros.

    Raises:
        InputError: not a package, not an ML Program, no such function, or a damaged weight file.
    """
    spec = network_of(read_spec(path))
    kind = spec.WhichOneof("Type")
    expect(kind == "mlProgram", f"package {path}: holds a '{kind}', not an ML Program")
    functions = spec.mlProgram.functions
    expect(
        function in functions,
        f"package {path}: has no function '{function}'; it has {', '.join(sorted(functions))}",
    )
    found = functions[function]
    block = found.block_specializations[found.opset]
    files = WeightFiles(model_file(path).parent, weights=weights)
    return Program(
        tuple(_value(entry) for entry in found.inputs),
        tuple(_operation(operation, files) for operation in block.operations),
        tuple(block.outputs),
    )


def _operation(operation: Any, files: WeightFiles) -> Operation:
    outputs = tuple(_value(output) for output in operation.outputs)
    name = outputs[0].name if outputs else ""
    where = f"operation '{name}' ({operation.type})"
    expect(not operation.blocks, f"{where}: has blocks inside, which are not interpreted")
    return Operation(
        operation.type,
        name,
        {
            key: tuple(_argument(x, files, f"{where}, {key}") for x in argument.arguments)
            for key, argument in operation.inputs.items()
        },
        {
            key: _constant(value, files, f"{where}, {key}")
            for key, value in operation.attributes.items()
            if key != "name"
        },
        outputs,
    )


def _argument(binding: Any, files: WeightFiles, where: str) -> str | Array:
    if binding.WhichOneof("binding") == "name":
        return str(binding.name)
    return _constant(binding.value, files, where)


def _value(entry: Any) -> Value:
    return Value(entry.name, *_type(entry.type))


def _type(kind: Any) -> tuple[str, Shape]:
    from coremltools.proto import MIL_pb2

    if kind.WhichOneof("type") != "tensorType":
        return "", ()
    tensor = kind.tensorType
    sizes = tuple(
        int(size.constant.size) if size.WhichOneof("dimension") == "constant" else None
        for size in tensor.dimensions
    )
    return MIL_pb2.DataType.Name(tensor.dataType), sizes


def _constant(value: Any, files: WeightFiles, where: str) -> Array:
    """A stored value; a list of texts as an array of them."""
    if value.WhichOneof("value") == "blobFileValue":
        dtype, shape = _fixed(value.type, where)
        _known(dtype, where)
        if not files.weights and dtype not in _INDICES:
            return np.broadcast_to(np.zeros((), ELEMENTS[dtype].dtype), shape)
        blob = value.blobFileValue
        data = files.read(blob.fileName, blob.offset, dtype)
        return decoded(data, dtype, math.prod(shape), where).reshape(shape)
    immediate = value.immediateValue
    if immediate.WhichOneof("value") == "list":
        return np.array([_constant(item, files, where).item() for item in immediate.list.values])
    dtype, shape = _fixed(value.type, where)
    tensor = immediate.tensor
    field = tensor.WhichOneof("value")
    expect(field is not None, f"{where}: holds no value")
    values = getattr(tensor, field).values
    if field == "bytes":
        _known(dtype, where)
        return decoded(values, dtype, math.prod(shape), where).reshape(shape)
    expect(dtype in _MEMORY, f"{where}: values of type {dtype} are not read")
    return _listed(values, _MEMORY[dtype], shape, where)


_MEMORY = {
    "BOOL": "?",
    "STRING": "U",
    "FLOAT32": "f4",
    "INT32": "i4",
    "INT64": "i8",
    "UINT32": "u4",
    "INT16": "i2",
    "UINT16": "u2",
    "INT8": "i1",
    "UINT8": "u1",
}
_INDICES = ("INT16", "UINT16", "INT32", "UINT32")
"""Types of numbers that are no weights: they are read with the program."""


def _listed(values: Iterable[Any], dtype: str, shape: tuple[int, ...], where: str) -> Array:
    """Values that the program itself lists."""
    found = np.array(list(values), dtype)
    expect(
        found.size == math.prod(shape), f"{where}: of shape {shape}, but lists {found.size} values"
    )
    return found.reshape(shape)


def _known(dtype: str, where: str) -> None:
    expect(dtype in ELEMENTS, f"{where}: values of type {dtype} are not read")


def _fixed(kind: Any, where: str) -> tuple[str, tuple[int, ...]]:
    dtype, shape = _type(kind)
    sizes = tuple(size for size in shape if size is not None)
    if len(sizes) != len(shape):
        raise InputError(f"{where}: a constant without a fixed shape")
    return dtype, sizes
