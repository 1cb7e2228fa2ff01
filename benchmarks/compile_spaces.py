"""Seconds to compile each preset for the first time, and from the cache.

A space is compiled into an empty folder, so every block that can occur in it is traced, and then
again from what was kept there. The goal is at most 20 s for the first time on two cores. Other work
on the machine counts in the wall time, not in the seconds of this process.

    python benchmarks/compile_spaces.py [--space NAME ...] [--json]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from palmette.space import SearchSpace, compile_space, presets
from palmette.space.modules import meta_network


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", action="append", choices=presets())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    names = options.space or presets()
    first = SearchSpace.preset(names[0])
    meta_network(first.decode(first.cardinalities * 0))  # torch is imported outside the clock
    rows = []
    for name in names:
        rows.append(compilation(name))
        row = rows[-1]
        print(
            f"{row.name:<18}{row.blocks:>7} blocks, first {row.first_s:5.1f} s"
            f" ({row.first_process_s:.1f} s of the process), cached {row.cached_s:.2f} s",
            flush=True,
        )
    if options.json:
        slowest = max(row.first_s for row in rows)
        print(json.dumps({"slowest_s": slowest, "spaces": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()
