"""The measuring loop: in which order things are timed, and how a row of the timing table is made.

Subjects are timed in rounds, each round all of them in an order of its own, so that a slow phase of
a shared machine hits all alike. A round is one line of a file beside the table, written through to
the disk: a run that was killed goes on with the round that is missing.

Whatever disturbs a call makes it slower, hardly ever faster, so a row's time is the lower quartile
of all its timings. Before, each round is divided by its pace: how slow its subjects were, in the
middle, against themselves in other rounds. So a neighbour who slows some of the rounds hardly
shows.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palmette.space.errors import InputError, expect
from palmette.space.files import write_text

if TYPE_CHECKING:
    import pandas as pd

    from palmette.latency.host.runtimes import Host, Sample
    from palmette.latency.host.subjects import Subject

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
"""Called with what is being done (`prepare` or `time`), how much of it is done, and of how much."""

FORMAT = "palmette/rounds@1"
SOURCE = "palmette latency measure"
QUANTILE = 0.25
"""Of a subject's timings: its `latency_ms`."""
SAMPLES = 2
"""Timings of a subject in one round, after one that is thrown away."""
LEAST_PACED = 20
"""With fewer subjects a round has no pace: it would be the subjects' own noise."""
WIDE = 1.5
"""A row whose p90 is so many times its p10 is flagged."""
STEADY, WARM_SAMPLES, MOST_BATCHES = 0.98, 3, 10
"""Warm-up: batches of so many timings, until a batch's median is no longer below this share of the
one before it, at most so many batches."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a finished measurement gives.

    `table` has the columns of a timing table, a row per subject, in the plan's order; `refused`
    says of the other subjects why they could not be timed; `pace` is that of each round, (rounds,),
    and `rounds_ms` holds for each row its timings divided by it, (rounds, SAMPLES).
    """

    table: pd.DataFrame
    refused: dict[Subject, str]
    pace: Floats
    rounds_ms: tuple[Floats, ...]


def measure(
    target: str,
    subjects: Sequence[Subject],
    out: Path,
    *,
    rounds: int = 24,
    threads: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Measured:
    """Time subjects on this machine, and write them as a timing table.

    Rounds are kept in `out` with the suffix `.rounds`; started again with the same arguments, it
    goes on with the rounds that are missing, and a finished one only reads them.

    Args:
        target: one of `palmette.latency.host.runtimes.HOST_TARGETS`.
        subjects: (kind, text) as in the timing table; those given twice are timed once.
        out: CSV file of the table.
        rounds: how often all subjects are timed, 2 or more.
        threads: of the runtime; as many cores are pinned.
        seed: of the order within each round.
        progress: told of every subject that is prepared and every round that is timed.

    Raises:
        InputError: an unknown target or missing runtime, nothing that can be timed, or a file
            there that holds something else.
    """
    from palmette.latency.host.runtimes import opened  # torch is slow to import

    subjects = list(dict.fromkeys(subjects))
    expect(len(subjects) > 0, "there is nothing to time")
    expect(rounds >= 2, f"rounds must be 2 or more, got {rounds}")
    tell = progress or (lambda what, done, of: None)
    with opened(target, threads) as host:
        log = Log(out.with_suffix(".rounds"), out, _plan(host, subjects, rounds, seed))
        log.open()
        if log.missing:
            _run(host, log, tell)
    return _finish(log, out)


def _plan(host: Host, subjects: Sequence[Subject], rounds: int, seed: int) -> dict[str, Any]:
    """Everything that must be the same when a measurement goes on."""
    return {
        "format": FORMAT,
        "target": host.target,
        "placement": host.placement,
        "system": host.system,
        "rounds": rounds,
        "seed": seed,
        "subjects": [list(subject) for subject in subjects],
    }


# The file of rounds


class Log:
    """File of rounds: a line for the plan, one for the refused subjects, then a line per round."""

    def __init__(self, path: Path, table: Path, plan: dict[str, Any]) -> None:
        self.path = path
        self.table = table
        self.plan = plan
        self.refused: dict[int, str] | None = None
        self.rounds: list[dict[str, list[float]]] = []

    @property
    def missing(self) -> int:
        """Rounds still to be timed."""
        count: int = self.plan["rounds"] - len(self.rounds)
        return count

    def open(self) -> None:
        """Read what is there, or begin; a torn last line is dropped.

        Raises:
            InputError: another plan's rounds, a table that nothing stands behind, or no rounds.
        """
        if not self.path.exists():
            expect(
                not self.table.exists(),
                f"{self.table}: holds a table that was not measured here; name another file",
            )
            write_text(self.path, json.dumps(self.plan) + "\n")
            return
        try:
            text = self.path.read_text("utf-8")
            whole = text[: text.rindex("\n") + 1]
            plan, *rest = [json.loads(line) for line in whole.splitlines()]
            differing = [key for key, value in self.plan.items() if plan.get(key) != value]
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(
                f"{self.path}: no file of rounds ({error}); name another table"
            ) from None
        expect(
            not differing,
            f"{self.path}: holds timings of another {', '.join(differing)}; name another table, or"
            " move that file and its table away",
        )
        self._take(rest)
        if len(whole) < len(text):
            write_text(self.path, whole)

    def _take(self, lines: list[Any]) -> None:
        """Read the lines after the plan."""
        if not lines:
            return
        try:
            self.refused = {int(at): str(reason) for at, reason in lines[0]["refused"].items()}
            timed = {str(at) for at in range(len(self.plan["subjects"])) if at not in self.refused}
            for line in lines[1:]:
                ms = line["ms"]
                shape = np.array(list(ms.values()), dtype=float).shape
                if set(ms) != timed or shape != (len(timed), SAMPLES):
                    raise ValueError("a round lacks timings")
                self.rounds.append(ms)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            number = 2 if self.refused is None else 3 + len(self.rounds)
            raise InputError(
                f"{self.path}: line {number} is damaged ({error}); move that file and its table"
                " away and measure again"
            ) from None

    def append(self, line: dict[str, Any]) -> None:
        """Add a line and see it to the disk."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def set_refused(self, refused: dict[int, str]) -> None:
        """Note the subjects that cannot be timed; raises InputError if they were others before."""
        if self.refused is None:
            self.refused = refused
            self.append({"refused": refused})
        for at, reason in refused.items():
            expect(
                at in self.refused, f"{self.path}: was timed in earlier rounds, but now {reason}"
            )

    def add(self, ms: dict[str, list[float]]) -> None:
        """Note a round: place of each subject -> its timings."""
        self.rounds.append(ms)
        self.append({"ms": ms})


# Timing


def _run(host: Host, log: Log, tell: Progress) -> None:
    """Time the rounds that are missing."""
    subjects = [(kind, text) for kind, text in log.plan["subjects"]]
    samples: dict[int, Sample] = {}
    refused: dict[int, str] = {}
    with _quiet():
        for at, subject in enumerate(subjects):
            if log.refused is None or at not in log.refused:
                try:
                    samples[at] = host.prepare(subject)
                    warm_up(samples[at])
                except InputError as error:
                    refused[at] = str(error)
            tell("prepare", at + 1, len(subjects))
        log.set_refused(refused)
        while log.missing:
            number = len(log.rounds)
            rng = np.random.default_rng([log.plan["seed"], number])
            order = rng.permutation(sorted(samples)).tolist()
            log.add({str(at): _slot(samples[at]) for at in order})
            tell("time", number + 1, log.plan["rounds"])


def _slot(sample: Sample) -> list[float]:
    """A subject's timings in one round, in ms: the first call finds another subject's traces."""
    sample()
    return [round(1e3 * sample(), 7) for _ in range(SAMPLES)]


def warm_up(sample: Sample) -> None:
    """Call until the times stop falling."""
    before = np.inf
    for _ in range(MOST_BATCHES):
        median = float(np.median([sample() for _ in range(WARM_SAMPLES)]))
        if median > STEADY * before:
            return
        before = median


@contextmanager
def _quiet() -> Iterator[None]:
    """No garbage collection while timing."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


# Rows


def _finish(log: Log, out: Path) -> Measured:
    """Table of a complete log, written to `out`."""
    import pandas as pd

    refused = log.refused or {}
    every = [(kind, text) for kind, text in log.plan["subjects"]]
    timed = [at for at in range(len(every)) if at not in refused]
    expect(len(timed) > 0, f"nothing could be timed: {next(iter(refused.values()), '')}")
    ms = np.array([[line[str(at)] for line in log.rounds] for at in timed])
    pace = round_pace(ms)
    ms = ms / pace[:, None]
    passport = _passport(log.plan)
    rows = [
        {"subject_kind": every[at][0], "subject": every[at][1], **passport, **summary(own)}
        for at, own in zip(timed, ms, strict=True)
    ]
    table = pd.DataFrame(rows)
    write_text(out, table.to_csv(index=False, float_format="%.6g"))
    reasons = {every[at]: reason for at, reason in refused.items()}
    return Measured(table, reasons, pace, tuple(ms))


def round_pace(ms: Floats) -> Floats:
    """How slow each round was against the calm ones, (rounds,), of timings (n, rounds, SAMPLES).

    1 for all if there are fewer than `LEAST_PACED` subjects.
    """
    if len(ms) < LEAST_PACED:
        return np.ones(ms.shape[1])
    of_round = np.median(ms, axis=2)
    relative = np.median(of_round / np.median(of_round, axis=1, keepdims=True), axis=0)
    pace: Floats = relative / np.quantile(relative, QUANTILE)
    return pace


def _passport(plan: dict[str, Any]) -> dict[str, Any]:
    return {
        "target": plan["target"],
        "source": SOURCE,
        "input_kind": "tensor",
        "requested_units": plan["target"].partition("/")[2].partition("@")[0],
        "placement": plan["placement"],
        "precision": "float32",
        "warmup": plan["rounds"],
        "repeats": plan["rounds"] * SAMPLES,
        "os_build": plan["system"],
    }


def summary(ms: Floats) -> dict[str, Any]:
    """Cells of a row from a subject's timings in milliseconds, of any shape."""
    p10, latency, p90 = (float(value) for value in np.quantile(ms, [0.1, QUANTILE, 0.9]))
    return {
        "latency_ms": latency,
        "p10_ms": p10,
        "p90_ms": p90,
        "flags": "lower-quartile spread" if p90 > WIDE * p10 else "lower-quartile",
    }


def spread(measured: Measured, kind: str, subjects: Sequence[str] = ()) -> float:
    """How well the measurement repeats, in %: median over subjects of |log ratio| of two halves.

    Even rounds make one half, odd ones the other, each summed up as a row is. Of all subjects of
    the kind if none are named.
    """
    rows = zip(
        measured.rounds_ms,
        measured.table["subject_kind"],
        measured.table["subject"],
        strict=True,
    )
    logs = [
        abs(np.log(np.quantile(ms[::2], QUANTILE) / np.quantile(ms[1::2], QUANTILE)))
        for ms, found, subject in rows
        if found == kind and (not subjects or subject in subjects)
    ]
    expect(len(logs) > 0, f"nothing of kind '{kind}' was timed")
    return 100 * float(np.median(logs))
