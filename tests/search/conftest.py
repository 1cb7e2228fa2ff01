"""A space small enough to be counted out, with choices that some targets cannot identify."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from palmette.search import Run, run, run_joined, run_targets
from palmette.space import SearchSpace
from palmette.train.recipe import load_recipe
from palmette.train.supernet import load_schedule, train_supernet
from tests.search.several import GOALS, OPTIONS

SMALL = """
format = "palmette/space@1"
[network]
resolution = [160, 192, 224]
activation = ["relu", "relu6", "hswish"]
se = [0.0, 0.25]
[stem]
channels = [16, 32]
[[stages]]
stride = 1
channels = 16
kernel = 3
expansion = 1
depth = 1
[[stages]]
stride = 2
channels = [24, 32]
kernel = [3, 5, 7]
expansion = [3, 6]
depth = [1, 2]
[[stages]]
stride = 2
channels = 40
kernel = [3, 5]
expansion = 6
depth = [1, 2]
[[stages]]
stride = 2
channels = 80
kernel = 3
expansion = 6
depth = [1, 3]
[[stages]]
stride = 2
channels = [160, 192]
kernel = 3
expansion = 6
depth = [1, 3]
[head]
channels = 1280
"""

FEW = """
format = "palmette/space@1"
[network]
resolution = 32
activation = "relu"
[stem]
channels = 8
[[stages]]
stride = 2
channels = [8, 12, 16]
kernel = [3, 5]
expansion = [2, 3]
depth = [1, 2]
se = 0
[head]
channels = [16, 32]
"""


@pytest.fixture(scope="session")
def small_toml() -> str:
    """TOML of the space, for tests that change it or write it to a file."""
    return SMALL


@pytest.fixture(scope="session")
def small_space() -> SearchSpace:
    """27,648 networks; 8,192 on iphone-11/ane, whose timings identify less."""
    return SearchSpace.from_toml(SMALL, "small")


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The space as a file."""
    path = tmp_path_factory.mktemp("space") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="session")
def folder_bytes() -> Callable[[Path], dict[str, bytes]]:
    """Bytes of every file of a folder by its place in it."""

    def read(folder: Path) -> dict[str, bytes]:
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        return {str(file.relative_to(folder)): file.read_bytes() for file in files}

    return read


@pytest.fixture(scope="session")
def finished(small_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nothing disturbed; its folder is not to be changed (see `copied`)."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    options = {"space": str(small_file), "evaluations": 2000, "shortlist": 10, "seed": 3}
    return run("iphone-11/ane", 6.0, folder, **options)


@pytest.fixture
def copied(finished: Run, tmp_path: Path) -> Path:
    """A copy of the finished run's folder, to damage."""
    return Path(shutil.copytree(finished.folder.path, tmp_path / "copy"))


@pytest.fixture(scope="session")
def several(small_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two runs, the second of which began with what the first found."""
    out = tmp_path_factory.mktemp("several") / "all"
    return run_targets(GOALS, out, space=str(small_file), **OPTIONS)


@pytest.fixture(scope="session")
def joined(small_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two targets at once."""
    out = tmp_path_factory.mktemp("joined") / "run"
    options = {**OPTIONS, "space": str(small_file), "reward": "mnasnet"}
    return run_joined(GOALS, out, join="weighted", **options)


# --- accuracies that are measured -----------------------------------------------------------------


@pytest.fixture(scope="session")
def few_toml() -> str:
    """TOML of a space of 48 networks that train in seconds."""
    return FEW


@pytest.fixture(scope="session")
def few() -> SearchSpace:
    """48 networks."""
    return SearchSpace.from_toml(FEW, "few")


@pytest.fixture(scope="session")
def supernet(few: SearchSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a supernet of the space, trained for an epoch."""
    recipe = load_recipe("quick").changed(epochs=1, batch=32)
    out = tmp_path_factory.mktemp("supernet") / "run"
    schedule = load_schedule("sandwich")
    return train_supernet(few, "procedural:160", recipe, schedule, out, device="cpu").file


@pytest.fixture(scope="session")
def by_supernet(supernet: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run by a supernet; its folder is not to be changed."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "few.toml").write_text(FEW)
    return run(
        "iphone-11/cpu",
        100.0,
        folder / "run",
        space=str(folder / "few.toml"),
        accuracy=f"supernet:{supernet}",
        evaluations=1000,
        shortlist=6,
        trials=18,
        extrapolate=True,
    )
