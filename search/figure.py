"""The front as a figure: uncertainty, reference networks, budget; one self-contained page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from palmette.latency import LATENCY
from palmette.search.accuracy import PRIOR
from palmette.search.expensive.fresh import fresh_words, is_confirmed
from palmette.search.references import run_references
from palmette.space.look import ACCENT, MAIN, MUTED, WARM, page, styled
from palmette.train.prior import CV_MAE_POINTS, MEAN_RECIPE

if TYPE_CHECKING:
    import pandas as pd

    from palmette.search.run import Run

FRONT, PICK, REFERENCE, BUDGET = MAIN, ACCENT, MUTED, WARM
_LETTERS, _LINES = 130, 26
"""Of names of references: how many letters fit across the figure, and how many lines up it."""
_BESIDE = {
    "bottom right": (0.05, -1.2),
    "middle right": (0.05, -0.5),
    "top right": (0.05, 0.2),
    "bottom left": (-1.05, -1.2),
    "middle left": (-1.05, -0.5),
    "top left": (-1.05, 0.2),
    "bottom center": (-0.5, -1.4),
    "top center": (-0.5, 0.4),
}
"""Places of a name: where it begins beside its point, in its own lengths and in lines."""


def front_figure(run: Run) -> Any:
    """Plotly figure of a run's front: predicted ms against estimated top-1."""
    import plotly.graph_objects as go

    figure = go.Figure()
    front, (time, at_confidence) = run.front, run.problem.time_columns
    figure.add_trace(
        go.Scatter(
            x=front[time],
            y=front["top1"],
            mode="lines+markers",
            name="front",
            line={"color": FRONT, "shape": "hv"},
            marker={
                "size": [12 if pick else 7 for pick in front["pick"]],
                "color": [PICK if pick else FRONT for pick in front["pick"]],
            },
            error_x={
                "array": front[at_confidence] - front[time],
                "arrayminus": [0.0] * len(front),
                "thickness": 0.7,
                "color": "rgba(47,111,79,0.35)",
            },
            error_y={
                "array": front["top1_high"] - front["top1"],
                "thickness": 0.7,
                "color": "rgba(47,111,79,0.25)",
            },
            text=[_hover(row, run) for row in front.to_dict("records")],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    if run.problem.accuracy.rung == PRIOR:  # of the zoo only ImageNet's accuracy is known
        zoo = run_references(run.problem, run.config.recipe)
        shown = _range(run, zoo[time])
        figure.add_trace(_references(run, zoo, shown))
    else:
        shown = _range(run, ())
    figure.add_vline(
        x=run.config.budget_ms,
        line={"color": BUDGET, "dash": "dash"},
        annotation_text=_limit(run),
        annotation_position="top left",
    )
    styled(figure, _title(run), _time_axis(run), _axis(run))
    figure.update_xaxes(range=shown)
    return figure


def _range(run: Run, references: Iterable[float]) -> tuple[float, float]:
    """Ends of the axis of time: references far beyond the budget would squeeze the front."""
    front, (time, at_confidence) = run.front, run.problem.time_columns
    last, budget = float(front[at_confidence].max()), run.config.budget_ms
    widest = min(1.9 * budget, 2.5 * last)
    inside = [x for x in (budget, *references) if x <= widest]
    return 0.9 * float(front[time].min()), 1.08 * max([last, *inside])


def _title(run: Run) -> str:
    if run.problem.joined is not None:
        return f"{run.config.words}: estimated accuracy against load"
    return f"{run.config.target}: estimated accuracy against predicted {_of(run)}latency"


def _time_axis(run: Run) -> str:
    if run.problem.joined is not None:
        return "load (predicted time over budget)"
    return f"predicted {_of(run)}latency (ms)"


def _limit(run: Run) -> str:
    what = "time of the reward" if run.problem.reward is not None else f"{_of(run)}budget"
    if run.problem.joined is not None:
        return f"{what}: load {run.config.budget_ms:g}"
    return f"{what} {run.config.budget_ms:g} ms"


def _of(run: Run) -> str:
    """The quantity as a word before another; blank for plain latency."""
    return "" if run.config.budget == LATENCY else f"{run.config.budget} "


def _references(run: Run, zoo: pd.DataFrame, shown: tuple[float, float]) -> Any:
    """The zoo's networks as points."""
    import plotly.graph_objects as go

    time = run.problem.time_columns[0]
    heights = (*run.front["top1"], *zoo["top1"])
    unit = "ms" if run.problem.joined is None else "of the budget"
    return go.Scatter(
        x=zoo[time],
        y=zoo["top1"],
        mode="markers+text",
        name="reference networks",
        marker={"symbol": "diamond", "size": 9, "color": REFERENCE},
        text=zoo["network"],
        textposition=_places(
            zoo[time], zoo["top1"], zoo["network"], shown, (min(heights), max(heights))
        ),
        textfont={"size": 10, "color": REFERENCE},
        hovertemplate=f"%{{text}}<br>%{{x:.3g}} {unit}, %{{y:.1f}} %<extra></extra>",
    )


def _places(
    xs: Iterable[float],
    ys: Iterable[float],
    names: Iterable[str],
    width: tuple[float, float],
    height: tuple[float, float],
) -> list[str]:
    """Where each name stands beside its point: the first place where it covers no other name."""
    taken: list[tuple[float, float, float, float]] = []  # left, right, low, high; letters, lines
    places = []
    for x, y, name in zip(xs, ys, names, strict=True):
        across = _LETTERS * (x - width[0]) / (width[1] - width[0])
        up = _LINES * (y - height[0]) / max(height[1] - height[0], 1e-9)
        boxes = {
            place: (
                across + side * len(name),
                across + (side + 1) * len(name),
                up + row,
                up + row + 1,
            )
            for place, (side, row) in _BESIDE.items()
        }
        free = (
            place
            for place, (left, right, lower, upper) in boxes.items()
            if all(right < a or b < left or upper < c or d < lower for a, b, c, d in taken)
        )
        places.append(next(free, "bottom right"))
        taken.append(boxes[places[-1]])
    return places


def _axis(run: Run) -> str:
    if run.problem.accuracy.rung == PRIOR:
        return f"estimated ImageNet top-1 (%), {run.config.recipe or MEAN_RECIPE}"
    return f"top-1 (%), {run.problem.accuracy.label}"


def front_page(run: Run) -> str:
    """Self-contained HTML page: the figure and how to read it; equal runs give equal pages."""
    config, accuracy = run.config, run.problem.accuracy
    bars = (
        f" of the accuracy prior (cross-validated mean error {CV_MAE_POINTS} points): an estimate"
        " from published results, not a measurement"
        if accuracy.rung == PRIOR
        else f" of the validation images: top-1 {accuracy.words()}"
    )
    note = (
        f"Bars to the right end at the time that holds with confidence {config.confidence:g};"
        f"{_kept(run)} Vertical bars are the 80 % interval{bars}. Differences below"
        f" {accuracy.tie_points:.2g} points are ties."
    )
    budget = "" if config.goals else f", {_of(run)}{config.budget_ms:g} ms"
    title = f"palmette: {config.words if config.goals else config.target}{budget}"
    return page(front_figure(run), "front", title, note, alone=True)


def _kept(run: Run) -> str:
    if run.problem.reward is None:
        return " the budget is kept there."
    return " the pick is the network of the largest reward, and no budget is hard."


def _times(row: dict[Any, Any], run: Run) -> list[str]:
    times = run.problem.joined
    if times is None:
        return [f"{row['ms']:.3g} ms, at confidence {row['ms_at_confidence']:.3g} ms"]
    each = [f"{goal.alias} {row[f'ms_{goal.slug}']:.3g} ms" for goal in times.goals]
    load = f"load {row['load']:.3g}, at confidence {row['load_at_confidence']:.3g}"
    return [load, ", ".join(each)]


def _hover(row: dict[Any, Any], run: Run) -> str:
    words = str(row["architecture"]).split(" | ")
    lines = [
        f"<b>{row['id']}</b>{' (pick)' if row['pick'] else ''}",
        *_times(row, run),
        f"top-1 {row['top1']:.1f} % ({row['top1_low']:.1f} to {row['top1_high']:.1f})",
        *([fresh_words(row)] if is_confirmed(row) else []),
        f"{row['params_m']:.2f} M parameters, {row['macs_m']:.0f} M MACs",
        *words,
    ]
    return "<br>".join(lines)
