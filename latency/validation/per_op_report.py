"""What `palmette latency validate` prints and draws of a target fitted from timings per op."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from palmette.latency.per_op.network_cost import family_folds
from palmette.latency.per_op.op_timings import OpTimings
from palmette.latency.targets import Target
from palmette.latency.validation.per_op import (
    CONFIDENCE,
    FAMILY_FOLDS,
    NETWORK_FOLDS,
    Additivity,
    HeldOut,
    Score,
    additivity,
    held_out,
    learning_curves,
    shape_scores,
)
from palmette.space.files import write_text
from palmette.space.look import MUTED, PLOTLY_FILE, page, styled

Table = tuple[str, list[str], list[list[str]]]
Curves = dict[str, list[tuple[int, float]]]

CURVE_MODEL = "power"
"""Whose learning curves are shown: quick to fit, and in the mean that the trees are part of."""
CURVE_NAMES = {
    "ops": "ops timed, drawn at random",
    "ops_by_work": "ops timed, the most work first",
    "networks": "networks timed, all ops known",
}


def report(timings: OpTimings, figures: Path | None = None) -> tuple[list[Table], dict[str, Any]]:
    """Tables (title, columns, rows) and metrics of a target.

    Args:
        timings: see `gather`.
        figures: folder for the figures; none are drawn without.
    """
    families = timings.networks.families
    by_family = held_out(timings, family_folds(families, min(FAMILY_FOLDS, len(set(families)))))
    alone = [str(at) for at in range(len(timings.names))]
    by_network = held_out(timings, family_folds(alone, min(NETWORK_FOLDS, len(alone))))
    shapes = shape_scores(timings.kernels)
    sums = additivity(timings)
    curves = learning_curves(timings, CURVE_MODEL)
    tables = [_scores(timings, by_network, by_family, shapes)]
    tables += [_sums(sums)] if sums else []
    tables += [_curves(curves)]
    if figures is not None:
        _draw(figures, timings, by_family, curves)
    measured, chosen = timings.networks.ms, by_family.chosen
    best = Score.of(by_family.ms[chosen], measured)
    metrics = {
        "model": chosen,
        "family_out_mape": best.mape,
        "family_out_within10": best.within10,
        "network_out_mape": Score.of(by_network.ms[chosen], measured).mape,
        "shape_out_mape": shapes[chosen].mape,
        "coverage_90": by_family.covered,
        "interval_factor_90": by_family.factor,
        "learning_curves": curves,
    }
    if sums:
        metrics |= {
            "sum_bias": sums.bias,
            "sum_mape": sums.raw.mape,
            "calibrated_sum_mape": sums.calibrated.mape,
        }
    return tables, metrics


def _scores(
    timings: OpTimings, by_network: HeldOut, by_family: HeldOut, shapes: dict[str, Score]
) -> Table:
    rows = []
    for name in by_family.ms:
        network, family = (
            Score.of(f.ms[name], timings.networks.ms) for f in (by_network, by_family)
        )
        mark = " *" if name == by_family.chosen else ""
        shape = f"{shapes[name].mape:.1f}" if name in shapes else "-"
        cells = [f"{network.mape:.1f}", f"{family.mape:.1f}", f"{family.within10:.2f}"]
        rows.append([name.replace("_", " ") + mark, *cells, f"{family.worst:.0f}", shape])
    title = (
        f"{timings.target}: errors in % of {len(timings.names)} networks and of single ops; * what"
        f" a search gets: {CONFIDENCE:.0%} interval x/÷ {by_family.factor:.2f},"
        f" {by_family.covered:.2f} inside"
    )
    return title, ["model", "network out", "family out", "in 10 %", "worst", "shape out"], rows


def _sums(found: Additivity) -> Table:
    title = (
        f"Additivity: the sum of measured ops is {found.bias:+.1f} % off {found.networks} networks"
    )
    corrections = {
        "none": found.raw,
        "a * sum + c": found.scaled,
        "a * sum + c + d * slow activations": found.calibrated,
    }
    rows = [
        [name, f"{score.mape:.1f}", f"{score.within10:.2f}", f"{score.worst:.0f}"]
        for name, score in corrections.items()
    ]
    return title, ["correction", "error %", "in 10 %", "worst %"], rows


def _curves(curves: Curves) -> Table:
    rows = [
        [CURVE_NAMES[name], ", ".join(f"{count}: {mape:.1f}" for count, mape in points)]
        for name, points in curves.items()
        if points
    ]
    return f"Learning curves of model {CURVE_MODEL}, families held out", ["of", "error in %"], rows


def _draw(folder: Path, timings: OpTimings, found: HeldOut, curves: Curves) -> None:
    """Write the two figures of a target."""
    import plotly.graph_objects as go
    from plotly.offline import get_plotlyjs

    measured, predicted = timings.networks.ms, found.ms[found.chosen]
    ends = [
        float(min(measured.min(), predicted.min())),
        float(max(measured.max(), predicted.max())),
    ]
    scatter = go.Figure()
    for family in sorted(set(timings.networks.families)):
        rows = np.array(timings.networks.families) == family
        scatter.add_scatter(
            x=measured[rows],
            y=predicted[rows],
            mode="markers",
            name=family,
            text=[name for name, row in zip(timings.names, rows, strict=True) if row],
        )
    scatter.add_scatter(x=ends, y=ends, mode="lines", name="equal", line={"color": MUTED})
    scatter.update_xaxes(type="log")
    scatter.update_yaxes(type="log")
    name = str(timings.target).replace("/", "-").replace("@", "-")
    title = f"{timings.target}: predicted with the family held out against measured"
    styled(scatter, title, "measured, ms", "predicted, ms")
    lines = curves_figure(timings.target, curves)
    for kind, figure in (("held_out", scatter), ("learning_curves", lines)):
        place = f"{name}-{kind}"
        write_text(folder / f"{place}.html", page(figure, place, figure.layout.title.text))
    write_text(folder / PLOTLY_FILE, get_plotlyjs())


def curves_figure(target: Target, curves: Curves) -> Any:
    """Plotly figure of `learning_curves`: the error against how many ops or networks were timed."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for curve, points in curves.items():
        counts, errors = [count for count, _ in points], [mape for _, mape in points]
        figure.add_scatter(x=counts, y=errors, mode="lines+markers", name=CURVE_NAMES[curve])
    figure.update_xaxes(type="log")
    title = f"{target}: error against what was timed"
    return styled(figure, title, "number timed", "error, %")
