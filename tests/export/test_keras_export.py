"""A network with Keras' weights and padding becomes a package that holds both."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from palmette.cli import main
from palmette.export import verify_weights
from palmette.export.package import read_spec
from palmette.export.weights import program_operations
from palmette.space import Architecture
from palmette.train.from_keras import read_keras

TEXT = "32x32 stem_k3_s2_c8_relu6 | ds_r1_k3_s2_c16_relu6_pointact_noskip | head_n3"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MobileNet v1 of one block."""
    random = np.random.default_rng(0)
    shapes = {
        "conv1/kernel": (3, 3, 3, 8),
        "conv_dw_1/depthwise_kernel": (3, 3, 8, 1),
        "conv_pw_1/kernel": (1, 1, 8, 16),
        "conv_preds/kernel": (1, 1, 16, 3),
        "conv_preds/bias": (3,),
    }
    norms = {"conv1_bn": 8, "conv_dw_1_bn": 8, "conv_pw_1_bn": 16}
    for name, count in norms.items():
        keys = ("gamma", "beta", "moving_mean", "moving_variance")
        shapes |= {f"{name}/{key}": (count,) for key in keys}
    path = tmp_path_factory.mktemp("keras") / "v1.npz"
    np.savez(path, **{k: random.uniform(0.1, 1, s).astype(np.float32) for k, s in shapes.items()})
    return path


def run_cli(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["palmette", "export", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("target", ["iphone-13/ane", "iphone-11/ane"])
def test_keras_weights_are_exported_with_their_padding(
    target: str,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = (TEXT, "--weights", str(file), "--keras", "--target", target)
    assert run_cli(monkeypatch, *words, "--out", str(tmp_path / "x"), "--json") == 0
    path = Path(json.loads(capsys.readouterr().out)["package"])
    weights = read_keras(file, Architecture.from_text(TEXT))
    assert verify_weights(path, weights.module()).layers == 4
    spec = read_spec(path)
    assert spec.description.metadata.userDefined["architecture"].count("_same") == 2
    if path.suffix == ".mlpackage":
        pads = [op for op in program_operations(spec) if op.type == "pad"]
        assert len(pads) == 2 and Counter(op.type for op in program_operations(spec))["conv"] == 3


def test_options_that_need_another_are_refused(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = (TEXT, "--target", "iphone-13/ane", "--out", str(tmp_path / "x"))
    for more, said in (
        (("--keras",), "--keras: needs --weights"),
        (("--weights", str(file), "--bgr"), "--bgr: needs --keras"),
    ):
        assert run_cli(monkeypatch, *words, *more) == 2
        assert said in capsys.readouterr().err
