"""Run a Core ML package on a Mac's CPU and compare it with the outputs that lie beside it.

    python check.py

needs macOS, `pip install coremltools numpy pillow`, and the files that were written with this
script: the package, `cases.npz` (images, and the outputs that palmette's own reading of the package
gives for them) and `case.json` (names, tolerance). It prints a line for each output and ends in 1
if one is farther off than the tolerance. palmette's authors have never run it: it was written on
Linux, where Core ML does not exist.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def load(path: Path) -> Any:
    """The model on the CPU; of a pipeline, its first stage."""
    import coremltools as ct

    units = ct.ComputeUnit.CPU_ONLY
    model = ct.models.MLModel(str(path), compute_units=units)
    spec = model.get_spec()
    if spec.WhichOneof("Type") != "pipeline":
        return model
    first = spec.pipeline.models[0]
    return ct.models.MLModel(first, weights_dir=model.weights_dir, compute_units=units)


def as_array(value: Any, labels: list[str]) -> Any:
    """An output as numbers: a dictionary of labels in their order."""
    if isinstance(value, dict):
        return np.array([value[label] for label in labels])
    return np.asarray(value)


def compare(model: Any, folder: Path, image_of: Any) -> list[dict[str, Any]]:
    """For each output its error or the share that is equal, and whether that passes.

    Args:
        model: that has `predict`.
        folder: with `case.json` and `cases.npz`.
        image_of: what makes an image of an array of bytes (height, width, 3).
    """
    case = json.loads((folder / "case.json").read_text("utf-8"))
    with np.load(folder / "cases.npz") as arrays:
        images = arrays["images"]
        wanted = {name: arrays[f"output_{at}"] for at, name in enumerate(case["outputs"])}
    runs = [model.predict({case["input"]: image_of(image)}) for image in images]
    found = {name: [as_array(run[name], case["labels"]) for run in runs] for name in wanted}
    count = case["rows"]
    lines = []
    for name, values in wanted.items():
        pairs = [
            (one.reshape(other.shape), other)
            for one, other in zip(found[name], values, strict=True)
        ]
        if count in wanted and name != count:
            rows = zip(found[count], wanted[count], strict=True)
            kept = [
                (one[: int(m[0])], other[: int(n[0])])
                for (one, other), (m, n) in zip(pairs, rows, strict=True)
            ]
            lines.append({"output": name, **boxes_found(kept, case)})
        else:
            lines.append({"output": name, **numbers_found(pairs, case)})
    return lines


def numbers_found(pairs: list[tuple[Any, Any]], case: dict[str, Any]) -> dict[str, Any]:
    """Largest error as a share of the largest value; of classes of pixels how many are equal."""
    scale = max(float(np.abs(other).max(initial=0)) for _, other in pairs) or 1.0
    error = max(float(np.abs(one - other).max(initial=0)) for one, other in pairs) / scale
    equal = float(np.mean([np.mean(one == other) for one, other in pairs]))
    classes = np.issubdtype(pairs[0][1].dtype, np.integer) and pairs[0][1].size > 1
    passed = equal >= case["equal"] if classes else error <= case["tolerance"]
    return {"error": error, "equal": equal, "passed": passed}


def boxes_found(pairs: list[tuple[Any, Any]], case: dict[str, Any]) -> dict[str, Any]:
    """Share of the boxes that are found again: equal scores may come in another order."""
    scale = max(float(np.abs(other).max(initial=0)) for _, other in pairs) or 1.0
    near = [
        near for one, other in pairs for near in row_near(one, other, case["tolerance"] * scale)
    ]
    equal = float(np.mean(near)) if near else 1.0
    return {"equal": equal, "passed": equal >= case["equal_rows"]}


def row_near(found: Any, wanted: Any, limit: float) -> list[bool]:
    """Whether each wanted row is among those found, up to a distance of every value."""
    return [bool((np.abs(found - row).max(1, initial=0) <= limit).any()) for row in wanted]


def main() -> int:
    """Compare, print, and 1 if an output is too far off."""
    from PIL import Image

    folder = Path(__file__).resolve().parent
    case = json.loads((folder / "case.json").read_text("utf-8"))
    lines = compare(load(folder / case["package"]), folder, Image.fromarray)
    for line in lines:
        print(json.dumps(line))
    return 0 if all(line["passed"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
