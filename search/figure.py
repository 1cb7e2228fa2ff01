"""The front as a figure: uncertainty, reference networks, budget; one self-contained page."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from palmette.latency import LATENCY
from palmette.search.accuracy import PRIOR
from palmette.search.references import references
from palmette.train.prior import CV_MAE_POINTS, MEAN_RECIPE

if TYPE_CHECKING:
    from palmette.search.run import Run

INK, FRONT, PICK, REFERENCE, BUDGET = "#1f2430", "#2f6f4f", "#c8472b", "#6b7280", "#b45309"


def front_figure(run: Run) -> Any:
    """Plotly figure of a run's front: predicted ms against estimated top-1."""
    import plotly.graph_objects as go

    figure = go.Figure()
    front = run.front
    figure.add_trace(
        go.Scatter(
            x=front["ms"],
            y=front["top1"],
            mode="lines+markers",
            name="front",
            line={"color": FRONT, "shape": "hv"},
            marker={
                "size": [12 if pick else 7 for pick in front["pick"]],
                "color": [PICK if pick else FRONT for pick in front["pick"]],
            },
            error_x={
                "array": front["ms_at_confidence"] - front["ms"],
                "arrayminus": [0.0] * len(front),
                "thickness": 0.7,
                "color": "rgba(47,111,79,0.35)",
            },
            error_y={
                "array": front["top1_high"] - front["top1"],
                "thickness": 0.7,
                "color": "rgba(47,111,79,0.25)",
            },
            text=[_hover(row) for row in front.to_dict("records")],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    if run.problem.accuracy.rung == PRIOR:  # of the zoo only ImageNet's accuracy is known
        figure.add_trace(_references(run))
    figure.add_vline(
        x=run.config.budget_ms,
        line={"color": BUDGET, "dash": "dash"},
        annotation_text=f"{_of(run)}budget {run.config.budget_ms:g} ms",
        annotation_position="top left",
    )
    figure.update_layout(
        title=f"{run.config.target}: estimated accuracy against predicted {_of(run)}latency",
        xaxis_title=f"predicted {_of(run)}latency (ms)",
        yaxis_title=_axis(run),
        template="plotly_white",
        font={"color": INK},
        legend={"orientation": "h", "y": -0.2},
        height=620,
    )
    # references far beyond the budget would squeeze the front into a corner
    widest = min(1.9 * run.config.budget_ms, 2.5 * float(front["ms_at_confidence"].max()))
    figure.update_xaxes(range=[0.9 * float(front["ms"].min()), widest])
    return figure


def _of(run: Run) -> str:
    """The quantity as a word before another; blank for plain latency."""
    return "" if run.config.budget == LATENCY else f"{run.config.budget} "


def _references(run: Run) -> Any:
    """The zoo's networks as points."""
    import plotly.graph_objects as go

    zoo = references(run.problem.latency.predictor, run.config.recipe, run.config.confidence)
    return go.Scatter(
        x=zoo["ms"],
        y=zoo["top1"],
        mode="markers+text",
        name="reference networks",
        marker={"symbol": "diamond", "size": 9, "color": REFERENCE},
        text=zoo["network"],
        textposition="bottom right",
        textfont={"size": 10, "color": REFERENCE},
        hovertemplate="%{text}<br>%{x:.3g} ms, %{y:.1f} %<extra></extra>",
    )


def _axis(run: Run) -> str:
    if run.problem.accuracy.rung == PRIOR:
        return f"estimated ImageNet top-1 (%), {run.config.recipe or MEAN_RECIPE}"
    return f"top-1 (%), {run.problem.accuracy.label}"


def front_page(run: Run) -> str:
    """Self-contained HTML page: the figure and how to read it; equal runs give equal pages."""
    figure = front_figure(run).to_html(
        full_html=False, include_plotlyjs=True, div_id="front", config={"responsive": True}
    )
    config, accuracy = run.config, run.problem.accuracy
    bars = (
        f" of the accuracy prior (cross-validated mean error {CV_MAE_POINTS} points): an estimate"
        " from published results, not a measurement"
        if accuracy.rung == PRIOR
        else f" of the validation images: top-1 {accuracy.words()}"
    )
    note = (
        f"Bars to the right end at the time that holds with confidence {config.confidence:g};"
        f" the budget is kept there. Vertical bars are the 80 % interval{bars}. Differences below"
        f" {accuracy.tie_points:.2g} points are ties."
    )
    title = html.escape(f"palmette: {config.target}, {_of(run)}{config.budget_ms:g} ms")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"></head>'
        '<body style="font-family:system-ui,sans-serif;max-width:70rem;margin:1rem auto">'
        f"{figure}<p>{html.escape(note)}</p></body></html>\n"
    )


def _hover(row: dict[Any, Any]) -> str:
    words = str(row["architecture"]).split(" | ")
    lines = [
        f"<b>{row['id']}</b>{' (pick)' if row['pick'] else ''}",
        f"{row['ms']:.3g} ms, at confidence {row['ms_at_confidence']:.3g} ms",
        f"top-1 {row['top1']:.1f} % ({row['top1_low']:.1f} to {row['top1_high']:.1f})",
        f"{row['params_m']:.2f} M parameters, {row['macs_m']:.0f} M MACs",
        *words,
    ]
    return "<br>".join(lines)
