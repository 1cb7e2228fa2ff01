"""Whether a trial costs the same in a study of 50,000 trials as in an empty one.

One driver, as in a search: it asks our sampler for a network, records the limits, what was measured
and in which order, and tells. Nothing is measured, so all of the time is the ledger's. Trials are
timed in blocks of a tenth. The figure is the dearest block over the first, by processor time (which
neighbours on the machine move little) and by wall time. Optuna's bare storages run beside ours, up
to fewer trials, to show what grows. Each storage has a process of its own, so that its peak memory
is its own.

    python benchmarks/ledger_growth.py [--trials N] [--bare N] [--json]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

BLOCKS = 10
WARM_UP = 50
"""Trials before the first block: the first ask makes the shortlist."""
RESULTS = Path(__file__).parents[1] / "results" / "ledger_growth.json"


@dataclass(frozen=True)
class Growth:
    """How the cost of a trial grew in one storage."""

    storage: str
    trials: int
    cpu_ms: list[float]
    """Of a trial, in each block."""
    wall_ms: list[float]
    peak_mb: float
    """Of the process, the libraries and the shortlist included."""
    start_mb: float
    """Of it before the first trial."""
    file_mb: float

    @property
    def cpu_ratio(self) -> float:
        """The dearest block over the first."""
        return max(self.cpu_ms) / self.cpu_ms[0]

    @property
    def wall_ratio(self) -> float:
        """The same by the wall clock."""
        return max(self.wall_ms) / self.wall_ms[0]


def drive(study: Any, distributions: dict[str, Any], trials: int) -> tuple[list[float], ...]:
    """Milliseconds of a trial by processor and wall, in each block."""
    cpu_ms, wall_ms, told = list[float](), list[float](), 0
    for block in [WARM_UP, *[(trials - WARM_UP) // BLOCKS] * BLOCKS]:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(block):
            trial = study.ask(distributions)
            trial.set_user_attr("told_before", told)
            trial.set_constraint("limits", -1.0)
            for key, value in (("top1", 70.0), ("sigma", 0.5), ("seconds", 1.0), ("attempt", 1)):
                trial.set_user_attr(key, value)
            trial.set_user_attr("worker", "node:1")
            trial.set_user_attr("order", told)
            study.tell(trial, [1.0, 70.0])
            told += 1
        cpu_ms.append(1000 * (time.process_time() - cpu) / block)
        wall_ms.append(1000 * (time.perf_counter() - wall) / block)
    return cpu_ms[1:], wall_ms[1:]


def grow(kind: str, trials: int, answer: Any) -> None:
    """Fill one storage, and send what it cost."""
    import optuna
    from optuna.distributions import CategoricalDistribution
    from optuna.storages import InMemoryStorage, JournalStorage
    from optuna.storages.journal import JournalFileBackend

    from palmette.search.ledger.guarded import GuardedStorage
    from palmette.search.ledger.lease import FolderLease
    from palmette.search.ledger.storage import open_study
    from palmette.search.sampler import ShortlistSampler
    from palmette.space import SearchSpace

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    genes = SearchSpace.preset("mobilenet_v2").genes
    distributions = {gene.name: CategoricalDistribution(gene.choices) for gene in genes}
    rng = np.random.default_rng(0)
    codes = {tuple(int(rng.integers(len(g.choices))) for g in genes) for _ in range(trials)}
    proposals = [{g.name: g.choices[i] for g, i in zip(genes, c, strict=True)} for c in codes]
    sampler = ShortlistSampler(lambda: proposals, distributions, seed=0)
    directions = ["minimize", "maximize"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.journal"
        start_mb = _peak_mb()
        if kind == "journal":
            with open_study(path, sampler=sampler, name="run", about={}) as (study, _):
                cpu_ms, wall_ms = drive(study, distributions, trials)
        else:
            backend: Any = InMemoryStorage()
            if kind == "Optuna's journal":
                backend = JournalStorage(JournalFileBackend(str(path)))
            study = optuna.create_study(
                storage=backend, study_name="run", directions=directions, sampler=sampler
            )
            if kind == "memory":
                guarded = GuardedStorage(backend, study._study_id, FolderLease(), "memory")
                study = optuna.Study("run", guarded, sampler=sampler)
            cpu_ms, wall_ms = drive(study, distributions, trials)
        file_mb = path.stat().st_size / 1e6 if path.is_file() else 0.0
        answer.send(Growth(kind, trials, cpu_ms, wall_ms, _peak_mb(), start_mb, file_mb))


def measured(kind: str, trials: int) -> Growth:
    """Fill one storage in a process of its own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=grow, args=(kind, trials, sender))
    process.start()
    sender.close()
    found: Growth = receiver.recv()
    process.join()
    return found


def save(rows: list[Growth]) -> None:
    """Write what is known so far to the results."""
    about = {name: version(name) for name in ("optuna", "numpy")}
    about |= {"python": platform.python_version(), "machine": platform.machine()}
    table = [asdict(r) | {"cpu_ratio": r.cpu_ratio, "wall_ratio": r.wall_ratio} for r in rows]
    RESULTS.write_text(json.dumps({"about": about, "storages": table}, indent=1) + "\n")


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main(
    arguments: list[str] | None = None, measure: Callable[[str, int], Growth] = measured
) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=50_000, help="in memory and journal")
    parser.add_argument("--bare", type=int, default=5_000, help="in Optuna's bare storages")
    parser.add_argument("--json", action="store_true", help=f"write results/{RESULTS.name}")
    given = parser.parse_args(arguments)
    kinds = {
        "memory": given.trials,
        "journal": given.trials,
        "Optuna's memory": given.bare,
        "Optuna's journal": given.bare,
    }
    rows = []
    print("storage            trials  ms first  ms last  CPU ratio  wall ratio  peak MB  file MB")
    for kind, trials in kinds.items():
        if trials < WARM_UP + BLOCKS:
            continue
        row = measure(kind, trials)
        rows.append(row)
        print(
            f"{kind:17} {trials:7} {row.cpu_ms[0]:9.2f} {row.cpu_ms[-1]:8.2f}"
            f" {row.cpu_ratio:10.2f} {row.wall_ratio:11.2f} {row.peak_mb:8.0f} {row.file_mb:8.0f}",
            flush=True,
        )
        if given.json:  # after each storage, so that a benchmark that is stopped keeps the others
            save(rows)


if __name__ == "__main__":
    main()
