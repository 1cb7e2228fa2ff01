"""Rank-correlation card: how well estimators of accuracy rank networks that were trained alone.

For each estimator Kendall's tau with its bootstrap interval, over all pairs of networks, among the
best, and over pairs of nearly equal MACs; its difference to parameters, to MACs and to whatever
else it should be held against, paired: by the same resamples. Beside them stands one training, as a
reference: how well a network's accuracy with one seed ranks as the mean of its other seeds does. It
is no ceiling. An estimator need not have the noise of a seed, and is held against the mean of all
seeds, which is quieter than that of all but one: both can put it above.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.train.features import Floats
from palmette.train.ranking import (
    Interval,
    Pairs,
    best,
    bootstrap,
    kendall,
    near,
    resamples,
    with_interval,
)

if TYPE_CHECKING:
    import pandas as pd

FILE = "rank_card.json"
ONE_TRAINING = "one training"
"""Row of `card_table`: a training with one seed, against the mean of the others; a reference."""
BAND = 0.1
"""Of nearly equal MACs."""
TOP_SHARE = 0.2
REFERENCES = ("params", "macs")
"""Estimators that need no training; the others are compared with them."""
TIE = 0.05
"""Difference in tau below which the cheaper of two estimators is preferred."""


def card(
    estimates: dict[str, Floats],
    alone: Floats,
    costs: dict[str, float],
    seed: int,
    against: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, Any]:
    """All figures of a card, as plain values.

    Args:
        estimates: (n,) by name of the estimator, `params` and `macs` among them.
        alone: accuracies of the networks trained alone (seeds, n); their mean is the truth.
        costs: by name of the estimator, in trainings of one network.
        seed: of the bootstrap.
        against: estimators that one is compared with, by its name, besides `REFERENCES`.
    """
    truth, drawn = alone.mean(axis=0), resamples(alone.shape[1], seed)
    subsets = {
        "tau": None,
        "tau_top20": best(truth, TOP_SHARE),
        "tau_near_macs": near(estimates["macs"], BAND),
    }
    rows: dict[str, Any] = {}
    for name, estimate in estimates.items():
        rows[name] = {"cost": costs[name]}
        for subset, pairs in subsets.items():
            value = kendall(estimate, truth, pairs)
            taus = bootstrap(estimate, truth, drawn, pairs)
            rows[name][subset] = asdict(with_interval(value, taus))
            references = () if name in REFERENCES else REFERENCES
            for other in (*references, *(against or {}).get(name, ())):
                versus = kendall(estimates[other], truth, pairs)
                difference = taus - bootstrap(estimates[other], truth, drawn, pairs)
                rows[name][f"{subset}_minus_{other}"] = asdict(
                    with_interval(value - versus, difference)
                )
    near_pairs = int(np.triu(near(estimates["macs"], BAND), 1).sum())
    return {
        "networks": alone.shape[1],
        "seeds": alone.shape[0],
        "top1_lowest": float(truth.min()),
        "top1_highest": float(truth.max()),
        "seed_sd_points": float(100 * alone.std(axis=0, ddof=1).mean()),
        "near_macs_pairs": near_pairs,
        "one_training": {
            name: _one_training(alone, pairs, drawn) for name, pairs in subsets.items()
        },
        "estimators": rows,
    }


def card_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """A card as a frame: a row per estimator, and the reference `one training` as the last.

    Columns: `tau` with `low` and `high` of its 95 % interval; `near_macs`, tau among pairs of
    nearly equal MACs; `over_macs` with `over_low` and `over_high`, tau less that of MACs, paired;
    `cost`, in trainings of one network.
    """
    import pandas as pd

    rows = {}
    for name, row in {**found["estimators"], ONE_TRAINING: found["one_training"]}.items():
        over = row.get("tau_minus_macs", {})
        rows[name] = {
            "tau": row["tau"]["value"],
            "low": row["tau"]["low"],
            "high": row["tau"]["high"],
            "near_macs": row["tau_near_macs"]["value"],
            "over_macs": over.get("value"),
            "over_low": over.get("low"),
            "over_high": over.get("high"),
            "cost": row.get("cost"),
        }
    return pd.DataFrame.from_dict(rows, orient="index").astype(np.float64)


def shipped_card() -> dict[str, Any]:
    """The card of tiny networks on procedural images (`benchmarks/rank_card.py`)."""
    found: dict[str, Any] = json.loads((files("palmette.train") / "data" / FILE).read_text("utf-8"))
    return found


def cheapest(found: Mapping[str, Any], names: Iterable[str]) -> str:
    """Of some estimators of a card, the cheapest whose tau is within `TIE` of their highest."""
    rows = {name: found["estimators"][name] for name in names}
    highest = max(row["tau"]["value"] for row in rows.values())
    ties = [name for name, row in rows.items() if row["tau"]["value"] >= highest - TIE]
    return min(ties, key=lambda name: rows[name]["cost"])


def _one_training(alone: Floats, pairs: Pairs | None, drawn: Floats) -> dict[str, float]:
    """Tau of one seed with the mean of the others, averaged over the seeds."""
    others = [np.delete(alone, seed, axis=0).mean(axis=0) for seed in range(len(alone))]
    values = [kendall(one, other, pairs) for one, other in zip(alone, others, strict=True)]
    taus = [bootstrap(one, other, drawn, pairs) for one, other in zip(alone, others, strict=True)]
    found: Interval = with_interval(float(np.mean(values)), np.mean(taus, axis=0))
    return asdict(found)
