"""A search on a cluster of three nodes with a real PostgreSQL, of which everything dies in turn."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from palmette.search import run
from tests.search.ledger.conftest import Server

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
ray_utils = pytest.importorskip("ray.cluster_utils", reason="ray is not installed")

# trials take their time, so that whatever dies does so amid them
SLOWLY = """
import time, optuna
ask = optuna.Study.ask
optuna.Study.ask = lambda *args, **more: (time.sleep(0.05), ask(*args, **more))[1]
from palmette.cli import main
main()
"""
SEARCH = {"evaluations": 100_000, "shortlist": 192, "seed": 7}
KILLS = 10


@pytest.fixture
def cluster() -> Iterator[ray_utils.Cluster]:
    made = ray_utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    for _ in range(2):
        made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made
    made.shutdown()


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SLOWLY, "search", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def alive(process: subprocess.Popen[str]) -> bool:
    """Whether a driver runs; it may only have ended by what Ray does to one whose node is lost.

    All nodes are of this host, and Ray takes any of them for the driver's own.
    """
    if process.poll() is None or process.stderr is None or process.stderr.closed:
        return process.poll() is None
    errors = process.communicate()[1]
    assert process.returncode == 1 and "core_worker.cc" in errors, errors
    assert "Traceback" not in errors and "error:" not in errors, errors
    return False


@dataclass(frozen=True)
class Reader:
    """What the database has, read past Optuna: nothing before its tables are made."""

    url: str

    def trials(self) -> list[tuple[int, str, Any, Any]]:
        """Number, state, parameters and values of each trial; none while the server is away."""
        query = (
            "select number, state::text,"
            " (select array_agg(param_name || '=' || param_value order by param_name)"
            "  from trial_params p where p.trial_id = t.trial_id),"
            " (select array_agg(value order by objective)"
            "  from trial_values v where v.trial_id = t.trial_id) from trials t"
        )
        try:
            with psycopg.connect(self.url) as connection:
                return connection.execute(query).fetchall()
        except psycopg.Error:
            return []

    def complete(self) -> dict[int, tuple[Any, Any]]:
        return {n: (params, vs) for n, state, params, vs in self.trials() if state == "COMPLETE"}

    def settled(self) -> dict[int, tuple[Any, Any]]:
        """The same, once the database answers."""
        while not self.trials():
            time.sleep(0.1)
        return self.complete()


@pytest.fixture
def there(server: Server) -> Reader:
    return Reader(server.database("everything"))


def kill_a_worker() -> None:
    """One process that runs tasks, wherever it is."""
    workers = [p for p in psutil.process_iter(["cmdline"]) if _measures(p)]
    if workers:
        random.choice(workers).kill()


def _measures(process: psutil.Process) -> bool:
    words = process.info["cmdline"] or [""]
    return words[0].startswith("ray::") and "IDLE" not in words[0]


@pytest.mark.slow
def test_a_search_ends_in_its_front_whatever_dies(
    server: Server, there: Reader, cluster: ray_utils.Cluster, tmp_path: Path
) -> None:
    undisturbed = run("iphone-13/ane", 0.9, tmp_path / "undisturbed", **SEARCH)
    folder = tmp_path / "killed"
    place = [f"--storage={there.url}", f"--ray={cluster.address}"]
    first = ["--target=iphone-13/ane", "--budget-ms=0.9", f"--out={folder}"]
    first += [f"--{name}={value}" for name, value in SEARCH.items()]

    def lose_a_node() -> None:
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        cluster.add_node(num_cpus=1)

    def restart_the_database() -> None:
        server.stop("immediate")
        server.start()

    others: list[Callable[[], None]] = [kill_a_worker, lose_a_node, restart_the_database]
    rng, kept = random.Random(0), dict[int, tuple[Any, Any]]()
    for turn in range(KILLS):
        process = start(first + place if turn == 0 else [f"--resume={folder}", *place])
        goal, deadline = len(kept) + rng.randint(1, 8), time.monotonic() + 300
        while len(there.complete()) < goal and alive(process):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        others[turn % 3]()
        time.sleep(rng.uniform(0, 3))
        alive(process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
        found = there.settled()
        assert {number: found[number] for number in kept} == kept
        assert len(found) < len(undisturbed.front)
        kept = found

    process = start([f"--resume={folder}", *place])
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    found = there.settled()
    assert {number: found[number] for number in kept} == kept
    assert {state for _, state, _, _ in there.trials()} <= {"COMPLETE", "FAIL"}
    networks = [tuple(params) for params, _ in found.values()]
    assert len(networks) == len(set(networks))
    front = undisturbed.folder.front.read_bytes()
    assert (folder / "front.csv").read_bytes() == front
