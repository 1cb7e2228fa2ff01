"""The folder for a Mac holds all that its script needs; the script tells right from wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from palmette.export import ExportOptions, Suppression, export
from palmette.export.gates import mac_check, write_mac_script
from palmette.export.gates.verify import sample_images
from palmette.export.interpreter import Interpreter
from palmette.space import Architecture, InputError


class Model:
    """Core ML's interface, run by the interpreter: there is no Core ML here."""

    def __init__(self, path: Path, factor: float = 1.0) -> None:
        self.interpreter, self.factor = Interpreter.from_package(path), factor

    def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        ((name, pixels),) = inputs.items()
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
        found = self.interpreter.run({name: image}, half=True)
        return {key: self._given(value) for key, value in found.items()}

    def _given(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.numpy() * (self.factor if value.is_floating_point() else 1)
        return value


@pytest.fixture(scope="module")
def folder(good: Path, net: Architecture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mac_script(good, sample_images(net, 2), tmp_path_factory.mktemp("mac") / "check")


def test_the_folder_is_complete(folder: Path, good: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["case.json", "cases.npz", "check.py", good.name]
    assert (folder / "check.py").read_text() == Path(mac_check.__file__).read_text()
    assert list(folder.parent.iterdir()) == [folder]


def test_the_script_passes_what_agrees_and_fails_what_does_not(folder: Path, good: Path) -> None:
    (line,) = mac_check.compare(Model(good), folder, np.asarray)
    assert line["output"] == "logits" and line["passed"] and 0 < line["error"] < 1e-2
    (line,) = mac_check.compare(Model(good, 1.2), folder, np.asarray)
    assert not line["passed"] and line["error"] == pytest.approx(0.2, abs=0.02)


@pytest.mark.sweep
def test_labels_and_boxes_are_compared_too(
    net: Architecture,
    detector: Architecture,
    trained: Callable[..., nn.Module],
    tmp_path: Path,
) -> None:
    named = export(
        net, tmp_path / "named", options=ExportOptions(labels=tuple("abcd")), module=trained(net)
    )
    boxes = export(
        detector,
        tmp_path / "boxes",
        options=ExportOptions(suppression=Suppression("program", 0.4, 0.68)),
        module=trained(detector),
    )
    for path, network, outputs in (
        (named, net, ["classLabel_probs"]),
        (boxes, detector, ["confidence", "coordinates", "count"]),
    ):
        where = write_mac_script(path, sample_images(network, 1), tmp_path / f"{path.stem}_mac")
        lines = mac_check.compare(Model(path), where, np.asarray)
        assert [line["output"] for line in lines] == outputs
        assert json.loads((where / "case.json").read_text())["input"] == "image"
        assert all(line["passed"] for line in lines), lines


def test_a_folder_that_is_there_is_left_as_it_is(good: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already; name a new folder"):
        write_mac_script(good, [torch.zeros(1, 3, 24, 32)], tmp_path)
    with pytest.raises(InputError, match="lies in no folder"):
        write_mac_script(good, [torch.zeros(1, 3, 24, 32)], tmp_path / "no" / "folder")
    assert not list(tmp_path.iterdir())
