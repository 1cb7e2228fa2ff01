"""A network's milliseconds as figures: a waterfall on one target, and blocks against targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from palmette.search.cost_table import check_level, cost_trees
from palmette.search.cost_tree import FIXED, CostNode
from palmette.search.subjects import Target
from palmette.space.errors import expect
from palmette.space.look import ACCENT, MAIN, MUTED, styled

if TYPE_CHECKING:
    from palmette.search.subjects import Subject

_ROW_PX, _FRAME_PX = 17, 150
_WHOLE = "whole network"
_SHADES = ((0.0, "#ffffff"), (1.0, MAIN))


def waterfall_figure(
    subject: Subject,
    target: Target,
    *,
    level: str = "block",
    resolution: tuple[int, int] = (224, 224),
) -> Any:
    """Plotly figure of a network's milliseconds on a target, one row after the other.

    Each bar begins where the one above ends; the last one is the prediction. The fixed cost comes
    first, in grey: it is paid whatever is run.

    Args:
        subject: an architecture, any torch module, ops alone, or a name; see `subject_of`.
        target: a name, or a predictor.
        level: "part" (stages), "block" or "op"; a part without blocks is a row by itself.
        resolution: (height, width) of a module's input; an architecture has its own.

    Raises:
        InputError: see `cost_trees`, or an unknown level.
    """
    import plotly.graph_objects as go

    check_level(level)
    ((name, tree),) = cost_trees(subject, [target], resolution=resolution).items()
    rows = [(" ".join(names), node) for names, node in tree.rows(level)]
    # not paid and not free: a remark, which the tree keeps
    rows = [(words, node) for words, node in rows if node.level != "crossings"]
    rows.sort(key=lambda row: row[1].level != "fixed")  # stable: the others keep their order
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            y=list(range(len(rows) + 1)),
            x=[*(node.ms for _, node in rows), tree.ms],
            measure=[_measure(node) for _, node in rows] + ["total"],
            text=[_hover(words, node, tree) for words, node in rows] + [f"{tree.ms:.3g} ms"],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
            increasing={"marker": {"color": MAIN}},
            decreasing={"marker": {"color": ACCENT}},
            totals={"marker": {"color": MUTED}},
            connector={"line": {"width": 0.5, "color": MUTED}},
        )
    )
    styled(
        figure,
        f"Where {tree.ms:.3g} ms go on {name}",
        f"predicted milliseconds ({tree.text})",
        "",
        height=_FRAME_PX + _ROW_PX * (len(rows) + 1),
        showlegend=False,
    )
    labels = [*(words for words, _ in rows), _WHOLE]
    figure.update_yaxes(
        autorange="reversed", tickvals=list(range(len(labels))), ticktext=labels, automargin=True
    )
    return figure


def _measure(node: CostNode) -> str:
    return "absolute" if node.level == "fixed" else "relative"


def _hover(words: str, node: CostNode, tree: CostNode) -> str:
    return f"<b>{words}</b><br>{node.text}<br>{node.ms:.4f} ms, {node.ms / tree.ms:.1%}"


def block_cost_figure(costs: pd.DataFrame) -> Any:
    """Plotly figure of blocks against targets: shades are shares of a target's whole.

    The darkest is the dearest block: a fixed cost above it would leave the others pale.

    Args:
        costs: of `block_costs`, at any level.

    Raises:
        InputError: another table, or none of its rows is of a block that costs anything.
    """
    import plotly.graph_objects as go

    expect(
        costs.index.names[0] == "part" and costs.index.names[-1] == "notation" and len(costs) > 0,
        f"costs: must be of block_costs, got rows by {list(costs.index.names)}",
    )
    told = costs.loc[costs.sum(axis=1) != 0]  # without remarks, which cost nothing anywhere
    shares = 100 * (told / told.sum()).to_numpy(np.float64)
    of_blocks = told.index.get_level_values(0) != FIXED
    expect(bool(of_blocks.any()), "costs: no row is of a block that costs anything")
    labels = [" ".join(filter(None, key[:-1])) for key in told.index]
    rows = list(range(len(labels)))
    figure = go.Figure(
        go.Heatmap(
            x=list(told.columns),
            y=rows,
            z=shares,
            zmin=0,
            zmax=float(shares[of_blocks].max()),
            customdata=told.to_numpy(),
            text=[[f"{key[-1]}"] * told.shape[1] for key in told.index],
            hovertemplate="%{x}<br>%{text}<br>%{customdata:.3f} ms, %{z:.1f} %<extra></extra>",
            texttemplate="%{z:.0f}",
            colorscale=_SHADES,
            colorbar={"title": "% of whole"},
        )
    )
    height = 2 * _FRAME_PX + _ROW_PX * len(rows)
    styled(figure, "Share of each target's milliseconds (%)", "", "", height=height)
    figure.update_xaxes(tickangle=45)
    figure.update_yaxes(autorange="reversed", tickvals=rows, ticktext=labels, automargin=True)
    return figure
