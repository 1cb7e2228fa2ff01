"""What users give that can't be trained on: one line, exit code 2, and nothing half-written.

A lack of memory takes a process of its own: `test_trainer.py` limits one.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from palmette import cli
from palmette.train.tensors import read_tensors

NET = "16x16 stem_k3_s2_c8_relu | cn_r1_k3_s2_c8_relu | head"
OTHER = NET.replace("cn_r1_k3", "cn_r1_k5")
Call = Callable[..., tuple[int, str]]


def write_classes(folder: Path, count: int, rng: np.random.Generator) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for at in range(count):
            pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{at}.png")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, whole and damaged, recipes and trainings."""
    root, rng = tmp_path_factory.mktemp("mistakes"), np.random.default_rng(0)
    write_classes(root / "good", 10, rng)
    shutil.copytree(root / "good", root / "empty")
    (root / "empty" / "c").mkdir()
    shutil.copytree(root / "good", root / "damaged")
    whole = (root / "good" / "b" / "5.png").read_bytes()
    (root / "damaged" / "a" / "3.png").write_bytes(b"no image")
    (root / "damaged" / "b" / "5.png").write_bytes(whole[:60])
    write_classes(root / "leak" / "train", 4, rng)
    write_classes(root / "leak" / "val", 2, rng)
    shutil.copy(root / "leak" / "train" / "a" / "0.png", root / "leak" / "val" / "a" / "9.png")
    rows = "path,label\ngood/a/0.png,0\ngood/b/1.png,1\ngood/b/2.png,7\n"
    (root / "range.csv").write_text(rows)
    (root / "classes.txt").write_text("a\nb\n")
    head = 'format = "palmette/recipe@1"\nepochs = 40\nbatch = 8\n'
    (root / "unknown.toml").write_text(f"{head}[optimizer]\nweigth_decay = 0.1\n")
    wild = 'name = "sgd"\nlr = 100.0\nweight_decay = 10.0\n'
    (root / "wild.toml").write_text(f"{head}[optimizer]\n{wild}[schedule]\nwarmup_epochs = 0.0\n")
    return root


@pytest.fixture
def call(files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command in that folder: its exit code and what it says of errors."""
    monkeypatch.chdir(files)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["palmette", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert isinstance(end.value.code, int)
        return end.value.code, capsys.readouterr().err

    return run


@pytest.fixture
def done(files: Path, call: Call) -> Path:
    """A training that is finished."""
    if not (files / "done").exists():
        short = ("--epochs", "1", "--batch", "4", "--device", "cpu", "--out", "done")
        assert call("train", NET, "--data", "good", *short) == (0, "")
    return files / "done"


def expect_line(answer: tuple[int, str], words: str) -> None:
    code, error = answer
    assert code == 2 and error.startswith("error: ") and error.count("\n") == 1
    assert words in error


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("empty", "empty/c: class folder without images; fill it or remove it"),
        ("damaged", "2 of 20 images are damaged, the first: damaged/a/3.png can't be decoded"),
        ("range.csv", "range.csv row 4: label 7 is out of range, 0 to 1 (classes.txt has 2 names)"),
        ("leak", "leak: 1 of 5 validation images are in training too, such as leak/train/a/0.png"),
    ],
)
def test_images_that_break_a_rule_stop_before_anything_is_written(
    files: Path, call: Call, data: str, words: str
) -> None:
    code, error = call("train", NET, "--data", data, "--out", "run")
    # images are named by their whole paths
    expect_line((code, error.replace(f"{files}/", "")), words)
    assert not (files / "run").exists()


def test_an_unknown_key_of_a_recipe_is_answered_with_the_nearest(files: Path, call: Call) -> None:
    answer = call("train", NET, "--data", "good", "--recipe", "unknown.toml", "--out", "run")
    expect_line(answer, "unknown key 'weigth_decay'; the nearest is 'weight_decay'")
    assert not (files / "run").exists()


def test_weights_of_another_network_are_refused(files: Path, call: Call, done: Path) -> None:
    weights = ("--data", "good", "--weights", str(done / "best.safetensors"), "--out", "run")
    expect_line(call("train", OTHER, *weights), "belong to another architecture (16x16 stem_k3")
    assert not (files / "run").exists()


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("run.toml", lambda data: data.replace(b"cn_r1_k3", b"cn_r1_k5"), "another architecture"),
        ("checkpoint.safetensors", lambda data: data[:-50], "is truncated"),
        ("checkpoint.safetensors", lambda data: data[:-1] + b"\x7f", "is damaged"),
    ],
    ids=["of another architecture", "truncated", "damaged"],
)
def test_a_checkpoint_that_can_not_be_gone_on_from_is_left_as_it_is(
    call: Call,
    done: Path,
    tmp_path: Path,
    name: str,
    change: Callable[[bytes], bytes],
    words: str,
) -> None:
    folder = Path(shutil.copytree(done, tmp_path / "run"))
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    keys = (folder / "recipe.toml").read_text("utf-8")
    assert "\nepochs = 1\n" in keys  # a finished training does not go on from it
    (folder / "recipe.toml").write_text(keys.replace("\nepochs = 1\n", "\nepochs = 2\n"), "utf-8")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    expect_line(call("train", "--resume", str(folder)), words)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_loss_that_is_no_number_keeps_the_batch(files: Path, call: Call) -> None:
    network = "16x16 stem_k3_s2_c8_relu | cn_k3_s2_c8_relu | cn_k3_s1_c8_relu | head"
    out = ("--recipe", "wild.toml", "--device", "cpu", "--out", "wild")
    expect_line(call("train", network, "--data", "procedural:40", *out), "the batch is in wild/bad")
    tensors, _ = read_tensors(files / "wild" / "bad_batch.safetensors", "palmette/batch@1")
    assert tensors["images"].shape == (8, 3, 16, 16)
    assert not [path for path in (files / "wild").iterdir() if path.name.startswith(".")]
