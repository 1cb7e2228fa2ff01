"""How fast compiled predictors cost candidates, beside the least that numpy must do and a trace.

Three ways to cost random networks of a space, taken in turn, `REPEATS` times:

* compiled: `CompiledLatency.interval`, from codes to milliseconds with both bounds;
* numpy: what no lookup can save, the rows of the same tables gathered and added up, with the rows
  given and nothing made of the sums. Both ways to write that are measured, one gather of all slots
  and one per slot; the faster one counts;
* traced: each code decoded, its torch module built and traced, and the ops predicted, every time
  for networks that no cache has seen.

Ratios are those of speed, ours over the other's, medians over the repeats. `compile_seconds` is the
first compilation of the space in a new process with an empty cache, torch's import included;
`compile_processor_seconds` leaves out what other programs took from it.

    python benchmarks/predictor_throughput.py [--target T] [--json]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.latency import (
    CompiledLatency,
    Interval,
    LatencyPredictor,
    find_target,
    load_predictor,
)
from palmette.space import CompiledSpace, InputError, SearchSpace, compile_space, load
from palmette.space.compiled import SpaceTable
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESULTS = Path(__file__).resolve().parents[1] / "results" / "predictor_throughput.json"
SPACE = "mobilenet_v2"
TARGET = "iphone-13/ane"
BROKEN_DOWN = "mobilenet_v2"
CODES, TRACED, REPEATS = 20_000, 6, 9
AGREEMENT = 1e-9


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds per network of each way, in one repeat."""

    compiled: float
    gather: float
    gather_per_slot: float
    traced: float


def gather(table: SpaceTable, rows: Ints) -> Floats:
    """Sums over the slots by one gather: (n, channels)."""
    total: Floats = table.values[rows].sum(axis=1)
    return total


def gather_per_slot(table: SpaceTable, rows: Ints) -> Floats:
    """Sums over the slots by one gather and one addition for each: (n, channels)."""
    total: Floats = table.values[rows[:, 0]]
    for slot in range(1, rows.shape[1]):
        total += table.values[rows[:, slot]]
    return total


def traced(latency: CompiledLatency, space: SearchSpace, codes: Codes) -> Interval:
    """The same milliseconds without tables."""
    return latency.predictor.predict_interval(space.decode_batch(codes))


def cold_compilation(space: SearchSpace) -> tuple[CompiledSpace, dict[str, float]]:
    """The compiled space, and its metrics."""
    with tempfile.TemporaryDirectory() as folder:
        start, start_cpu = time.perf_counter(), time.process_time()
        compiled = compile_space(space, Path(folder))
        between, between_cpu = time.perf_counter(), time.process_time()
        compile_space(space, Path(folder))
        return compiled, {
            "compile_seconds": between - start,
            "compile_processor_seconds": between_cpu - start_cpu,
            "compile_seconds_cached": time.perf_counter() - between,
        }


def take_turns(
    latency: CompiledLatency, space: SearchSpace, codes: int, few: int, seed: int
) -> Turn:
    """One repeat on random networks of a space; raises AssertionError if the paths disagree."""
    many = space.sample(codes, np.random.default_rng(seed))
    rows = latency.table.rows(many)
    fast, compiled = _seconds(lambda: latency.interval(many))
    sums, one = _seconds(lambda: gather(latency.table, rows))
    others, per_slot = _seconds(lambda: gather_per_slot(latency.table, rows))
    slow, trace = _seconds(lambda: traced(latency, space, many[:few]))
    assert np.allclose(sums, others, rtol=AGREEMENT, atol=0)
    for name in ("ms", "lower_ms", "upper_ms"):
        assert np.allclose(
            getattr(fast, name)[:few], getattr(slow, name), rtol=AGREEMENT, atol=0
        ), f"compiled and traced {name} disagree"
    return Turn(compiled / codes, one / codes, per_slot / codes, trace / few)


def _seconds(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def measure(
    target: str = TARGET, space_name: str = SPACE, codes: int = CODES, repeats: int = REPEATS
) -> dict[str, Any]:
    """All metrics; raises InputError for an unknown target or space."""
    expect(codes >= TRACED, f"--codes: needs {TRACED} or more, got {codes}")
    expect(repeats > 0, f"--repeats: needs 1 or more, got {repeats}")
    predictor, space = load_predictor(target), SearchSpace.preset(space_name)
    compiled, compilation = cold_compilation(space)  # the first to import torch
    latency = predictor.compile(compiled)
    take_turns(latency, space, codes, TRACED, seed=0)  # warms up
    # other networks every time: a trace is kept
    turns = [take_turns(latency, space, codes, TRACED, seed) for seed in range(1, repeats + 1)]
    bare = [min(turn.gather, turn.gather_per_slot) for turn in turns]
    pairs = list(zip(turns, bare, strict=True))
    return {
        "target": str(find_target(target)),
        "space": space_name,
        "codes": codes,
        "repeats": repeats,
        "candidates_per_second": 1 / _median([turn.compiled for turn in turns]),
        "numpy_per_second": 1 / _median(bare),
        "traced_per_second": 1 / _median([turn.traced for turn in turns]),
        "ratio_to_numpy": _median([least / turn.compiled for turn, least in pairs]),
        "ratio_to_numpy_one_gather": _median([turn.gather / turn.compiled for turn in turns]),
        "ratio_to_traced": _median([turn.traced / turn.compiled for turn in turns]),
        "breakdown_ms": _breakdown_ms(predictor, repeats),
        **compilation,
    }


def _breakdown_ms(predictor: LatencyPredictor, repeats: int) -> float:
    """Milliseconds of wall time that the costs of a traced network's ops take, the median."""
    ops = load(BROKEN_DOWN).ops()
    predictor.breakdown(ops)  # warms up
    return 1e3 * _median([_seconds(lambda: predictor.breakdown(ops))[1] for _ in range(repeats)])


def _median(values: list[float]) -> float:
    return float(np.median(values))


def show(metrics: dict[str, Any]) -> None:
    """Print the metrics as a table."""
    print(
        f"{metrics['target']}, space '{metrics['space']}', batches of {metrics['codes']} networks,"
        f" medians of {metrics['repeats']} repeats"
    )
    print(f"compiled  {metrics['candidates_per_second']:12,.0f} networks/s")
    for way in ("numpy", "traced"):
        ratio = f"compiled is {metrics[f'ratio_to_{way}']:,.2f} times as fast"
        print(f"{way:<10}{metrics[f'{way}_per_second']:12,.0f} networks/s  {ratio}")
    print(
        f"compiling: {metrics['compile_seconds']:.1f} s with an empty cache"
        f" ({metrics['compile_processor_seconds']:.1f} s of one processor),"
        f" {metrics['compile_seconds_cached']:.1f} s from the cache"
    )
    print(f"breakdown of the traced {BROKEN_DOWN}: {metrics['breakdown_ms']:.1f} ms")


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--target", default=TARGET, help="whose predictor, such as iphone-13/ane")
    parser.add_argument("--space", default=SPACE, help="name of a preset")
    parser.add_argument("--codes", type=int, default=CODES, help="networks in a batch")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="turns of every way")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    try:
        metrics = measure(arguments.target, arguments.space, arguments.codes, arguments.repeats)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(metrics)
    about = {
        "command": f"python benchmarks/predictor_throughput.py --target {arguments.target}"
        f" --space {arguments.space} --codes {arguments.codes} --repeats {arguments.repeats}",
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in ("numpy", "torch")},
    }
    write_text(arguments.out, json.dumps({**about, **metrics}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
