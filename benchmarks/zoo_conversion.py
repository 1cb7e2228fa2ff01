"""Every network and every task converted to Core ML in both formats, and each weight compared.

Rows are the networks of the zoo, detectors and segmenters among them, and each task put on
`mobilenet_v2`. A detector comes as a pipeline with its non-maximum suppression; the forms without
it and with the op in the program are rows of their own.

A network is built with BatchNorm statistics and gains that are not trivial, as after training, so
that folding changes every weight. It is exported for a target of each format, the package is read
back from disk, and each weight and bias of each convolution and linear layer is compared, to the
last bit, with the torch weights folded in double precision and rounded to half precision
(`palmette.export.verify_weights`). `ops` counts the network's own, constants left out; `seconds` is
the wall time of an export with its own proof, beside those of the other processes.

    python benchmarks/zoo_conversion.py [--network NAME ...] [--task T ...] [--target T ...]
        [--processes N] [--resume] [--json]

`--resume` keeps the proven rows of the file that were made by the same code.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from palmette.export import (
    FORMATS,
    ExportOptions,
    Suppression,
    export,
    kind_for_runtime,
    verify_weights,
)
from palmette.export.package import read_spec
from palmette.export.processes import in_processes
from palmette.export.proof import op_kinds
from palmette.latency import find_target
from palmette.space import ZOO, Architecture, InputError, load
from palmette.space.blocks.detection import Detector
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.tasks import CLASSIFIER, TASKS, with_task

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "zoo_conversion.json"
CODE = ("space", "export")
"""Folders whose code decides what a row says."""
BACKBONE = "mobilenet_v2"
HEADS = [task for task in TASKS if task != CLASSIFIER]
TARGETS = ("iphone-13/ane", "iphone-11/ane")
"""One of each format: an ML Program, a neural network."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is converted: a network of the zoo, with the head of a task unless that is empty."""

    name: str
    task: str
    target: str
    nms: str = ""
    """Form of a detector's suppression; empty for other networks."""
    system: str | None = None

    def architecture(self) -> Architecture:
        """The network."""
        network = load(self.name)
        return with_task(network, self.task) if self.task else network

    def options(self) -> ExportOptions:
        """How it is exported."""
        suppression = Suppression(self.nms) if self.nms else None
        return ExportOptions(self.kind, suppression=suppression, system=self.system)

    @property
    def kind(self) -> str:
        """Format that the target's runtime timed."""
        return kind_for_runtime(find_target(self.target).runtime)


@dataclass(frozen=True, slots=True)
class Conversion:
    """One case; what was not reached is 0."""

    name: str
    task: str
    nms: str
    target: str
    format: str
    system: str
    proven: bool
    """All stored weights equal the folded torch weights bit for bit."""
    ops: int = 0
    megabytes: float = 0.0
    layers: int = 0
    """Convolutions and linear layers compared."""
    weights: int = 0
    """Weights and biases compared."""
    seconds: float = 0.0
    reason: str = ""
    """Why it is not proven, one line."""


def trained(architecture: Architecture) -> Any:
    """Network in evaluation mode, its vectors drawn as if it had been trained."""
    import torch

    module = architecture.build().eval()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, value in [*module.named_parameters(), *module.named_buffers()]:
            if value.dim() == 1:
                low = 0.5 if key.endswith("running_var") else -0.4
                value.copy_(torch.rand(value.shape, generator=random) + low)
    return module


def conversion(case: Case) -> Conversion:
    """Export one case and prove the package."""
    full = find_target(case.target)
    about = (case.name, case.task, case.nms, str(full), case.kind, case.system or "")
    start = time.perf_counter()
    try:
        architecture = case.architecture()
        module = trained(architecture)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            path = Path(folder) / case.name
            path = export(architecture, path, options=case.options(), module=module)
            seconds = time.perf_counter() - start
            report = verify_weights(path, module)
            ops, size = op_kinds(read_spec(path)).total(), _bytes(path)
    except Exception as error:  # one network must not end the table
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Conversion(*about, False, seconds=time.perf_counter() - start, reason=reason)
    megabytes, seconds = round(size / 1e6, 3), round(seconds, 2)
    return Conversion(*about, True, ops, megabytes, report.layers, report.values, seconds)


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def cases(names: Sequence[str], tasks: Sequence[str], targets: Sequence[str]) -> list[Case]:
    """All that is converted, network by network, then task by task.

    Raises:
        InputError: a name that is not in the zoo, an unknown task, or a target whose runtime is not
            Core ML's.
    """
    for name in names:
        expect(name in ZOO, f"network '{name}' is not in the zoo; known: {', '.join(ZOO)}")
    for task in tasks:
        expect(task in HEADS, f"task '{task}' is unknown; known: {', '.join(HEADS)}")
    plain = [(name, "") for name in names] + [(BACKBONE, task) for task in tasks]
    return [
        case
        for name, task in plain
        for target in targets
        for case in _forms(Case(name, task, target))
    ]


def _forms(case: Case) -> Iterator[Case]:
    """The case, of a detector in every form that its format has."""
    if not isinstance(case.architecture().head, Detector):
        yield case
        return
    yield replace(case, nms="pipeline")
    yield replace(case, nms="none")
    if case.kind == "mlprogram":
        for system in ("iOS16", "iOS17"):
            yield replace(case, nms="program", system=system)


def code_state() -> str:
    """Hash of the code that makes a row, and of the versions that it runs on."""
    found = hashlib.sha256(repr(_versions()).encode())
    files = [file for folder in CODE for file in (ROOT / folder).rglob("*.py")]
    for file in sorted([*files, Path(__file__)]):
        found.update(file.read_bytes())
    return found.hexdigest()[:12]


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("coremltools", "torch")}


def earlier(path: Path) -> list[Conversion]:
    """Proven rows of a table that the same code made."""
    if not path.is_file():
        return []
    table = json.loads(path.read_text("utf-8"))
    if table.get("state") != code_state():
        return []
    return [row for row in (Conversion(**entry) for entry in table["table"]) if row.proven]


def key(row: Case | Conversion) -> tuple[str, ...]:
    """What tells rows apart."""
    target = str(find_target(row.target))
    return (row.name, row.task, row.nms, target, row.system or "")


def summary(rows: Sequence[Conversion]) -> dict[str, float]:
    """Metrics of the table."""
    proven = sum(row.proven for row in rows)
    return {
        "networks": len({(row.name, row.task) for row in rows}),
        "conversions": len(rows),
        "proven": proven,
        "share_proven": proven / max(len(rows), 1),
        "layers": sum(row.layers for row in rows),
        "weights": sum(row.weights for row in rows),
        "seconds": round(sum(row.seconds for row in rows), 2),
    }


def _given(arguments: argparse.Namespace) -> list[str]:
    """Options of a table that is not of everything."""
    every = {"network": list(ZOO), "task": HEADS, "target": list(TARGETS)}
    chosen = {name: getattr(arguments, name) for name in every}
    return [
        " ".join([f"--{name}", *values]) for name, values in chosen.items() if values != every[name]
    ]


HEADINGS = f"{'network':<42}{'format':<15}{'NMS':<9}{'ops':>6}{'MB':>8}{'s':>7}  proven"


def line(row: Conversion) -> str:
    """The row as text."""
    name = f"{row.name} + {row.task}" if row.task else row.name
    numbers = f"{row.ops:>6}{row.megabytes:>8.2f}{row.seconds:>7.1f}"
    proven = f"yes, {row.weights} weights" if row.proven else f"no: {row.reason}"
    return f"{name:<42}{row.format:<15}{row.nms:<9}{numbers}  {proven}"


def write(arguments: argparse.Namespace, rows: Sequence[Conversion]) -> None:
    """JSON with a line for each package."""
    head = {
        "command": " ".join(["python benchmarks/zoo_conversion.py", *_given(arguments)]),
        "machine": f"{platform.system()} {platform.machine()}",
        "processes": arguments.processes,
        "versions": _versions(),
        "state": code_state(),
        "oldest_systems": {kind: FORMATS[kind].minimum_target for kind in FORMATS},
        **summary(rows),
    }
    table = ",\n  ".join(json.dumps(asdict(row)) for row in rows)
    text = f'{json.dumps(head, indent=1)[:-2]},\n "table": [\n  {table}\n ]\n}}\n'
    write_text(arguments.out, text)


def run(arguments: argparse.Namespace) -> list[Conversion]:
    """All rows in order; the table is written after each new one."""
    asked = cases(arguments.network, arguments.task, arguments.target)
    rows = {key(row): row for row in (earlier(arguments.out) if arguments.resume else [])}
    print(HEADINGS)
    waiting = [case for case in asked if key(case) not in rows]
    for row in in_processes(conversion, waiting, arguments.processes):
        rows[key(row)] = row
        print(line(row), flush=True)  # minutes in all: show how far it is
        write(arguments, [rows[key(case)] for case in asked if key(case) in rows])
    return [rows[key(case)] for case in asked]


def main() -> int:
    """Command line; 1 if a package is not proven, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--network", nargs="*", default=list(ZOO), help="names, all by default")
    parser.add_argument("--task", nargs="*", default=HEADS, help=f"heads on {BACKBONE}, or none")
    parser.add_argument("--target", nargs="+", default=list(TARGETS), help="whose format")
    parser.add_argument("--processes", type=int, default=2, help="that convert side by side")
    parser.add_argument("--resume", action="store_true", help="keep rows that this code proved")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the table")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    try:
        rows = run(arguments)
        write(arguments, rows)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    metrics = summary(rows)
    print(
        f"{metrics['proven']} of {metrics['conversions']} packages proven,"
        f" {metrics['weights']} weights and biases compared"
    )
    if arguments.json:
        print(json.dumps(metrics))
    return 0 if metrics["proven"] == metrics["conversions"] else 1


if __name__ == "__main__":
    sys.exit(main())
