"""A torch module of one's own is folded, converted and proven, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from palmette.cli import main
from palmette.export import ExportError, ExportOptions, Suppression, verify_weights
from palmette.export.own_module import UNPROVEN, export_module
from palmette.export.package import read_spec
from palmette.export.weights import stored_layers
from palmette.space import InputError

SIZE = (24, 32)


def trained(module: nn.Module) -> nn.Module:
    """Evaluation mode, with norms that are not trivial."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = torch.rand(part.num_features, generator=generator) - 0.5
            part.running_var = torch.rand(part.num_features, generator=generator) + 0.5
    return module.eval()


class Two(nn.Module):
    """Two outputs, a skip connection, and a BatchNorm behind it that no layer can take in."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8))
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.ReLU6())
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(x)
        x = self.norm(x + self.body(x))
        return x, self.fc(x.mean((2, 3)))


class Scaled(nn.Module):
    """A parameter that belongs to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)
        self.gain = nn.Parameter(torch.rand(1, 16, 22, 30))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x) * self.gain
        return y


@pytest.mark.parametrize("kind", ["mlprogram", "neuralnetwork"])
def test_a_module_becomes_a_package_with_its_folded_weights(kind: str, tmp_path: Path) -> None:
    module = trained(Two())
    path = export_module(
        module,
        tmp_path / "two",
        resolution=SIZE,
        options=ExportOptions(kind, scale=1.0, bias=(0.0, 0.0, 0.0)),
    )
    spec = read_spec(path)
    given = {
        output.name: tuple(output.type.multiArrayType.shape) for output in spec.description.output
    }
    assert given == {"output_0": (1, 8, 12, 16), "output_1": (1, 5)}
    image = spec.description.input[0].type.imageType
    assert (image.height, image.width) == SIZE
    found = dict(spec.description.metadata.userDefined)
    assert found["module"] == "Two" and found["proof"] == "weights bit for bit, ops counted"
    assert verify_weights(path, module).layers == 3
    # the convolution by hand: its norm in double precision, then half
    norm, conv = module.first[1], module.first[0]  # type: ignore[index]
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()  # type: ignore[union-attr]
    by_hand = (conv.weight.double() * scale[:, None, None, None]).detach().numpy()  # type: ignore[union-attr]
    stored = stored_layers(path)[0].weight
    assert np.abs(stored - by_hand).max() <= np.abs(by_hand).max() * 2**-11


def test_labels_put_a_softmax_behind_a_single_output(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    options = ExportOptions(labels=("a", "b", "c", "d"))
    spec = read_spec(export_module(module, tmp_path / "x", resolution=SIZE, options=options))
    assert {output.name for output in spec.description.output} == {"classLabel", "classLabel_probs"}
    with pytest.raises(InputError, match=r"^labels: the module gives \(1, 8, 12, 16\), \(1, 5\)"):
        export_module(trained(Two()), tmp_path / "y", resolution=SIZE, options=options)


def test_values_of_no_layer_are_refused_unless_unproven_is_said(tmp_path: Path) -> None:
    module = Scaled().eval()
    with pytest.raises(ExportError, match="could not be proven .* export it unproven"):
        export_module(module, tmp_path / "x", resolution=SIZE)
    assert not list(tmp_path.iterdir())
    path = export_module(module, tmp_path / "x", resolution=SIZE, unproven=True)
    assert read_spec(path).description.metadata.userDefined["proof"] == UNPROVEN


class Small(nn.Module):
    """Values of no layer that are few enough to stand in the program itself."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("mean", torch.rand(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x - self.mean)
        return y


def test_a_few_values_of_no_layer_are_refused_too(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="'mean' belongs to no layer that is compared"):
        export_module(Small().eval(), tmp_path / "x", resolution=SIZE)
    assert not list(tmp_path.iterdir())


class Shaped(nn.Module):
    """Computes with its input's shape, which coremltools 9.0 cannot follow."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, c, h * w // 2, 2).mean(3)


class Listed(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": x * 2}


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Conv2d(3, 4, 3), "is in training mode; call module.eval() first"),
        (nn.Conv2d(4, 4, 3).eval(), "cannot be traced on an input of 3x24x32"),
        (Listed().eval(), "Listed: must map one image to a tensor or a tuple of tensors"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ChannelShuffle(2)).eval(), "as view, transpose"),
        (Shaped().eval(), "make its sizes integers"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line_with_what_to_do(
    module: nn.Module, said: str, tmp_path: Path
) -> None:
    with pytest.raises((InputError, ExportError)) as caught:
        export_module(module, tmp_path / "x", resolution=SIZE)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_infinities_and_heads_options_are_refused(tmp_path: Path) -> None:
    module = nn.Conv2d(3, 4, 3).eval()
    with pytest.raises(InputError, match="^nms, class_map: are for the heads"):
        options = ExportOptions(suppression=Suppression())
        export_module(module, tmp_path / "x", resolution=SIZE, options=options)
    module.weight.data[0, 0, 0, 0] = torch.inf
    with pytest.raises(InputError, match="'weight' holds infinities or NaN"):
        export_module(module, tmp_path / "x", resolution=SIZE)


FILE = """
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
"""


def run_cli(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["palmette", "export", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_exports_a_factorys_module_with_its_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text(FILE)
    words = [f"{tmp_path / 'own.py'}:make", "--target", "iphone-13/ane", "--out"]
    out = str(tmp_path / "own")
    assert run_cli(monkeypatch, *words, out, "--size", "24x32", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    spec = read_spec(Path(found["package"]))
    metadata = spec.description.metadata.userDefined
    assert metadata["predicted_ms"] == f"{found['predicted_ms']:.4g}"
    assert metadata["target"] == "iphone-13/ane@coreml-ios16"
    for more, said in (
        (("--size", "24by32"), "--size: "),
        (("--nms", "none"), "--nms: is for architectures"),
        (("--task", "ssdlite"), "--task: is for architectures"),
    ):
        assert run_cli(monkeypatch, *words, out, *more) == 2
        assert said in capsys.readouterr().err
    assert run_cli(monkeypatch, "mobilenet_v2", *words[1:], out, "--unproven") == 2
    assert "--unproven: is for module.py:factory alone" in capsys.readouterr().err
