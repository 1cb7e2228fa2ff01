"""A module of any tensors as a Core ML package of fixed shapes: ops, blocks, whatever is timed.

Networks go through `palmette.export.coreml`, which knows heads, images and labels. Here inputs and
outputs are arrays: half precision in an ML Program, single in the older format, which has no other.
Parts of a module may stay in single precision, as the Neural Engine runs no op in it.

The proof is a run: the package on disk, in the interpreter, gives what torch gives with the weights
of half precision that the package stores.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.export._coremltools import coremltools
from palmette.export.conversion import run_converter
from palmette.export.coreml import describe
from palmette.export.errors import ExportError
from palmette.export.fold import check_exportable
from palmette.export.formats import FORMATS
from palmette.export.options import ExportOptions
from palmette.export.package import WEIGHT_FILE, WEIGHTS_ITEM, read_spec, write_package
from palmette.export.place import destination, move_into_place
from palmette.export.proof import compare_system
from palmette.export.weights import store_half
from palmette.space.errors import expect

if TYPE_CHECKING:
    from torch import Tensor, nn

TOLERANCE = 2e-3
"""Largest difference of an output, relative to its largest value: constants such as the sixth of a
hard swish are stored in half precision."""


def export_tensors(
    module: nn.Module,
    inputs: Sequence[Tensor],
    path: Path,
    *,
    options: ExportOptions,
    about: str,
    single: str = "",
) -> Path:
    """Write a Core ML package of a module of tensors, prove it, and return its path.

    Inputs are called `x`, or `x0`, `x1` and so on; outputs `y` alike. Equal arguments give equal
    bytes. A package that is already there is replaced.

    Args:
        module: in evaluation mode; it is left as it was.
        inputs: whose shapes the package takes, and which the proof runs on.
        path: of the package; the format's suffix is added if it has none.
        options: of which the format, the system and the metadata count.
        about: the module in one line.
        single: how the names of direct children begin that stay in single precision.

    Raises:
        InputError: an argument breaks a rule; the message names it.
        ExportError: the converter failed, or the package does not equal the module.
    """
    path = destination(path, options.kind)
    check_exportable(module)
    expect(
        not single or options.kind == "mlprogram",
        f"single precision: the format '{options.kind}' has one precision for all ops",
    )
    module = _as_stored(module)
    wanted = run_module(module, inputs)
    system = options.system or FORMATS[options.kind].minimum_target
    with tempfile.TemporaryDirectory(prefix=".palmette-export-", dir=path.parent) as folder:
        built = Path(folder) / path.name
        arguments = _arguments(inputs, len(wanted), options.kind, system)
        arguments |= _precision(options.kind, single, Path(folder))
        model = run_converter(module, tuple(inputs), arguments)
        spec = model.get_spec()
        if options.kind != "mlprogram":
            store_half(spec)
            _declare_shapes(spec, wanted)
        describe(spec, about, options.metadata)
        weights = Path(folder, CONVERTED, "Data", WEIGHTS_ITEM, WEIGHT_FILE)
        write_package(spec, weights if weights.exists() else None, built)
        compare_system(built, system)
        _compare(built, inputs, wanted)
        if single:
            _compare_singles(built, _children(module, single))
        move_into_place(built, path)
    return path


CONVERTED = "converted.mlpackage"


def names(prefix: str, count: int) -> tuple[str, ...]:
    """Names of inputs (`x`) or outputs (`y`)."""
    return (prefix,) if count == 1 else tuple(f"{prefix}{at}" for at in range(count))


def run_module(module: nn.Module, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Outputs of a module; those of one that works in place are copied."""
    import torch

    with torch.inference_mode():
        given = module(*(value.clone() for value in inputs))
    return given if isinstance(given, tuple) else (given,)


def _as_stored(module: nn.Module) -> nn.Module:
    """A copy whose values half precision holds; the converter then has nothing to round."""
    import torch

    twin = copy.deepcopy(module)
    with torch.no_grad():
        for value in [*twin.parameters(), *twin.buffers()]:
            if value.is_floating_point():
                value.copy_(value.half().float())
    check_exportable(twin)
    return twin


def _arguments(inputs: Sequence[Tensor], outputs: int, kind: str, system: str) -> dict[str, Any]:
    """Arguments of the converter, besides its precision."""
    ct = coremltools()
    precision = np.float16 if kind == "mlprogram" else np.float32
    return {
        "source": "pytorch",
        "convert_to": kind,
        "minimum_deployment_target": getattr(ct.target, system),
        "inputs": [
            ct.TensorType(name, shape=tuple(value.shape), dtype=precision)
            for name, value in zip(names("x", len(inputs)), inputs, strict=True)
        ],
        "outputs": [ct.TensorType(name) for name in names("y", outputs)],
        "skip_model_load": True,
    }


def _precision(kind: str, single: str, folder: Path) -> dict[str, Any]:
    """How an ML Program computes, and where the converter leaves it."""
    if kind != "mlprogram":
        return {}
    ct = coremltools()
    half = ct.transform.FP16ComputePrecision(op_selector=_outside(single))
    return {
        "compute_precision": half if single else ct.precision.FLOAT16,
        "package_dir": str(folder / CONVERTED),
    }


def _outside(prefix: str) -> Callable[[Any], bool]:
    """Whether an op of the converter comes from no child of that name."""
    from coremltools.converters.mil.mil.scope import ScopeSource

    source = ScopeSource.TORCHSCRIPT_MODULE_NAME

    def select(op: Any) -> bool:
        return not any(name.startswith(prefix) for name in op.scopes.get(source, ()))

    return select


def _children(module: nn.Module, prefix: str) -> int:
    return sum(name.startswith(prefix) for name, _ in module.named_children())


def _declare_shapes(spec: Any, wanted: Sequence[Tensor]) -> None:
    """Shapes of a neural network's outputs, which its converter leaves out."""
    for output, value in zip(spec.description.output, wanted, strict=True):
        array = output.type.multiArrayType
        del array.shape[:]
        array.shape.extend(value.shape)


# Proof


def _compare(built: Path, inputs: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    """Check a package's outputs against torch's: names, shapes, types, values."""
    from palmette.export.interpreter import Interpreter

    spec = read_spec(built)
    half = spec.WhichOneof("Type") == "mlProgram"
    for array in (*spec.description.input, *spec.description.output):
        kind = array.type.multiArrayType
        if half and kind.dataType != kind.FLOAT16:
            raise ExportError(f"the package's '{array.name}' is not in half precision")
    given = dict(zip(names("x", len(inputs)), inputs, strict=True))
    found = Interpreter.from_package(built).run(given)
    expected = dict(zip(names("y", len(wanted)), wanted, strict=True))
    if found.keys() != expected.keys():
        raise ExportError(f"the package's outputs are {', '.join(found)}, not {list(expected)}")
    for name, value in expected.items():
        shape, now = tuple(value.shape), found[name]
        if tuple(now.shape) != shape:
            raise ExportError(
                f"the package's '{name}' has the shape {tuple(now.shape)}, not {shape}"
            )
        gap = float((now - value).abs().max()) / max(float(value.abs().max()), 1e-30)
        if not gap <= TOLERANCE:
            raise ExportError(f"the package's '{name}' is {gap:.2g} of its largest value off torch")


def _compare_singles(built: Path, count: int) -> None:
    """Check that so many results are in single precision, besides what leads there."""
    from palmette.export.interpreter import read_program

    running = [op for op in read_program(built).operations if op.kind not in ("const", "cast")]
    found = sum(output.dtype == "FLOAT32" for op in running for output in op.outputs)
    if found != count:
        raise ExportError(f"the package has {found} ops in single precision, {count} were asked")
