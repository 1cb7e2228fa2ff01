"""A run repeats byte by byte, from its folder and its values, whatever ended it."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from palmette.latency import load_predictor
from palmette.search import Run, SearchConfig, SearchProblem, resume, run
from palmette.search.front import non_dominated
from palmette.search.run_folder import RunFolder
from palmette.search.trials.progress import MEASURING, SEARCHING, Snapshot
from palmette.space import Architecture, InputError

Read = Callable[[Path], dict[str, bytes]]
MODULE = sys.modules["palmette.search.run"]  # the package's `run` is the function
PROPOSALS = "palmette.search.proposals"
RESULTS = ("front.csv", "front.html")
KEPT = ("run.toml", "space.toml", "front.csv", "front.html")


def again(finished: Run, out: Path, **changes: Any) -> Run:
    """The run once more from the values of its `run.toml`."""
    config, _ = finished.folder.read_config()
    options = {**config, **changes}
    return run(options.pop("target"), options.pop("budget_ms"), out, **options)


def same_results(folder: Path, finished: Run) -> bool:
    mine = finished.folder.path
    return all((folder / name).read_bytes() == (mine / name).read_bytes() for name in RESULTS)


def trials_of(folder: Path) -> list[FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(journal_of(folder))))
    if not storage.get_all_studies():
        return []
    return optuna.load_study(study_name="palmette", storage=storage).get_trials()


def journal_of(folder: Path) -> Path:
    return RunFolder(folder).journal


def complete(folder: Path) -> dict[int, FrozenTrial]:
    return {t.number: t for t in trials_of(folder) if t.state == TrialState.COMPLETE}


def distinct(trials: dict[int, FrozenTrial]) -> int:
    return len({tuple(sorted(trial.params.items())) for trial in trials.values()})


# --- what a run leaves ----------------------------------------------------------------------------


def test_a_run_leaves_its_config_study_front_and_page(finished: Run) -> None:
    names = {file.name for file in finished.folder.path.iterdir()}
    assert names == {*KEPT, "study.journal", "driver.lock"}


def test_the_file_of_the_front_is_the_front(finished: Run) -> None:
    table = pd.read_csv(finished.folder.front, dtype={"id": str})
    pd.testing.assert_frame_equal(table, finished.front, check_dtype=False, check_exact=True)


def test_the_front_is_sorted_by_milliseconds_and_nothing_on_it_is_dominated(finished: Run) -> None:
    front = finished.front
    assert 6 <= len(front) <= 10
    assert front["ms"].is_monotonic_increasing
    objectives = front[["ms", "score"]].to_numpy() * np.array([1.0, -1.0])
    assert len(non_dominated(objectives)) == len(front)


def test_every_network_of_the_front_keeps_the_budget(finished: Run) -> None:
    assert finished.front["ms_at_confidence"].max() <= 6.0
    assert (finished.front["ms"] < finished.front["ms_at_confidence"]).all()


def test_the_pick_is_the_fastest_of_those_that_tie_with_the_best(finished: Run) -> None:
    front = finished.front
    assert front["pick"].sum() == 1
    best = front["score"].max()
    np.testing.assert_array_equal(front["tie"], front["score"] >= best - 0.5)
    pick = front[front["pick"]].iloc[0]
    assert pick["ms"] == front.loc[front["tie"], "ms"].min()
    assert finished.pick == Architecture.from_text(pick["architecture"])
    assert finished.pick.id == pick["id"]


def test_each_network_of_the_shortlist_is_one_trial_with_its_results(finished: Run) -> None:
    trials = complete(finished.folder.path)
    assert list(trials) == list(range(len(finished.front)))
    assert distinct(trials) == len(trials)
    # best score first
    scores = [trial.values[1] for trial in trials.values()]
    assert scores == sorted(scores, reverse=True)
    assert sorted(scores) == pytest.approx(sorted(finished.front["score"]))
    assert all(trial.constraints == {"limits": 0.0} for trial in trials.values())


def test_guards_name_what_was_barred_and_none_is_active_on_the_front(finished: Run) -> None:
    guards = finished.guards
    assert set(guards["barred_choices"]) >= {"network.resolution=160", "stage2.kernel=7"}
    assert guards["guards_on_front"] == []
    assert guards["outside_timed"] == finished.front["outside_timed"].sum()


# --- it repeats -----------------------------------------------------------------------------------


def test_the_values_of_run_toml_give_the_same_bytes_again(finished: Run, tmp_path: Path) -> None:
    again(finished, tmp_path / "again")
    assert same_results(tmp_path / "again", finished)


def test_the_seed_is_what_a_short_search_depends_on(finished: Run, tmp_path: Path) -> None:
    fronts = {
        again(finished, tmp_path / str(seed), seed=seed, evaluations=1000).folder.front.read_bytes()
        for seed in (0, 1)
    }
    assert len(fronts) > 1


def test_resuming_a_finished_run_changes_nothing(
    finished: Run, copied: Path, folder_bytes: Read
) -> None:
    before = folder_bytes(copied)
    found = resume(copied)
    assert folder_bytes(copied) == before
    pd.testing.assert_frame_equal(found.front, finished.front)
    assert found.pick == finished.pick
    assert found.config == finished.config


def test_a_finished_run_is_read_without_searching_again(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_search(*_: Any, **__: Any) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr(f"{PROPOSALS}.evolve", no_search)
    resume(copied)


def test_a_folder_can_be_moved_away_from_the_files_that_it_names(
    finished: Run, tmp_path: Path, small_toml: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    Path("mine.toml").write_text(small_toml)
    load_predictor("iphone-11/ane").write(Path("mine.json"))
    again(finished, Path("run"), space="mine.toml", predictor="mine.json")
    (tmp_path / "home").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moved" / "mine.toml").unlink()
    (tmp_path / "moved" / "mine.json").write_text("changed")
    for name in (*RESULTS, "study.journal"):
        (tmp_path / "moved" / "run" / name).unlink()
    resume(tmp_path / "moved" / "run")
    assert same_results(tmp_path / "moved" / "run", finished)


def test_progress_counts_up_to_the_evaluations_with_a_growing_volume(
    finished: Run, tmp_path: Path
) -> None:
    seen: list[Snapshot] = []
    found = again(finished, tmp_path / "run", told=seen.append)
    first = [news for news in seen if news.stage == SEARCHING]
    assert first[-1].done == 2000
    assert {news.planned for news in first} == {2000}
    volumes = [news.hypervolume for news in first]
    assert volumes == sorted(volumes)
    assert 0 < volumes[-1] < 6.0 * 100
    trials = [news for news in seen if news.stage == MEASURING]
    assert [news.done for news in trials] == list(range(1, len(found.front) + 1))
    assert {news.planned for news in trials} == {len(found.front)}
    assert 0 < trials[-1].hypervolume <= volumes[-1] + 1e-9


def test_progress_of_a_search_through_everything_ends_at_the_spaces_size(
    finished: Run, tmp_path: Path
) -> None:
    seen: list[Snapshot] = []
    found = again(finished, tmp_path, evaluations=50_000, told=seen.append)
    size, last = found.problem.space.size, [n for n in seen if n.stage == SEARCHING][-1]
    assert (last.done, last.planned) == (size, size)


# --- interrupted and killed -----------------------------------------------------------------------


def test_an_interrupt_during_the_search_leaves_a_run_that_goes_on(
    finished: Run, tmp_path: Path
) -> None:
    def interrupt(news: Snapshot) -> None:
        if news.done > news.planned / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again(finished, tmp_path, told=interrupt)
    assert not (tmp_path / "front.csv").exists()
    resume(tmp_path)
    assert same_results(tmp_path, finished)


@pytest.mark.parametrize("at", [0, 2, 5])
def test_an_interrupt_during_the_trials_leaves_a_run_that_goes_on(
    finished: Run, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate, singles = SearchProblem.evaluate, []

    def interrupt(self: SearchProblem, codes: Any) -> Any:
        if len(codes) == 1:
            singles.append(1)
            if len(singles) == at + 1:
                raise KeyboardInterrupt
        return evaluate(self, codes)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SearchProblem, "evaluate", interrupt)
        again(finished, tmp_path)
    before = complete(tmp_path)
    assert list(before) == list(range(at))
    resume(tmp_path)
    assert same_results(tmp_path, finished)
    after = complete(tmp_path)
    assert {number: after[number] for number in before} == before
    # the orphan failed, and its network was taken up again
    trials = trials_of(tmp_path)
    assert trials[at].state == TrialState.FAIL
    assert trials[at + 1].params == trials[at].params
    assert len(after) == distinct(after) == len(finished.front)


@pytest.fixture(scope="module")
def short(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of few trials, so that its journal has few lines."""
    folder = tmp_path_factory.mktemp("short") / "run"
    return again(finished, folder, evaluations=1000, shortlist=3)


# the study, the first trial with its parameters, the shortlist's length, the result, the next trial
LINES = range(21)


@pytest.mark.parametrize("count", [*LINES, 30, -2, -1])
def test_a_run_cut_off_after_any_line_of_its_journal_comes_to_the_same_front(
    short: Run, tmp_path: Path, count: int
) -> None:
    """Every other cut tears the next line, too."""
    shutil.copytree(short.folder.path, tmp_path, dirs_exist_ok=True)
    journal = journal_of(tmp_path)
    lines = journal.read_bytes().splitlines(keepends=True)
    assert b'"shortlist"' in b"".join(lines[: LINES.stop])
    torn = lines[count][:-15] if count % 2 else b""
    journal.write_bytes(b"".join(lines[:count]) + torn)
    for name in RESULTS:
        (tmp_path / name).unlink()
    before = complete(tmp_path)
    resume(tmp_path)
    assert same_results(tmp_path, short)
    after = complete(tmp_path)
    assert {number: after[number] for number in before} == before
    assert len(after) == distinct(after) == len(short.front)


PALMETTE = [sys.executable, "-c", "from palmette.cli import main; main()"]
SLOWLY = """
import time, optuna
tell = optuna.Study.tell
optuna.Study.tell = lambda *args, **more: (time.sleep(0.03), tell(*args, **more))[1]
from palmette.cli import main
main()
"""  # so that a signal meets it amid the trials on any machine
KILLED_SEARCH = ("--target", "iphone-13/ane", "--budget-ms", "0.9")
KILLED_OPTIONS = {"evaluations": 20_000, "shortlist": 96, "seed": 7}


def start(arguments: list[str], code: str = PALMETTE[-1]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PALMETTE[:-1], code, "search", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def searching(folder: Path) -> bool:
    """The study is made: the search over the predictors is under way."""
    journal = journal_of(folder)
    return journal.is_file() and b"metric_names" in journal.read_bytes()


def finished_trials(folder: Path) -> int:
    """Trials that the journal has with values."""
    return journal_of(folder).read_bytes().count(b'"state":1,')


def end(process: subprocess.Popen[str], sign: int, when: Callable[[], bool]) -> tuple[int, str]:
    """Send a signal as soon as something is so; exit code and standard error."""
    deadline = time.monotonic() + 120
    while not when():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(sign)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.slow
def test_a_search_killed_again_and_again_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """Real processes: killed during the search, killed and interrupted amid the trials."""
    undisturbed = run("iphone-13/ane", 0.9, tmp_path / "undisturbed", **KILLED_OPTIONS)
    folder = tmp_path / "killed"
    options = [f"--{name}={value}" for name, value in KILLED_OPTIONS.items()]

    code, _ = end(
        start([*KILLED_SEARCH, *options, "--out", str(folder)], SLOWLY),
        signal.SIGKILL,
        lambda: searching(folder),
    )
    assert code == -signal.SIGKILL
    assert not (folder / "front.csv").exists()

    kept: dict[int, FrozenTrial] = {}
    for more, sign in ((3, signal.SIGKILL), (9, signal.SIGINT)):
        # counted from what is there: a quick machine finishes many before the first signal comes
        goal = finished_trials(folder) + more
        process = start(["--resume", str(folder)], SLOWLY)
        code, errors = end(process, sign, lambda goal=goal: finished_trials(folder) >= goal)  # type: ignore[misc]
        if sign == signal.SIGKILL:
            assert code == -sign, errors
        else:
            assert code == 130, errors
            assert errors == f"interrupted; go on with: palmette search --resume {folder}\n"
        found = complete(folder)
        assert len(kept) < len(found) < len(undisturbed.front)
        assert {number: found[number] for number in kept} == kept
        kept = found

    process = start(["--resume", str(folder)])
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    found = complete(folder)
    assert {number: found[number] for number in kept} == kept
    assert len(found) == distinct(found) == len(undisturbed.front)
    assert same_results(folder, undisturbed)


# --- refused, with nothing left behind ------------------------------------------------------------


def test_a_folder_in_use_is_refused_before_anything_is_computed(
    finished: Run, copied: Path, folder_bytes: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_problem(*_: Any, **__: Any) -> None:
        raise AssertionError("computed")

    monkeypatch.setattr(MODULE, "problem_of", no_problem)
    before = folder_bytes(copied)
    with pytest.raises(InputError, match="is not empty; name another folder"):
        again(finished, copied)
    assert folder_bytes(copied) == before


def test_a_second_driver_is_refused_and_the_first_is_left_alone(
    copied: Path, folder_bytes: Read
) -> None:
    before = folder_bytes(copied)
    with (
        RunFolder(copied).driver(),
        pytest.raises(InputError, match="another search is running") as error,
    ):
        resume(copied)
    assert str(copied) in str(error.value)
    assert folder_bytes(copied) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"budget_ms": 0.1}, "the fastest network of space 'small' takes [0-9.]+ ms"),
        ({"budget_ms": float("nan")}, "budget_ms: must be a positive number, got nan"),
        ({"budget_ms": float("inf")}, "budget_ms: must be a positive number, got inf"),
        ({"macs_m": 1.0}, "keeps all limits"),
        ({"target": "iphone-99/ane"}, "target 'iphone-99/ane' is unknown; .*known: iphone-11/cpu"),
        (
            {"space": "mobilenet_v9"},
            "space 'mobilenet_v9' is unknown; did you mean mobilenet_v",
        ),
        ({"space": "missing.toml"}, "missing.toml: cannot be read"),
        ({"predictor": "missing.json"}, "missing.json: cannot be read"),
        ({"recipe": "secret"}, "recipe 'secret' is unknown; known: "),
        ({"evaluations": 999}, "evaluations: at least 1000"),
        ({"shortlist": 2}, "shortlist: at least 3"),
        ({"seed": -1}, "seed: must not be negative"),
        ({"confidence": 1.5}, "confidence: must be above 0.5"),
        ({"lam": -1.0}, "lam: must be from 0 to 10"),
    ],
)
def test_a_run_that_cannot_be_leaves_nothing(
    finished: Run, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words) as error:
        again(finished, tmp_path / "a" / "run", **options)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_after_it_began_leaves_nothing(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise InputError("nothing found")

    monkeypatch.setattr(f"{PROPOSALS}._thinned_front", fail)
    with pytest.raises(InputError, match="nothing found"):
        again(finished, tmp_path / "a" / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_disk_is_full_goes_on_once_there_is_room(finished: Run, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = journal_of(finished.folder.path).stat().st_size // 2
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(InputError, match="make room, then go on with --resume"):
            again(finished, tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    resume(tmp_path / "run")
    assert same_results(tmp_path / "run", finished)


def test_a_predictor_of_another_target_is_refused(finished: Run, tmp_path: Path) -> None:
    load_predictor("iphone-13/ane").write(tmp_path / "other.json")
    with pytest.raises(InputError, match="is a predictor of iphone-13/ane@.*, not of iphone-11"):
        again(finished, tmp_path / "run", predictor=str(tmp_path / "other.json"))


def test_a_predictor_of_ones_own_is_searched_with(finished: Run, tmp_path: Path) -> None:
    # the same prices, but a spread so small that nothing of the budget is kept back
    values = load_predictor("iphone-11/ane").to_dict()
    for row in values["uncertainty"]["classes"].values():
        row["spread"] = 0.001
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps(values))
    found = again(finished, tmp_path / "run", predictor=str(mine))
    kept_back = found.front["ms_at_confidence"] / found.front["ms"]
    assert kept_back.median() < 1.01
    assert (finished.front["ms_at_confidence"] / finished.front["ms"]).median() > 1.05


def edited(folder: Path, old: str, new: str) -> None:
    path = folder / "run.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("budget_ms = 6.0", 'budget_ms = "6"', "budget_ms has a wrong type, got '6'"),
        ("budget_ms = 6.0", "budget_ms = true", "budget_ms has a wrong type, got True"),
        ("budget_ms = 6.0", "budget_ms = nan", "budget_ms: must be a positive number"),
        ("budget_ms = 6.0", "budget_ms = 0.1", "the fastest network"),
        ("budget_ms = 6.0", "", "missing budget_ms"),
        ("evaluations = 2000", "evaluations = 2000.0", "evaluations has a wrong type"),
        ("evaluations = 2000", "evaluations = 2000\nspeed = 3", "unknown key 'speed'; known: "),
        ("extrapolate = false", "extrapolate = 0", "extrapolate has a wrong type, got 0"),
        ("seed = 3", "seed = [3]", "seed has a wrong type"),
        ("iphone-11/ane", "iphone-99/ane", "target 'iphone-99/ane@coreml-ios13' is unknown"),
        ("run@1", "run@9", r"is of format palmette/run@9, this palmette reads palmette/run@1"),
        ("[search]", "[serach]", "corrupt: needs a table"),
        ("[run]", "[run", "corrupt"),
    ],
)
def test_a_config_that_was_damaged_is_told_and_nothing_changes(
    copied: Path, old: str, new: str, words: str, folder_bytes: Read
) -> None:
    edited(copied, old, new)
    before = folder_bytes(copied)
    with pytest.raises(InputError, match=words) as error:
        resume(copied)
    assert "\n" not in str(error.value)
    assert folder_bytes(copied) == before


def test_a_run_does_not_go_on_in_another_space(copied: Path, folder_bytes: Read) -> None:
    space = copied / "space.toml"
    space.write_text(space.read_text().replace("channels = [24, 32]", "channels = [24, 40]"))
    before = folder_bytes(copied)
    with pytest.raises(
        InputError, match=r"run\.toml: space_id is '.*', but what would be searched"
    ):
        resume(copied)
    assert folder_bytes(copied) == before


def test_a_run_does_not_go_on_with_another_predictor(copied: Path) -> None:
    _, about = RunFolder(copied).read_config()
    edited(copied, about["predictor_id"], "0123456789ab")
    with pytest.raises(InputError, match=r"run\.toml: predictor_id is '0123456789ab'"):
        resume(copied)


@pytest.mark.parametrize("lost", ['"param_name":"stage2.depth"', '"constraints', '"trial_id":2'])
def test_a_journal_that_lost_records_of_a_finished_trial_is_told(
    copied: Path, lost: str, folder_bytes: Read
) -> None:
    journal = journal_of(copied)
    lines = journal.read_text().splitlines(keepends=True)
    mine = [i for i, line in enumerate(lines) if '"trial_id":2,' in line and lost in line]
    assert mine
    journal.write_text("".join(line for i, line in enumerate(lines) if i != mine[0]))
    before = folder_bytes(copied)
    with pytest.raises(InputError, match="corrupt: trial 2 is finished, but no network"):
        resume(copied)
    assert folder_bytes(copied) == before


def test_a_run_without_a_journal_begins_its_search_anew(finished: Run, copied: Path) -> None:
    for name in (*RESULTS, "study.journal"):
        (copied / name).unlink()
    resume(copied)
    assert same_results(copied, finished)


# --- the config -----------------------------------------------------------------------------------


def test_a_config_comes_back_from_its_plain_values() -> None:
    config = SearchConfig("iphone-13/ane", 0.9, recipe="timm_ra", extrapolate=True, macs_m=300)
    assert SearchConfig.from_dict(config.to_dict() | {"predictor": "x"}, "x") == SearchConfig(
        "iphone-13/ane", 0.9, recipe="timm_ra", extrapolate=True, macs_m=300, predictor="x"
    )


@pytest.mark.sweep
def test_the_fastest_that_an_impossible_budget_is_told_can_be_found(tmp_path: Path) -> None:
    """Also by a search of the preset that is too short to come near it."""
    with pytest.raises(InputError) as error:
        run("iphone-11/ane", 0.1, tmp_path / "run", evaluations=1000)
    told = re.search(r"takes ([0-9.]+) ms", str(error.value))
    assert told is not None
    found = run("iphone-11/ane", float(told[1]), tmp_path / "run", evaluations=1000)
    assert len(found.front) >= 1
    assert found.front["ms_at_confidence"].max() <= float(told[1])
