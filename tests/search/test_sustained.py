"""A budget of sustained milliseconds: it asks for such a predictor, and everything says so."""

from __future__ import annotations

import json
import shutil
import sys
from copy import copy
from pathlib import Path

import pandas as pd
import pytest

from palmette import cli
from palmette.latency import LATENCY, SUSTAINED, fit, published_timings
from palmette.search import Run, SearchConfig, comparison, export_pick, resume, run, summary
from palmette.search.bundle import choose, open_fleet, report
from palmette.search.bundle.manifest import _choice
from palmette.search.figure import front_page
from palmette.search.summary import default_folder, guard_lines
from palmette.search.timed import timed_ms
from palmette.space import MOBILENET_LIKE, InputError

PHONE = "iphone-11/cpu@coreml-ios13"
SLOWER = 1.5


@pytest.fixture(scope="module")
def predictors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Predictors of a phone that slows down by one factor: quantity -> file."""
    table = published_timings()
    table = table[(table["target"] == PHONE) & table["subject"].isin(MOBILENET_LIKE)]
    table = table.assign(sustained_ms=SLOWER * table["latency_ms"])
    folder = tmp_path_factory.mktemp("predictors")
    found = {}
    for quantity in (LATENCY, SUSTAINED):
        found[quantity] = folder / f"{quantity}.json"
        fit(table, PHONE, quantity=quantity)[PHONE].write(found[quantity])
    return found


def searched(predictor: Path, out: Path, space: Path, budget: str) -> Run:
    options = {"space": str(space), "evaluations": 1000, "shortlist": 5, "budget": budget}
    return run("iphone-11/cpu", 40.0, out, predictor=str(predictor), **options)


@pytest.fixture(scope="module")
def sustained(
    predictors: dict[str, Path], small_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """A run inside a sustained budget; its folder is not to be changed."""
    out = tmp_path_factory.mktemp("sustained") / "run"
    return searched(predictors[SUSTAINED], out, small_file, SUSTAINED)


def test_the_run_keeps_the_budget_in_sustained_milliseconds(sustained: Run) -> None:
    front = sustained.front
    assert (front["ms_at_confidence"] <= 40.0).all()
    predictor = sustained.problem.latency.predictor
    assert predictor.quantity_ == SUSTAINED
    assert predictor.predict([sustained.pick])[0] == pytest.approx(
        front.loc[front["pick"], "ms"].iloc[0]
    )


def test_everything_that_the_run_leaves_says_sustained(sustained: Run) -> None:
    folder = sustained.folder
    assert 'budget = "sustained"' in folder.config.read_text("utf-8")
    assert set(pd.read_csv(folder.front)["quantity"]) == {SUSTAINED}
    assert "sustained budget 40 ms" in folder.page.read_text("utf-8")
    assert "predicted sustained latency (ms)" in front_page(sustained)
    assert any(line.startswith("budget: sustained;") for line in guard_lines(sustained))
    assert summary(sustained)["config"]["budget"] == SUSTAINED


def test_sustained_timings_of_its_own_are_held_against_it_and_no_published_ones(
    sustained: Run,
) -> None:
    """Published are single calls."""
    table = published_timings()
    own = table[table["target"] == PHONE].set_index("subject")["latency_ms"]
    rows = comparison(sustained)
    timed = {row["name"]: row["timed_ms"] for row in rows if row["timed_ms"] is not None}
    assert timed == pytest.approx({name: SLOWER * own[name] for name in MOBILENET_LIKE})
    predictor = copy(sustained.problem.latency.predictor)
    predictor.timed_ms_ = {}
    assert timed_ms(predictor) == {}


@pytest.mark.sweep
def test_the_package_names_its_milliseconds_sustained(sustained: Run, tmp_path: Path) -> None:
    import dataclasses

    import coremltools

    copy = dataclasses.replace(sustained.folder, path=tmp_path / "copy")
    shutil.copytree(sustained.folder.path, copy.path)
    package = export_pick(dataclasses.replace(sustained, folder=copy))
    told = coremltools.utils.load_spec(str(package)).description.metadata.userDefined
    assert {key for key in told if key.startswith("predicted")} == {
        "predicted_sustained_ms",
        "predicted_sustained_ms_lower",
        "predicted_sustained_ms_upper",
        "predicted_sustained_ms_confidence",
    }


def test_a_resumed_run_keeps_its_budget(sustained: Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(sustained.folder.path, tmp_path / "copy"))
    (copy / "front.csv").unlink()
    again = resume(copy)
    assert again.config.budget == SUSTAINED
    assert (copy / "front.csv").read_bytes() == sustained.folder.front.read_bytes()


def test_a_plain_run_says_nothing_of_it(finished: Run) -> None:
    assert finished.config.budget == LATENCY and "quantity" not in finished.front
    assert not any("sustained" in line for line in guard_lines(finished))


def test_a_run_from_before_there_was_a_choice_is_one_of_latency() -> None:
    assert SearchConfig.from_dict({"target": PHONE, "budget_ms": 5.0}, "run.toml").budget == LATENCY


def test_a_bundle_marks_the_phone_and_takes_one_kind_of_budget_for_it(
    sustained: Run, predictors: dict[str, Path], small_file: Path, tmp_path: Path
) -> None:
    portfolio = choose(open_fleet([sustained.folder.path], confidence=0.8), 0.5)
    (share,) = portfolio.shares
    assert share.unit.quantity == _choice(share, True, ())["quantity"] == SUSTAINED
    assert report(portfolio)["phones"][0]["quantity"] == SUSTAINED
    other = searched(predictors[LATENCY], tmp_path / "run", small_file, LATENCY)
    with pytest.raises(InputError, match="budget is latency on iphone-11/cpu.*, but sustained in"):
        open_fleet([sustained.folder.path, other.folder.path], confidence=0.8)


# Refusals


def test_a_sustained_budget_needs_a_predictor_of_ones_own() -> None:
    with pytest.raises(InputError, match="sustained needs --predictor.* no published table has"):
        SearchConfig(PHONE, 5.0, budget=SUSTAINED)
    with pytest.raises(InputError, match="budget: must be latency or sustained, got 'burst'"):
        SearchConfig(PHONE, 5.0, budget="burst")


@pytest.mark.parametrize(("of", "asked"), [(LATENCY, SUSTAINED), (SUSTAINED, LATENCY)])
def test_a_predictor_of_the_other_quantity_is_refused_and_nothing_is_left(
    predictors: dict[str, Path], small_file: Path, tmp_path: Path, of: str, asked: str
) -> None:
    words = f"predicts {of} milliseconds, but the budget is of {asked} ones; give --budget {of}"
    with pytest.raises(InputError, match=words):
        searched(predictors[of], tmp_path / "run", small_file, asked)
    assert list(tmp_path.iterdir()) == []


def test_the_default_folder_of_a_sustained_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_folder("iphone-11/cpu", 5.0, SUSTAINED).name == "iphone-11-cpu-5ms-sustained"


# The command line


def called(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["palmette", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert isinstance(end.value.code, int)
    return end.value.code


def test_predict_says_which_milliseconds_it_predicts(
    predictors: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("predict", "mobilenet_v2", "--predictor", str(predictors[SUSTAINED]))
    assert called(monkeypatch, *arguments) == 0
    assert "ms sustained, 80% interval" in capsys.readouterr().out
    assert called(monkeypatch, *arguments, "--json") == 0
    assert json.loads(capsys.readouterr().out)["quantity"] == SUSTAINED


def test_fit_and_search_take_their_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = published_timings()
    own = table[(table["target"] == PHONE) & table["subject"].isin(MOBILENET_LIKE)]
    own = own.assign(target="my-phone/cpu@coreml-ios18", sustained_ms=2 * own["latency_ms"])
    own.loc[own.index[0], "sustained_ms"] = float("nan")
    own.to_csv(tmp_path / "table.csv", index=False)
    monkeypatch.chdir(tmp_path)
    assert called(monkeypatch, "latency", "fit", "table.csv", "--sustained", "--out", "fits") == 0
    assert "1 of 8 rows have no sustained_ms" in capsys.readouterr().err
    (file,) = (tmp_path / "fits").iterdir()
    assert json.loads(file.read_text("utf-8"))["quantity"] == SUSTAINED
    arguments = ("search", "--target", "my-phone/cpu@coreml-ios18", "--budget-ms", "50")
    assert called(monkeypatch, *arguments, "--predictor", str(file)) == 2
    assert "give --budget sustained" in capsys.readouterr().err
    known = ("search", "--target", PHONE, "--budget-ms", "50", "--budget", "sustained")
    assert called(monkeypatch, *known) == 2
    assert "no published table has sustained timings" in capsys.readouterr().err
