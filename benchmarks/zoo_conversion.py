"""Every network of the zoo converted to Core ML in both formats, and every stored weight compared.

A network is built with BatchNorm statistics and gains that are not trivial, as after training, so
that folding changes every weight. It is exported for a target of each format, the package is read
back from disk, and each weight and bias of each convolution and linear layer is compared, to the
last bit, with the torch weights folded in double precision and rounded to half precision
(`palmette.export.verify_weights`). `ops` counts the package's own, constants left out; `seconds` is
the wall time of an export with its own proof.

    python benchmarks/zoo_conversion.py [--network NAME ...] [--target T ...] [--json]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from palmette.export import FORMATS, ExportOptions, export, kind_for_runtime, verify_weights
from palmette.export.package import read_spec
from palmette.export.proof import op_kinds
from palmette.latency import find_target
from palmette.space import ZOO, InputError, load
from palmette.space.errors import expect
from palmette.space.files import write_text

RESULTS = Path(__file__).resolve().parents[1] / "results" / "zoo_conversion.json"
TARGETS = ("iphone-13/ane", "iphone-11/ane")
"""One of each format: an ML Program, a neural network."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """One network in one format; what was not reached is 0."""

    name: str
    target: str
    format: str
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


def trained_network(name: str) -> Any:
    """Network of the zoo in evaluation mode, its vectors drawn as if it had been trained."""
    import torch

    module = load(name).build().eval()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, value in [*module.named_parameters(), *module.named_buffers()]:
            if value.dim() == 1:
                low = 0.5 if key.endswith("running_var") else -0.4
                value.copy_(torch.rand(value.shape, generator=random) + low)
    return module


def conversion(name: str, target: str) -> Conversion:
    """Export one network for one target and prove the package."""
    full = find_target(target)
    kind = kind_for_runtime(full.runtime)
    start = time.perf_counter()
    try:
        module = trained_network(name)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            path = export(
                load(name), Path(folder) / name, options=ExportOptions(kind), module=module
            )
            seconds = time.perf_counter() - start
            report = verify_weights(path, module)
            ops, size = op_kinds(read_spec(path)).total(), _bytes(path)
    except Exception as error:  # one network must not end the table
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Conversion(
            name, str(full), kind, False, seconds=time.perf_counter() - start, reason=reason
        )
    return Conversion(
        name,
        str(full),
        kind,
        True,
        ops,
        round(size / 1e6, 3),
        report.layers,
        report.values,
        round(seconds, 2),
    )


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def conversions(names: Sequence[str], targets: Sequence[str]) -> Iterator[Conversion]:
    """All pairs, network by network.

    Raises:
        InputError: a name that is not in the zoo, or a target whose runtime is not Core ML's.
    """
    for name in names:
        expect(name in ZOO, f"network '{name}' is not in the zoo; known: {', '.join(ZOO)}")
    for target in targets:
        kind_for_runtime(find_target(target).runtime)
    for name in names:
        for target in targets:
            yield conversion(name, target)


def summary(rows: Sequence[Conversion]) -> dict[str, float]:
    """Metrics of the table."""
    proven = sum(row.proven for row in rows)
    return {
        "networks": len({row.name for row in rows}),
        "conversions": len(rows),
        "proven": proven,
        "share_proven": proven / len(rows),
        "layers": sum(row.layers for row in rows),
        "weights": sum(row.weights for row in rows),
        "seconds": sum(row.seconds for row in rows),
    }


def _given(arguments: argparse.Namespace) -> list[str]:
    """Options of a table that is not of everything."""
    every = {"network": list(ZOO), "target": list(TARGETS)}
    chosen = {name: getattr(arguments, name) for name in every}
    return [
        f"--{name} {' '.join(values)}" for name, values in chosen.items() if values != every[name]
    ]


HEADINGS = f"{'network':<34}{'format':<15}{'ops':>6}{'MB':>8}{'s':>7}  proven"


def line(row: Conversion) -> str:
    """The row as text."""
    numbers = f"{row.ops:>6}{row.megabytes:>8.2f}{row.seconds:>7.1f}"
    proven = f"yes, {row.weights} weights" if row.proven else f"no: {row.reason}"
    return f"{row.name:<34}{row.format:<15}{numbers}  {proven}"


def _as_json(head: dict[str, Any], rows: Sequence[Conversion]) -> str:
    """JSON with a line for each package."""
    table = ",\n  ".join(json.dumps(asdict(row)) for row in rows)
    return f'{json.dumps(head, indent=1)[:-2]},\n "table": [\n  {table}\n ]\n}}\n'


def main() -> int:
    """Command line; 1 if a package is not proven, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--network", nargs="+", default=list(ZOO), help="names, all by default")
    parser.add_argument("--target", nargs="+", default=list(TARGETS), help="whose format")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the table")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    rows: list[Conversion] = []
    try:
        for row in conversions(arguments.network, arguments.target):
            if not rows:
                print(HEADINGS)
            rows.append(row)
            print(line(row), flush=True)  # minutes in all: show how far it is
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    metrics = summary(rows)
    print(
        f"{metrics['proven']} of {metrics['conversions']} packages proven,"
        f" {metrics['weights']} weights and biases compared"
    )
    about = {
        "command": " ".join(["python benchmarks/zoo_conversion.py", *_given(arguments)]),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in ("coremltools", "torch")},
        "oldest_systems": {kind: FORMATS[kind].minimum_target for kind in FORMATS},
    }
    write_text(arguments.out, _as_json({**about, **metrics}, rows))
    if arguments.json:
        print(json.dumps(metrics))
    return 0 if metrics["proven"] == metrics["conversions"] else 1


if __name__ == "__main__":
    sys.exit(main())
