"""From a torch module to Core ML's protobuf: trace, convert, store weights in half precision.

The only code that talks to the converter. What it makes is not believed: `export.proof` reads the
written package back.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.export._coremltools import coremltools, without_bars, without_jit_notes
from palmette.export.errors import ExportError
from palmette.export.options import ExportOptions
from palmette.export.package import WEIGHT_FILE, WEIGHTS_ITEM
from palmette.export.weights import store_half
from palmette.space.architecture import IMAGE_CHANNELS, Architecture

if TYPE_CHECKING:
    from torch import nn

logger = logging.getLogger(__name__)

INPUT = "image"
LABEL = "classLabel"
PROBABILITIES = f"{LABEL}_probs"


def convert(
    module: nn.Module, architecture: Architecture, options: ExportOptions, folder: Path
) -> tuple[Any, Path | None]:
    """Convert a folded module to Core ML.

    Args:
        module: in evaluation mode; no BatchNorm is left that a layer could take in.
        architecture: what the module computes; its resolution becomes the size of the image.
        options: format, labels, image scaling.
        folder: for the converter's files; the caller removes it.

    Returns:
        Core ML's protobuf, and the file with an ML Program's weights: tensors of a few numbers
        are in the protobuf itself, so there may be none.

    Raises:
        ExportError: the converter failed; the message carries its reason.
    """
    import torch

    program = options.kind == "mlprogram"
    if options.labels is not None:
        module = torch.nn.Sequential(module, torch.nn.Softmax(1))
    example = torch.zeros((1, IMAGE_CHANNELS, *architecture.resolution))
    arguments = _arguments(architecture, options)
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
        return spec, None
    weight_file = Path(arguments["package_dir"], "Data", WEIGHTS_ITEM, WEIGHT_FILE)
    return spec, weight_file if weight_file.exists() else None


def _arguments(architecture: Architecture, options: ExportOptions) -> dict[str, Any]:
    """Arguments of the converter, besides the traced module."""
    ct = coremltools()
    target = options.format.minimum_target
    image = ct.ImageType(
        INPUT,
        shape=(1, IMAGE_CHANNELS, *architecture.resolution),
        scale=options.scale,
        bias=list(options.bias),
        color_layout=ct.colorlayout.RGB,
    )
    outputs = list(architecture.head.outputs)
    arguments: dict[str, Any] = {
        "source": "pytorch",
        "convert_to": options.kind,
        "minimum_deployment_target": getattr(ct.target, target),
        "inputs": [image],
        "skip_model_load": True,
    }
    if options.labels is not None:
        # the two formats name the dictionary of probabilities by different rules
        program = options.kind == "mlprogram"
        outputs = ["probabilities" if program else PROBABILITIES]
        arguments["classifier_config"] = ct.ClassifierConfig(
            list(options.labels),
            predicted_feature_name=LABEL,
            predicted_probabilities_output=None if program else PROBABILITIES,
        )
    if options.kind == "mlprogram":
        arguments["compute_precision"] = ct.precision.FLOAT16
    arguments["outputs"] = [ct.TensorType(output) for output in outputs]
    return arguments
