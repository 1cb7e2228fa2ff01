"""A finished run in few words: the comparison that is printed, and its JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from palmette.export import export_for_runtime
from palmette.latency import LATENCY, SUSTAINED, LatencyPredictor, parse_target
from palmette.search.accuracy import PRIOR
from palmette.search.config import SearchConfig
from palmette.search.expensive.fresh import (
    TOP1,
    UNSEEDED,
    confirmed_pick,
    fresh_words,
    is_confirmed,
)
from palmette.search.objectives.goal import Goal
from palmette.search.objectives.precision import HALF, PRECISIONS
from palmette.search.objectives.quantities import NAMES as QUANTITY_NAMES
from palmette.search.objectives.quantities import QUANTITIES
from palmette.search.references import run_references
from palmette.search.run import Run
from palmette.search.start import count_known
from palmette.search.timed import timed_ms
from palmette.space.errors import expect

PICKS = 6
"""Networks of the front that are shown besides the pick."""


def comparison(run: Run) -> list[dict[str, Any]]:
    """Rows of the printed table: networks of the front and the references, fastest first.

    The times stand under the names that they have in the front.
    """
    front, timed = run.front, _timed(run)
    time, at_confidence = run.problem.time_columns
    shown = {round(i * (len(front) - 1) / (PICKS - 1)) for i in range(PICKS)}
    against = _against(run)
    rows = [
        {
            "name": f"pick {row['id'][:8]}" if row["pick"] else f"front {row['id'][:8]}",
            time: row[time],
            at_confidence: row[at_confidence],
            "timed_ms": timed.get(row["id"]),
            "top1": row["top1"],
            TOP1: row[TOP1] if is_confirmed(row) else None,
            "published": None,
            "params_m": row["params_m"],
            "verdict": "pick"
            if row["pick"]
            else _too_slow(timed.get(row["id"]), run) or against(row),
        }
        for index, row in enumerate(front.to_dict("records"))
        if row["pick"] or index in shown
    ]
    if run.problem.accuracy.rung != PRIOR:  # of the zoo only ImageNet's accuracy is known
        return rows
    for other in run_references(run.problem, run.config.recipe).to_dict("records"):
        ms = other.get("timed_ms", math.nan)
        rows.append(
            {
                "name": other["network"],
                time: other[time],
                at_confidence: other[at_confidence],
                "timed_ms": None if math.isnan(ms) else ms,
                "top1": other["top1"],
                TOP1: None,
                "published": other["published_top1"],
                "params_m": other["params_m"],
                "verdict": _broken_limit(other, run) or against(other),
            }
        )
    return sorted(rows, key=lambda row: float(row[time]))


def _timed(run: Run) -> dict[str, float]:
    """Timings by architecture id; of several targets there is no one time."""
    return {} if run.problem.joined else timed_ms(run.problem.latency.predictor)


def _against(run: Run) -> Callable[[dict[Any, Any]], str]:
    """How a network stands against the pick: points of the score, or % of the reward.

    Where fresh means chose the pick, they take the place of scores, and what has none has no place.
    """
    pick, problem = run.front.loc[run.front["pick"]].iloc[0].to_dict(), run.problem
    tie, time = problem.accuracy.tie_points, problem.time_columns[0]
    fresh = is_confirmed(pick)
    worth = TOP1 if fresh else "score"

    def reward(row: dict[Any, Any]) -> float:
        found = problem.rewards(np.array([row[time]]), np.array([row[worth]]))
        assert found is not None
        return float(found[0])

    def against(row: dict[Any, Any]) -> str:
        if fresh and not is_confirmed(row):
            return "-"
        if problem.reward is None:
            return _verdict(row[worth] - pick[worth], tie)
        share = 100 * (reward(row) / reward(pick) - 1)
        return _verdict(share, 100 * tie / pick[worth], "%")

    return against


_SUSTAINED_LINE = (
    "budget: sustained; all milliseconds are those of a phone that was kept busy until it got warm"
    " and slowed down, not of single calls; no published timing is of that kind"
)


def guard_lines(run: Run, every: bool = False) -> list[str]:
    """What the columns mean and what kept the search honest, in sentences.

    Args:
        run: a finished search.
        every: with the guards that had nothing to do, too.
    """
    guards = run.guards
    barred = ", ".join(guards["barred_choices"])
    active = "; ".join(guards["guards_on_front"])
    widened = _widened(guards["widened_families"])
    predictors = [latency.predictor for latency in run.problem.latencies]
    cautions = [f"{p.model_.target}: {p.caution}" for p in predictors if p.caution]
    cautions += [run.problem.accuracy.caution] if run.problem.accuracy.caution else []
    told = [
        *cautions,
        *_column_lines(run),
        *_joined_lines(run),
        *([] if run.config.budget == LATENCY else [_SUSTAINED_LINE]),
        *_start_lines(run),
        *_limit_lines(run),
    ]
    # with what there is to tell of each; blank: nothing
    of_guards = {
        f"choices that this target's timings can't identify, barred: {barred or 'none'}": barred,
        _unit_line(run): guards["ops_refused_on_front"]
        or guards["ops_at_risk_on_front"]
        or run.problem.exportable,
        f"guards that changed an estimate on the front: {active or 'none'}": active,
        "families of blocks outside the prior's fit, estimates on the front widened by its error on"
        f" their published networks: {widened or 'none'}": widened,
        "networks of the front with less or more work than any that was timed:"
        f" {guards['outside_timed']} of {len(run.front)}; their intervals are widened": guards[
            "outside_timed"
        ],
    }
    return [*told, *(line for line, tells in of_guards.items() if tells or every)]


def _column_lines(run: Run) -> list[str]:
    """What the columns of the table are, and when a difference is none."""
    accuracy, fresh = run.problem.accuracy, confirmed_pick(run.front)
    joined = run.problem.joined is not None  # whose confidence is told with its loads
    confidence = "the" if joined else f"{100 * run.config.confidence:.4g} %"
    beside = "publ.: as published, under its own recipe"
    if fresh:
        pick = run.front.loc[run.front["pick"]].iloc[0].to_dict()
        beside = (
            "a network won by it, so it is too high on average; fresh: top-1 with seeds that"
            f" nothing was selected by, which chose the pick: quote its {fresh_words(pick)}"
        )
    ties = f"differences of the {'fresh means' if fresh else 'score'} below"
    proof = "train the shortlist" if accuracy.rung in UNSEEDED else "confirm the winners"
    optimistic = f"; the best of many estimates is an optimistic one: {proof} before you believe it"
    return [
        f"top-1: {accuracy.words()}; {beside}",
        f"at conf.: a network stays below this with {confidence} confidence;"
        " timed: timing on this target, published or of the predictor's own table",
        f"vs pick: {_vs_pick(run)}; M par.: millions of parameters",
        f"{ties} {accuracy.tie_points:.2g} points are ties{'' if fresh else optimistic}",
    ]


_JOINS = {
    "worst": "the time over its budget on the target where that is most",
    "weighted": "the mean, by weights, of the times over their budgets",
    "best": "the time over its budget on the unit where the network had best run",
}


_UNIT_OF_ZOO = (
    "reference networks stand with the unit of the least load, though its timings may not identify"
    " all of their choices, or the unit may refuse an op"
)


def _joined_lines(run: Run) -> list[str]:
    """What a load is, and the milliseconds of the pick by target."""
    times = run.problem.joined
    if times is None:
        return []
    pick = run.front.loc[run.front["pick"]].iloc[0]
    each = times.each_at(run.config.confidence)
    listed = ", ".join(
        f"{goal.alias} {pick[f'ms_{goal.slug}']:.3g} ms"
        f" ({pick[f'ms_at_confidence_{goal.slug}']:.3g} at conf., budget {goal.budget_ms:g})"
        for goal in times.goals
    )
    held = f"each budget is held at confidence {each:.4g}"
    if times.join == "best":
        held = f"the budget of the unit that a network runs on is held at confidence {each:.4g}"
    if times.joint:
        held += ", so that all hold together at what was asked"
    return [
        f"load: {_JOINS[times.join]}",
        *([held] if run.problem.reward is None else []),  # a reward holds none
        *([_UNIT_OF_ZOO] if times.join == "best" and run.problem.accuracy.rung == PRIOR else []),
        f"milliseconds of the pick: {listed}"
        + (f"; it runs on {pick['unit']}" if times.join == "best" else ""),
    ]


def _start_lines(run: Run) -> list[str]:
    """How much was not measured here, but believed."""
    known = count_known(run.problem)
    if not known:
        return []
    return [
        f"networks that came with the start, their measured_top1 believed whoever measured it:"
        f" {known}; --trials ({run.config.trials}) are those measured here"
    ]


def _vs_pick(run: Run) -> str:
    fresh = confirmed_pick(run.front)
    if run.problem.reward is None:
        return (
            "points of the fresh mean"
            if fresh
            else "points of the score, which is the estimated top-1 less"
            f" {run.config.lam:g} of its standard deviations (--lam)"
        )
    worth = "fresh mean" if fresh else "score"
    return (
        f"% of the reward ({run.config.reward}: {worth} * (time / {run.config.budget_ms:g})^w, w ="
        f" {run.problem.reward.alpha:g} up to there and {run.problem.reward.beta:g} above); no"
        " budget is hard"
    )


def _limit_lines(run: Run) -> list[str]:
    """Limits beside the budget, and what is not known of weights below half precision."""
    most, lines = run.problem.limits.most, []
    if most:
        limited = (f"{q.name} at most {most[q.name]:g}" for q in QUANTITIES if q.name in most)
        lines.append("limits that all networks of the front keep: " + ", ".join(limited))
    if run.config.precisions != (HALF,):
        used = run.front["precision"].value_counts(sort=False).to_dict()
        counted = ", ".join(f"{name} {used[name]}" for name in PRECISIONS if name in used)
        lines.append(
            f"precision of the weights on the front: {counted}; milliseconds and top-1 are those of"
            " half precision: what fewer bits cost a network shows when it is trained (palmette"
            " compress --sweep --data)"
        )
    return lines


def _unit_line(run: Run) -> str:
    """What rules of thumb say of the target's unit, and what was barred by them."""
    guards = run.guards
    units = dict.fromkeys(one.predictor.model_.target.unit for one in run.problem.latencies)
    unit = " or ".join(units)
    networks = guards["ops_refused_on_front"], guards["ops_at_risk_on_front"]
    barred = ", ".join(guards["refused_choices"]) or "none"
    return (
        f"networks of the front with ops that the {unit} refuses, or that may leave it, by rules of"
        f" thumb (palmette explain): {networks[0]} and {networks[1]} of {len(run.front)}"
        + (f"; choices barred by them: {barred}" if run.problem.exportable else "")
    )


def summary(run: Run) -> dict[str, Any]:
    """The run as plain values: config, pick, front, comparison, guards, failed trials."""
    config = {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in run.config.to_dict().items()
    }
    plain = run.front.astype(object).where(run.front.notna(), None)
    records = plain.to_dict("records")
    return {
        "folder": str(run.folder.path),
        "config": config,
        "pick": next(row for row in records if row["pick"]),
        "front": records,
        "comparison": comparison(run),
        "guards": run.guards,
        "failed_trials": run.failures.records(),
        "anchors": sum(one.predictor.anchors or 0 for one in run.problem.latencies) or None,
    }


def export_pick(run: Run) -> Path:
    """Core ML package of the pick, with initialised weights, in the run's `models/`.

    Enough to time it on a phone; train it before anybody looks at its answers.
    """
    row = run.front.loc[run.front["pick"]].iloc[0]
    predictor, ms = _of_pick(run)
    target = predictor.model_.target
    interval = predictor.predict_interval([run.pick], run.config.confidence)
    precision = PRECISIONS[str(row["precision"])]
    half = precision.name == HALF
    run.folder.models.mkdir(exist_ok=True)
    package = export_for_runtime(
        run.pick,
        run.folder.models / str(row["id"]),
        runtime=target.runtime,
        # only ML Programs have weights of fewer bits
        kind=None if half and target.runtime.startswith("coreml") else "mlprogram",
        ios=None if half else precision.ios,
        predicted_ms=ms,
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
    if half:
        return package
    from palmette.export.compression import compress  # slow to import

    small = package.with_stem(f"{package.stem}-{precision.name}")
    return compress(package, small, precision.name).path


def expect_exportable(config: SearchConfig) -> None:
    """Raise InputError for a config of whose pick there is no one package; before the search."""
    expect(
        not config.goals or config.join == "best",
        f"--export: the pick of --join {config.join} is for several targets, whose packages may"
        " differ; leave it out, and export the pick for each: palmette export ARCH --target ...",
    )


def _of_pick(run: Run) -> tuple[LatencyPredictor, float]:
    """Predictor of the target that the pick is for, and its milliseconds there."""
    pick, times = run.front.loc[run.front["pick"]].iloc[0], run.problem.joined
    if times is None:
        return run.problem.latency.predictor, float(pick["ms"])
    expect_exportable(run.config)
    index = [goal.alias for goal in times.goals].index(str(pick["unit"]))
    return times.latencies[index].predictor, float(pick[f"ms_{times.goals[index].slug}"])


def default_folder(target: str, budget_ms: float, budget: str = LATENCY) -> Path:
    """`runs/TARGET-BUDGETms`, with a number behind it if that is taken."""
    name = f"{parse_target(target).alias.replace('/', '-')}-{budget_ms:g}ms"
    name += "" if budget == LATENCY else f"-{budget}"
    return _free(name)


def default_folder_of(goals: Sequence[Goal], join: str) -> Path:
    """`runs/JOIN-TARGET+TARGET`, likewise."""
    return _free(f"{join}-{'+'.join(goal.slug for goal in goals)}")


def _free(name: str) -> Path:
    folders = [Path("runs") / name, *(Path("runs") / f"{name}-{i}" for i in range(2, 10_000))]
    return next(folder for folder in folders if not folder.exists())


def _broken_limit(row: dict[Any, Any], run: Run) -> str:
    """What a reference network has too much of; nothing if it keeps the limits.

    A timing decides over a prediction.
    """
    timed = row.get("timed_ms", math.nan)
    time = row[run.problem.time_columns[1]] if math.isnan(timed) else timed
    broken = [name for name in QUANTITY_NAMES if row[name] > getattr(run.config, name)]
    return _too_slow(time, run) or (f"over {broken[0]}" if broken else "")


def _too_slow(ms: float | None, run: Run) -> str:
    """A reward weighs the time, and forbids none; nor does an unknown time break a budget."""
    over = ms is not None and run.config.reward is None and ms > run.config.budget_ms
    return "over budget" if over else ""


def _verdict(difference: float, tie: float, unit: str = "") -> str:
    if abs(difference) < tie:
        return "tie"
    return f"{difference:+.1f}{unit}"


def _widened(families: dict[str, float]) -> str:
    named = (f"{name} (up to {share:.0%} of a network)" for name, share in families.items())
    return ", ".join(named)
