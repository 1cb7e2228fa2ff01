"""How a search scales: what a second worker brings, and how many workers one driver can feed.

First, one and two workers measure the same number of tasks, each a fixed piece of work for one
core, by processes and by Ray. The four sides take turns within a round, in an order drawn for each
round, so that a slow phase of a shared machine hits all alike; the speed-up is the median over
rounds of the ratio within one. Two figures say what it is made of: the share of a core that each
worker got while it measured, which is the machine's, and the share of the time in which workers
measured, which is ours: what is missing there is lost between tasks.

Second, the driver's loop runs with an objective that costs nothing, against each storage: trials a
second, of a study that ends with --trials of them. Asked is Optuna's random sampler; what a sampler
of your own costs comes on top. From this follows how many workers one driver keeps busy.

    python benchmarks/search_scaling.py [--rounds N --tasks N --trials N] [--json]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from palmette.latency import load_predictor
from palmette.search.ledger import Lease, open_study
from palmette.search.ledger.lease import FolderLease
from palmette.search.limits import Limits
from palmette.search.problem import SearchProblem, pose
from palmette.search.trials.driver import Driver
from palmette.search.trials.here import Here
from palmette.search.trials.opening import open_executor
from palmette.search.trials.task import Executor, Task
from palmette.space import SearchSpace
from palmette.space.files import write_text

RESULTS = Path(__file__).resolve().parents[1] / "results" / "search_scaling.json"
STEPS = 5_000_000
"""Additions and products of a task; a third to a whole second of a core."""
WORKERS = (1, 2)
SPACE, TARGET, BUDGET_MS = "mobilenet_v2", "iphone-11/ane", 4.0
TRIAL_SECONDS = {"1_min": 60.0, "10_min": 600.0}
BUSY = 0.5
"""Share of its time that a driver works when it is said to feed workers; the rest is for bursts."""


@dataclass(frozen=True)
class Work:
    """A fixed amount of work; for sigma, the seconds of a core that it took."""

    id: str = "work"
    steps: int = STEPS

    def __call__(self, task: Task) -> tuple[float, float]:
        """Some number, and seconds."""
        begin = time.process_time()
        total = 0
        for step in range(self.steps):
            total += step * step
        return float(total % 97), time.process_time() - begin


@dataclass(frozen=True)
class Nothing:
    """An accuracy that costs nothing."""

    id: str = "nothing"

    def __call__(self, task: Task) -> tuple[float, float]:
        """The same for all."""
        return 70.0, 0.3


@dataclass(frozen=True)
class Taken:
    """What one side took for its tasks of a round."""

    wall_s: float
    measuring_s: float
    """Of all workers."""
    core_s: float
    """Of all workers, while they measured."""


def timed(executor: Executor, tasks: int) -> Taken:
    """A number of tasks, as many at once as there are workers."""
    begun, ended, measuring_s, core_s = 0, 0, 0.0, 0.0
    begin = time.perf_counter()
    while ended < tasks:
        while begun < tasks and begun - ended < executor.workers:
            executor.submit(Task(begun, ""))
            begun += 1
        for outcome in executor.wait(60.0):
            assert outcome.fate == "done", outcome.reason
            ended += 1
            measuring_s, core_s = measuring_s + outcome.seconds, core_s + outcome.sigma
    return Taken(time.perf_counter() - begin, measuring_s, core_s)


def speed_up(one: Sequence[Taken], two: Sequence[Taken]) -> dict[str, float]:
    """What two workers bring over one, by the rounds of both."""
    ratios = [a.wall_s / b.wall_s for a, b in zip(one, two, strict=True)]
    found = {"speed_up": median(ratios), "least": min(ratios), "most": max(ratios)}
    for name, workers, sides in (("one", 1, one), ("two", 2, two)):
        found[f"core_share_of_{name}"] = median(s.core_s / s.measuring_s for s in sides)
        found[f"measuring_share_of_{name}"] = median(
            s.measuring_s / s.wall_s / workers for s in sides
        )
    return found


def speed_ups(rounds: int, tasks: int) -> dict[str, dict[str, float]]:
    """The speed-up by processes and by Ray."""
    ways: dict[str, dict[str, Any]] = {"processes": {}, "ray": {"ray": "local"}}
    taken: dict[str, dict[int, list[Taken]]] = {
        way: {workers: [] for workers in WORKERS} for way in ways
    }
    rng = np.random.default_rng(0)
    with ExitStack() as stack:
        sides = [
            (way, n, stack.enter_context(open_executor(Work(), workers=n, **options)))
            for way, options in ways.items()
            for n in WORKERS[::-1]  # Ray's own cluster is made for the two
        ]
        for _, workers, executor in sides:
            timed(executor, 2 * workers)  # all have started
        for _ in range(rounds):
            for side in rng.permutation(len(sides)):
                way, workers, executor = sides[side]
                taken[way][workers].append(timed(executor, tasks))
    return {way: speed_up(sides[1], sides[2]) for way, sides in taken.items()}


def ceiling(place: Path | str | None, problem: SearchProblem, trials: int) -> float:
    """Trials a second of the driver's loop against a storage; None is memory."""
    from optuna.samplers import RandomSampler

    with ExitStack() as stack:
        study, lease = stack.enter_context(_opened(place, RandomSampler(seed=0)))
        driver = Driver(study, problem, lease, stack.enter_context(Here(Nothing())))
        driver.run(trials // 10)
        begin = time.perf_counter()
        driver.run(trials)
        return (trials - trials // 10) / (time.perf_counter() - begin)


@contextmanager
def _opened(place: Path | str | None, sampler: Any) -> Iterator[tuple[Any, Lease]]:
    import optuna

    if place is None:
        directions = ["minimize", "maximize"]
        yield optuna.create_study(sampler=sampler, directions=directions), FolderLease()
        return
    about = {"benchmark": "search_scaling"}
    with open_study(place, sampler=sampler, name=f"b{time.time_ns()}", about=about) as opened:
        yield opened


def ceilings(rounds: int, trials: int) -> dict[str, float]:
    """Median of the driver's ceiling, by storage, in trials a second."""
    problem = pose(SearchSpace.preset(SPACE), load_predictor(TARGET), Limits(BUDGET_MS))
    found: dict[str, list[float]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        places: dict[str, Callable[[int], Path | str | None]] = {
            "memory": lambda _: None,
            "journal": lambda n: folder / f"{n}.log",
            "sqlite": lambda n: f"sqlite:///{folder}/{n}.db",
        }
        url = stack.enter_context(postgresql())
        if url is not None:
            places["postgresql"] = lambda _: url
        rng = np.random.default_rng(0)
        for number in range(rounds):
            for name in rng.permutation(list(places)):
                rate = ceiling(places[name](number), problem, trials)
                found.setdefault(str(name), []).append(rate)
    return {name: median(found[name]) for name in places}


def fed(rate: float) -> dict[str, int]:
    """Workers that a driver keeps busy at so many trials a second, by the length of a trial."""
    return {name: int(BUSY * rate * seconds) for name, seconds in TRIAL_SECONDS.items()}


@contextmanager
def postgresql() -> Iterator[str | None]:
    """URL of a server of its own on loopback, with the settings it comes with; None: not here."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="palmette-scaling-"))
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    shutil.chown(folder, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def call(command: str, *words: str) -> None:
        line = [str(binaries[-1] / command), "-D", str(folder / "data"), *words]
        switch = user if os.geteuid() == 0 else None
        quiet = subprocess.DEVNULL
        subprocess.run(line, check=True, user=switch, cwd="/", stdout=quiet, stderr=quiet)

    options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
    try:
        call("initdb", "-A", "trust", "-U", "palmette")
        call("pg_ctl", "-l", str(folder / "log"), "-o", options, "-w", "start")
        yield f"postgresql://palmette@127.0.0.1:{port}/postgres"
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            call("pg_ctl", "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tasks", type=int, default=8, help="of a side in a round")
    parser.add_argument("--trials", type=int, default=60, help="of a study")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    logging.getLogger("ray").setLevel(logging.ERROR)
    gains = speed_ups(arguments.rounds, arguments.tasks)
    for way, values in gains.items():
        print(f"{way}: " + ", ".join(f"{key} {value:.2f}" for key, value in values.items()))
    rates = ceilings((arguments.rounds + 1) // 2, arguments.trials)
    feeds = {name: fed(rate) for name, rate in rates.items()}
    for name, rate in rates.items():
        words = " and ".join(f"{n} of {key}" for key, n in feeds[name].items())
        print(f"{name}: {rate:.3g} trials/s; a driver that is half busy feeds {words} a trial")
    data = {
        "command": " ".join(["python benchmarks/search_scaling.py", *sys.argv[1:]]),
        "rounds": arguments.rounds,
        "trials": arguments.trials,
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()),
        "speed_up": gains,
        "trials_per_second": rates,
        "workers_fed": feeds,
    }
    write_text(arguments.out, json.dumps(data, indent=1) + "\n")
    if arguments.json:
        flat = {
            f"{way}_{key}": value for way, found in gains.items() for key, value in found.items()
        }
        flat |= {f"{name}_trials_per_second": rate for name, rate in rates.items()}
        flat |= {f"{name}_feeds_{key}": n for name, by in feeds.items() for key, n in by.items()}
        print(json.dumps(flat))
    return 0


if __name__ == "__main__":
    sys.exit(main())
