"""The dashboard shows a study while its driver works, and writes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution

from palmette.search.ledger.dashboard import dashboard, journal_of
from palmette.search.ledger.storage import open_study
from palmette.search.ledger.watched import WatchedJournal, watched
from palmette.space import InputError

GENES = {"a": CategoricalDistribution((1, 2, 3))}
OPTIONS: dict[str, Any] = {
    "sampler": optuna.samplers.RandomSampler(seed=0),
    "name": "run",
    "about": {"space_id": "abc"},
}


@contextmanager
def served(place: Path | str) -> Iterator[str]:
    pytest.importorskip("optuna_dashboard")
    with dashboard(place, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def answer(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_a_study_is_shown_while_it_is_driven_and_is_not_written(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "study.journal" if kind == "journal" else f"sqlite:///{tmp_path / 'a.db'}"
    with open_study(place, **OPTIONS) as (study, _):
        study.tell(study.ask(GENES), [6.0, 70.0])
        running = study.ask(GENES)
        with served(place) as url:
            (shown,) = answer(f"{url}/api/studies")["study_summaries"]
            assert shown["study_name"] == "run"
            details = answer(f"{url}/api/studies/{shown['study_id']}")
            assert details["objective_names"] == ["ms", "score"]
            assert [t["state"] for t in details["trials"]] == ["Complete", "Running"]
            assert details["trials"][0]["values"] == [6.0, 70.0]
            for method, path in (("DELETE", f"/api/studies/{shown['study_id']}"), ("POST", "/api")):
                request = urllib.request.Request(url + path, method=method)
                with pytest.raises(urllib.error.HTTPError, match="403") as refused:
                    urllib.request.urlopen(request, timeout=30)
                assert b"read only" in refused.value.read()
                refused.value.close()
            with urllib.request.urlopen(f"{url}/dashboard", timeout=30) as page:
                assert b"<html" in page.read()
        study.tell(running, [7.0, 71.0])
        assert [t.values for t in study.trials] == [[6.0, 70.0], [7.0, 71.0]]


def test_a_journal_is_followed_and_a_line_that_is_not_whole_is_left(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    with open_study(path, **OPTIONS) as (study, _), watched(path) as storage:
        other = optuna.load_study(study_name="run", storage=storage)
        for count in range(1, 4):
            study.tell(study.ask(GENES), [6.0, 70.0])
            assert len(other.trials) == count
            assert other.trials[-1].values == [6.0, 70.0]
        with path.open("ab") as file:
            file.write(b'{"op_code":4')
        assert len(other.trials) == 3
        with pytest.raises(InputError, match="only read here"):
            other.set_user_attr("note", "mine")
    again = list(WatchedJournal(path).read_logs(0))
    assert again[3:] == list(WatchedJournal(path).read_logs(3))


def test_what_holds_no_study_is_told(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    (tmp_path / "study.journal").write_bytes(b"")
    url = f"sqlite:///{tmp_path / 'a.db'}"
    for place in (tmp_path / "none", tmp_path / "study.journal", url):
        with pytest.raises(InputError, match="holds no study"), dashboard(place, "127.0.0.1", 0):
            raise AssertionError("served")
    assert journal_of(str(tmp_path)) == tmp_path / "study.journal"
    assert journal_of(url) == url


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with open_study(tmp_path / "study.journal", **OPTIONS):
        pass
    with served(tmp_path / "study.journal") as url:
        port = int(url.rpartition(":")[2])
        with (
            pytest.raises(InputError, match="in use.*give another --port"),
            dashboard(tmp_path / "study.journal", "127.0.0.1", port),
        ):
            raise AssertionError("served")


def test_the_extra_is_named_where_the_dashboard_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with (
        pytest.raises(InputError, match=r"pip install -e .*\[dashboard\]'"),
        dashboard(tmp_path, "127.0.0.1", 0),
    ):
        raise AssertionError("served")


@pytest.mark.sweep
def test_the_command_serves_and_ends_in_order(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    with open_study(tmp_path / "study.journal", **OPTIONS):
        pass
    # who runs the tests in the background has them ignore an interrupt
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeding}; from palmette.cli import main; main()"
    command = [sys.executable, "-uc", program, "dashboard", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        assert answer(f"{url}api/studies")["study_summaries"][0]["study_name"] == "run"
        time.sleep(0.2)
        process.send_signal(2)
        assert process.wait(30) == 0
