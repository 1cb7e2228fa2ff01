"""A network as an `.aimodel` of Apple's Core AI (iOS 27): the second of `EXPORTERS`.

The same folded and rounded module goes to another converter, `coreai-torch`, a pre-release that the
extra `[coreai]` names. Core AI's program is bytecode of which no reader is published, so less is
proven than of a Core ML package: every weight of the network must stand in it, bit for bit.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.export.errors import ExportError
from palmette.export.fold import Folded, fold_batch_norm, stored_module
from palmette.space.architecture import IMAGE_CHANNELS, Architecture
from palmette.space.errors import InputError, expect
from palmette.space.installing import pip_install

if TYPE_CHECKING:
    from torch import nn

SUFFIX = ".aimodel"
PROGRAM = "main.mlirb"


def export_core_ai(
    architecture: Architecture, path: Path, *, module: nn.Module | None = None
) -> Path:
    """Write a Core AI model of a network and check that it holds the network's weights.

    Everything is in half precision. The input `image` is (1, 3, height, width), scaled as the
    network was trained (`pixel / 127.5 - 1`, if nothing else was said); outputs are those of the
    head. The model's metadata hold a creation date, so its bytes vary with it.

    Args:
        architecture: the network.
        path: of the model; `.aimodel` is added if it has none. Nothing may be there yet.
        module: the network with trained weights, in evaluation mode; by default fresh ones.

    Raises:
        InputError: the extra is not installed, or an argument breaks a rule.
        ExportError: the converter failed, or a weight is not in the model bit for bit.
    """
    converter = _converter()
    # a number after a dot is part of a network's name
    path = path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)
    expect(path.parent.is_dir(), f"output {path}: its folder does not exist; make it first")
    expect(not path.exists(), f"output {path}: is there already; choose another name")
    module = architecture.build().eval() if module is None else module
    image = (IMAGE_CHANNELS, *architecture.resolution)
    folded = fold_batch_norm(module, image)
    with tempfile.TemporaryDirectory(prefix=".palmette-export-", dir=path.parent) as folder:
        built = Path(folder) / path.name
        _convert(converter, folded, architecture, image, built)
        expect_weights((built / PROGRAM).read_bytes(), folded)
        built.replace(path)
    return path


def expect_weights(program: bytes, folded: Folded) -> None:
    """Raise ExportError unless every weight stands in a program, bit for bit.

    A bias of equal numbers may be stored as one of them, so biases are not asked for.
    """
    for layer in folded.layers:
        if layer.weight.ndim > 1 and layer.weight.tobytes() not in program:
            raise ExportError(f"'{layer.name}.weight' is not in the Core AI model bit for bit")


def _converter() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that this torch is newer than its own
            import coreai_torch
    except ImportError:
        raise InputError(f"Core AI: needs coreai-torch; {pip_install('coreai', '--pre')}") from None
    return coreai_torch


def _convert(
    converter: Any,
    folded: Folded,
    architecture: Architecture,
    image: tuple[int, ...],
    path: Path,
) -> None:
    import torch

    half = stored_module(folded).half().eval()
    example = torch.zeros((1, *image), dtype=torch.float16)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exported = torch.export.export(half, (example,))
            exported = exported.run_decompositions(converter.get_decomp_table())
            # the other mode stores stack traces, and with them paths of this machine
            writer = converter.TorchConverter(mode=converter.TorchConverter.Mode.RELEASE)
            names = {"input_names": ["image"], "output_names": list(architecture.head.outputs)}
            writer.add_exported_program(exported, **names)
            writer.to_coreai().save_asset(path)
    except Exception as error:  # the converter raises all kinds
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
        raise ExportError(f"coreai-torch could not convert the module ({reason})") from None
