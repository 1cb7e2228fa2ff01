"""Networks of a front in rungs of epochs: few are trained in full, and nothing twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from palmette.cli import app
from palmette.search import Run, train_front
from palmette.search.halved_front import HalvedFront, halve_front
from palmette.space import InputError
from palmette.train.recipe import load_recipe

RECIPE = load_recipe("quick").changed(epochs=3, batch=32, compute__deterministic=True)


@pytest.fixture(scope="module")
def folder(by_supernet: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("front") / "run"
    return Path(shutil.copytree(by_supernet.folder.path, copy))


@pytest.fixture(scope="module")
def halved(folder: Path) -> HalvedFront:
    return halve_front(folder, RECIPE, picks=3, device="cpu")


def epochs(folder: Path) -> dict[str, int]:
    logs = sorted((folder / "trained").glob("*/log.csv"))
    return {log.parent.name: len(pd.read_csv(log)) for log in logs}


def test_all_begin_and_the_best_third_is_trained_in_full(folder: Path, halved: HalvedFront) -> None:
    count = halved.table[halved.table["epochs"] == 1].shape[0]
    assert 2 <= count <= 3
    assert sorted(epochs(folder).values()) == [1] * (count - 1) + [3]
    (last,) = halved.table.loc[halved.table["epochs"] == 3, "trial"]
    assert halved.table.loc[halved.table["promoted"], "trial"].tolist() == [last]
    assert halved.epochs_share == (count - 1 + 3) / (3 * count)
    assert pd.read_csv(folder / "halving.csv").shape[0] == count + 1
    assert halved.trained.table["epochs"].tolist() == [3]
    assert f"{count} > 1 networks" in halved.words()


def test_a_rung_is_what_the_whole_training_logs_there(folder: Path, halved: HalvedFront) -> None:
    (name,) = halved.trained.table["id"]
    log = pd.read_csv(folder / "trained" / name / "log.csv")
    rows = halved.table[halved.table["promoted"] | (halved.table["epochs"] == 3)]
    assert rows["top1"].tolist() == (100 * log["top1"]).iloc[[0, 2]].tolist()


def test_the_same_call_again_trains_nothing(folder: Path, halved: HalvedFront) -> None:
    before = {log: log.read_bytes() for log in (folder / "trained").glob("*/log.csv")}
    again = halve_front(folder, RECIPE, picks=3, device="cpu")
    assert again.table.equals(halved.table)
    assert before == {log: log.read_bytes() for log in before}


def test_what_was_stopped_can_be_trained_to_the_end(folder: Path, halved: HalvedFront) -> None:
    whole = train_front(folder, RECIPE, picks=3, device="cpu")
    assert set(epochs(folder).values()) == {3}
    assert len(whole.table) == len(halved.table) - 1
    kept = halve_front(folder, RECIPE, picks=3, device="cpu").trained.table
    assert kept["id"].tolist() == whole.table["id"].tolist()  # rows of the table stay


def test_the_command_needs_a_run_and_says_what_was_saved(folder: Path) -> None:
    refused = CliRunner().invoke(app, ["train", "--successive-halving"])
    assert isinstance(refused.exception, InputError) and "needs --run" in str(refused.exception)
    options = "--successive-halving --picks 3 --epochs 3 --batch 32 --deterministic --device cpu"
    shown = CliRunner().invoke(app, ["train", "--run", str(folder), *options.split(), "--json"])
    assert shown.exit_code == 0, shown.exception
    assert "of the epochs of training all" in shown.stderr
    assert json.loads(shown.stdout)["networks"]
