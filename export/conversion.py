"""From a torch module to Core ML's protobuf: trace, convert, store weights in half precision.

The only code that talks to the converter. What it makes is not believed: `export.proof` reads the
written package back.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.export._coremltools import coremltools, without_bars, without_jit_notes
from palmette.export.errors import ExportError
from palmette.export.package import WEIGHT_FILE, WEIGHTS_ITEM
from palmette.export.plan import Plan
from palmette.export.scaling import INPUT, TENSOR
from palmette.export.sizes import Flexible, Sizes, size_text
from palmette.export.weights import store_half
from palmette.space.architecture import IMAGE_CHANNELS
from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)

LABEL = "classLabel"
PROBABILITIES = f"{LABEL}_probs"


def convert(
    module: nn.Module,
    plan: Plan,
    folder: Path,
    *,
    single: bool = False,
    without: Sequence[str] = (),
) -> tuple[Any, Path | None]:
    """Convert a folded module to Core ML.

    Args:
        module: in evaluation mode; no BatchNorm is left that a layer could take in.
        plan: what is put around the module, and the options.
        folder: for the converter's files; the caller removes it.
        single: whether weights and arithmetic stay in single precision, as no package that is
            shipped has them (`palmette.export.gates`).
        without: passes of the converter that are left out, for they are wrong here.

    Returns:
        Core ML's protobuf, and the file with an ML Program's weights: tensors of a few numbers
        are in the protobuf itself, so there may be none.

    Raises:
        ExportError: the converter failed; the message carries its reason.
        InputError: the module belongs to one size, but the package shall take several.
    """
    import torch

    options, end = plan.options, plan.end
    program = options.kind == "mlprogram"
    module = plan.around(module).eval()
    example = torch.zeros((options.batch, IMAGE_CHANNELS, *plan.resolution))
    arguments = _arguments(plan)
    if program:
        precision = coremltools().precision
        arguments["compute_precision"] = precision.FLOAT32 if single else precision.FLOAT16
        # otherwise the converter leaves its package in the system's temporary folder
        arguments["package_dir"] = str(folder / "converted.mlpackage")
    if without:
        arguments["pass_pipeline"] = coremltools().PassPipeline()
        arguments["pass_pipeline"].remove_passes(set(without))
    sizes = options.sizes
    check = None if sizes is None else lambda traced: check_sizes(traced, module, sizes)
    model = run_converter(module, (example,), arguments, check)
    spec = model.get_spec()
    if not program:
        if not single:
            store_half(spec)
        if not end.classifier:
            _declare_shapes(spec, plan)
        return spec, None
    weight_file = Path(arguments["package_dir"], "Data", WEIGHTS_ITEM, WEIGHT_FILE)
    return spec, weight_file if weight_file.exists() else None


def run_converter(
    module: nn.Module,
    examples: tuple[Tensor, ...],
    arguments: Mapping[str, Any],
    check: Callable[[Any], None] | None = None,
) -> Any:
    """The converter's model of a module in evaluation mode.

    Args:
        module: to be traced.
        examples: its inputs.
        arguments: of the converter, besides the trace.
        check: called with the trace before.

    Raises:
        ExportError: the converter failed; the message carries its reason.
        InputError: raised by `check`.
    """
    import torch

    try:
        with without_jit_notes():
            traced = torch.jit.trace(module, examples, check_trace=False)
            if check is not None:
                check(traced)
            with without_bars():
                return coremltools().convert(traced, **arguments)
    except InputError:
        raise
    except Exception as error:  # the converter raises all kinds
        logger.debug("conversion failed:\n%s", traceback.format_exc())
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
    # raised here, where no traceback keeps the converter's temporary folder alive
    raise ExportError(f"coremltools could not convert the module ({reason})")


def _arguments(plan: Plan) -> dict[str, Any]:
    """Arguments of the converter, besides the traced module."""
    ct = coremltools()
    options, end = plan.options, plan.end
    outputs = list(end.outputs)
    program = options.kind == "mlprogram"
    arguments: dict[str, Any] = {
        "source": "pytorch",
        "convert_to": options.kind,
        "minimum_deployment_target": getattr(ct.target, plan.system),
        "inputs": [_input(plan)],
        "skip_model_load": True,
    }
    if end.classifier and options.labels is not None:
        # the two formats name the dictionary of probabilities by different rules
        outputs = ["probabilities" if program else PROBABILITIES]
        arguments["classifier_config"] = ct.ClassifierConfig(
            list(options.labels),
            predicted_feature_name=LABEL,
            predicted_probabilities_output=None if program else PROBABILITIES,
        )
    single = {"dtype": np.float32} if end.single and program else {}
    arguments["outputs"] = [
        ct.TensorType(output, **({} if output in end.integers else single)) for output in outputs
    ]
    return arguments


def _input(plan: Plan) -> Any:
    """The converter's description of the input."""
    ct = coremltools()
    options, shape = plan.options, _shape(plan)
    if options.input == TENSOR:
        # arrays of neural networks are in single precision
        precision = np.float16 if options.kind == "mlprogram" else np.float32
        return ct.TensorType(INPUT, shape=shape, dtype=precision)
    return ct.ImageType(
        INPUT,
        shape=shape,
        bias=list(plan.scaling.added),
        color_layout=ct.colorlayout.RGB,
    )


def _shape(plan: Plan) -> Any:
    """Shape of the input, or all that it may have."""
    ct = coremltools()
    sizes, own = plan.options.sizes, plan.resolution
    before = (plan.options.batch, IMAGE_CHANNELS)
    if sizes is None:
        return (*before, *own)
    if isinstance(sizes, Sizes):
        every = [(*before, *size) for size in sizes.every]
        return ct.EnumeratedShapes(shapes=every, default=(*before, *own))
    ends = zip(sizes.least, sizes.most, own, strict=True)
    sides = (low if low == high else ct.RangeDim(low, high, px) for low, high, px in ends)
    return ct.Shape(shape=(*before, *sides))


def check_sizes(traced: Any, module: nn.Module, sizes: Flexible) -> None:
    """Refuse a module whose trace belongs to one size of the image.

    Raises:
        InputError: the trace fails at one of `sizes`, or gives something else than the module.
    """
    import torch

    random = torch.Generator().manual_seed(0)
    for size in sizes.samples():
        pixels = torch.rand((1, IMAGE_CHANNELS, *size), generator=random)
        with torch.no_grad():
            wanted = _outputs(module(pixels))
            try:
                found = _outputs(traced(pixels))
            except RuntimeError:
                found = ()
        equal = len(found) == len(wanted) and all(
            one.shape == other.shape and torch.allclose(one, other, rtol=1e-4, atol=1e-5)
            for one, other in zip(found, wanted, strict=True)
        )
        expect(
            equal,
            f"sizes: the network holds constants of one size, so that its trace fails at"
            f" {size_text(size)}; make a package or a function of each size",
        )


def _outputs(given: Any) -> tuple[Any, ...]:
    return given if isinstance(given, tuple) else (given,)


def _declare_shapes(spec: Any, plan: Plan) -> None:
    """Shapes and integers of a neural network's outputs, which its converter leaves out."""
    end, flexible = plan.end, plan.options.sizes is not None
    for output, shape in zip(spec.description.output, end.shapes, strict=True):
        array = output.type.multiArrayType
        del array.shape[:]
        if not flexible:
            array.shape.extend(shape)
        if output.name in end.integers:
            array.dataType = array.INT32
