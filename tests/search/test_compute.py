"""A cluster or a database that is not there is told before the search does anything."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from palmette.search import Compute, run
from palmette.space import InputError


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
