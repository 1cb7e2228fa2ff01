"""A finished run in few words: the comparison that is printed, and its JSON."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from palmette.export import export_for_runtime
from palmette.latency import LATENCY, SUSTAINED, parse_target
from palmette.search.accuracy import PRIOR
from palmette.search.config import SearchConfig
from palmette.search.objectives.quantities import NAMES as QUANTITY_NAMES
from palmette.search.references import references
from palmette.search.run import Run

PICKS = 6
"""Networks of the front that are shown besides the pick."""


def comparison(run: Run) -> list[dict[str, Any]]:
    """Rows of the printed table: networks of the front and the references, fastest first."""
    front, config = run.front, run.config
    shown = {round(i * (len(front) - 1) / (PICKS - 1)) for i in range(PICKS)}
    pick, tie = front.loc[front["pick"]].iloc[0], run.problem.accuracy.tie_points
    rows = [
        {
            "name": f"pick {row['id'][:8]}" if row["pick"] else f"front {row['id'][:8]}",
            "ms": row["ms"],
            "ms_at_confidence": row["ms_at_confidence"],
            "timed_ms": None,
            "top1": row["top1"],
            "published": None,
            "params_m": row["params_m"],
            "verdict": "pick" if row["pick"] else _verdict(row["score"] - pick["score"], tie),
        }
        for index, row in enumerate(front.to_dict("records"))
        if row["pick"] or index in shown
    ]
    if run.problem.accuracy.rung != PRIOR:  # of the zoo only ImageNet's accuracy is known
        return rows
    zoo = references(run.problem.latency.predictor, config.recipe, config.confidence, config.lam)
    for other in zoo.to_dict("records"):
        over = _broken_limit(other, config)
        rows.append(
            {
                "name": other["network"],
                "ms": other["ms"],
                "ms_at_confidence": other["ms_at_confidence"],
                "timed_ms": None if math.isnan(other["timed_ms"]) else other["timed_ms"],
                "top1": other["top1"],
                "published": other["published_top1"],
                "params_m": other["params_m"],
                "verdict": over or _verdict(other["score"] - pick["score"], tie),
            }
        )
    return sorted(rows, key=lambda row: float(row["ms"]))


_SUSTAINED_LINE = (
    "budget: sustained; all milliseconds are those of a phone that was kept busy until it got warm"
    " and slowed down, not of single calls; no published timing is of that kind"
)


def guard_lines(run: Run) -> list[str]:
    """What kept the search honest, in sentences."""
    guards = run.guards
    barred = ", ".join(guards["barred_choices"]) or "none"
    active = "; ".join(guards["guards_on_front"]) or "none"
    predictor = run.problem.latency.predictor
    caution = f"{predictor.model_.target}: {predictor.caution}"
    return [
        *([caution] if predictor.caution else []),
        *([] if run.config.budget == LATENCY else [_SUSTAINED_LINE]),
        f"top-1: {run.problem.accuracy.words()}; publ.: as published, under its own recipe",
        "at conf.: time that holds with that confidence; timed: published timing on this target; vs"
        " pick: points of the score, estimate - lambda * sigma",
        f"differences of the score below {run.problem.accuracy.tie_points:.2g} points are ties; the"
        " best of many estimates is an optimistic one: train the shortlist before you believe it",
        f"choices that this target's timings can't identify, barred: {barred}",
        _unit_line(run),
        f"guards that changed an estimate on the front: {active}",
        "families of blocks outside the prior's fit, estimates on the front widened by its error on"
        f" their published networks: {_widened(guards['widened_families'])}",
        f"networks of the front with less or more work than any that was timed:"
        f" {guards['outside_timed']} of {len(run.front)}; their intervals are widened",
    ]


def _unit_line(run: Run) -> str:
    """What rules of thumb say of the target's unit, and what was barred by them."""
    guards, unit = run.guards, run.problem.latency.predictor.model_.target.unit
    networks = guards["ops_refused_on_front"], guards["ops_at_risk_on_front"]
    barred = ", ".join(guards["refused_choices"]) or "none"
    return (
        f"networks of the front with ops that the {unit} refuses, or that may leave it, by rules of"
        f" thumb (palmette explain): {networks[0]} and {networks[1]} of {len(run.front)}"
        + (f"; choices barred by them: {barred}" if run.problem.exportable else "")
    )


def summary(run: Run) -> dict[str, Any]:
    """The run as plain values: config, pick, front, comparison, guards."""
    config = {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in run.config.to_dict().items()
    }
    records = run.front.to_dict("records")
    return {
        "folder": str(run.folder.path),
        "config": config,
        "pick": next(row for row in records if row["pick"]),
        "front": records,
        "comparison": comparison(run),
        "guards": run.guards,
        "anchors": run.problem.latency.predictor.anchors or None,
    }


def export_pick(run: Run) -> Path:
    """Core ML package of the pick, with initialised weights, in the run's `models/`.

    Enough to time it on a phone; train it before anybody looks at its answers.
    """
    target, row = parse_target(run.config.target), run.front.loc[run.front["pick"]].iloc[0]
    predictor = run.problem.latency.predictor
    interval = predictor.predict_interval([run.pick], run.config.confidence)
    run.folder.models.mkdir(exist_ok=True)
    return export_for_runtime(
        run.pick,
        run.folder.models / str(row["id"]),
        runtime=target.runtime,
        kind=None if target.runtime.startswith("coreml") else "mlprogram",
        predicted_ms=float(row["ms"]),
        interval_ms=(float(interval.lower_ms[0]), float(interval.upper_ms[0])),
        interval_confidence=run.config.confidence,
        sustained=run.config.budget == SUSTAINED,
        metadata={
            "target": str(target),
            "predictor": predictor.timings_hash_,
            "estimated_top1": f"{row['top1']:.1f}",
            "estimated_top1_interval": f"{row['top1_low']:.1f} to {row['top1_high']:.1f}",
            "accuracy_rung": run.problem.accuracy.label,
        },
    )


def default_folder(target: str, budget_ms: float, budget: str = LATENCY) -> Path:
    """`runs/TARGET-BUDGETms`, with a number behind it if that is taken."""
    name = f"{parse_target(target).alias.replace('/', '-')}-{budget_ms:g}ms"
    name += "" if budget == LATENCY else f"-{budget}"
    folders = [Path("runs") / name, *(Path("runs") / f"{name}-{i}" for i in range(2, 10_000))]
    return next(folder for folder in folders if not folder.exists())


def _broken_limit(row: dict[Any, Any], config: SearchConfig) -> str:
    """What a reference network has too much of; nothing if it keeps the limits.

    A published timing decides over a prediction.
    """
    ms = row["ms_at_confidence"] if math.isnan(row["timed_ms"]) else row["timed_ms"]
    if ms > config.budget_ms:
        return "over budget"
    broken = [name for name in QUANTITY_NAMES if row[name] > getattr(config, name)]
    return f"over {broken[0]}" if broken else ""


def _verdict(difference: float, tie: float) -> str:
    if abs(difference) < tie:
        return "tie"
    return f"{difference:+.1f}"


def _widened(families: dict[str, float]) -> str:
    named = (f"{name} (up to {share:.0%} of a network)" for name, share in families.items())
    return ", ".join(named) or "none"
