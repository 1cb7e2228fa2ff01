"""From a torch module to Core ML's protobuf: trace, convert, store weights in half precision.

The only code that talks to the converter. What it makes is not believed: `export.proof` reads the
written package back.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.export._coremltools import coremltools, without_bars, without_jit_notes
from palmette.export.ends import CLASS_MAP, COUNT, End
from palmette.export.errors import ExportError
from palmette.export.options import ExportOptions
from palmette.export.package import WEIGHT_FILE, WEIGHTS_ITEM
from palmette.export.weights import store_half
from palmette.space.architecture import IMAGE_CHANNELS, Architecture
from palmette.space.errors import expect

if TYPE_CHECKING:
    from torch import nn

logger = logging.getLogger(__name__)

INPUT = "image"
LABEL = "classLabel"
PROBABILITIES = f"{LABEL}_probs"
INTEGERS = (COUNT, CLASS_MAP)


def convert(
    module: nn.Module, architecture: Architecture, options: ExportOptions, end: End, folder: Path
) -> tuple[Any, Path | None]:
    """Convert a folded module to Core ML.

    Args:
        module: in evaluation mode; no BatchNorm is left that a layer could take in.
        architecture: what the module computes; its resolution becomes the size of the image.
        options: format, labels, image scaling.
        end: what is put behind the module, and the names of the outputs.
        folder: for the converter's files; the caller removes it.

    Returns:
        Core ML's protobuf, and the file with an ML Program's weights: tensors of a few numbers
        are in the protobuf itself, so there may be none.

    Raises:
        ExportError: the converter failed; the message carries its reason.
    """
    import torch

    program = options.kind == "mlprogram"
    module = end.behind(module)
    example = torch.zeros((1, IMAGE_CHANNELS, *architecture.resolution))
    arguments = _arguments(architecture, options, end)
    if program:
        # otherwise the converter leaves its package in the system's temporary folder
        arguments["package_dir"] = str(folder / "converted.mlpackage")
    reason = ""
    try:
        with without_jit_notes():
            traced = torch.jit.trace(module.eval(), example, check_trace=False)
            with without_bars():
                model = coremltools().convert(traced, **arguments)
    except Exception as error:  # the converter raises all kinds
        logger.debug("conversion failed:\n%s", traceback.format_exc())
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
    if reason:
        # raised here, where no traceback keeps the converter's temporary folder alive
        raise ExportError(f"coremltools could not convert the module ({reason})")
    spec = model.get_spec()
    if not program:
        store_half(spec)
        if not end.classifier:
            _declare_shapes(spec, end)
        return spec, None
    weight_file = Path(arguments["package_dir"], "Data", WEIGHTS_ITEM, WEIGHT_FILE)
    return spec, weight_file if weight_file.exists() else None


def _arguments(architecture: Architecture, options: ExportOptions, end: End) -> dict[str, Any]:
    """Arguments of the converter, besides the traced module."""
    ct = coremltools()
    image = ct.ImageType(
        INPUT,
        shape=(1, IMAGE_CHANNELS, *architecture.resolution),
        scale=options.scale,
        bias=list(options.bias),
        color_layout=ct.colorlayout.RGB,
    )
    outputs = list(end.outputs)
    program = options.kind == "mlprogram"
    arguments: dict[str, Any] = {
        "source": "pytorch",
        "convert_to": options.kind,
        "minimum_deployment_target": getattr(ct.target, _system(architecture, options)),
        "inputs": [image],
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
    if program:
        arguments["compute_precision"] = ct.precision.FLOAT16
    single = {"dtype": np.float32} if end.single and program else {}
    arguments["outputs"] = [
        ct.TensorType(output, **({} if output in INTEGERS else single)) for output in outputs
    ]
    return arguments


def _system(architecture: Architecture, options: ExportOptions) -> str:
    """Oldest system that reads the package."""
    resizes = any(op.kind == "resize" for op in architecture.ops())
    oldest = options.format.resizing_system if resizes else options.format.minimum_target
    systems = options.format.systems
    chosen = options.system or oldest
    expect(
        systems.index(chosen) >= systems.index(oldest),
        f"system: the head resizes maps, which the format '{options.kind}' does since {oldest};"
        f" got {chosen}",
    )
    return chosen


def _declare_shapes(spec: Any, end: End) -> None:
    """Shapes and integers of a neural network's outputs, which its converter leaves out."""
    for output, shape in zip(spec.description.output, end.shapes, strict=True):
        array = output.type.multiArrayType
        del array.shape[:]
        array.shape.extend(shape)
        if output.name in INTEGERS:
            array.dataType = array.INT32
