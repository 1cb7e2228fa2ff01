"""A folder that does on a Mac what cannot be done here: run the package by Core ML itself.

It holds the package, images, the outputs that the interpreter gives for them, and the script
`palmette.export.gates.mac_check`, which needs nothing of palmette. Not run by us.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.export.ends import COUNT
from palmette.export.gates import mac_check
from palmette.export.gates.half import TOLERANCE
from palmette.export.interpreter import Interpreter
from palmette.export.package import network_of, read_spec
from palmette.space.errors import expect

if TYPE_CHECKING:
    from torch import Tensor

EQUAL = 0.99
"""Share of whole numbers (classes of pixels) that must be equal: half precision moves borders."""
EQUAL_ROWS = 0.8
"""Share of boxes that must be found again: half precision moves scores over a threshold."""


def write_mac_script(path: Path, images: Sequence[Tensor], folder: Path) -> Path:
    """Write the folder, whole or not at all.

    Args:
        path: the package; an ML Program, or a pipeline that begins with one.
        images: pixels from 0 to 255, (1, 3, height, width) each.
        folder: does not exist yet.

    Raises:
        InputError: it exists, or lies in no folder, or the package is no ML Program.
    """
    check_mac_script(path, folder)
    interpreter = Interpreter.from_package(path)
    (entry,) = interpreter.program.inputs
    runs = [interpreter.run({entry.name: image}) for image in images]
    spec = network_of(read_spec(path))
    outputs = _outputs(runs, spec.description.predictedFeatureName)
    with tempfile.TemporaryDirectory(prefix=".palmette-mac-", dir=folder.parent) as name:
        built = Path(name) / folder.name
        built.mkdir()
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, built / path.name)
        shutil.copyfile(mac_check.__file__, built / "check.py")
        case = {
            "package": path.name,
            "input": entry.name,
            "outputs": list(outputs),
            "labels": _labels(runs),
            "rows": COUNT,
            "tolerance": TOLERANCE,
            "equal": EQUAL,
            "equal_rows": EQUAL_ROWS,
        }
        (built / "case.json").write_text(json.dumps(case, indent=1) + "\n", "utf-8")
        pixels = [image[0].permute(1, 2, 0).numpy().astype(np.uint8) for image in images]
        arrays = {f"output_{at}": values for at, values in enumerate(outputs.values())}
        np.savez(built / "cases.npz", images=np.stack(pixels), **arrays)
        built.rename(folder)
    return folder


def check_mac_script(path: Path, folder: Path) -> None:
    """Refuse what `write_mac_script` would, before anything is run."""
    expect(not folder.exists(), f"mac script {folder}: exists already; name a new folder")
    expect(folder.parent.is_dir(), f"mac script {folder}: lies in no folder; make that first")
    image = network_of(read_spec(path)).description.input[0].type.WhichOneof("Type")
    expect(
        image == "imageType",
        f"mac script: package {path} takes a tensor; the script is for packages of images",
    )


def _outputs(runs: Sequence[Mapping[str, Any]], label: str) -> dict[str, Any]:
    """Outputs of all images by name; a label follows from its probabilities."""
    return {
        name: np.stack([_numbers(run[name]) for run in runs]) for name in runs[0] if name != label
    }


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return np.array(list(value.values()), np.float32)
    return value.numpy()


def _labels(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """A classifier's labels in order."""
    found = [value for value in runs[0].values() if isinstance(value, dict)]
    return list(found[0]) if found else []
