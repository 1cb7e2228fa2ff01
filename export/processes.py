"""Many conversions side by side, each process with temporary files of its own.

Processes come from a server that has torch and the converter loaded (`forkserver`): they are there
in no time, and share that memory. The converter leaves a package in the temporary folder for each
conversion of a forked process, so each gets a folder, and the folders go with the pool.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from palmette.export.errors import ExportError
from palmette.export.options import ExportOptions
from palmette.space.architecture import Architecture
from palmette.space.errors import InputError, expect

Item = TypeVar("Item")
Answer = TypeVar("Answer")

PRELOAD = "palmette.export._preload"


@dataclass(frozen=True, slots=True)
class Job:
    """A package to make, of freshly initialised weights: such as one of a suite to be timed."""

    architecture: Architecture
    path: Path
    """Of the package; the format's suffix is added if it has none."""
    options: ExportOptions = field(default_factory=ExportOptions)


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a job."""

    path: Path | None
    """Of the proven package; None if there is none."""
    reason: str = ""
    """Why there is none, one line."""


def export_many(jobs: Sequence[Job], processes: int = 1) -> Iterator[Made]:
    """Export and prove packages side by side; one that fails does not end the others.

    Args:
        jobs: packages to make.
        processes: that work side by side; about 500 MB each.

    Returns:
        What became of each, in the order of the jobs.

    Raises:
        InputError: no positive number of processes, or two jobs with one path.
    """
    paths = [job.path for job in jobs]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    expect(twice is None, f"output {twice}: two packages would have this name")
    return in_processes(_made, jobs, processes)


def _made(job: Job) -> Made:
    from palmette.export.coreml import export

    try:
        return Made(export(job.architecture, job.path, options=job.options))
    except (InputError, ExportError, OSError) as error:
        return Made(None, " ".join(str(error).split()))


def in_processes(
    function: Callable[[Item], Answer],
    items: Sequence[Item],
    processes: int,
    temporary: Path | None = None,
) -> Iterator[Answer]:
    """`function` of each item, in order, worked out by so many processes of one thread each.

    Args:
        function: of a module, so that other processes find it.
        items: that can be sent to them.
        processes: at least one.
        temporary: folder for their temporary files; the system's if none is given.

    Raises:
        InputError: no positive number of processes.
        ExportError: a process ended by itself, as for want of memory.
    """
    expect(processes > 0, f"processes: must be 1 or more, got {processes}")
    return _in_processes(function, items, min(processes, max(len(items), 1)), temporary)


def _in_processes(
    function: Callable[[Item], Answer],
    items: Sequence[Item],
    processes: int,
    temporary: Path | None,
) -> Iterator[Answer]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", PRELOAD])
    with (
        tempfile.TemporaryDirectory(prefix="palmette-export-", dir=temporary) as folder,
        ProcessPoolExecutor(processes, context, _begin, (folder,)) as pool,
    ):
        try:
            yield from pool.map(function, items)
        except BrokenProcessPool:
            raise ExportError(
                "a process that converts ended by itself, perhaps for want of memory; use fewer"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(folder: str) -> None:
    import torch

    torch.set_num_threads(1)
    tempfile.tempdir = tempfile.mkdtemp(dir=folder)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process says when to stop
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()


def _end_with_parent(folder: str) -> None:
    """Leave, and leave nothing, once the process that hands out the items was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # nobody else would ever wake this one
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)
