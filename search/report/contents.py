"""What the page's figures are drawn from, as plain values of one JSON text."""

from __future__ import annotations

import math
import string
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from palmette.latency import LATENCY
from palmette.search.accuracy import PRIOR
from palmette.search.expensive.fresh import fresh_words, is_confirmed
from palmette.search.problem import SearchProblem
from palmette.search.references import run_references
from palmette.search.report.history import history
from palmette.search.report.opened import OpenedRun
from palmette.search.report.panels import panel, shown
from palmette.search.trials.params import codes_of
from palmette.train.prior import MEAN_RECIPE

ALPHABET = np.array(list(string.digits + string.ascii_letters))
"""A choice of a trial is one letter; where a gene has more choices, trials are not filtered."""


def contents(opened: OpenedRun) -> dict[str, Any]:
    """Plain values for the page of a run that has a front."""
    problem, front = opened.problem, opened.front
    time, at_confidence = problem.time_columns
    joined = problem.joined is not None
    told = history(opened.trials, min(problem.limits.budget_ms, problem.reward_ms))
    op_texts: dict[str, int] = {}
    ready = set(shown(front)["id"])
    records = front.to_dict("records")
    return {
        "unit": "load" if joined else "ms",
        "x_title": _time_title(opened),
        "y_title": _accuracy_title(opened),
        "budget": opened.config.budget_ms,
        "budget_label": budget_label(opened),
        "hard": problem.reward is None,
        "tie_points": problem.accuracy.tie_points,
        "pick": int(np.flatnonzero(front["pick"])[0]),
        "genes": [
            {"name": gene.name, "choices": [str(choice) for choice in gene.choices]}
            for gene in problem.space.genes
        ],
        "targets": [one.predictor.model_.target.alias for one in problem.latencies],
        "front": {
            "id": front["id"].tolist(),
            "time": front[time].tolist(),
            "at": front[at_confidence].tolist(),
            "tie": front["tie"].tolist(),
            "text": front["architecture"].tolist(),
            "codes": _codes(problem, front).tolist(),
            **{name: front[name].round(6).tolist() for name in ("top1", "params_m", "macs_m")},
            "low": front["top1_low"].round(6).tolist(),
            "high": front["top1_high"].round(6).tolist(),
            "fresh": [fresh_words(row) if is_confirmed(row) else "" for row in records],
        },
        "panels": [panel(problem, r, op_texts) if r["id"] in ready else None for r in records],
        "ops": list(op_texts),
        "trials": _trials(opened),
        "references": _references(opened),
        "history": {"trials": told.trials, "hypervolume": told.hypervolume},
    }


def budget_label(opened: OpenedRun) -> str:
    """What the vertical line of the front means."""
    budget = f"{opened.config.budget_ms:g}"
    if opened.problem.reward is not None:
        return f"time of the reward, {budget}"
    return f"budget: load {budget}" if opened.problem.joined else f"budget {budget} ms"


def _time_title(opened: OpenedRun) -> str:
    if opened.problem.joined is not None:
        return "load (predicted time over budget)"
    quantity = "" if opened.config.budget == LATENCY else f"{opened.config.budget} "
    return f"predicted {quantity}ms"


def _accuracy_title(opened: OpenedRun) -> str:
    accuracy = opened.problem.accuracy
    if accuracy.rung == PRIOR:
        return f"estimated ImageNet top-1 (%), {opened.config.recipe or MEAN_RECIPE}"
    return f"top-1 (%), {accuracy.label}"


def _codes(problem: SearchProblem, front: pd.DataFrame) -> NDArray[np.int64]:
    from palmette.space import Architecture

    networks = [Architecture.from_text(str(text)) for text in front["architecture"]]
    return problem.space.encode_batch(networks)


def _trials(opened: OpenedRun) -> dict[str, Any]:
    """Time and top-1 of every network that has values, and its choices as letters."""
    space = opened.problem.space
    codes = codes_of(space, [trial.params for trial in opened.complete])
    found = opened.problem.candidates(codes)
    lettered = int(space.cardinalities.max()) <= len(ALPHABET)
    return {
        "time": [float(f"{value:.5g}") for value in found.ms],
        "top1": found.top1.round(2).tolist(),
        "codes": "".join(ALPHABET[codes].ravel()) if lettered else "",
    }


def _references(opened: OpenedRun) -> list[dict[str, Any]]:
    """The zoo under the run's predictors; of images of the user's own it is not known."""
    if opened.problem.accuracy.rung != PRIOR:
        return []
    time = opened.problem.time_columns[0]
    rows = run_references(opened.problem, opened.config.recipe).to_dict("records")
    return [
        {"name": row["network"], "time": row[time], "top1": round(float(row["top1"]), 4)}
        for row in rows
        if math.isfinite(row[time])
    ]
