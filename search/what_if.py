"""What if: choices of a network changed, its milliseconds on every target and its estimated points.

A difference of two predictions is asked of each target's timings: where they show neither what
goes nor what comes, the row says so, and its milliseconds are a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from palmette.latency import LatencyPredictor
from palmette.latency.effects import Support
from palmette.latency.identified import NEEDS
from palmette.latency.uncertainty import DEFAULT_CONFIDENCE
from palmette.search.cost_table import Target, predictors_of
from palmette.space import Architecture
from palmette.space.edits import Edit, edits
from palmette.space.errors import expect
from palmette.train import TIE_POINTS, AccuracyPrior

AS_IT_IS = "as it is"


@dataclass(frozen=True, slots=True)
class _Row:
    change: str
    network: Architecture
    steps: tuple[Edit, ...]


def what_if(
    network: Architecture,
    changes: Sequence[str],
    targets: Sequence[Target] | None = None,
    *,
    confidence: float = DEFAULT_CONFIDENCE,
    recipe: str | None = None,
) -> pd.DataFrame:
    """A network with each of some changes, on each target.

    Args:
        network: what is changed.
        changes: such as `stage4.kernel=5`, or several parted by commas; see `space.edits`.
        targets: names or predictors; by default every shipped target.
        confidence: of the intervals of the milliseconds.
        recipe: training recipe that the points refer to; None for the mean recipe.

    Returns:
        A row for each change and target, the network as it is first. Columns change, target, ms,
        lower_ms, upper_ms (interval of that network), d_ms (against the network as it is),
        identified, not_identified (choices that the target's timings cannot tell, in words),
        runs_on and outside_timed (see `state_of` and `outside` of `LatencyPredictor`), top1 (%),
        top1_low, top1_high (80 % interval), d_points, tie (whether the points differ by less than
        `TIE_POINTS`), guarded (whether the prior withheld a reward) and architecture.

    Raises:
        InputError: a change or a target that there is not.
    """
    expect(not isinstance(changes, str), f"changes: give a list, such as ['{changes}']")
    rows = [_Row(AS_IT_IS, network, ())]
    for text in changes:
        steps = edits(network, text)
        rows.append(_Row(text, steps[-1].network, tuple(steps)))
    points = _points([row.network for row in rows], recipe)
    found: list[dict[str, Any]] = []
    for name, predictor in predictors_of(targets).items():
        times = _times(rows, predictor, confidence)
        found += [
            {"change": row.change, "target": name, **time, **point}
            for row, time, point in zip(rows, times, points, strict=True)
        ]
    table = pd.DataFrame(found)
    order = {row.change: index for index, row in enumerate(rows)}
    return table.sort_values("change", key=lambda one: one.map(order), kind="stable").reset_index(
        drop=True
    )


def not_identified(steps: Iterable[Edit], known: Support) -> list[str]:
    """What changes ask of a target's timings that these do not show, such as `kernel:9`."""
    needs = {
        need: None
        for step in steps
        if step.key in NEEDS
        for choice in step.choices
        for need in NEEDS[step.key](choice, step.kinds)
    }
    return [need for need in needs if not known.has(need)]


def _times(
    rows: Sequence[_Row], predictor: LatencyPredictor, confidence: float
) -> list[dict[str, Any]]:
    networks = [row.network for row in rows]
    interval = predictor.predict_interval(networks, confidence)
    found = []
    for index, row in enumerate(rows):
        unknown = not_identified(row.steps, predictor.support_)
        found.append(
            {
                "ms": float(interval.ms[index]),
                "lower_ms": float(interval.lower_ms[index]),
                "upper_ms": float(interval.upper_ms[index]),
                "d_ms": float(interval.ms[index] - interval.ms[0]),
                "identified": not unknown,
                "not_identified": ", ".join(unknown),
                "runs_on": predictor.state_of(row.network),
                "outside_timed": predictor.outside(row.network),
            }
        )
    return found


def _points(networks: Sequence[Architecture], recipe: str | None) -> list[dict[str, Any]]:
    batch = AccuracyPrior.load().evaluate(networks, recipe)
    low, high = batch.interval()
    d_points = batch.top1 - batch.top1[0]
    tie = np.abs(d_points) < TIE_POINTS
    return [
        {
            "top1": float(batch.top1[index]),
            "top1_low": float(low[index]),
            "top1_high": float(high[index]),
            "d_points": float(d_points[index]),
            "tie": bool(tie[index]),
            "guarded": bool(batch.guarded[index]),
            "architecture": network.to_text(),
        }
        for index, network in enumerate(networks)
    ]
