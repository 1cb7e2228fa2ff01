"""How every plotly figure of palmette looks, and the page that it stands on.

Pages are the same byte for byte for the same figures: plotly's element ids are given, not drawn.
"""

from __future__ import annotations

import html
from typing import Any

INK, MAIN, ACCENT, MUTED, WARM = "#1f2430", "#2f6f4f", "#c8472b", "#6b7280", "#b45309"
COLOURS = (
    MAIN,
    ACCENT,
    "#3b6ea5",
    WARM,
    "#7a5195",
    MUTED,
    "#0f8b8d",
    "#a23b72",
    "#8a9a5b",
    "#4b3f72",
)
PLOTLY_FILE = "plotly.min.js"


def styled(figure: Any, title: str, x: str, y: str, **layout: Any) -> Any:
    """The figure, changed in place to palmette's look.

    Args:
        figure: a plotly figure, of `plotly.express` too.
        title: of the figure.
        x: title of the horizontal axis, with its unit.
        y: title of the vertical axis, with its unit.
        layout: anything else of plotly's layout; it wins.
    """
    look = {
        "title": title,
        "xaxis_title": x,
        "yaxis_title": y,
        "template": "plotly_white",
        "colorway": COLOURS,
        "font": {"color": INK},
        "legend": {"orientation": "h", "y": -0.2},
        "height": 620,
    }
    figure.update_layout(**(look | layout))
    return figure


def page(figure: Any, name: str, title: str, note: str = "", *, alone: bool = False) -> str:
    """HTML page of a figure.

    Args:
        figure: a plotly figure.
        name: id of its element.
        title: of the page.
        note: how to read it, below the figure.
        alone: with plotly's script inside (5 MB), else read from `PLOTLY_FILE` beside the page.
    """
    body = figure.to_html(
        full_html=False, include_plotlyjs=alone, div_id=name, config={"responsive": True}
    )
    script = "" if alone else f'<script src="{PLOTLY_FILE}" charset="utf-8"></script>'
    head = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{head}</title>'
        f'<meta name="viewport" content="width=device-width">{script}</head>'
        '<body style="font-family:system-ui,sans-serif;max-width:70rem;margin:1rem auto">'
        f"{body}<p>{html.escape(note)}</p></body></html>\n"
    )
