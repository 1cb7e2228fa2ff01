"""Searches that halve their shortlist: who is trained how long, and the same after any death."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial

from palmette.search import Run, resume, run
from palmette.search.ledger.replay import replay_run
from palmette.search.ledger.watched import WatchedJournal
from palmette.search.trials.bracket import CONTENDER
from palmette.space import InputError

FUNCTION = """
import time
from pathlib import Path

CALLS = Path(__file__).with_name("calls.txt")
SECONDS = 0.0

def top1(architecture, epochs):
    with CALLS.open("a") as calls:
        calls.write(f"{architecture.id} {epochs}\\n")
    time.sleep(SECONDS)
    if FAILS:
        raise RuntimeError("no such disk")
    return 20 + architecture.macs() / 1e7 + 3 * epochs, 0.3

FAILS = False
"""
OPTIONS: dict[str, Any] = {
    "evaluations": 1000,
    "shortlist": 7,
    "trials": 10,
    "halving": True,
    "epochs": 9,
    "seed": 1,
}


@pytest.fixture(scope="module")
def place(small_toml: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a space and a function."""
    folder = tmp_path_factory.mktemp("halving")
    (folder / "small.toml").write_text(small_toml)
    (folder / "mine.py").write_text(FUNCTION)
    return folder


def options(place: Path, **changed: Any) -> dict[str, Any]:
    accuracy = f"function:{place / 'mine.py'}:top1"
    return {**OPTIONS, "space": str(place / "small.toml"), "accuracy": accuracy, **changed}


@pytest.fixture(scope="module")
def halved(place: Path) -> Run:
    """A run that nothing disturbed."""
    return run("iphone-11/ane", 6.0, place / "halved", **options(place))


def trials(folder: Path) -> list[FrozenTrial]:
    storage = JournalStorage(WatchedJournal(folder / "study.journal"))
    return optuna.load_study(study_name="palmette", storage=storage).get_trials()


def ends(folder: Path) -> list[tuple[int, str, Any, Any, Any]]:
    """What each told trial is and came to, in their order."""
    told = [trial for trial in trials(folder) if "order" in trial.user_attrs]
    told = [trial for trial in told if "repaired_at" not in trial.user_attrs]
    told.sort(key=lambda trial: trial.user_attrs["order"])
    return [
        (t.user_attrs["order"], t.state.name, t.params, t.values, t.user_attrs.get("top1"))
        for t in told
    ]


def test_a_third_of_each_rung_goes_on_and_the_belief_takes_the_rest(
    halved: Run, place: Path
) -> None:
    table = pd.read_csv(halved.folder.rungs)
    counts = table.groupby("epochs").size().to_dict()
    contenders = counts[1]
    assert counts == {1: contenders, 3: -(-contenders // 3), 9: 1} and 4 <= contenders <= 7
    states = [state for _, state, *_ in ends(halved.folder.path)]
    assert states == [t.state.name for t in trials(halved.folder.path)] and len(states) == 10
    assert states.count("PRUNED") == contenders - 1
    assert set(states[contenders:]) == {"COMPLETE"}
    calls = [line.split() for line in (place / "calls.txt").read_text().splitlines()]
    assert [epochs for _, epochs in calls[len(table) :]] == ["9"] * (10 - contenders)
    assert len({name for name, epochs in calls if epochs == "9"}) == 11 - contenders
    assert len(halved.problem.accuracy.results) == 11 - contenders  # parts of trainings teach none


def test_what_was_stopped_is_no_network_of_the_front_and_is_not_asked_for_again(
    halved: Run,
) -> None:
    found = trials(halved.folder.path)
    networks = [tuple(sorted(trial.params.items())) for trial in found]
    assert len(set(networks)) == len(networks)
    stopped = [trial for trial in found if trial.state.name == "PRUNED"]
    assert all(trial.values is None and "rung_1" in trial.user_attrs for trial in stopped)
    assert halved.front["top1"].min() > 20 + 3 * 9


def test_the_run_can_be_replayed_and_read_again(halved: Run) -> None:
    replay = replay_run(halved.folder.path)
    assert replay.same and replay.asks == 10, replay.words
    assert resume(halved.folder.path).front.equals(halved.front)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_optunas_samplers_go_on_after_stopped_trials(place: Path, sampler: str) -> None:
    folder = place / sampler
    run("iphone-11/ane", 6.0, folder, **options(place, sampler=sampler))
    assert len({str(params) for _, _, params, *_ in ends(folder)}) == 10


def test_nothing_but_failures_end_the_search_and_leave_nothing(place: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FUNCTION.replace("FAILS = False", "FAILS = True"))
    accuracy = f"function:{tmp_path / 'mine.py'}:top1"
    with pytest.raises(InputError, match="10 trials in a row failed, the last because: .*no such"):
        run(
            "iphone-11/ane",
            6.0,
            tmp_path / "run",
            **options(place, accuracy=accuracy, shortlist=12, trials=20),
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"accuracy": "prior", "epochs": None}, "halving: with a prior no network is trained"),
        ({"accuracy": "supernet:s", "epochs": None}, "halving: with a supernet no network is"),
        ({"epochs": None}, "halving: --epochs must say how long a whole training"),
        ({"epochs": 0}, "epochs: at least 1, got 0"),
        ({"accuracy": "proxy:quick", "data": "d"}, "epochs: are a function's; a proxy's stand in"),
        ({"warm_start": False}, "halving: is of the shortlist; leave --cold out"),
    ],
)
def test_contradictions_are_told_at_the_door(
    place: Path, tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        run("iphone-11/ane", 6.0, tmp_path / "run", **options(place, **changed))
    assert words in str(caught.value) and not (tmp_path / "run").exists()


def test_a_function_without_epochs_is_told_at_the_door(place: Path, tmp_path: Path) -> None:
    (tmp_path / "short.py").write_text("def top1(architecture): return 50.0\n")
    accuracy = f"function:{tmp_path / 'short.py'}:top1"
    with pytest.raises(InputError, match="--epochs: 'top1' takes none"):
        run("iphone-11/ane", 6.0, tmp_path / "run", **options(place, accuracy=accuracy))


class Death(BaseException):
    """The driver's, as if it were killed."""


@pytest.mark.parametrize("writes", [8, 22, *range(44, 62, 3), 90])
def test_a_driver_that_ends_at_any_write_leaves_what_goes_on_to_the_same(
    halved: Run, place: Path, tmp_path: Path, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from palmette.search.ledger.journal import SoleJournal

    append, left = SoleJournal.append_logs, [writes]

    def dying(self: SoleJournal, logs: list[dict[str, Any]]) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Death
        append(self, logs)

    with monkeypatch.context() as patch:
        patch.setattr(SoleJournal, "append_logs", dying)
        with pytest.raises(Death):
            run("iphone-11/ane", 6.0, tmp_path / "run", **options(place))
    again = resume(tmp_path / "run")
    assert again.front.equals(halved.front)
    assert ends(tmp_path / "run") == ends(halved.folder.path)
    assert (tmp_path / "run/rungs.csv").read_bytes() == halved.folder.rungs.read_bytes()
    assert {CONTENDER} <= {key for t in trials(tmp_path / "run") for key in t.user_attrs}


def killed_after(arguments: list[str], calls: Path, count: int) -> int:
    """Exit status of a search that is killed once it has called its function so many times."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from palmette.cli import main; main()", "search", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    before = _lines(calls)
    while process.poll() is None and _lines(calls) < before + count:
        time.sleep(0.02)
    if process.poll() is None:
        time.sleep(random.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
    return process.wait()


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.is_file() else 0


@pytest.mark.slow
def test_a_search_by_workers_killed_again_and_again_ends_in_the_same(
    halved: Run, place: Path, tmp_path: Path
) -> None:
    text = FUNCTION.replace("SECONDS = 0.0", "SECONDS = 0.2")
    (tmp_path / "mine.py").write_text(text)
    out = tmp_path / "run"
    begin = ["--target=iphone-11/ane", "--budget-ms=6", f"--out={out}", "--halving"]
    begin += [f"--accuracy=function:{tmp_path / 'mine.py'}:top1", f"--space={place}/small.toml"]
    begin += [f"--{name}={OPTIONS[name]}" for name in ("evaluations", "shortlist", "trials")]
    begin += ["--seed=1", "--epochs=9", "--workers=1"]
    kills, status = 0, 1
    while status:
        arguments = [f"--resume={out}", "--workers=1"] if (out / "run.toml").exists() else begin
        status = killed_after(arguments, tmp_path / "calls.txt", 4)
        kills += status == -signal.SIGKILL
        assert status in (0, -signal.SIGKILL)
    assert kills >= 2
    assert ends(out) == ends(halved.folder.path)
    ours, other = (pd.read_csv(folder / "rungs.csv") for folder in (out, halved.folder.path))
    assert ours.drop(columns="trial").equals(other.drop(columns="trial"))


@pytest.mark.slow
def test_a_rung_of_a_proxy_goes_on_from_the_checkpoint_of_the_one_before(
    few_toml: str, tmp_path: Path
) -> None:
    (tmp_path / "few.toml").write_text(few_toml)
    found = run(
        "iphone-11/cpu",
        100.0,
        tmp_path / "run",
        space=str(tmp_path / "few.toml"),
        accuracy="proxy:quick@3x1",
        data="procedural:160",
        evaluations=1000,
        shortlist=3,
        trials=3,
        extrapolate=True,
        halving=True,
    )
    logs = sorted(found.folder.trainings.rglob("log.csv"))
    assert logs and all(pd.read_csv(log)["epoch"].is_unique for log in logs)
    assert pd.read_csv(found.folder.rungs)["epochs"].max() == 3
    assert resume(found.folder.path).front.equals(found.front)
