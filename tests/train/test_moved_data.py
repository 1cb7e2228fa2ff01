"""A training goes on from any folder, and with images that have moved."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from palmette.space import Architecture, InputError
from palmette.train.datasets import anywhere
from palmette.train.recipe import load_recipe
from palmette.train.run_folder import TrainingFolder
from palmette.train.trainer import resume, train

NET = Architecture.from_text("16x16 stem_k3_s2_c8_relu | ir_r2_k3_s2_e2_c8_relu | head")
RECIPE = load_recipe("quick").changed(epochs=2, batch=4, compute__workers=0)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training of one epoch of two, of images that were named by where they lay."""
    pixels = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for at in range(6):
            image = Image.fromarray(pixels.integers(0, 256, (16, 16, 3), np.uint8))
            image.save(tmp_path / "photos" / name / f"{at}.png")
    monkeypatch.chdir(tmp_path)
    train(NET, "photos", RECIPE, Path("run"), until=1)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "run"


def test_a_run_keeps_the_whole_path_of_images_and_goes_on_from_another_folder(run: Path) -> None:
    assert TrainingFolder(run).read()[0]["data"] == str(run.parent / "photos")
    assert len(resume(run).history) == 2


def test_images_that_moved_are_named_anew_and_must_be_the_same(run: Path) -> None:
    photos = run.parent / "photos"
    moved = photos.rename(run.parent / "elsewhere" / "pictures")
    with pytest.raises(InputError, match=f"its data '{photos}' are not there; give --data beside"):
        resume(run)
    shutil.copytree(moved, "fewer")
    Path("fewer/cats/0.png").unlink()
    with pytest.raises(InputError, match="are not those that the run in .* began with"):
        resume(run, data="fewer")
    assert len(resume(run, data="pictures").history) == 2


def test_a_run_of_an_older_palmette_says_from_where_its_images_were_named(run: Path) -> None:
    text = (run / "run.toml").read_text()
    (run / "run.toml").write_text(text.replace(str(run.parent / "photos"), "photos"))
    with pytest.raises(InputError, match=f"its data 'photos' are not there in {Path.cwd()}"):
        resume(run)
    assert len(resume(run, data="../photos").history) == 2


def test_data_that_are_made_keep_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert anywhere("digits") == "digits"
    (tmp_path / "digits").mkdir()
    assert anywhere("digits") == str(tmp_path / "digits")
