"""A validation as plotly figures, one HTML page each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from palmette.latency.targets import parse_target
from palmette.latency.validation.held_out import (
    CONFIDENCE,
    CONFIDENCES,
    Row,
    coverage,
    headline,
    scores,
)
from palmette.latency.validation.learning import Point
from palmette.latency.validation.one_change import Compared
from palmette.latency.validation.validate import Validation
from palmette.space.files import write_text
from palmette.space.look import (
    ACCENT,
    COLOURS,
    MAIN,
    MUTED,
    PLOTLY_FILE,
    page,
    styled,
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A plotly figure, and how to read it."""

    figure: Any
    note: str


SPLIT_NAMES = {"network": "networks held out", "family": "families held out"}


def figures(found: Validation) -> dict[str, Figure]:
    """All figures of a validation by the name of their page."""
    heads = {
        split: [row for target in found.predictors for row in headline(found.of(split), target)]
        for split in SPLIT_NAMES
    }
    return {
        "predicted_against_measured": Figure(
            predicted_against_measured(heads["network"]),
            "Each network was predicted by a fit that never saw it. Bars are the 80 % interval,"
            " calibrated without it too.",
        ),
        "calibration": Figure(
            calibration(heads),
            "On the line, intervals hold exactly as often as they say. Chips share networks, so the"
            " points are worth fewer observations than they count.",
        ),
        "errors_beside_baselines": Figure(
            errors_beside_baselines(heads),
            "Headline networks: the MobileNet-like eight under iOS 12 and 13, later whole ones.",
        ),
        "learning_curves": Figure(
            learning_curves(found.points),
            "Mean and range of random draws of designs; the last point leaves out one at a time.",
        ),
        "one_change": Figure(
            one_change(found.compared),
            "Bars to the side are what rounding leaves open, upright ones the predicted interval."
            " Hollow: timed on another runtime than the target's.",
        ),
    }


def write_figures(found: Validation, folder: Path) -> list[Path]:
    """Write all figures into a folder, with plotly's script once; their pages in order."""
    from plotly.offline import get_plotlyjs

    pages = []
    for name, one in figures(found).items():
        path = folder / f"{name}.html"
        write_text(path, page(one.figure, name, one.figure.layout.title.text, one.note))
        pages.append(path)
    write_text(folder / PLOTLY_FILE, get_plotlyjs())
    return pages


def predicted_against_measured(rows: Sequence[Row]) -> Any:
    """Milliseconds of held-out networks, logarithmic, with intervals."""
    figure = go.Figure()
    every = [ms for row in rows for ms in (row.measured_ms, row.predicted_ms)]
    ends = [0.8 * min(every, default=1.0), 1.25 * max(every, default=1.0)]
    figure.add_trace(_line(ends, ends, "equal"))
    for target in dict.fromkeys(row.target for row in rows):
        own = [row for row in rows if row.target == target]
        ms = np.array([row.predicted_ms for row in own])
        factor = np.array([row.factors[CONFIDENCE] for row in own])
        figure.add_trace(
            go.Scatter(
                x=[row.measured_ms for row in own],
                y=ms,
                mode="markers",
                name=parse_target(target).alias,
                text=[row.subject for row in own],
                error_y={"array": ms * factor - ms, "arrayminus": ms - ms / factor, "thickness": 1},
                hovertemplate="%{text}<br>%{x:.3g} ms measured, %{y:.3g} ms predicted",
            )
        )
    styled(figure, "Held-out networks", "measured latency (ms)", "predicted latency (ms)")
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    return figure


def calibration(heads: dict[str, list[Row]]) -> Any:
    """Share of networks inside intervals against the share that should be."""
    figure = go.Figure()
    figure.add_trace(_line([0.4, 1.0], [0.4, 1.0], "as stated"))
    for split, rows in heads.items():
        if rows:
            figure.add_trace(
                go.Scatter(
                    x=list(CONFIDENCES),
                    y=[coverage(rows, confidence) for confidence in CONFIDENCES],
                    mode="lines+markers",
                    name=SPLIT_NAMES[split],
                )
            )
    return styled(figure, "Calibration of intervals", "stated confidence", "share inside")


def errors_beside_baselines(heads: dict[str, list[Row]]) -> Any:
    """Error of each target by split, and the baselines on the same folds."""
    figure = go.Figure()
    for split, rows in heads.items():
        targets = list(dict.fromkeys(row.target for row in rows))
        found = [scores([row for row in rows if row.target == target]) for target in targets]
        names = [parse_target(target).alias for target in targets]
        bars = {"palmette": "mape", "MACs + offset": "mape_flops_offset"}
        bars |= {"parameters + offset": "mape_params_offset"}
        for place, (label, key) in enumerate(bars.items()):
            figure.add_trace(
                go.Bar(
                    x=names,
                    y=[score[key] for score in found],
                    name=f"{label}, {SPLIT_NAMES[split]}",
                    marker={
                        "color": (MAIN, MUTED, ACCENT)[place],
                        "opacity": 1.0 if split == "network" else 0.5,
                    },
                )
            )
    title = "Error on headline networks, beside baselines on the same folds"
    return styled(figure, title, "target", "mean absolute error (%)", barmode="group")


def learning_curves(points: Sequence[Point]) -> Any:
    """Error against the number of designs that a family was fitted to."""
    figure = go.Figure()
    for place, target in enumerate(dict.fromkeys(point.target for point in points)):
        own = [point for point in points if point.target == target]
        colour = COLOURS[place % len(COLOURS)]
        mapes = [point.mape for point in own]
        figure.add_trace(
            go.Scatter(
                x=[point.designs for point in own],
                y=mapes,
                error_y={
                    "array": [max(p.mapes) - p.mape for p in own],
                    "arrayminus": [p.mape - min(p.mapes) for p in own],
                    "thickness": 0.7,
                },
                mode="lines+markers",
                name=parse_target(target).alias,
                marker={"color": colour},
                hovertemplate="%{x} designs: %{y:.1f} %",
            )
        )
    title = "Learning curves: headline networks that the fit never saw"
    return styled(figure, title, "designs fitted to", "mean absolute error (%)")


def one_change(compared: Sequence[Compared]) -> Any:
    """Predicted against published effect of one change, as ratios of milliseconds."""
    figure = go.Figure()
    ends = [0.9, 1.1 * max((1 + row.published.measured()[2] for row in compared), default=2.0)]
    figure.add_trace(_line(ends, ends, "equal"))
    for target in dict.fromkeys(row.published.target for row in compared):
        own = [row for row in compared if row.published.target == target]
        x, low, high = np.array([row.published.measured() for row in own]).T + 1
        y = np.array([1 + row.predicted for row in own])
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                error_x={"array": high - x, "arrayminus": x - low, "thickness": 0.7},
                error_y={
                    "array": [row.high - row.predicted for row in own],
                    "arrayminus": [row.predicted - row.low for row in own],
                    "thickness": 0.7,
                },
                mode="markers",
                marker={"symbol": [_symbol(row) for row in own], "size": 9},
                name=parse_target(target).alias,
                text=[f"{row.published.change}: {row.published.source}" for row in own],
                hovertemplate="%{text}<br>measured ×%{x:.3g}, predicted ×%{y:.3g}",
            )
        )
    styled(figure, "Published one-change timings", "measured after / before", "predicted")
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    return figure


def _symbol(row: Compared) -> str:
    return "circle" if row.published.counts else "circle-open"


def _line(x: list[float], y: list[float], name: str) -> Any:
    return go.Scatter(x=x, y=y, mode="lines", name=name, line={"color": MUTED, "dash": "dash"})
