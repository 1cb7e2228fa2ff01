"""Size against error of every scheme, as one self-contained page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from palmette.space.look import ACCENT, MAIN, page, styled

if TYPE_CHECKING:
    from palmette.export.compression.sweep import Row


def sweep_figure(rows: Sequence[Row]) -> Any:
    """Plotly figure: megabytes against what the pick was chosen by; the pick in another colour.

    That is the loss of top-1 with its deviation, where images were labelled, else the error of the
    outputs.
    """
    import plotly.graph_objects as go

    shown = [row for row in rows if not row.note]
    labelled = not any(math.isnan(row.loss) for row in shown)
    figure = go.Figure(
        go.Scatter(
            x=[row.mb for row in shown],
            y=[100 * row.loss if labelled else row.output_error for row in shown],
            error_y={"array": [100 * row.loss_deviation for row in shown]} if labelled else None,
            mode="markers+text",
            marker={
                "size": [14 if row.picked else 9 for row in shown],
                "color": [ACCENT if row.picked else MAIN for row in shown],
            },
            text=[row.scheme for row in shown],
            textposition="top right",
            customdata=[_hover(row) for row in shown],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    what = ("loss", "top-1 lost (points)") if labelled else ("error", "error of the outputs")
    styled(figure, f"Size against {what[0]}", "package (MB)", what[1])
    figure.update_xaxes(rangemode="tozero")
    return figure


def _hover(row: Row) -> str:
    figures = {"weight error": row.weight_error, "output error": row.output_error}
    lines = [f"<b>{row.scheme}</b>, {row.mb:.3g} MB", row.what]
    lines += [f"{name} {value:.3g}" for name, value in figures.items()]
    shares = {"same class": row.agreement, "top-1": row.top1}
    lines += [f"{name} {value:.1%}" for name, value in shares.items() if not math.isnan(value)]
    return "<br>".join(lines)


def drawn(rows: Sequence[Row], rule: str) -> str:
    """The page; equal rows give equal bytes."""
    pick = next(row.scheme for row in rows if row.picked)
    note = f"Picked: {pick}. Rule: {rule}."
    return page(sweep_figure(rows), "sweep", "Compression", note, alone=True)
