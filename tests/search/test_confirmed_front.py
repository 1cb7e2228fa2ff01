"""Winners of a run trained anew: the front has the fresh values, also after the run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from palmette.cli import app
from palmette.search import Run, comparison, guard_lines, resume, run, run_joined, summary
from palmette.search.confirmed_front import confirm_front
from palmette.search.objectives.goal import Goal
from palmette.search.report.answer import answer
from palmette.search.report.compare import compare
from palmette.search.report.next_steps import BELIEVE, steps
from palmette.search.report.opened import open_run
from palmette.search.report.page import page
from palmette.space import InputError

NOISY = """
import random

def top1(architecture, seed):
    drawn = random.Random(f"{architecture.id} {seed}")
    return 60 + architecture.macs() / 1e5 + drawn.gauss(0, 1), 0.5
"""


@pytest.fixture(scope="module")
def noisy(few_toml: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run by a function whose values depend on the seed."""
    folder = tmp_path_factory.mktemp("noisy")
    (folder / "few.toml").write_text(few_toml)
    (folder / "noisy.py").write_text(NOISY)
    return run(
        "iphone-11/cpu",
        100.0,
        folder / "run",
        space=str(folder / "few.toml"),
        accuracy=f"function:{folder / 'noisy.py'}:top1",
        evaluations=1000,
        shortlist=6,
        trials=14,
        extrapolate=True,
        sampler="random",
    )


def test_the_front_of_a_run_gets_fresh_values_and_keeps_them(noisy: Run) -> None:
    before = noisy.front
    found = confirm_front(noisy.folder.path, winners=3, seeds=2)
    front = pd.read_csv(noisy.folder.front)
    fresh = front[front["confirmed_seeds"] > 0]
    assert len(fresh) == min(3, len(before)) and (fresh["confirmed_seeds"] == 2).all()
    assert fresh["confirmed_top1"].tolist() == found.confirmed.top1.tolist()
    assert (fresh["confirmed_top1"] != fresh["top1"]).all()  # other seeds
    ties = fresh[
        fresh["confirmed_top1"] >= fresh["confirmed_top1"].max() - found.confirmed.tie_points
    ]
    assert front.loc[front["pick"], "id"].tolist() == [ties.iloc[0]["id"]]
    assert found.run.pick.id == ties.iloc[0]["id"]
    table = noisy.folder.front.read_bytes()
    again = resume(noisy.folder.path)
    assert noisy.folder.front.read_bytes() == table
    assert again.front["top1"].tolist() == before["top1"].tolist()


def test_more_seeds_go_on_from_those_that_are_there(noisy: Run) -> None:
    confirm_front(noisy.folder.path, winners=3, seeds=2)
    told: list[int] = []

    def confirmed(seeds: int) -> list[int]:
        told.clear()
        found = confirm_front(
            noisy.folder.path, winners=1, seeds=seeds, told=lambda state: told.append(state.done)
        )
        return sorted(found.confirmed.seeds.tolist())

    assert confirmed(2) == [2, 2, 2] and told == []
    assert confirmed(3) == [2, 2, 3] and told == [1]  # the third of the pick alone
    assert confirmed(3) == [2, 2, 3] and told == []


def test_every_screen_of_a_confirmed_run_has_the_fresh_mean_of_its_pick(noisy: Run) -> None:
    folder = noisy.folder.path
    found = confirm_front(folder, winners=3, seeds=3).run
    pick = found.front.loc[found.front["pick"]].iloc[0]
    words = (
        f"{pick['confirmed_top1']:.1f} % (mean of 3 fresh seeds, standard error"
        f" {pick['confirmed_se']:.1f})"
    )
    assert any(f"quote its {words}" in line for line in guard_lines(found))
    assert words in found._repr_html_() and words in page(open_run(folder))
    said = answer(open_run(folder))
    assert "of the networks trained anew with fresh seeds, the fastest of those that tie" in said
    assert f"top-1 of fresh seeds</dt><dd>{pick['confirmed_top1']:.1f} %" in said
    (row,) = [row for row in comparison(found) if row["verdict"] == "pick"]
    assert row["confirmed_top1"] == pick["confirmed_top1"]
    assert compare(folder, folder).sides[0].pick["confirmed_se"] == pick["confirmed_se"]
    assert "NaN" not in json.dumps(summary(found)["front"])  # which is no JSON
    wide = {"COLUMNS": "300"}  # for the folders' names
    shown = CliRunner().invoke(app, ["compare", str(folder), str(folder)], env=wide)
    assert f"{pick['confirmed_top1']:.3g}" in shown.output.partition("top-1 of fresh seeds")[2]


def test_the_next_step_of_a_run_by_trainings_is_to_confirm_it_until_it_is(noisy: Run) -> None:
    def believing(front: pd.DataFrame) -> list[str]:
        every = steps(Path("run"), noisy.problem, front)
        return [command for words, command in every if words.startswith(BELIEVE)]

    train = "palmette train --run run --data IMAGES"
    assert believing(noisy.front) == ["palmette confirm run", train]
    assert believing(resume(noisy.folder.path).front) == [train]


def test_the_command_says_how_much_of_it_was_luck(noisy: Run) -> None:
    shown = CliRunner().invoke(app, ["confirm", str(noisy.folder.path), "--winners", "2"])
    assert shown.exit_code == 0 and "quote the fresh means" in shown.output
    found = CliRunner().invoke(app, ["confirm", str(noisy.folder.path), "--winners", "2", "--json"])
    answer = json.loads(found.stdout)
    front = pd.read_csv(noisy.folder.front)
    fresh = front[front["confirmed_seeds"] > 0]  # those of earlier calls too
    assert [row["id"] for row in answer["networks"]] == fresh["id"].tolist() and len(fresh) >= 2
    assert (fresh["confirmed_seeds"] == 3).sum() >= 2


def test_accuracies_without_seeds_cannot_be_confirmed(finished: Run, by_supernet: Run) -> None:
    with pytest.raises(InputError, match="is an estimate and has no seed"):
        confirm_front(finished.folder.path)
    with pytest.raises(InputError, match="one value whatever the seed"):
        confirm_front(by_supernet.folder.path)
    with pytest.raises(InputError, match="--seeds: at least 1, got 0"):
        confirm_front(finished.folder.path, seeds=0)


def test_winners_of_several_targets_are_confirmed_by_load_and_reward(
    few_toml: str, tmp_path: Path
) -> None:
    (tmp_path / "few.toml").write_text(few_toml)
    (tmp_path / "noisy.py").write_text(NOISY)
    goals = (Goal("iphone-11/cpu", 2.0), Goal("iphone-11/gpu", 2.0))
    before = run_joined(
        goals,
        tmp_path / "run",
        space=str(tmp_path / "few.toml"),
        accuracy=f"function:{tmp_path / 'noisy.py'}:top1",
        evaluations=1000,
        shortlist=6,
        trials=6,
        extrapolate=True,
        reward="mnasnet-hard",
    )
    found = CliRunner().invoke(
        app, ["confirm", str(before.folder.path), "--winners", "3", "--seeds", "2", "--json"]
    )
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    rows = pd.DataFrame(answer["networks"])
    assert len(rows) == min(3, len(before.front)) and (rows["load"] > 0).all()
    rewards = before.problem.rewards(
        rows["load"].to_numpy(np.float64), rows["confirmed_top1"].to_numpy(np.float64)
    )
    assert rewards is not None and rows["pick"].tolist().index(True) == rewards.argmax()
    shown = CliRunner().invoke(
        app, ["confirm", str(before.folder.path), "--winners", "1", "--seeds", "1"]
    )
    assert shown.exit_code == 0 and "load" in shown.output
