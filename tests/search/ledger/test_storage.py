"""A study is opened by one driver, in a folder or a database, and is the study that is meant."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from palmette.search.ledger.lease import Lease
from palmette.search.ledger.place import database, masked
from palmette.search.ledger.storage import open_study
from palmette.space import InputError

GENES = {name: CategoricalDistribution((1, 2, 3)) for name in "abc"}
ABOUT = {"space_id": "abc", "predictor_id": "def"}


def opened(
    place: Path | str, name: str = "run", about: dict[str, str] = ABOUT, **options: Any
) -> AbstractContextManager[tuple[optuna.Study, Lease]]:
    sampler = optuna.samplers.RandomSampler(seed=0)
    options = {"lease_s": 5.0, "genes": list(GENES), **options}
    return open_study(place, sampler=sampler, name=name, about=about, **options)


def measured(study: optuna.Study, value: float) -> None:
    trial = study.ask(GENES)
    trial.set_constraint("limits", -1.0)
    trial.set_user_attr("top1", value)
    study.tell(trial, [1.0, value])


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.get_trials()]


@pytest.fixture(scope="module")
def url(server: Any) -> str:
    return str(server.database("storage"))


@pytest.fixture(params=["journal", "sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Each kind of place, new."""
    if request.param == "postgresql":
        server = request.getfixturevalue("server")
        yield server.database(f"place{time.monotonic_ns()}")
    else:
        yield tmp_path / "j" if request.param == "journal" else f"sqlite:///{tmp_path / 'a.db'}"


def test_what_was_finished_is_there_once_what_ran_waits_and_nothing_runs(place: Path | str) -> None:
    with opened(place) as (study, lease):
        measured(study, 70.0)
        running = study.ask(GENES)
        lease.check()
    with opened(place) as (study, _):
        assert states(study) == ["COMPLETE", "FAIL", "WAITING"]
        assert study.metric_names == ["ms", "score"]
        first = study.trials[0]
        assert (first.values, first.constraints) == ([1.0, 70.0], {"limits": -1.0})
        assert study.trials[1].user_attrs["reason"] == "its driver was stopped"
        again = study.ask(GENES)
        assert (again.number, again.params) == (2, running.params)
        assert again.user_attrs == {"retry_of": 1, "attempt": 1}
        study.tell(again, [2.0, 71.0])
        assert states(study) == ["COMPLETE", "FAIL", "COMPLETE"]


def test_another_study_under_the_same_name_is_refused_and_both_are_named(
    place: Path | str,
) -> None:
    with opened(place) as (study, _):
        measured(study, 70.0)
    for other, words in (
        ({"about": {**ABOUT, "space_id": "xyz"}}, r"space_id 'abc', but .* 'xyz'"),
        ({"directions": ["minimize"]}, "directions minimize, maximize, not minimize"),
    ):
        with pytest.raises(InputError, match=words) as told, opened(place, **other):
            raise AssertionError("driven")
        assert "s3cret" not in str(told.value)
    with opened(place) as (study, _):
        assert states(study) == ["COMPLETE"]


def test_a_study_that_others_made_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    study = optuna.create_study(storage=url, study_name="run", directions=["minimize", "maximize"])
    study.add_trial(optuna.create_trial(state=TrialState.COMPLETE, values=[1.0, 2.0]))
    with pytest.raises(InputError, match="'run' was not made by palmette"), opened(url):
        raise AssertionError("driven")
    study._storage.remove_session()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mysql://u:s3cret@host/d", "not as mysql://"),
        ("postgresql+psycopg2://u:s3cret@host/d", r"not as postgresql\+psycopg2://"),
        ("postgresql://u:s3cret@host", r"postgresql://u:\*\*\*@host names no database"),
        ("postgresql://u@host/d?password=s3cret", "before the @"),
        ("postgresql://u@host/d?sslpassword=s3cret", "file of services"),
        ("postgresql://u:s3cret@host:port/d", "no URL"),
        ("sqlite://", "names no database"),
        ("://", "no URL"),
    ],
)
def test_a_url_that_breaks_a_rule_is_told_without_its_password(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as told, opened(text):
        raise AssertionError("driven")
    assert "s3cret" not in str(told.value)


def test_a_place_is_shown_without_password_and_driver(tmp_path: Path) -> None:
    shown = masked("postgresql+psycopg://me:s3cret@host:1/d?sslmode=require")
    assert shown == "postgresql://me:***@host:1/d?sslmode=require"
    assert masked(tmp_path) == str(tmp_path)
    assert database("postgresql://me@host/d").drivername == "postgresql+psycopg"


def test_a_database_that_is_not_there_is_told_within_ten_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as silent:  # takes the connection, and says nothing
        silent.bind(("127.0.0.1", 0))
        began = time.monotonic()
        shut = f"postgresql://me:s3cret@127.0.0.1:{silent.getsockname()[1]}/d"
        with caplog.at_level(logging.DEBUG), pytest.raises(InputError) as told, opened(shut):
            raise AssertionError("driven")
        assert "can't be reached (" in str(told.value)
        assert time.monotonic() - began < 5
        silent.listen()
        with caplog.at_level(logging.DEBUG), pytest.raises(InputError) as waited, opened(shut):
            raise AssertionError("driven")
    assert time.monotonic() - began < 15
    assert "can't be reached (" in str(waited.value)
    assert "s3cret" not in str(told.value) + str(waited.value) + caplog.text


def test_the_extra_is_named_where_its_driver_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with (
        pytest.raises(InputError, match=r"pip install -e .*\[postgresql\]'"),
        opened("postgresql://me@127.0.0.1/d"),
    ):
        raise AssertionError("driven")


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database at all" * 1000)
    with (
        pytest.raises(InputError, match="file is not a database"),
        opened(f"sqlite:///{tmp_path / 'a.db'}"),
    ):
        raise AssertionError("driven")
    with (
        pytest.raises(InputError, match="unable to open"),
        opened(f"sqlite:///{tmp_path / 'none' / 'a.db'}"),
    ):
        raise AssertionError("driven")
