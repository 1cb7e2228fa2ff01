"""Packages imported for real, each in a process of its own: metadata can't see a broken library."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from palmette.cli.machine_row import Row
from palmette.cli.requirements import version_of

IMPORT_S = 60.0
"""Most seconds of an import; on a cold disk torch takes many."""

_TORCH = """
import torch
gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
gpus += ["MPS"] if torch.backends.mps.is_available() else []
print(f"threads: {torch.get_num_threads()}, GPUs: {', '.join(gpus) or 'none'}")
"""
_COREML = """
from coremltools.libmilstoragepython import _BlobStorageWriter
from coremltools import libmodelpackage
print("packages can be written")
"""
TRIALS = (
    ("torch", _TORCH, True),
    ("coremltools", _COREML, True),
    ("ray", "import ray; print('not started')", False),
    ("psycopg", "import psycopg; print(f'libpq {psycopg.pq.version()}')", False),
)
"""Package, what is run, and whether the main job needs it."""


def tried() -> Iterator[Row]:
    """Rows of the packages that are installed."""
    for name, code, needed in TRIALS:
        if version_of(name) is not None:
            yield attempt(name, code, needed)


def attempt(name: str, code: str, needed: bool) -> Row:
    """A row of one import; what it said and how long it took."""
    begun = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            timeout=IMPORT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        words = f"no end after {IMPORT_S:.0f} s"
        return Row(f"import {name}", "broken", words, "look at the disk and the memory", needed)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        remedy = f"pip install --force-reinstall {name}"
        return Row(f"import {name}", "broken", last, remedy, needed)
    took_s = time.monotonic() - begun
    said = (done.stdout.strip().splitlines() or [""])[-1]
    return Row(f"import {name}", "works", f"{said} ({took_s:.1f} s)", needed=needed)
