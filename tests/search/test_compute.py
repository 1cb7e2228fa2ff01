"""A cluster or a database that is not there is told before the search does anything."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from palmette.search import Compute, run
from palmette.search.front_table import check_finished
from palmette.space import InputError, SearchSpace


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where connections are taken and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (Compute(ray="127.0.0.1:1"), "--ray 127.0.0.1:1: no Ray cluster there"),
        (Compute(ray="nonsense"), "must be local, auto, HOST:PORT"),
        (Compute(storage="postgresql://u:secret@127.0.0.1:1/d"), "can't be reached"),
    ],
)
def test_what_does_not_answer_is_told_before_the_problem_is_posed(
    compute: Compute, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError) as caught:
        run("iphone-13/ane", 0.9, tmp_path / "run", compute=compute)
    assert words in str(caught.value) and "secret" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_port_that_says_nothing_is_told_in_time(silent: int) -> None:
    begin = time.monotonic()
    with pytest.raises(InputError, match="no Ray cluster there"):
        Compute(ray=f"127.0.0.1:{silent}").probe()
    assert time.monotonic() - begin < 9


def test_a_file_is_not_made_by_looking_for_it(tmp_path: Path) -> None:
    Compute(storage=f"sqlite:///{tmp_path}/study.db").probe()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gpus": 3.0, "cpus": 7.0}, "Ray deals these out; give --ray"),
        ({"workers": 2, "gpus": 0.5}, "Ray deals these out; give --ray"),
        ({"workers": 5000}, "--workers 5000: must be a whole number from"),
        ({"ray": "auto", "workers": 0}, "--workers 0: must be a whole number from 1"),
        ({"ray": "auto", "gpus": 1.5}, "--gpus-per-trial 1.5: must be a fraction of one"),
        ({"timeout_s": 0.0}, "--timeout 0.0: must be a number of seconds above 0"),
    ],
)
def test_an_option_out_of_range_is_told_as_it_is_given(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        Compute(**options)
    assert words in str(caught.value)


def test_a_finished_trial_that_lacks_something_names_the_place_it_is_kept(few_toml: str) -> None:
    import optuna

    study = optuna.create_study()
    study.tell(study.ask(), 1.0)
    with pytest.raises(InputError, match="^sqlite:///mine.db: corrupt: trial 0 is finished"):
        check_finished(study, SearchSpace.from_toml(few_toml, "few"), "sqlite:///mine.db")
