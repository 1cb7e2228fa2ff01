"""What `palmette latency fit` says of the predictors that it wrote."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.cli.output import note, print_table, say, say_next

if TYPE_CHECKING:
    import pandas as pd

    from palmette.latency import LatencyPredictor

    Predictors = Mapping[str, LatencyPredictor]
    """By the full name of their target."""

FEW = 8
"""Networks up to which a known phone as the prior was better (`benchmarks/few_shot.py`)."""
PRICES, MOVED = "prices", "moved prices"
MEANING = {
    PRICES: "prices: of the kinds of work that whole networks are made of (docs/timing.md)",
    MOVED: "moved prices: those of a known phone, moved to the few timings of this one",
}
"""What was fitted to whole networks -> what that is."""


def note_few(predictors: Predictors) -> None:
    """Say where a known phone would help, of predictors by whole networks."""
    from palmette.latency.targets import USUAL_PRIORS

    for name, predictor in predictors.items():
        count = len(predictor.held_out_errors_)
        if count <= FEW and not predictor.compared_:
            known = USUAL_PRIORS[predictor.model_.target.unit]
            note(
                f"{name}: fitted to {count} networks alone; with so few a known phone as the prior"
                f" (--like, such as {known}) predicts better"
            )


def note_without_sustained(rows: pd.DataFrame, predictors: Predictors) -> None:
    """Say which rows told nothing of the fitted targets."""
    for name in predictors:
        own = rows.loc[rows["target"] == name, "sustained_ms"]
        if own.isna().any():
            note(f"left out: {name}: {own.isna().sum()} of {len(own)} rows have no sustained_ms")


def print_fits(predictors: Predictors, out: Path, as_json: bool) -> None:
    """Print what was fitted, what was left out of it, what is doubted, and what comes next."""
    for name, predictor in predictors.items():
        for line in predictor.left_out_:
            note(f"left out: {line}")
        for line in predictor.doubts_:
            note(f"warning: {name}: {line}")
    if as_json:
        print(json.dumps({name: _facts(predictor) for name, predictor in predictors.items()}))
        return
    fitted = {name: _fitted(predictor) for name, predictor in predictors.items()}
    print_table(
        f"Predictors written to {out}",
        ["target", "networks", "held-out error", "fitted"],
        [
            [name, str(len(p.held_out_errors_)), f"{p.mape:.1f} %", fitted[name]]
            for name, p in predictors.items()
        ],
    )
    for word, meaning in MEANING.items():
        if word in fitted.values():
            say(meaning)
    for name, predictor in predictors.items():
        if predictor.compared_:
            say(f"{name}: {_chosen(predictor.model_name, predictor.compared_)}")
    _say_next(predictors, out)


def _facts(predictor: LatencyPredictor) -> dict[str, object]:
    return {
        "networks": len(predictor.held_out_errors_),
        "mape": predictor.mape,
        "model": predictor.model_name,
        "quantity": predictor.quantity_,
        "compared": dict(predictor.compared_),
        "doubts": list(predictor.doubts_),
    }


def _fitted(predictor: LatencyPredictor) -> str:
    if predictor.compared_:
        return predictor.model_name
    return MOVED if predictor.prior_ else PRICES


def _chosen(name: str, compared: Mapping[str, float]) -> str:
    """Why an op model was taken, of those compared; see `network_cost.choose`."""
    from palmette.latency.per_op.network_cost import TIED

    others = ", ".join(f"{model} {mape:.1f} %" for model, mape in compared.items())
    if name == min(compared, key=compared.__getitem__):
        return f"held-out errors: {others}; {name} has the least"
    return (
        f"held-out errors: {others}; {name} is less than {TIED:g} standard errors above the least,"
        " which may be chance, and of such models the best at kernels of shapes that it never saw"
    )


def _say_next(predictors: Predictors, out: Path) -> None:
    """A search by the first predictor that can serve one."""
    from palmette.latency import LATENCY

    for name, predictor in predictors.items():
        if not predictor.model_.strict:
            continue
        file = out if out.suffix == ".json" else out / predictor.file_name
        budget = "" if predictor.quantity_ == LATENCY else f" --budget {predictor.quantity_}"
        say_next(
            f"palmette search --target {name} --predictor {shlex.quote(str(file))}{budget}"
            " --budget-ms MS",
            "MS: milliseconds that a network may take",
        )
        return
