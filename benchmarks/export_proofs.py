"""Every network, head, form of suppression and compression scheme exported, then verified on disk.

Rows are the networks of the zoo, detectors and segmenters among them, and each task put on
`mobilenet_v2`, in both formats; a detector comes as a pipeline, without its suppression, and with
the op in the program for iOS 16 and 17. Each compression scheme, and 8 bits for weights and
activations (w8a8), is a row of `mobilenet_v2` for iOS 18. Networks have BatchNorm statistics and
gains that are not trivial, as after training.

A row is what `palmette verify` says of the package: the gates' largest errors as shares of the
largest output, the share of equal best classes in emulated half precision, the number of its ops,
megabytes, seconds of processor time of export and of verification; and `passed`, or the gate that
failed and why.

    python benchmarks/export_proofs.py [--network NAME ...] [--task T ...] [--target T ...]
        [--scheme S ...] [--images N] [--processes N] [--resume] [--json]

`--resume` keeps the rows that passed and that the same code made.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from palmette.export import ExportOptions, Suppression, export, kind_for_runtime
from palmette.export.compression import SCHEMES, compress
from palmette.export.gates import Verdict, verify
from palmette.export.gates.verify import sample_images
from palmette.export.package import read_spec
from palmette.export.processes import in_processes
from palmette.export.proof import op_kinds
from palmette.export.quantised import export_quantised, prepare_w8a8, verify_quantised
from palmette.export.quantised.export import NAME as W8A8
from palmette.latency import find_target
from palmette.space import ZOO, Architecture, InputError, load
from palmette.space.blocks.detection import Detector
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.tasks import CLASSIFIER, TASKS, with_task

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "export_proofs.csv"
CODE = ("space", "export")
"""Folders whose code decides what a row says."""
BACKBONE = "mobilenet_v2"
HEADS = [task for task in TASKS if task != CLASSIFIER]
TARGETS = ("iphone-13/ane", "iphone-11/ane")
"""One of each format: an ML Program, a neural network."""
SCHEME_SYSTEM = "iOS18"
EVERY_SCHEME = (*SCHEMES, W8A8)
IMAGES = 2


@dataclass(frozen=True, slots=True)
class Case:
    """What is exported and verified."""

    network: str
    task: str
    target: str
    nms: str = ""
    """Form of a detector's suppression; empty for other networks."""
    system: str = ""
    """Oldest system; empty: the format's own."""
    scheme: str = ""
    """Compression; empty: none."""

    def architecture(self) -> Architecture:
        """The network."""
        network = load(self.network)
        return with_task(network, self.task) if self.task else network

    def options(self) -> ExportOptions:
        """How it is exported."""
        suppression = Suppression(self.nms) if self.nms else None
        return ExportOptions(self.kind, suppression=suppression, system=self.system or None)

    @property
    def kind(self) -> str:
        """Format that the target's runtime timed."""
        return kind_for_runtime(find_target(self.target).runtime)


@dataclass(frozen=True, slots=True)
class Row:
    """One case; what was not reached is empty."""

    network: str
    task: str
    target: str
    nms: str
    system: str
    scheme: str
    format: str
    passed: bool
    graph_error: str = ""
    weights_error: str = ""
    half_error: str = ""
    top1_agreement: str = ""
    weights_lost: str = ""
    """Of the layer that compression changed most, as a share of its size."""
    ops: str = ""
    """Operations of an ML Program, layers of a neural network; constants are none."""
    megabytes: str = ""
    export_seconds: str = ""
    verify_seconds: str = ""
    reason: str = ""
    """The gate that failed and why, or the error."""
    code: str = ""
    """State of the code that made the row."""

    def key(self) -> tuple[str, ...]:
        """What tells rows apart."""
        return (self.network, self.task, self.target, self.nms, self.system, self.scheme)


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


def proof(case: Case, images: int, code: str) -> Row:
    """Export one case and verify the package."""
    about = Row(**asdict(case), format=case.kind, passed=False, code=code)
    try:
        architecture = case.architecture()
        module = trained(architecture)
        with tempfile.TemporaryDirectory() as folder:
            begin = time.process_time()
            path, check = _made(case, architecture, module, Path(folder))
            made = time.process_time()
            verdict = check(path, architecture, images=images)
            done = time.process_time()
            size, ops = _bytes(path), op_kinds(read_spec(path)).total()
    except Exception as error:  # one network must not end the table
        return replace(about, reason=" ".join(f"{type(error).__name__}: {error}".split()))
    return replace(
        about,
        **_figures(verdict),
        passed=verdict.passed,
        ops=str(ops),
        megabytes=f"{size / 1e6:.3f}",
        export_seconds=f"{made - begin:.1f}",
        verify_seconds=f"{done - made:.1f}",
    )


def _made(
    case: Case, architecture: Architecture, module: Any, folder: Path
) -> tuple[Path, Callable[..., Verdict]]:
    """The package of a case, and what verifies it."""
    if case.scheme == W8A8:
        tensors = ranged(architecture, module)
        made = export_quantised(architecture, tensors, folder / W8A8, options=case.options())
        return made.path, partial(verify_quantised, tensors=tensors)
    path = export(architecture, folder / case.network, options=case.options(), module=module)
    if case.scheme:
        path = compress(path, folder / case.scheme, case.scheme).path
    return path, partial(verify, module=module)


def ranged(architecture: Architecture, module: Any) -> dict[str, Any]:
    """State of a network prepared for 8 bits, its ranges those of some images."""
    import torch
    from torch.ao.quantization import disable_observer, enable_fake_quant, enable_observer

    prepared = prepare_w8a8(module, architecture.resolution).eval().apply(enable_observer)
    with torch.no_grad():
        for image in sample_images(architecture, IMAGES):
            prepared(image / 127.5 - 1)
    return dict(prepared.apply(disable_observer).apply(enable_fake_quant).state_dict())


def _figures(verdict: Verdict) -> dict[str, str]:
    """Columns that the gates fill."""
    gates = {gate.name: gate for gate in verdict.gates}
    run = {name: gates[name].figures for name in gates}
    run["weights"] = run.get("outputs", run["weights"])  # what a file in 8 bits computes
    found = {f"{name}_error": run.get(name, {}).get("error") for name in _ERRORS}
    found["top1_agreement"] = run.get("half", {}).get("top1_agreement")
    found["weights_lost"] = gates["weights"].figures.get("weights_lost")
    failed = [gate for gate in verdict.gates if gate.passed is False]
    texts = {key: "" if value is None else f"{value:.3g}" for key, value in found.items()}
    return {**texts, "reason": "; ".join(f"{gate.name}: {gate.reason}" for gate in failed)}


_ERRORS = ("graph", "weights", "half")


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def cases(
    names: Sequence[str], tasks: Sequence[str], targets: Sequence[str], schemes: Sequence[str]
) -> list[Case]:
    """All that is exported: network by network, then task by task, then scheme by scheme.

    Raises:
        InputError: a name that is not in the zoo, an unknown task or scheme, or a target whose
            runtime is not Core ML's.
    """
    for name in names:
        expect(name in ZOO, f"network '{name}' is not in the zoo; known: {', '.join(ZOO)}")
    for task in tasks:
        expect(task in HEADS, f"task '{task}' is unknown; known: {', '.join(HEADS)}")
    for scheme in schemes:
        expect(
            scheme in EVERY_SCHEME,
            f"scheme '{scheme}' is unknown; known: {', '.join(EVERY_SCHEME)}",
        )
    plain = [(name, "") for name in names] + [(BACKBONE, task) for task in tasks]
    found = [
        case
        for name, task in plain
        for target in targets
        for case in _forms(Case(name, task, str(find_target(target))))
    ]
    first = str(find_target(TARGETS[0]))
    return found + [
        Case(BACKBONE, "", first, system=SCHEME_SYSTEM, scheme=scheme) for scheme in schemes
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
    versions = {name: version(name) for name in ("coremltools", "torch")}
    found = hashlib.sha256(repr(versions).encode())
    files = [file for folder in CODE for file in (ROOT / folder).rglob("*.py")]
    for file in sorted([*files, Path(__file__)]):
        found.update(file.read_bytes())
    return found.hexdigest()[:12]


def earlier(path: Path) -> list[Row]:
    """Rows of a table that passed and that the same code made."""
    if not path.is_file():
        return []
    state, names = code_state(), {field.name for field in fields(Row)}
    with path.open(encoding="utf-8", newline="") as file:
        found = [row for row in csv.DictReader(file) if set(row) == names]
    return [
        Row(**{**row, "passed": True})
        for row in found
        if row["passed"] == "True" and row["code"] == state
    ]


def write(path: Path, rows: Sequence[Row]) -> None:
    """The table."""
    text = io.StringIO()
    table = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    write_text(path, text.getvalue())


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """Metrics of the table."""
    passed = sum(row.passed for row in rows)
    worst = {f"worst_{name}_error": _worst(rows, f"{name}_error") for name in _ERRORS}
    agreements = [
        float(row.top1_agreement) for row in rows if row.top1_agreement and not row.scheme
    ]
    return {
        "packages": len(rows),
        "networks": len({(row.network, row.task) for row in rows}),
        "schemes": len({row.scheme for row in rows if row.scheme}),
        "passed": passed,
        "share_passed": passed / max(len(rows), 1),
        **worst,
        "mean_top1_agreement": sum(agreements) / max(len(agreements), 1),
        "export_seconds": _sum(rows, "export_seconds"),
        "verify_seconds": _sum(rows, "verify_seconds"),
    }


def _worst(rows: Sequence[Row], column: str) -> float:
    return max((float(getattr(row, column)) for row in rows if getattr(row, column)), default=0.0)


def _sum(rows: Sequence[Row], column: str) -> float:
    return round(sum(float(getattr(row, column) or 0) for row in rows), 1)


HEADINGS = (
    f"{'network':<42}{'format':<15}{'form':<18}{'graph':>9}{'weights':>9}{'half':>9}{'top-1':>7}"
    f"{'ops':>6}{'MB':>8}{'s':>7}  passed"
)


def line(row: Row) -> str:
    """The row as text."""
    name = f"{row.network} + {row.task}" if row.task else row.network
    numbers = f"{row.graph_error:>9}{row.weights_error:>9}{row.half_error:>9}"
    sizes = f"{row.top1_agreement:>7}{row.ops:>6}{row.megabytes:>8}{row.export_seconds:>7}"
    passed = "yes" if row.passed else f"no: {row.reason}"
    return f"{name:<42}{row.format:<15}{row.nms or row.scheme:<18}{numbers}{sizes}  {passed}"


def run(arguments: argparse.Namespace) -> list[Row]:
    """All rows in order; the table is written after each new one."""
    asked = cases(arguments.network, arguments.task, arguments.target, arguments.scheme)
    places = {replace(_blank(case)).key(): at for at, case in enumerate(asked)}
    kept = earlier(arguments.out) if arguments.resume else []
    rows = {row.key(): row for row in kept if row.key() in places}
    print(HEADINGS)
    waiting = [case for case in asked if _blank(case).key() not in rows]
    work = partial(proof, images=arguments.images, code=code_state())
    for row in in_processes(work, waiting, arguments.processes):
        rows[row.key()] = row
        print(line(row), flush=True)  # an hour in all: show how far it is
        write(arguments.out, sorted(rows.values(), key=lambda found: places[found.key()]))
    return sorted(rows.values(), key=lambda found: places[found.key()])


def _blank(case: Case) -> Row:
    return Row(**asdict(case), format="", passed=False)


def main() -> int:
    """Command line; 1 if a package did not pass, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--network", nargs="*", default=list(ZOO), help="names, all by default")
    parser.add_argument("--task", nargs="*", default=HEADS, help=f"heads on {BACKBONE}, or none")
    parser.add_argument("--target", nargs="+", default=list(TARGETS), help="whose format")
    parser.add_argument(
        "--scheme", nargs="*", default=list(EVERY_SCHEME), help="compression, or none"
    )
    parser.add_argument("--images", type=int, default=IMAGES, help="to compare outputs on")
    parser.add_argument("--processes", type=int, default=2, help="that work side by side")
    parser.add_argument("--resume", action="store_true", help="keep rows that this code made")
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV file")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    try:
        rows = run(arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    metrics = summary(rows)
    failures = Counter(row.reason.partition(":")[0] for row in rows if not row.passed)
    print(
        f"{metrics['passed']} of {metrics['packages']} packages passed; failures: {dict(failures)}"
    )
    if arguments.json:
        print(json.dumps(metrics))
    return 0 if metrics["passed"] == metrics["packages"] else 1


if __name__ == "__main__":
    sys.exit(main())
