"""How fast exports are: our own work beside the bare converter's, and two processes beside one.

*Overhead.* Each network is exported by `palmette.export.export` (build, check, fold, trace,
convert, write, read back, prove), and by bare coremltools: build, trace, `coremltools.convert` with
the same image input and system, `save`. The sides take turns, in an order drawn for each round.
Seconds are processor time of one thread, which other work on the machine changes less than wall
time; `overhead_ratio` is the geometric mean over networks of the ratio of the medians.

*Suite.* Many small packages, blocks with tensors as input as an app that times them takes, are
exported by the processes of `palmette.export.export_many`, by one and by two, in turns. The time of
a run is from its first package to its last, so that loading torch and the converter, once for all
processes, is no part of it; `suite_speedup` is the ratio of the median wall times. On a machine
whose cores do other work it measures that work too: `load` is the load average before the runs, and
`suite_balance` is what the two processes would reach on free cores, all processor time over that of
the busier one.

*Leaks.* `leaked` counts what is left of all runs in the system's folder for temporary files, the
folder of torch's own cache aside.

    python benchmarks/export_speed.py [--network NAME ...] [--rounds N] [--packages N] [--json]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing.util
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from palmette.export import ExportOptions, export
from palmette.export._coremltools import coremltools, without_bars, without_jit_notes
from palmette.export.processes import in_processes
from palmette.space import Architecture, InputError, load
from palmette.space.errors import expect
from palmette.space.files import write_text

RESULTS = Path(__file__).resolve().parents[1] / "results" / "export_speed.json"
OF_TORCH = "torchinductor_"
"""How the folder begins that torch keeps its compiler's cache in, whoever imports it."""
NETWORKS = ("mobilenet_v2", "mobilenet_v3_small", "efficientnet_lite0", "mnasnet_a1")
ROUNDS, SUITE_ROUNDS, PACKAGES = 3, 2, 32
SCALE, BIAS = 1 / 127.5, (-1.0, -1.0, -1.0)


def ours(network: Architecture, folder: Path) -> None:
    """The export, with its proof."""
    export(network, folder / "ours", options=ExportOptions(scale=SCALE, bias=BIAS))


def bare(network: Architecture, folder: Path) -> None:
    """What somebody would write who has coremltools alone."""
    import torch

    ct, shape = coremltools(), (1, 3, *network.resolution)
    module = network.build().eval()
    with without_jit_notes(), without_bars():
        traced = torch.jit.trace(module, torch.zeros(shape), check_trace=False)
        model = ct.convert(
            traced,
            inputs=[ct.ImageType("image", shape=shape, scale=SCALE, bias=list(BIAS))],
            outputs=[ct.TensorType("logits")],
            minimum_deployment_target=ct.target.iOS16,
            skip_model_load=True,
            package_dir=str(folder / "converted.mlpackage"),
        )
        model.save(str(folder / "bare.mlpackage"))


SIDES: dict[str, Callable[[Architecture, Path], None]] = {"ours": ours, "bare": bare}


def overhead(names: Sequence[str], rounds: int) -> dict[str, dict[str, float]]:
    """Median processor seconds of each side and their ratio, by network."""
    order, table = random.Random(0), {}
    for name in names:
        network, seconds = load(name), {side: list[float]() for side in SIDES}
        for number in range(rounds + 1):
            for side in order.sample(list(SIDES), len(SIDES)):
                with tempfile.TemporaryDirectory() as folder:
                    start = time.process_time()
                    SIDES[side](network, Path(folder))
                    spent = time.process_time() - start
                if number:  # the first round loads and caches
                    seconds[side].append(spent)
        medians = {side: statistics.median(values) for side, values in seconds.items()}
        table[name] = {**medians, "ratio": medians["ours"] / medians["bare"]}
        row = table[name]
        print(f"{name:<24}{row['ours']:>8.2f}{row['bare']:>8.2f}{row['ratio']:>8.2f}", flush=True)
    return table


@dataclass(frozen=True, slots=True)
class Timed:
    """One package of the suite: which process made it, from when to when, with how much work."""

    process: int
    start: float
    end: float
    seconds: float
    """Processor time."""


def suite(packages: int) -> list[Architecture]:
    """Small networks, each around one block, in a fixed order."""
    widths, kernels, expansions = (16, 24, 32, 40), (3, 5), (3, 6)
    texts = [
        f"{side}x{side} stem_k3_s2_c{width}_relu | ir_r4_k{kernel}_s1_e{expansion}_c{width}_relu6"
        " | head_n0"
        for side in (32, 64)
        for width in widths
        for kernel in kernels
        for expansion in expansions
    ]
    return [Architecture.from_text(texts[i % len(texts)]) for i in range(packages)]


def timed_export(item: tuple[str, Path]) -> Timed:
    """One package of the suite, in a process of the pool; read-only apart from its own folder."""
    text, folder = item
    start, spent = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory(dir=folder) as own:
        options = ExportOptions(input="tensor", system="iOS17")
        export(Architecture.from_text(text), Path(own) / "x", options=options)
    return Timed(os.getpid(), start, time.monotonic(), time.process_time() - spent)


def suite_run(networks: Sequence[Architecture], processes: int) -> dict[str, float]:
    """Wall seconds from the first package to the last, and how evenly work was shared."""
    with tempfile.TemporaryDirectory() as folder:
        items = [(network.to_text(), Path(folder)) for network in networks]
        rows = list(in_processes(timed_export, items, processes))
    work: dict[int, float] = {}
    for row in rows:
        work[row.process] = work.get(row.process, 0.0) + row.seconds
    wall = max(row.end for row in rows) - min(row.start for row in rows)
    return {"wall": wall, "work": sum(work.values()), "busiest": max(work.values())}


def suite_speed(packages: int, rounds: int) -> dict[str, float]:
    """One process and two in turns."""
    networks = suite(packages)
    runs: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for _ in range(rounds):
        for processes, found in runs.items():
            found.append(suite_run(networks, processes))
            print(
                f"{packages} packages, {processes} processes: {found[-1]['wall']:.1f} s", flush=True
            )
    wall = {n: statistics.median(run["wall"] for run in found) for n, found in runs.items()}
    work = {n: statistics.median(run["work"] for run in found) for n, found in runs.items()}
    busiest = statistics.median(run["busiest"] for run in runs[2])
    return {
        "suite_speedup": wall[1] / wall[2],
        "suite_balance": work[2] / busiest,
        "suite_work_ratio": work[2] / work[1],
        "suite_seconds_1": wall[1],
        "suite_seconds_2": wall[2],
    }


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    for key in ("rounds", "suite_rounds", "packages"):
        expect(getattr(arguments, key) > 0, f"--{key}: must be 1 or more")
    import torch

    torch.set_num_threads(1)
    load_before = os.getloadavg()[0]
    multiprocessing.util.get_temp_dir()  # of the server of processes, which keeps it till the end
    with tempfile.TemporaryDirectory() as folder:
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            print(f"{'network':<24}{'ours s':>8}{'bare s':>8}{'ratio':>8}")
            table = overhead(arguments.network, arguments.rounds)
            speed = suite_speed(arguments.packages, arguments.suite_rounds)
            leaked = sum(not left.name.startswith(OF_TORCH) for left in Path(folder).iterdir())
        finally:
            tempfile.tempdir = before
    ratio = statistics.geometric_mean(row["ratio"] for row in table.values())
    figures = {"overhead_ratio": ratio, **speed, "leaked": leaked, "load": load_before}
    rounded = {key: round(value, 3) for key, value in figures.items()}
    return {"metrics": rounded, "networks": table, "cores": os.cpu_count()}


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--network", nargs="+", default=list(NETWORKS), help="of the zoo")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of both sides, a network")
    parser.add_argument("--suite-rounds", type=int, default=SUITE_ROUNDS, help="of the suite")
    parser.add_argument("--packages", type=int, default=PACKAGES, help="of the suite")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the figures")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    try:
        found = run(arguments)
        versions = {name: version(name) for name in ("coremltools", "torch")}
        command = " ".join(["python benchmarks/export_speed.py", *sys.argv[1:]])
        head = {"command": command, "versions": versions}
        write_text(arguments.out, json.dumps({**head, **found}, indent=1) + "\n")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    metrics = found["metrics"]
    print(
        f"overhead {metrics['overhead_ratio']:.2f}, suite speed-up {metrics['suite_speedup']:.2f}"
        f" with two processes, {metrics['leaked']} left behind"
    )
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
