"""Errors of simple answers on the timings behind the shipped predictors: what these have to beat.

Made by `python -m palmette.search.report.baselines`: tracing every timed network takes longer than
a report may. A row belongs to one predictor, known by the hash of its timings.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np

from palmette.latency import LatencyPredictor, load_predictor, published_timings

COLUMNS = ("target", "timings", "networks", "own", "flops_offset", "params_offset", "nearest_1")
"""Errors in %: of the predictor, and of `latency.validation.baselines`, on the same networks."""
WORDS = {
    "flops_offset": "a line through MACs",
    "params_offset": "a line through parameters",
    "nearest_1": "the nearest timed network",
}


def baselines_of(predictor: LatencyPredictor) -> dict[str, float]:
    """Errors in % by the names of `COLUMNS`; empty for a predictor that was not shipped."""
    name, timings = str(predictor.model_.target), predictor.timings_hash_
    text = (files("palmette.search.report") / "data" / "baselines.csv").read_text("utf-8")
    for row in csv.DictReader(io.StringIO(text)):
        if (row["target"], row["timings"]) == (name, timings):
            return {key: float(row[key]) for key in ("own", *WORDS)}
    return {}


def measured() -> Iterator[dict[str, Any]]:
    """Rows of the table; every network is predicted without all of its design."""
    from palmette.latency.validation.baselines import BASELINES
    from palmette.latency.validation.held_out import timed_families

    for timed in timed_families(published_timings()):
        groups = timed.groups("network")
        for target in timed.targets:
            predictor = load_predictor(target)
            own, errors = list[float](), {name: list[float]() for name in WORDS}
            for network, ms in timed.measured.latency_ms[target].items():
                kin = frozenset(n for n, group in groups.items() if group == groups[network])
                inside = timed.without(kin)
                if inside is None or network not in predictor.held_out_errors_:
                    continue
                own.append(_percent(math.exp(predictor.held_out_errors_[network])))
                for name, found in errors.items():
                    found.append(_percent(BASELINES[name](inside, target, network) / ms))
            yield {
                "target": target,
                "timings": predictor.timings_hash_,
                "networks": len(own),
                "own": round(float(np.mean(own)), 1),
                **{name: round(float(np.mean(found)), 1) for name, found in errors.items()},
            }


def _percent(ratio: float) -> float:
    return 100 * abs(ratio - 1)


def table() -> str:
    """The table as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(measured())
    return text.getvalue()


if __name__ == "__main__":
    print(table(), end="")
