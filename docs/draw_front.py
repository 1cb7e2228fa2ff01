"""Draw a run's front as a picture: 80 % bars, reference networks, budget, pick.

    python docs/draw_front.py runs/demo/iphone-13/front.csv docs/front.png

The run's `run.toml` must lie beside its `front.csv`: it names target, budget and confidence. Needs
matplotlib, which `make install` brings along.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from palmette.latency import LatencyPredictor, load_predictor
from palmette.search import SearchConfig
from palmette.search.figure import BUDGET, FRONT, PICK, REFERENCE
from palmette.search.references import references
from palmette.search.run_folder import RunFolder
from palmette.space import InputError
from palmette.space.look import INK

SIZE_INCHES = (9.6, 6.0)
DPI = 160
BAR_GAP_PX = 95
"""Bars are drawn on points that are at least so far apart, the pick first; on all they would blur.
"""
LOWEST_TOP1 = 65.0
"""Points of the front below this are left out: nobody would take them."""
RADII_PX = (12, 20, 30, 42, 56, 72, 90, 110, 130, 150, 175, 200)
ANGLES = tuple(range(0, 360, 15))
LEADER_PX = 16
"""Labels farther from their point than this get a line to it."""
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, lower, right and upper edge in px."""


def main() -> None:
    """Command line."""
    if len(sys.argv) != 3:
        raise InputError("usage: python docs/draw_front.py FRONT_CSV OUT_PNG")
    draw(Path(sys.argv[1]), Path(sys.argv[2]))


def draw(front_csv: Path, out: Path) -> None:
    """Write the picture of a front; raises InputError if no run lies around the file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder = RunFolder(front_csv.parent)
    config = SearchConfig.from_dict(folder.read_config()[0], str(folder.config))
    front = pd.read_csv(front_csv)
    front = front[(front["top1"] >= LOWEST_TOP1) | front["pick"]].reset_index(drop=True)
    own = folder.predictor
    predictor = LatencyPredictor.read(own) if config.predictor else load_predictor(config.target)
    zoo = references(predictor, config.recipe, config.confidence)
    zoo = zoo[zoo["ms"] <= 1.5 * config.budget_ms].reset_index(drop=True)
    plt.rcParams.update({"font.size": 11, "text.color": INK, "axes.labelcolor": INK})
    figure, axes = plt.subplots(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    _frame(axes, config, front, zoo)
    figure.canvas.draw()  # fixes the scale that the placement of labels needs
    barred = _spread(axes, front)
    _points(axes, front, zoo, barred)
    _labels(axes, figure, front, zoo, barred)
    figure.savefig(out, metadata={"Software": None})


def _frame(axes: Any, config: SearchConfig, front: pd.DataFrame, zoo: pd.DataFrame) -> None:
    """Limits, axes, title, budget."""
    left = min(front["ms"].min(), zoo["ms"].min())
    right = max(config.budget_ms, zoo["ms"].max())
    low, high = min(front["top1"].min(), zoo["top1"].min()), front["top1_high"].max()
    axes.set_xlim(left - 0.05 * (right - left), right + 0.12 * (right - left))
    axes.set_ylim(low - 1.5, high + 0.8)
    axes.set_xlabel(
        "predicted latency of one image (ms); bar: upper bound with confidence"
        f" {config.confidence:g}"
    )
    axes.set_ylabel("estimated ImageNet top-1 (%), 80 % interval")
    axes.set_title(
        f"{config.target}: the front inside {config.budget_ms:g} ms", loc="left", weight="bold"
    )
    axes.grid(color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.axvspan(config.budget_ms, axes.get_xlim()[1], color=BUDGET, alpha=0.06, linewidth=0)
    axes.axvline(config.budget_ms, color=BUDGET, linestyle=(0, (5, 4)), linewidth=1.4)
    axes.annotate(
        f"budget {config.budget_ms:g} ms",
        (config.budget_ms, axes.get_ylim()[0]),
        (6, 8),
        textcoords="offset points",
        color=BUDGET,
        weight="bold",
    )


def _points(axes: Any, front: pd.DataFrame, zoo: pd.DataFrame, barred: list[int]) -> None:
    """Front with bars on some points, the pick on top, reference networks."""
    axes.plot(front["ms"], front["top1"], drawstyle="steps-post", color=FRONT, linewidth=1.2)
    pick = front[front["pick"]]
    for rows, colour, alpha in ((front.loc[barred], FRONT, 0.5), (pick, PICK, 0.9)):
        axes.errorbar(
            rows["ms"],
            rows["top1"],
            xerr=[[0.0] * len(rows), rows["ms_at_confidence"] - rows["ms"]],
            yerr=[rows["top1"] - rows["top1_low"], rows["top1_high"] - rows["top1"]],
            fmt="none",
            ecolor=colour,
            elinewidth=1.3,
            capsize=2.5,
            alpha=alpha,
        )
    axes.scatter(front["ms"], front["top1"], s=20, color=FRONT, zorder=3, label="front")
    axes.scatter(
        pick["ms"], pick["top1"], s=110, color=PICK, edgecolor="white", zorder=5, label="the pick"
    )
    axes.scatter(
        zoo["ms"],
        zoo["top1"],
        s=42,
        marker="D",
        color=REFERENCE,
        edgecolor="white",
        zorder=4,
        label="reference networks, same predictors",
    )
    budget = axes.transLimits.transform((axes.lines[0].get_xdata()[0], 0.0))[0]
    axes.legend(loc="lower right", frameon=False, bbox_to_anchor=(budget - 0.015, 0.02))


def _spread(axes: Any, front: pd.DataFrame) -> list[int]:
    """Rows that lie at least `BAR_GAP_PX` from the pick and from each other."""
    places = axes.transData.transform(front[["ms", "top1"]].to_numpy())
    kept = [int(front.index[front["pick"]][0])]
    for row in reversed(range(len(front))):
        if all(math.dist(places[row], places[other]) >= BAR_GAP_PX for other in kept):
            kept.append(row)
    return kept[1:]


def _labels(
    axes: Any, figure: Any, front: pd.DataFrame, zoo: pd.DataFrame, barred: list[int]
) -> None:
    """Names of the pick and the reference networks, where nothing else is, with a thin line."""
    pick = front[front["pick"]].iloc[0]
    wanted = [(f"the pick: {pick['top1']:.1f} %, {pick['ms']:.2f} ms", pick, PICK)]
    rows = zoo.sort_values("ms", ascending=False).to_dict("records")
    wanted += [(str(row["network"]), row, REFERENCE) for row in rows]
    points = pd.concat([front[["ms", "top1"]], zoo[["ms", "top1"]]])
    markers = [_around(*p, 9, 9) for p in axes.transData.transform(points.to_numpy())]
    bars = [_bars(axes, front.loc[i]) for i in [*barred, *front.index[front["pick"]]]]
    better_not = list(itertools.chain.from_iterable(bars))
    taken = [*markers, *_edges(axes)]
    for text, row, colour in wanted:
        bold = "bold" if colour == PICK else "normal"
        label = axes.text(0, 0, text, color=colour, weight=bold, fontsize=10, zorder=6)
        size = label.get_window_extent(figure.canvas.get_renderer())
        here = tuple(axes.transData.transform((row["ms"], row["top1"])))
        others = [box for box in markers if not _overlap(box, (*here, *here))]
        place, near = min(
            _places(*here, size.width, size.height),
            key=lambda found: _badness(here, *found, taken, others, better_not),
        )
        label.set_position(axes.transData.inverted().transform((place[0] + 2, place[1] + 3)))
        taken += [place, *_steps(here, near)]
        markers.append(place)
        if math.dist(here, near) > LEADER_PX:
            ends = axes.transData.inverted().transform([here, near])
            axes.plot(*ends.T, color=colour, linewidth=0.7, zorder=2)


def _edges(axes: Any) -> list[Box]:
    """Boxes around the axes and on the budget line: no label may reach there."""
    box = axes.get_window_extent()
    budget_px = axes.transData.transform((axes.lines[0].get_xdata()[0], 0.0))[0]
    far = 1e4
    return [
        (-far, -far, box.x0, far),
        (box.x1, -far, far, far),
        (-far, -far, far, box.y0),
        (-far, box.y1, far, far),
        (budget_px - 6, -far, budget_px + 6, far),
    ]


def _bars(axes: Any, row: Any) -> list[Box]:
    """Boxes that the two bars of a point take."""
    ends = [(row["ms"], row["top1_low"]), (row["ms_at_confidence"], row["top1_high"])]
    (x, low), (right, high) = axes.transData.transform(ends)
    y = axes.transData.transform((row["ms"], row["top1"]))[1]
    return [(x - 4, low, x + 4, high), (x, y - 4, right, y + 4)]


def _places(x: float, y: float, width: float, height: float) -> Iterator[tuple[Box, Point]]:
    """Boxes for a label around a point, each with its own point that is nearest to that one."""
    for radius, angle in itertools.product(RADII_PX, ANGLES):
        dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        # the side of the box that looks at the point touches the circle
        box = _around(
            x + (radius + width / 2) * dx,
            y + (radius + height / 2) * dy,
            width / 2 + 2,
            height / 2 + 1,
        )
        yield box, (min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3]))


def _badness(
    here: Point,
    place: Box,
    near: Point,
    taken: list[Box],
    others: list[Box],
    better_not: list[Box],
) -> float:
    """Length of the line to a label, and a price for everything that the label or its line hits."""
    line = _steps(here, near)
    hits = sum(_overlap(place, box) for box in taken)
    hits += sum(any(_overlap(step, box) for step in line) for box in others)
    light = sum(_overlap(place, box) for box in better_not)
    return math.dist(here, near) + 1000 * hits + 60 * light


def _steps(start: Point, end: Point) -> list[Box]:
    """Places along a line, as boxes of a pixel."""
    shares = [i / 20 for i in range(21)]
    line = [
        (start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])) for t in shares
    ]
    return [_around(x, y, 0.5, 0.5) for x, y in line]


def _around(x: float, y: float, half_width: float, half_height: float) -> Box:
    return (x - half_width, y - half_height, x + half_width, y + half_height)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


if __name__ == "__main__":
    main()
