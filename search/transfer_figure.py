"""The transfer matrix as a heatmap: points lost where a network fits, how far over where not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from palmette.search.transfer import OVER
from palmette.space.errors import expect
from palmette.space.look import ACCENT, INK, styled

_NEEDED = ("picked_for", "run_on", "lost_points", "verdict", "upper_ms", "budget_ms", "ms")
_FULL_COLOUR_POINTS = 2.0
"""Loss that is drawn in full colour at least, so that tenths of a point look like what they are."""
_NONE = "#e5e7eb"
_AROUND_PX, _CELL_PX = 240, 90


def transfer_figure(matrix: pd.DataFrame) -> Any:
    """Plotly heatmap of a transfer matrix.

    A cell says how many points the network loses there and what part of the budget it takes at the
    confidence; one that is not allowed there is grey and says why.

    Args:
        matrix: of `transfer_matrix`.

    Raises:
        InputError: a frame without the columns of one, without a row, or with a pair twice.
    """
    import plotly.graph_objects as go

    for column in _NEEDED:
        expect(
            column in matrix, f"matrix: column '{column}' is missing; make it by transfer_matrix"
        )
    twice = matrix.duplicated(["picked_for", "run_on"])
    expect(
        len(matrix) > 0 and not twice.any(),
        "matrix: must have rows, each pair of 'picked_for' and 'run_on' once; draw one matrix of"
        " transfer_matrix at a time",
    )
    rows, columns = (list(dict.fromkeys(matrix[name])) for name in ("picked_for", "run_on"))
    lost = matrix.pivot(index="picked_for", columns="run_on", values="lost_points")
    lost = lost.loc[rows, columns]
    most = float(np.nanmax([_FULL_COLOUR_POINTS, matrix["lost_points"].max()]))
    figure = go.Figure(
        go.Heatmap(
            z=lost.to_numpy(),
            x=columns,
            y=rows,
            zmin=0.0,
            zmax=most,
            colorscale=[[0.0, "#ffffff"], [1.0, ACCENT]],
            xgap=2,
            ygap=2,
            hoverinfo="skip",
            colorbar={"title": {"text": "points lost"}},
        )
    )
    cells = matrix.to_dict("records")
    figure.add_trace(
        go.Scatter(
            x=matrix["run_on"],
            y=matrix["picked_for"],
            mode="text",
            text=[_words(cell) for cell in cells],
            hovertext=[_hover(cell) for cell in cells],
            hoverinfo="text",
            textfont={"color": [_ink(cell["lost_points"], most) for cell in cells]},
            showlegend=False,
        )
    )
    styled(
        figure,
        "Carried from one target to another",
        "run on",
        "picked for",
        height=_AROUND_PX + _CELL_PX * len(rows),
        plot_bgcolor=_NONE,
    )
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(showgrid=False, autorange="reversed")
    return figure


def _words(cell: dict[Any, Any]) -> str:
    load = f"{cell['upper_ms'] / cell['budget_ms']:.0%} of the budget"
    if np.isnan(cell["lost_points"]):
        return load if cell["verdict"] == OVER else f"{cell['verdict']}<br>{load}"
    return f"<b>{round(cell['lost_points'], 1) + 0.0:.1f}</b><br>{load}"


def _hover(cell: dict[Any, Any]) -> str:
    return (
        f"{cell['picked_for']} on {cell['run_on']}: {cell['verdict']}<br>{cell['ms']:.3g} ms,"
        f" at confidence {cell['upper_ms']:.3g} ms, budget {cell['budget_ms']:.3g} ms"
    )


def _ink(lost: float, most: float) -> str:
    """Colour of the words: light on a full colour."""
    return "#ffffff" if lost > 0.6 * most else INK
