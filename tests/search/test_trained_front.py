"""Networks of a front that are trained: chosen, resumed, and put beside their estimates."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette import cli
from palmette.search import Run, TrainedFront, train_front
from palmette.search.expensive.measured import WORDS, MeasuredAccuracy
from palmette.search.trained_front import along
from palmette.space import InputError
from palmette.train.cluster import Cluster
from palmette.train.epochs import State
from palmette.train.recipe import Recipe, load_recipe
from palmette.train.trainer import train
from palmette.train.weights import read_weights

RECIPE = load_recipe("quick").changed(epochs=1, batch=32, compute__deterministic=True)
OPTIONS: dict[str, Any] = {"picks": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def folder(by_supernet: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("front") / "run"
    return Path(shutil.copytree(by_supernet.folder.path, copy))


@pytest.fixture(scope="module")
def trained(folder: Path) -> TrainedFront:
    return train_front(folder, RECIPE, **OPTIONS)


def front_of(count: int, pick: int) -> pd.DataFrame:
    return pd.DataFrame({"id": range(count), "pick": np.arange(count) == pick})


@pytest.mark.parametrize(
    ("count", "pick", "wanted", "chosen"),
    [
        (9, 4, 3, [0, 4, 8]),
        (9, 5, 3, [0, 5, 8]),
        (9, 5, 1, [5]),
        (9, 8, 2, [0, 8]),
        (9, 3, 20, list(range(9))),
        (1, 0, 4, [0]),
    ],
)
def test_networks_lie_along_the_front_with_the_pick_among_them(
    count: int, pick: int, wanted: int, chosen: list[int]
) -> None:
    assert along(front_of(count, pick), wanted)["id"].tolist() == chosen


@settings(max_examples=25)
@given(st.integers(1, 30), st.data())
def test_more_networks_of_a_front_include_those_of_fewer(size: int, data: st.DataObject) -> None:
    front = front_of(size, data.draw(st.integers(0, size - 1)))
    chosen = [along(front, count)["id"].tolist() for count in range(1, size + 3)]
    for count, (fewer, more) in enumerate(pairwise(chosen), 1):
        assert fewer == sorted(fewer) and len(set(fewer)) == min(count, size)
        assert set(fewer) <= set(more)
    assert front["id"][front["pick"]].tolist() == chosen[0]


def test_the_table_has_what_was_estimated_and_what_came_of_it(
    trained: TrainedFront, by_supernet: Run
) -> None:
    table, front = trained.table, by_supernet.front.set_index("id")
    assert len(table) == min(2, len(front)) and table["pick"].sum() == 1
    for row in table.to_dict("records"):
        known = front.loc[row["id"]]
        assert (row["rung"], row["images"], row["epochs"]) == ("supernet", 32, 1)
        assert row["ms_low"] < row["ms"] < row["ms_high"]
        assert row["ms"] == pytest.approx(known["ms"], rel=1e-9)
        assert row["estimated_top1"] == known["top1"]
        assert row["real_low"] <= row["real_top1"] < row["real_high"]
        assert row["difference"] == row["real_top1"] - known["top1"]
        weights = read_weights(trained.run.folder.path / row["weights"])
        assert weights.about["top1"] == pytest.approx(row["real_top1"] / 100)
        assert weights.architecture.to_text() == known["architecture"]


def test_a_real_accuracy_is_that_of_the_same_training_alone(
    trained: TrainedFront, tmp_path: Path
) -> None:
    network = trained.run.pick
    alone = train(network, "procedural:160", RECIPE, tmp_path / "alone", device="cpu")
    row = trained.table.loc[trained.table["pick"]].iloc[0]
    assert row["real_top1"] == 100 * alone.history[-1]["top1"]


@pytest.mark.parametrize("rung", WORDS)
def test_the_lines_say_of_every_rung_what_its_estimates_are(
    trained: TrainedFront, rung: str
) -> None:
    """A training of hours must not end in a word that is missing."""
    problem = trained.run.problem
    before: Any = problem.accuracy
    accuracy: Any = MeasuredAccuracy(rung, "id", before.space, before.evaluator, "mine")
    found = replace(trained, run=replace(trained.run, problem=replace(problem, accuracy=accuracy)))
    (line,) = (line for line in found.lines() if line.startswith("estimates are"))
    assert "'mine'" in line and "'procedural:160'" in line


def test_the_file_of_the_table_is_the_table(trained: TrainedFront) -> None:
    read = pd.read_csv(trained.run.folder.trained_table, dtype={"id": str})
    pd.testing.assert_frame_equal(read, trained.table, check_dtype=False, check_exact=True)


def test_what_is_trained_is_not_trained_again(trained: TrainedFront, folder: Path) -> None:
    steps: list[State] = []
    again = train_front(folder, RECIPE, watch=steps.append, **OPTIONS)
    assert steps == [] and again.table.equals(trained.table)


def test_fewer_picks_take_no_row_from_the_table(trained: TrainedFront, folder: Path) -> None:
    before = (folder / "trained.csv").read_bytes()
    again = train_front(folder, RECIPE, **{**OPTIONS, "picks": 1})
    assert again.table.equals(trained.table) and (folder / "trained.csv").read_bytes() == before


def test_an_interruption_takes_no_row_from_the_table(
    trained: TrainedFront, folder: Path, tmp_path: Path
) -> None:
    """The slower network is in the table, the faster one is yet to be trained."""
    out = Path(shutil.copytree(folder, tmp_path / "run"))
    first, second = trained.table["id"]
    shutil.rmtree(out / "trained" / first)
    row = (out / "trained.csv").read_text().splitlines(keepends=True)
    (out / "trained.csv").write_text(row[0] + row[2])

    def stop(state: State) -> None:
        raise Stop

    with pytest.raises(Stop):
        train_front(out, RECIPE, watch=stop, **OPTIONS)
    assert pd.read_csv(out / "trained.csv", dtype={"id": str})["id"].tolist() == [second]
    damaged = next((out / "trained").glob(f"{second}/run.toml"))
    damaged.write_text("")
    with pytest.raises(InputError):
        train_front(out, RECIPE, **OPTIONS)
    assert (out / "trained.csv").read_text() == row[0] + row[2]


def test_a_training_that_was_killed_as_it_began_begins_anew(
    trained: TrainedFront, folder: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(folder, tmp_path / "run"))
    place = out / "trained" / trained.table["id"][0]
    for file in place.iterdir():
        if file.name not in ("recipe.toml", "driver.lock"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    assert (place / "recipe.toml").is_file()
    assert train_front(out, RECIPE, **OPTIONS).table.equals(trained.table)


def test_other_workers_go_on_with_a_training(
    by_supernet: Run, trained: TrainedFront, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(by_supernet.folder.path, tmp_path / "run"))

    def stop(_: State) -> None:
        raise Stop

    with pytest.raises(Stop):
        train_front(out, RECIPE, watch=stop, checkpoint_seconds=0, **OPTIONS)
    with pytest.raises(InputError, match="3 workers can't share 32 images equally"):
        train_front(out, RECIPE, cluster=Cluster(3), **OPTIONS)
    alone = train_front(out, RECIPE, cluster=Cluster(0), **OPTIONS)
    assert alone.table.equals(trained.table)


def test_a_call_that_trains_nothing_leaves_no_folder(by_supernet: Run, tmp_path: Path) -> None:
    out = Path(shutil.copytree(by_supernet.folder.path, tmp_path / "run"))
    with pytest.raises(InputError, match="nowhere"):
        train_front(out, RECIPE, data=str(tmp_path / "nowhere"), **OPTIONS)
    assert not (out / "trained").exists()


class Stop(Exception):
    """An interruption."""


def test_an_interrupted_call_goes_on_where_it_was(
    trained: TrainedFront, by_supernet: Run, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(by_supernet.folder.path, tmp_path / "run"))

    def stop(state: State) -> None:
        if (out / "trained.csv").is_file() and state.step == 3:  # of the second network
            raise Stop

    with pytest.raises(Stop):
        train_front(out, RECIPE, watch=stop, checkpoint_seconds=0, **OPTIONS)
    assert len(pd.read_csv(out / "trained.csv")) == 1
    assert train_front(out, RECIPE, **OPTIONS).table.equals(trained.table)


def test_words_and_values_say_what_the_figures_are(trained: TrainedFront) -> None:
    apart = trained.table.assign(real_top1=[25.0, 75.0])  # so short a training may end in a tie
    lines = "\n".join(replace(trained, table=apart).lines())
    assert "after the last epoch, which nothing chose, on 32 images" in lines
    assert "estimates are with shared weights on 'procedural:160'" in lines
    assert "2 networks can't show that an order is better than chance" in lines
    values = json.loads(json.dumps(trained.summary(), allow_nan=False))
    assert [row["id"] for row in values["networks"]] == trained.table["id"].tolist()
    assert values["agreement"]["pairs"] == 1


@pytest.mark.parametrize(
    ("options", "recipe", "words"),
    [
        ({"picks": 0}, RECIPE, "picks: at least 1, got 0"),
        ({"seed": 3}, RECIPE, "was begun with seed 0, now it is 3"),
        ({"data": "digits"}, RECIPE, "was begun with data 'procedural:160', now it is 'digits'"),
        ({}, RECIPE.changed(epochs=2), "was begun with another recipe"),
    ],
)
def test_another_training_than_that_which_was_begun_is_refused(
    trained: TrainedFront, folder: Path, options: dict[str, Any], recipe: Recipe, words: str
) -> None:
    before = (folder / "trained.csv").read_bytes()
    with pytest.raises(InputError, match=words):
        train_front(folder, recipe, **{**OPTIONS, **options})
    assert (folder / "trained.csv").read_bytes() == before


def test_a_folder_without_a_finished_search_is_refused(by_supernet: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        train_front(tmp_path / "none", RECIPE)
    assert not (tmp_path / "none").exists()
    copy = Path(shutil.copytree(by_supernet.folder.path, tmp_path / "run"))
    (copy / "front.csv").unlink()
    with pytest.raises(InputError, match="its search is not finished; go on with palmette search"):
        train_front(copy, RECIPE)
    config = re.sub(r"accuracy = .*", 'accuracy = "prior"', (copy / "run.toml").read_text())
    (copy / "run.toml").write_text(config)
    with pytest.raises(InputError, match="was searched by the prior, which has no images"):
        train_front(copy, RECIPE)
    assert not (copy / "trained").exists()


def test_the_command_prints_what_is_trained(
    trained: TrainedFront,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the recipe as a file, that followed by the trainings; nothing is left to train."""
    recipe = next(folder.glob("trained/*/recipe.toml"))
    command = ["palmette", "train", "--run", str(folder), "--recipe", str(recipe), "--picks", "2"]
    for more in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", [*command, *more])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
    first, _, last = capsys.readouterr().out.rpartition("\n{")
    assert json.loads("{" + last) == trained.summary()
    assert all(row["id"][:8] in first for row in trained.summary()["networks"])
    assert "estimated by the supernet, real on 'procedural:160'" in first
    assert all(line in first for line in trained.lines())
