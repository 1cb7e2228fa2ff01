"""Second gate: every stored value is right, and the file as it lies there computes with them.

Run in single precision it gives what torch does with the same values.

Plain weights equal the torch weights, folded and rounded, bit for bit. Compressed ones equal what
coremltools itself decompresses and keep the promise of the scheme that the package names, and what
they lost is measured; the values that a scheme leaves as they are must be equal bit for bit too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.export._coremltools import coremltools, without_bars
from palmette.export.errors import ExportError
from palmette.export.fold import Folded, Layer, stored_module
from palmette.export.gates.gate import Gate
from palmette.export.gates.observed import distance, references, run_watched, watched
from palmette.export.gates.subject import Subject
from palmette.export.input_proof import compare_input
from palmette.export.interpreter import Interpreter, Operation, Program, read_program
from palmette.export.interpreter.program import Array
from palmette.export.interpreter.run import expanded_constants
from palmette.export.package import WEIGHT_FILE, model_file, network_of, read_spec, write_package
from palmette.export.proof import compare_outputs, compare_structure, compare_weights
from palmette.export.weights import PROGRAM_VALUES, stored_layers
from palmette.space.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from palmette.export.compression.schemes import Scheme

NAME = "weights"
SHOWS = (
    "every stored value is that of the network, bit for bit (compressed ones: what coremltools"
    " reads), and the file run in single precision computes what torch does with them"
)
TOLERANCE = 2e-3
"""Of the largest output: numbers in activations are rounded to half precision."""
LOST = 1.0
"""Share of a layer's weights that compression may take: zeros in their place would be as good."""


def weights_gate(subject: Subject, images: Sequence[Tensor]) -> tuple[Gate, nn.Module | None]:
    """Whether the stored weights are right, and the network in torch with those of the file."""
    figures: dict[str, Any] = {}
    try:
        figures |= _compare_stored(subject)
        compare_structure(subject.path, subject.architecture.ops())
        compare_input(subject.path, subject.plan)
        flexible = subject.options.sizes is not None
        compare_outputs(subject.path, subject.end, flexible=flexible)
        interpreter = Interpreter.from_package(subject.path)
        network = network_as_stored(subject.folded, interpreter)
        gap = _run(subject, interpreter, network, images)
    except (ExportError, InputError) as error:
        return Gate(NAME, SHOWS, False, str(error), figures), None
    figures |= {"error": gap, "tolerance": TOLERANCE}
    passed = gap <= TOLERANCE
    reason = "" if passed else f"run in single precision, the file is {gap:.2g} from torch"
    return Gate(NAME, SHOWS, passed, reason, figures), network


def _compare_stored(subject: Subject) -> dict[str, Any]:
    if subject.compressed:
        return _compare_compressed(subject)
    stored = stored_layers(subject.path, subject.plan.constants)
    report = compare_weights(stored, subject.folded.layers)
    return {"layers": report.layers, "values": report.values}


def _run(
    subject: Subject, interpreter: Interpreter, network: nn.Module, images: Sequence[Tensor]
) -> float:
    names = watched(subject, interpreter.program)
    reference = references(subject, network, stored=True)
    found = [run_watched(interpreter, names, image) for image in images]
    return distance(subject, found, [reference(image) for image in images]).relative


def network_as_stored(folded: Folded, interpreter: Interpreter) -> nn.Module:
    """The folded network in torch with the weights that a program stores.

    Raises:
        ExportError: the program has more or fewer layers, or one of another shape.
    """
    found = list(_layers(interpreter))
    if len(found) != len(folded.layers):
        raise ExportError(
            f"the package stores {len(found)} layers with values, the module has"
            f" {len(folded.layers)}"
        )
    layers = tuple(map(_filled, folded.layers, found))
    return stored_module(replace(folded, layers=layers))


def _layers(interpreter: Interpreter) -> Iterator[tuple[Operation, list[Array | None]]]:
    """Operations with values, and the expanded constants that they read."""
    for op in interpreter.program.operations:
        if op.kind in PROGRAM_VALUES:
            yield op, [_read(op, key, interpreter.constants) for key in PROGRAM_VALUES[op.kind]]


def _read(op: Operation, key: str, constants: dict[str, Array]) -> Array | None:
    if key not in op.inputs:
        return None
    (item,) = op.inputs[key]
    return constants.get(item) if isinstance(item, str) else item


def _filled(layer: Layer, stored: tuple[Operation, list[Array | None]]) -> Layer:
    """A layer with its values from a program."""
    op, values = stored
    weight, bias = (*values, None)[:2]
    if weight is None or weight.shape != layer.weight.shape:
        shape = None if weight is None else weight.shape
        raise ExportError(f"{op.where}: its weight has the shape {shape}, not {layer.weight.shape}")
    return replace(layer, weight=weight, bias=np.zeros_like(layer.bias) if bias is None else bias)


def _compare_compressed(subject: Subject) -> dict[str, Any]:
    """Check a compressed package's values; how many weights are compressed, and what they lost.

    Raises:
        ExportError: a value differs from coremltools' reading, or one that is not compressed from
            the torch weights, or a layer has nothing left of its weights.
    """
    from palmette.export.compression.schemes import SCHEMES

    program = read_program(subject.path)
    ours = expanded_constants(program)
    compared = _compare_expanded(program, ours, _decompressed(subject))
    squeezed = {
        output.name
        for op in program.operations
        if op.kind.startswith("constexpr_")
        for output in op.outputs
    }
    lost = [0.0]
    scheme = SCHEMES.get(
        read_spec(subject.path).description.metadata.userDefined.get("compression", "")
    )
    found = [op for op in program.operations if op.kind in PROGRAM_VALUES]
    if len(found) != len(subject.folded.layers):
        raise ExportError(
            f"the package stores {len(found)} layers with values, the module has"
            f" {len(subject.folded.layers)}"
        )
    for op, layer in zip(found, subject.folded.layers, strict=True):
        for key, wanted in zip(PROGRAM_VALUES[op.kind], (layer.weight, layer.bias), strict=False):
            value = _read(op, key, ours)
            if value is None:
                value = np.zeros_like(wanted)
            if op.inputs.get(key, ("",))[0] in squeezed:
                lost.append(_lost(value, wanted, f"{layer.name}.{key}"))
                if scheme is not None:
                    _check_scheme(scheme, value, wanted, f"{layer.name}.{key}")
            elif _as_index(value).tobytes() != wanted.tobytes():
                raise ExportError(f"{layer.name}.{key} is not compressed, but not the module's")
    return {"compressed": compared, "weights_lost": max(lost)}


def _as_index(value: Array) -> Array:
    """Indices in the type of `Layer`, whichever they are stored in; weights as they are."""
    return value.astype(np.int32) if value.dtype.kind in "iu" else value


def _check_scheme(scheme: Scheme, value: Array, wanted: Array, where: str) -> None:
    """Check that weights keep what the last step of their scheme promises."""
    from palmette.export.compression.promises import check_promise

    joint = len(scheme.steps) > 1
    before = np.where(value != 0, wanted, 0).astype(wanted.dtype) if joint else wanted
    check_promise(scheme.steps[-1], before, value, where, joint=joint)


def _compare_expanded(program: Program, ours: dict[str, Array], theirs: dict[str, Array]) -> int:
    """Number of compressed values, all equal to coremltools' reading."""
    count = 0
    for op in program.operations:
        for key in PROGRAM_VALUES.get(op.kind, ()):
            value = _read(op, key, ours)
            if value is None or f"{op.name}.{key}" not in theirs:
                continue
            other = theirs[f"{op.name}.{key}"]
            if value.shape != other.shape or value.tobytes() != other.tobytes():
                raise ExportError(f"{op.where}: '{key}' is not what coremltools decompresses")
            count += value.size
    return count


def _decompressed(subject: Subject) -> dict[str, Array]:
    """Values of layers by operation and input, decompressed by coremltools."""
    ct = coremltools()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage, dense = folder / "stage.mlpackage", folder / "dense.mlpackage"
        weight_file = model_file(subject.path).parent / "weights" / WEIGHT_FILE
        spec = network_of(read_spec(subject.path))
        write_package(spec, weight_file if weight_file.exists() else None, stage)
        reason = ""
        try:
            with without_bars():
                model = ct.models.MLModel(str(stage), skip_model_load=True)
                ct.optimize.coreml.decompress_weights(model).save(str(dense))
        except Exception as error:  # the decompressor raises all kinds
            reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
        if reason:
            raise ExportError(f"coremltools could not read the compressed weights ({reason})")
        program = read_program(dense)
    constants = expanded_constants(program)
    return {
        f"{op.name}.{key}": value
        for op in program.operations
        for key in PROGRAM_VALUES.get(op.kind, ())
        if (value := _read(op, key, constants)) is not None
    }


def _lost(value: Array, wanted: Array, where: str) -> float:
    """Root mean square change of weights, as a share of their root mean square."""
    before, after = wanted.astype(np.float64), value.astype(np.float64)
    size, change = np.linalg.norm(before), np.linalg.norm(after - before)
    lost = float(change / size) if size else float(change > 0)
    if not lost < LOST:
        raise ExportError(f"{where}: compression changed it by {lost:.2g} of its size")
    return lost
