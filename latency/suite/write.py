"""A suite: the packages of a plan in a folder, and the manifest of the run.

Packages are made by several processes and noted one by one (`palmette.latency.suite.ledger`), so
that a suite that was interrupted at any moment goes on. The manifest is written last, in one step.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from palmette.export.errors import ExportError
from palmette.export.processes import in_processes
from palmette.latency.chains import Chain
from palmette.latency.planning.plan import Plan, Planned
from palmette.latency.planning.seconds import suite_seconds
from palmette.latency.suite.ledger import Ledger, opened
from palmette.latency.suite.manifest import Entry, write_manifest
from palmette.latency.suite.order import ANCHOR, run_order
from palmette.latency.suite.packages import UNDER_WAY, Job, Package, make, package_form
from palmette.latency.suite.settings import SETTINGS, Settings
from palmette.latency.targets import parse_target
from palmette.space.errors import expect, expect_some

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What became of a plan."""

    entries: tuple[Entry, ...]
    """Of the manifest."""
    made: int
    """Packages that were made now."""
    kept: int
    """Packages that were there."""
    left_out: tuple[tuple[str, str, str], ...]
    """(kind, subject, reason) of what has no package."""
    settings: Settings
    """That it is timed by."""
    wanted: Settings
    """That the plan asks for: other than those if the folder had some already."""
    seconds: float
    """Thought to be spent on it on the device."""

    @property
    def anchors(self) -> int:
        """Things that are timed again and again."""
        return len({entry.file for entry in self.entries if entry.role == ANCHOR})

    @property
    def lone_chains(self) -> tuple[str, ...]:
        """Chains of which no other depth is there, so that their block will not show."""
        texts = dict.fromkeys(e.subject for e in self.entries if e.subject_kind == "chain")
        one = {text: replace(Chain.from_text(text), depth=1) for text in texts}
        depths = Counter(one.values())
        return tuple(text for text in texts if depths[one[text]] == 1)


def write_suite(
    plan: Plan,
    folder: Path,
    *,
    modes: Sequence[str] = (),
    processes: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Suite:
    """Make the packages of a plan, its settings, and the manifest: in which order it is timed.

    A subject has one package, whatever units it is planned on: units are chosen when it is timed.
    One that cannot be made is left out, with the reason. Packages are the same to the byte each
    time; the order follows from the seed and the plan.

    Args:
        plan: rows of one runtime.
        folder: of the suite; made if it is not there. What is there of the plan already is kept.
        modes: ways of calling networks beside bursts, at every place of theirs in the order;
            settings that are in the folder stay.
        processes: that convert side by side; 0.5 to 1.5 GB each, by the networks.
        seed: of the order.
        progress: told of every package.

    Raises:
        InputError: targets of several runtimes, or of one that runs no Core ML packages of
            tensors; an unknown mode; no positive number of processes; settings there that are
            damaged; another process writes this suite.
        ExportError: no package could be made, or a process ended by itself.
    """
    chosen = _chosen(plan)
    runtimes = sorted({parse_target(row.target).runtime for row in plan.rows})
    expect(
        len(runtimes) == 1,
        f"the plan has targets of {', '.join(runtimes)}; a suite is for one runtime, plan each"
        " by itself",
    )
    expect_some("--processes", processes)
    form = package_form(chosen[0].target)
    wanted = Settings.of([row.target for row in plan.rows], modes)
    settings = Settings.read(folder) if (folder / SETTINGS).exists() else wanted
    jobs = {Job(folder, row.kind, row.subject, row.target, *form): row for row in chosen}
    folder.mkdir(parents=True, exist_ok=True)
    with opened(folder) as ledger:
        found, left_out, made = _packages(list(jobs), folder, ledger, processes, progress)
        if not found:
            _, subject, reason = left_out[0]
            raise ExportError(f"no package could be made, the first for '{subject}': {reason}")
        entries = _entries([(jobs[job], job, found[job]) for job in jobs if job in found], seed)
        if not (folder / SETTINGS).exists():
            settings.write(folder)
        write_manifest(folder, entries)
    seconds = _seconds(plan, entries, settings)
    kept = len(found) - made
    return Suite(tuple(entries), made, kept, tuple(left_out), settings, wanted, seconds)


def _seconds(plan: Plan, entries: Sequence[Entry], settings: Settings) -> float:
    there = {(entry.subject_kind, entry.subject) for entry in entries}
    rows = [row for row in plan.rows if (row.kind, row.subject) in there]
    return suite_seconds(rows, [entry.subject_kind for entry in entries], settings)


def _chosen(plan: Plan) -> list[Planned]:
    """A row for each subject: as an anchor if one of its rows makes it one, else the first."""
    rows: dict[tuple[str, str], Planned] = {}
    for row in plan.rows:
        if row.role == ANCHOR and rows.get((row.kind, row.subject), row).role != ANCHOR:
            rows[row.kind, row.subject] = row
        rows.setdefault((row.kind, row.subject), row)
    return list(rows.values())


def _packages(
    jobs: list[Job], folder: Path, ledger: Ledger, processes: int, progress: Progress | None
) -> tuple[dict[Job, Package], list[tuple[str, str, str]], int]:
    """Packages by job, those left out, and how many were made now."""
    tell = progress or (lambda what, done, of: None)
    found: dict[Job, Package] = {}
    for job in jobs:
        package = ledger.holds(job)
        if package is not None:
            found[job] = package
    todo, kept = [job for job in jobs if job not in found], len(found)
    left_out: list[tuple[str, str, str]] = []
    under_way = folder / UNDER_WAY
    shutil.rmtree(under_way, ignore_errors=True)  # of a run that was killed
    under_way.mkdir()
    try:
        tell("convert", kept, len(jobs))
        for done, outcome in enumerate(in_processes(make, todo, processes, under_way)):
            job = todo[done]
            if outcome.package is None:
                left_out.append((job.kind, job.subject, outcome.reason))
            else:
                found[job] = outcome.package
                ledger.add(outcome.package)
            tell("convert", kept + done + 1, len(jobs))
    finally:
        shutil.rmtree(under_way, ignore_errors=True)
    return found, left_out, len(found) - kept


def _entries(made: list[tuple[Planned, Job, Package]], seed: int) -> list[Entry]:
    anchors = [one for one in made if one[0].role == ANCHOR]
    others = [one for one in made if one[0].role != ANCHOR]
    return [
        Entry(
            at + 1,
            package.file,
            package.sha256,
            row.kind,
            row.subject,
            row.role,
            row.target,
            package.input_name,
            package.input_shape,
            job.format,
            job.system,
        )
        for at, (row, job, package) in enumerate(run_order(others, anchors, seed))
    ]
