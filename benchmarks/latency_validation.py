"""Scores of every target's predictor on networks that it never saw, as the README quotes them.

The same folds as `palmette latency validate`: each design held out in all its widths, then each
family of designs, on all targets, and scored over the networks of the README's table: those like
MobileNets under the runtimes of 2020, later all whole networks. Columns: errors in %, Kendall's
tau, share of networks inside the 80 % interval and its median factor, and the error of a line over
FLOPs with an offset in the same folds. Of targets with anchors alone: each anchor predicted from
the others and the prior.

    python benchmarks/latency_validation.py [--out FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from palmette.latency import LatencyPredictor, load_predictor, published_timings
from palmette.latency.targets import parse_target
from palmette.latency.validation.held_out import (
    CONFIDENCE,
    SPLITS,
    Row,
    coverage,
    headline,
    held_out_rows,
    median_factor,
    scores,
    timed_families,
)
from palmette.space.files import write_text

RESULTS = Path(__file__).resolve().parents[1] / "results" / "latency_validation.csv"
FOUND = {"mape": "mape", "bias": "bias_percent", "worst": "worst_percent", "tau": "tau"}


def table(timings: pd.DataFrame) -> pd.DataFrame:
    """A row per target and what was held out."""
    families = timed_families(timings)
    rows = [row for timed in families for split in SPLITS for row in held_out_rows(timed, split)]
    found = [
        _scored(target, split, headline([row for row in rows if row.split == split], target))
        for split in SPLITS
        for target in dict.fromkeys(row.target for row in rows)
    ]
    predictors = [load_predictor(name) for name in dict.fromkeys(timings["target"])]
    found += [_of_anchors(predictor) for predictor in predictors if predictor.anchors]
    return pd.DataFrame([row for row in found if row])


def _scored(target: str, split: str, rows: list[Row]) -> dict[str, Any]:
    if not rows:
        return {}
    found = scores(rows)
    return {
        "target": parse_target(target).alias,
        "held_out": split,
        "networks": len(rows),
        **{column: found[name] for name, column in FOUND.items()},
        "inside_80": coverage(rows, CONFIDENCE),
        "factor_80": median_factor(rows, CONFIDENCE),
        "mape_flops_offset": found["mape_flops_offset"],
    }


def _of_anchors(predictor: LatencyPredictor) -> dict[str, Any]:
    logs = np.array(list(predictor.held_out_errors_.values()))
    errors = 100 * np.expm1(logs)
    return {
        "target": predictor.model_.target.alias,
        "held_out": "anchor",
        "networks": len(errors),
        "mape": float(np.abs(errors).mean()),
        "bias_percent": 100 * float(np.expm1(logs.mean())),
        "worst_percent": float(np.abs(errors).max()),
    }


def main() -> None:
    """Print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV file")
    out = parser.parse_args().out
    found = table(published_timings())
    print(found.round(3).to_string(index=False))
    write_text(out, found.to_csv(index=False, float_format="%.6g"))


if __name__ == "__main__":
    main()
