"""Weights of layers, values per channel and constants, as a package on disk stores them.

Reads the protobuf and `weight.bin` directly, with none of the converter's own decoders, so that a
check against the torch module tests the file and not the converter's memory of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.export.blobs import WeightFiles, decoded
from palmette.export.errors import ExportError
from palmette.export.package import model_file, network_of, read_spec
from palmette.space.errors import expect

Half = NDArray[np.float16]

PROGRAM_VALUES: dict[str, tuple[str, ...]] = {
    "conv": ("weight", "bias"),
    "linear": ("weight", "bias"),
    "batch_norm": ("gamma", "beta"),
    "prelu": ("alpha",),
    "gather": ("indices",),
}
"""Inputs of an ML Program's ops that hold values, in the order of `StoredLayer`."""
LAYER_PARAMS = ("convolution", "innerProduct")


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer with values read back; shapes as in `palmette.export.fold.Layer`."""

    name: str
    weight: NDArray[Any]
    bias: Half | None


def stored_layers(
    path: Path, constants: Sequence[Half] = (), function: str = ""
) -> tuple[StoredLayer, ...]:
    """Layers of a package that hold values, in the order of its program.

    They are convolutions and linear layers; and, with a value for each channel, BatchNorms that no
    layer took in, slopes of parametric rectifiers, and indices of gathers.

    Args:
        path: the package; of a pipeline, its first stage is read.
        constants: other arrays that it must store, bit for bit, such as a detector's anchors.
        function: of a package with several.

    Raises:
        InputError: not a package, or `weight.bin` is damaged.
        ExportError: a weight is not in half precision, or it belongs to no such layer and is none
            of the constants (it could not be checked), or a constant is missing, or a BatchNorm is
            not reduced to its gain and shift.
    """
    spec = network_of(read_spec(path, function))
    kind = spec.WhichOneof("Type")
    expect(
        kind in _READERS,
        f"package {path}: holds a '{kind}'; can check {', '.join(_READERS)}",
    )
    known = _Known(constants)
    layers = tuple(_READERS[kind](spec, path, known))
    known.expect_all()
    return layers


class _Known:
    """Constants that a package must store, ticked off as they are found."""

    def __init__(self, arrays: Sequence[Half]) -> None:
        # the converter may put dimensions of one before the others
        self.shapes = {array.tobytes(): array.shape for array in arrays}
        self.missing = set(self.shapes)

    def found(self, values: bytes) -> bool:
        """Whether these are the values of a constant."""
        self.missing.discard(values)
        return values in self.shapes

    def expect_all(self) -> None:
        """Raise ExportError if one was not found."""
        for values in self.missing:
            raise ExportError(
                f"a constant of shape {self.shapes[values]} is not in the package bit for bit"
            )


def program_operations(spec: Any) -> list[Any]:
    """Operations of an ML Program's main function, constants included."""
    function = spec.mlProgram.functions["main"]
    return list(function.block_specializations[function.opset].operations)


def constants_in(spec: Any) -> dict[str, Any]:
    """Values of an ML Program's constants by their names."""
    operations = program_operations(spec)
    return {op.outputs[0].name: op.attributes["val"] for op in operations if op.type == "const"}


def network_layers(spec: Any) -> list[Any]:
    """Layers of a neural network or a neural network classifier."""
    return list(getattr(spec, spec.WhichOneof("Type")).layers)


def weight_params(layer: Any) -> Iterator[tuple[str, Any]]:
    """Name and message of all weights of a neural network's layer."""
    params = getattr(layer, layer.WhichOneof("layer"))
    if layer.WhichOneof("layer") == "activation":  # each function has a message of its own
        params = getattr(params, params.WhichOneof("NonlinearityType"))
    for entry, value in params.ListFields():
        if entry.message_type is not None and entry.message_type.name == "WeightParams":
            yield entry.name, value


def store_half(spec: Any) -> None:
    """Turn all single-precision weights of a neural network into half precision, in place.

    Indices of gathers stay as they are: half precision has no odd numbers above 2048.
    """
    gathered = _gathered(spec)
    for layer in network_layers(spec):
        if layer.name in gathered:
            continue
        for _, params in weight_params(layer):
            if params.floatValue:
                values = np.array(params.floatValue, np.float32)
                params.float16Value = values.astype("<f2").tobytes()
                params.ClearField("floatValue")


def _program_layers(spec: Any, path: Path, known: _Known) -> Iterator[StoredLayer]:
    operations, constants = program_operations(spec), constants_in(spec)
    blobs = WeightFiles(model_file(path).parent)
    beside = dict(constants)
    for op in operations:
        if op.type in PROGRAM_VALUES:
            name = op.outputs[0].name
            named = {key: op.inputs[key].arguments[0].name for key in op.inputs}
            if op.type == "gather":
                if named["indices"] in constants:
                    index = beside.pop(named["indices"], constants[named["indices"]])
                    yield StoredLayer(name, _indices(index, blobs), None)
                continue
            for key in PROGRAM_VALUES[op.type]:
                if key in named and named[key] not in constants:
                    raise ExportError(f"'{name}.{key}' is no plain constant, but made of others")
            tensors = {
                key: _half_tensor(constants[named[key]], blobs, f"{name}.{key}")
                for key in (*PROGRAM_VALUES[op.type], *_NORM_REST)
                if key in named
            }
            for key in tensors:
                beside.pop(named[key], None)
            if op.type == "batch_norm":
                _check_reduced(name, *(tensors[key] for key in _NORM_REST))
            weight, bias = (*PROGRAM_VALUES[op.type], "")[:2]
            yield StoredLayer(name, tensors[weight], tensors.get(bias))
    for name, value in beside.items():
        # values of a few numbers are in the program itself, among shapes and other parameters
        data = _half_data(value, blobs)
        if not known.found(data) and value.WhichOneof("value") == _IN_FILE:
            raise ExportError(f"'{name}' is a weight of no convolution or linear layer")


_IN_FILE = "blobFileValue"
_CONSTANT = "loadConstantND"
_NORM_REST = ("mean", "variance", "epsilon")


def _check_reduced(name: str, mean: Any, variance: Any, epsilon: Any) -> None:
    """What remains of a BatchNorm is its gain and its shift."""
    if np.any(mean) or np.any(np.asarray(variance) != 1) or np.any(epsilon):
        raise ExportError(f"'{name}' holds statistics that are not in its gain and shift")


def _indices(value: Any, blobs: WeightFiles) -> NDArray[np.int32]:
    """Whole numbers; since iOS 17 in 16 bits, many of them in the weight file."""
    from coremltools.proto import MIL_pb2

    element = MIL_pb2.DataType.Name(value.type.tensorType.dataType)
    shape = tuple(size.constant.size for size in value.type.tensorType.dimensions)
    if value.WhichOneof("value") == _IN_FILE:
        blob = value.blobFileValue
        data = blobs.read(blob.fileName, blob.offset, element)
        return decoded(data, element, math.prod(shape), blob.fileName).astype(np.int32)
    tensor = value.immediateValue.tensor
    if tensor.WhichOneof("value") == "bytes":
        found = decoded(tensor.bytes.values, element, math.prod(shape), "gather")
        return found.astype(np.int32)
    return np.array(list(tensor.ints.values), np.int32)


def _half_tensor(value: Any, blobs: WeightFiles, where: str) -> Half:
    from coremltools.proto import MIL_pb2

    kind = value.type.tensorType
    if kind.dataType != MIL_pb2.FLOAT16:
        raise ExportError(f"'{where}' is stored as {MIL_pb2.DataType.Name(kind.dataType)}")
    shape = tuple(size.constant.size for size in kind.dimensions)
    return _from_bytes(_half_data(value, blobs), shape, where)


def _half_data(value: Any, blobs: WeightFiles) -> bytes:
    """Bytes of a half-precision value; none if it is of another type."""
    if value.WhichOneof("value") == _IN_FILE:
        return blobs.read(value.blobFileValue.fileName, value.blobFileValue.offset)
    data: bytes = value.immediateValue.tensor.bytes.values
    return data


def _from_bytes(data: bytes, shape: tuple[int, ...], where: str) -> Half:
    if shape != (-1,) and len(data) != 2 * math.prod(shape):
        raise ExportError(f"'{where}' of shape {shape} is stored in {len(data)} bytes")
    return np.frombuffer(data, "<f2").reshape(shape)


def _gathered(spec: Any) -> set[str]:
    """Names of a neural network's constants that gathers take as indices."""
    layers = network_layers(spec)
    read = {x.input[1] for x in layers if x.WhichOneof("layer") == "gather"}
    return {x.name for x in layers if x.WhichOneof("layer") == _CONSTANT and x.output[0] in read}


def _network_layers(spec: Any, path: Path, known: _Known) -> Iterator[StoredLayer]:
    gathered = _gathered(spec)
    for layer in network_layers(spec):
        kind = layer.WhichOneof("layer")
        if kind in LAYER_PARAMS:
            params = getattr(layer, kind)
            inner: tuple[int, ...] = (getattr(params, "inputChannels", 0),)
            if kind == "convolution":
                inner = (params.kernelChannels, *params.kernelSize)
            weight = _params_half(
                params.weights, (params.outputChannels, *inner), f"{layer.name}.weight"
            )
            bias = None
            if params.hasBias:
                bias = _params_half(params.bias, (params.outputChannels,), f"{layer.name}.bias")
            yield StoredLayer(layer.name, weight, bias)
        elif kind in _VECTORS:
            yield from _VECTORS[kind](layer)
        elif layer.name in gathered:
            yield _index(layer)
        elif any(not known.found(params.float16Value) for _, params in weight_params(layer)):
            raise ExportError(f"'{layer.name}' ({kind}) holds weights that could not be checked")


def _norm(layer: Any) -> Iterator[StoredLayer]:
    params = layer.batchnorm
    gain, shift, mean, variance = (
        _params_half(getattr(params, key), (params.channels,), f"{layer.name}.{key}")
        for key in ("gamma", "beta", "mean", "variance")
    )
    _check_reduced(layer.name, mean, variance, params.epsilon)
    yield StoredLayer(layer.name, gain, shift)


def _slopes(layer: Any) -> Iterator[StoredLayer]:
    if layer.activation.WhichOneof("NonlinearityType") == "PReLU":
        alpha = layer.activation.PReLU.alpha
        where = f"{layer.name}.alpha"
        yield StoredLayer(layer.name, _params_half(alpha, (-1,), where), None)


def _index(layer: Any) -> StoredLayer:
    values = np.array(layer.loadConstantND.data.floatValue)
    if np.any(values != values.astype(np.int32)):
        raise ExportError(f"'{layer.name}' holds an index that is no whole number")
    return StoredLayer(layer.name, values.astype(np.int32), None)


_VECTORS: dict[str, Callable[[Any], Iterator[StoredLayer]]] = {
    "batchnorm": _norm,
    "activation": _slopes,
}


def _params_half(params: Any, shape: tuple[int, ...], where: str) -> Half:
    if params.floatValue or not params.float16Value:
        raise ExportError(f"'{where}' is not stored in half precision")
    return _from_bytes(params.float16Value, shape, where)


_READERS: dict[str, Callable[[Any, Path, _Known], Iterator[StoredLayer]]] = {
    "mlProgram": _program_layers,
    "neuralNetwork": _network_layers,
    "neuralNetworkClassifier": _network_layers,
}
