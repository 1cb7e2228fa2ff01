"""Predicted and measured milliseconds of every network timed whole, side by side.

A row is a network on a target: what was measured, what the shipped predictor says of it (which saw
it), and what fits say that did not, on any target, with their 80 % interval, itself calibrated
without the network. Targets with anchors alone hold out one anchor at a time; their interval is
that of the shipped predictor.

    python benchmarks/seed_predictions.py [--json]
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from palmette.latency import LatencyPredictor, load_predictor, published_timings
from palmette.latency.uncertainty import design
from palmette.latency.validation.held_out import (
    CONFIDENCE,
    OLD_RUNTIMES,
    held_out_rows,
    timed_families,
)
from palmette.space import MOBILENET_LIKE
from palmette.space.files import write_text

RESULTS = Path(__file__).resolve().parents[1] / "results" / "seed_predictions.csv"


def table(timings: pd.DataFrame) -> pd.DataFrame:
    """One row per network and target, in milliseconds.

    `predicted_ms` saw the network, `held_out_ms` with `lower_ms` and `upper_ms` did not; `ratio` is
    held out over measured.
    """
    rows = [
        _row(r.target, r.subject, r.measured_ms, r.predicted_ms, r.factors[CONFIDENCE])
        for family in timed_families(timings)
        for r in held_out_rows(family)
    ]
    for name in dict.fromkeys(timings["target"]):
        predictor = load_predictor(name)
        if predictor.anchors:
            rows += _anchor_rows(predictor, timings[timings["target"] == name])
    order = {target: place for place, target in enumerate(dict.fromkeys(timings["target"]))}
    found = pd.DataFrame(rows)
    found["place"] = found["target"].map(order)
    return found.sort_values(["place", "network"]).drop(columns="place").reset_index(drop=True)


def summary(found: pd.DataFrame) -> dict[str, Any]:
    """Mean absolute errors in %, over targets of 2020 and by target, and the share inside."""
    errors = found.assign(
        fitted=100 * (found["predicted_ms"] / found["measured_ms"] - 1).abs(),
        held_out=100 * (found["ratio"] - 1).abs(),
    )
    runtimes = errors["target"].str.partition("@")[2]
    seeds = errors[runtimes.isin(OLD_RUNTIMES)]
    like = seeds[seeds["network"].isin(MOBILENET_LIKE)]
    return {
        "rows": len(found),
        "seed_rows": len(seeds),
        "seed_networks": seeds["network"].nunique(),
        "fitted_mape_all": float(seeds.groupby("target")["fitted"].mean().mean()),
        "lono_mape_all": float(seeds.groupby("target")["held_out"].mean().mean()),
        "lono_mape_mobilenet_like": float(like.groupby("target")["held_out"].mean().mean()),
        "inside_80": float(seeds["inside"].mean()),
        "by_target": {
            str(target): {
                "fitted": float(own["fitted"].mean()),
                "held_out": float(own["held_out"].mean()),
            }
            for target, own in errors.groupby("target", sort=False)
        },
    }


def _anchor_rows(predictor: LatencyPredictor, timings: pd.DataFrame) -> list[dict[str, Any]]:
    target, rows = str(predictor.model_.target), []
    for name, ms in zip(timings["subject"], timings["latency_ms"].astype(float), strict=True):
        found = predictor.predict_interval([name], CONFIDENCE)
        held_out_ms = ms * math.exp(predictor.held_out_errors_[name])
        factor = float(found.upper_ms[0] / found.ms[0])
        rows.append(_row(target, name, ms, held_out_ms, factor))
    return rows


def _row(target: str, network: str, ms: float, held_out_ms: float, factor: float) -> dict[str, Any]:
    lower_ms, upper_ms = held_out_ms / factor, held_out_ms * factor
    return {
        "network": network,
        "design": design(network),
        "target": target,
        "measured_ms": ms,
        "predicted_ms": float(load_predictor(target).predict([network])[0]),
        "held_out_ms": held_out_ms,
        "lower_ms": lower_ms,
        "upper_ms": upper_ms,
        "ratio": held_out_ms / ms,
        "inside": lower_ms <= ms <= upper_ms,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV file to write")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    found = table(published_timings())
    write_text(arguments.out, found.to_csv(index=False, float_format="%.4g", lineterminator="\n"))
    shown = found.drop(columns="design").round(3).to_string(index=False)
    print(shown)
    metrics = summary(found)
    if arguments.json:
        print(json.dumps(metrics))


if __name__ == "__main__":
    main()
