"""What if: choices of a network changed, its milliseconds on every target and its estimated points.

A difference of two predictions is asked of each target's timings: where they lack what goes or what
comes, or where the model has no price for it, the row says so, and its milliseconds are a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from palmette.latency import LatencyPredictor
from palmette.latency.identified import NEEDS
from palmette.latency.uncertainty import DEFAULT_CONFIDENCE
from palmette.search.subjects import Target, architecture_of, predictors_of
from palmette.space import Architecture, SearchSpace
from palmette.space.edits import Edit, edits
from palmette.space.errors import InputError, expect
from palmette.train import TIE_POINTS, AccuracyPrior

AS_IT_IS = "as it is"


@dataclass(frozen=True, slots=True)
class _Row:
    change: str
    network: Architecture
    steps: tuple[Edit, ...]


def what_if(
    network: Architecture | str,
    changes: Sequence[str],
    targets: Sequence[Target] | None = None,
    *,
    space: SearchSpace | None = None,
    confidence: float = DEFAULT_CONFIDENCE,
    recipe: str | None = None,
) -> pd.DataFrame:
    """A network with each of some changes, on each target.

    Args:
        network: what is changed: an architecture, or a name or text of one.
        changes: such as `stage4.kernel=5`, or several parted by commas; see `space.edits`.
        targets: names or predictors; by default every shipped target.
        space: that the network is of, if it is of one: changes are then those of the space.
        confidence: of the intervals of the milliseconds.
        recipe: training recipe that the points refer to; None for the mean recipe.

    Returns:
        A row for each change and target, the network as it is first. Columns change, target, ms,
        lower_ms, upper_ms (interval of that network), d_ms (against the network as it is),
        identified, not_identified (choices that the target's timings cannot tell, and whether its
        model has no price for a change; see `Support.untold`),
        runs_on and outside_timed (see `state_of` and `outside` of `LatencyPredictor`), top1 (%),
        top1_low, top1_high (80 % interval), guarded (whether the prior withheld a reward), refused
        (why the prior does not judge the network, else blank), d_points, tie (whether the points
        differ by less than `TIE_POINTS`) and architecture. A network that the prior refuses has
        milliseconds alone: its points are NaN, and `guarded` and `tie` are missing.

    Raises:
        InputError: no such network, target or recipe; a change that cannot be, or is given twice;
            the network is not in the space.
    """
    base, predictors = architecture_of(network), predictors_of(targets)
    rows = [_Row(AS_IT_IS, base, ())]
    for text in _texts(changes):
        steps = edits(base, text, space)
        rows.append(_Row(text, steps[-1].network, tuple(steps)))
    points = _points([row.network for row in rows], recipe)
    found: list[dict[str, Any]] = []
    for name, predictor in predictors.items():
        times = _times(rows, predictor, confidence)
        found += [
            {"change": row.change, "target": name, **time, **point}
            for row, time, point in zip(rows, times, points, strict=True)
        ]
    table = pd.DataFrame(found).astype({"tie": "boolean", "guarded": "boolean"})
    order = {row.change: index for index, row in enumerate(rows)}
    return table.sort_values("change", key=lambda one: one.map(order), kind="stable").reset_index(
        drop=True
    )


def _texts(changes: Sequence[str]) -> list[str]:
    """Changes, each a text and there once."""
    listed = isinstance(changes, Iterable) and not isinstance(changes, str)
    expect(listed, f"changes: give a list, such as ['stage4.kernel=5'], got {changes!r}")
    given, seen = list(changes), set()
    for text in given:
        expect(isinstance(text, str), f"changes: must be texts, got {text!r}")
        bare = "".join(text.split())
        expect(bare not in seen, f"changes: each once, got '{text}' twice")
        seen.add(bare)
    return given


def not_identified(
    network: Architecture, steps: Iterable[Edit], predictor: LatencyPredictor
) -> list[str]:
    """What a target cannot tell of changes: choices not shown, such as `kernel:9`, or no price.

    Changes of work alone, such as a width, ask nothing.
    """
    missing: dict[str, None] = {}
    for step in steps:
        needs = _needs(step)
        if needs and step.network != network:
            before, after = predictor.predict([network, step.network])
            missing |= dict.fromkeys(predictor.support_.untold(needs, bool(before != after)))
        network = step.network
    return list(missing)


def _needs(step: Edit) -> list[str]:
    """What the choices that go and the one that comes ask of timings."""
    if step.key not in NEEDS:
        return []
    pairs = [*step.goes, *((kind, step.comes) for kind, _ in step.goes)]
    return [n for kind, value in pairs for n in NEEDS[step.key](value, (kind,) if kind else ())]


def _times(
    rows: Sequence[_Row], predictor: LatencyPredictor, confidence: float
) -> list[dict[str, Any]]:
    networks = [row.network for row in rows]
    interval = predictor.predict_interval(networks, confidence)
    found = []
    for index, row in enumerate(rows):
        unknown = not_identified(rows[0].network, row.steps, predictor)
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
    """Estimates of networks, the first being what the others are held against."""
    prior = AccuracyPrior.load()
    prior.recipe_offset(recipe)  # an unknown recipe is no network that the prior refuses
    rows: list[dict[str, Any]] = []
    for network in networks:
        row = _estimate(prior, network, recipe)
        d_points = row["top1"] - (rows[0] if rows else row)["top1"]
        tie = pd.NA if np.isnan(d_points) else bool(abs(d_points) < TIE_POINTS)
        rows.append({**row, "d_points": d_points, "tie": tie, "architecture": network.to_text()})
    return rows


def _estimate(prior: AccuracyPrior, network: Architecture, recipe: str | None) -> dict[str, Any]:
    try:
        batch = prior.evaluate([network], recipe)
    except InputError as error:
        nothing = dict.fromkeys(("top1", "top1_low", "top1_high"), float("nan"))
        return {**nothing, "guarded": pd.NA, "refused": str(error)}
    low, high = batch.interval()
    return {
        "top1": float(batch.top1[0]),
        "top1_low": float(low[0]),
        "top1_high": float(high[0]),
        "guarded": bool(batch.guarded[0]),
        "refused": "",
    }
