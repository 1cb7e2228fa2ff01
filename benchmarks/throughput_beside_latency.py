"""Published frames a second beside predicted milliseconds: throughput is not latency.

`throughput.csv` holds the figures that M. Hollemans published: most frames a second with three
frames in flight (triple buffering), of a Metal library and of Core ML, on the GPU. The time of one
image does not follow from them: frames overlap, and the Metal library is another runtime than the
one that the target's timings are of. So they are shown beside a prediction, and nothing is ever
fitted to them. Networks are named as published; `zoo` says which of ours stands beside it.

    python benchmarks/throughput_beside_latency.py [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from palmette.latency import load_predictor
from palmette.latency.tables import read_csv
from palmette.space import Architecture, InputError, load
from palmette.space.errors import expect
from palmette.space.files import write_text

COLUMNS = ("network", "resolution", "runtime", "device", "frames_per_second", "source")
PUBLISHED = Path(__file__).with_name("throughput.csv")
RESULTS = Path(__file__).resolve().parents[1] / "results" / "throughput_beside_latency.csv"
ZOO = {
    "MobileNet V1": "mobilenet_v1",
    "MobileNet V2": "mobilenet_v2",
    "MobileNet V1 + SSD": "mobilenet_v1_ssd",
    "MobileNet V2 + SSDLite": "mobilenet_v2_ssdlite",
    "DeepLabv3+": "mobilenet_v2_deeplab_v3_plus",
}
TARGETS = {"iPhone X": "iphone-x/gpu", "iPhone XS": "iphone-xs/gpu"}
"""Devices with a target of their GPU."""
KIND = "throughput with triple buffering, not latency"


def beside(path: Path = PUBLISHED) -> list[dict[str, Any]]:
    """Published rows of devices with a target, each with the prediction for one image.

    Raises:
        InputError: unreadable, or a row with an unknown network or no positive number; the message
            names file and row.
    """
    table = read_csv(path)
    for column in COLUMNS:
        expect(column in table, f"{path}: column '{column}' is missing")
    found = []
    for row, cells in zip(table.index, table.to_dict("records"), strict=True):
        where = f"{path}: row {row}"
        expect(cells["network"] in ZOO, f"{where}: network must be one of {', '.join(ZOO)}")
        expect(cells["resolution"].isdigit(), f"{where}: resolution must be a number of px")
        fps = pd.to_numeric(cells["frames_per_second"], errors="coerce")
        expect(fps > 0, f"{where}: frames_per_second must be a positive number")
        if cells["device"] in TARGETS:
            found.append(_row(cells, float(fps)))
    return found


def _row(cells: dict[Any, Any], fps: float) -> dict[str, Any]:
    network = _network(cells["network"], int(cells["resolution"]))
    predictor = load_predictor(TARGETS[cells["device"]])
    interval = predictor.predict_interval([network])
    ms = float(interval.ms[0])
    return {
        "network": cells["network"],
        "zoo": ZOO[cells["network"]],
        "resolution": network.resolution[0],
        "runtime": cells["runtime"],
        "device": cells["device"],
        "published_fps": fps,
        "published_kind": KIND,
        "target": str(predictor.model_.target),
        "predicted_ms": round(ms, 2),
        "lower_ms": round(float(interval.lower_ms[0]), 2),
        "upper_ms": round(float(interval.upper_ms[0]), 2),
        "images_per_second_one_by_one": round(1000 / ms, 1),
        "source": cells["source"],
    }


def _network(name: str, side: int) -> Architecture:
    return load(ZOO[name]).with_resolution(side)


def metrics(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How many rows, and the median of published frames over predicted images a second."""
    ratios = [row["published_fps"] / row["images_per_second_one_by_one"] for row in rows]
    return {"rows": len(rows), "median_fps_over_one_by_one": round(statistics.median(ratios), 3)}


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--published", type=Path, default=PUBLISHED, help="CSV of the figures")
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV file for the table")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    try:
        rows = beside(arguments.published)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"published frames a second ({KIND}), and images a second one by one as predicted")
    for row in rows:
        print(
            f"{row['network']:<24}{row['device']:<11}{row['runtime']:<8}"
            f"{row['published_fps']:>6.1f}{row['images_per_second_one_by_one']:>8.1f}"
            f"   {row['predicted_ms']:>7.2f} ms"
        )
    write_text(arguments.out, pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
    if arguments.json:
        print(json.dumps(metrics(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
