"""Seconds to compile each preset for the first time, and from the cache.

A space is compiled into an empty folder, so every block that can occur in it is traced, and then
again from what was kept there. The goal is at most 20 s for the first time on two cores. Other work
on the machine counts in the wall time, not in the seconds of this process.

    python benchmarks/compile_spaces.py [--space NAME ...] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from palmette.space import SearchSpace, compile_space, presets
from palmette.space.files import write_text
from palmette.space.modules import meta_network

RESULTS = Path(__file__).resolve().parents[1] / "results" / "compile_spaces.json"


@dataclass(frozen=True, slots=True)
class Compilation:
    """One preset; seconds of wall time, those of the process for the first time beside them."""

    name: str
    blocks: int
    """Blocks that differ, with the sizes of their inputs."""
    first_s: float
    first_process_s: float
    cached_s: float


def compilation(name: str) -> Compilation:
    """Compile a preset into an empty cache and again."""
    space = SearchSpace.preset(name)
    with tempfile.TemporaryDirectory() as folder:
        start, process = time.perf_counter(), time.process_time()
        compiled = compile_space(space, Path(folder))
        first, used = time.perf_counter() - start, time.process_time() - process
        start = time.perf_counter()
        compile_space(space, Path(folder))
        cached = time.perf_counter() - start
    return Compilation(name, len(compiled.block_params), first, used, cached)


def measure(names: Sequence[str]) -> dict[str, Any]:
    """Figures of some presets, a line printed for each."""
    rows = []
    for name in names:
        rows.append(compilation(name))
        row = rows[-1]
        print(
            f"{row.name:<18}{row.blocks:>7} blocks, first {row.first_s:5.1f} s"
            f" ({row.first_process_s:.1f} s of the process), cached {row.cached_s:.2f} s",
            flush=True,
        )
    return {
        "slowest_s": max(row.first_s for row in rows),
        "slowest_process_s": max(row.first_process_s for row in rows),
        "spaces": [asdict(row) for row in rows],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--space", action="append", choices=presets(), help="default: all presets")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the figures")
    parser.add_argument("--json", action="store_true", help="figures as JSON on the last line")
    options = parser.parse_args(arguments)
    names = options.space or presets()
    first = SearchSpace.preset(names[0])
    meta_network(first.decode(first.cardinalities * 0))  # torch is imported outside the clock
    load_before = os.getloadavg()[0]
    figures = measure(names)
    chosen = [f"--space {name}" for name in options.space or ()]
    about = {
        "command": " ".join(["python benchmarks/compile_spaces.py", *chosen]),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": round(load_before, 2),
        "versions": {name: version(name) for name in ("numpy", "torch")},
    }
    write_text(options.out, json.dumps({**about, **figures}, indent=1) + "\n")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
