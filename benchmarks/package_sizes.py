"""Sizes of packages as a search counts them, beside those that an export writes.

    python benchmarks/package_sizes.py [--networks N] [--seed S] [--json]

Networks are the first N of the reference networks and one random network of each preset; each is
exported for iOS 18 with its statistics settled, as it is and with weights of 8 and 4 bits. Printed:
megabytes written and counted, by network and precision; then the largest error of each precision in
percent.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from palmette.search.objectives.precision import HALF, PRECISIONS
from palmette.search.objectives.quantities import quantities_of
from palmette.space import MOBILENET_LIKE, Architecture, SearchSpace, load, presets
from palmette.space.files import write_text

RESULTS = Path(__file__).resolve().parents[1] / "results" / "package_sizes.json"


def networks(count: int, seed: int) -> Iterator[tuple[str, Architecture]]:
    """Reference networks, and a random one of each preset."""
    for name in list(MOBILENET_LIKE)[:count]:
        yield name, load(name)
    for name in presets():
        space = SearchSpace.preset(name)
        yield f"{name}, random", space.decode(space.sample(1, np.random.default_rng(seed))[0])


def written(network: Architecture, folder: Path) -> dict[str, int]:
    """Bytes of the network's packages by precision."""
    from palmette.export import ExportOptions, export
    from palmette.export.compression import compress
    from palmette.export.compression.compress import size_bytes
    from palmette.latency.suite.values import settle

    module = settle(network.build(), (3, *network.resolution))
    options = ExportOptions(system="iOS18")
    package = export(network, folder / "half", options=options, module=module)
    found = {HALF: size_bytes(package)}
    for name in PRECISIONS:
        if name != HALF:
            found[name] = compress(package, folder / name, name).bytes
    return found


def measure(every: Iterable[tuple[str, Architecture]]) -> dict[str, Any]:
    """Figures of named networks, a line printed for each package."""
    rows, worst = [], dict.fromkeys(PRECISIONS, 0.0)
    print(f"{'network':<26}{'precision':<10}{'written MB':>11}{'counted MB':>11}{'error %':>9}")
    for name, network in every:
        with tempfile.TemporaryDirectory() as folder:
            sizes = written(network, Path(folder))
        for precision, size in sizes.items():
            counted = quantities_of(network, (precision,))["package_mb"]
            error = 100 * (counted * 1e6 / size - 1)
            worst[precision] = max(worst[precision], abs(error))
            row = {"network": name, "precision": precision, "written_mb": size / 1e6}
            rows.append({**row, "counted_mb": counted, "error_percent": error})
            print(
                f"{name:<26}{precision:<10}{size / 1e6:11.3f}{counted:11.3f}{error:9.2f}",
                flush=True,
            )
    for precision, error in worst.items():
        print(f"{precision}: off by at most {error:.2f} %")
    by_precision = {f"package_mb_error_max_percent_{name}": value for name, value in worst.items()}
    return {
        "package_mb_error_max_percent": max(worst.values()),
        **by_precision,
        "packages": rows,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=8, help="reference networks")
    parser.add_argument("--seed", type=int, default=7, help="of the random networks")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the figures")
    parser.add_argument("--json", action="store_true", help="figures as JSON on the last line")
    asked = parser.parse_args()
    figures = measure(networks(asked.networks, asked.seed))
    options = f"--networks {asked.networks} --seed {asked.seed}"
    about = {
        "command": f"python benchmarks/package_sizes.py {options}",
        "versions": {name: version(name) for name in ("coremltools", "torch")},
    }
    write_text(asked.out, json.dumps({**about, **figures}, indent=1) + "\n")
    if asked.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
