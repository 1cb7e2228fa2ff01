"""Fronts of several targets in one figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal, get_args

from palmette.search.accuracy import source_of
from palmette.search.transfer import listed, names_of
from palmette.space.errors import expect
from palmette.space.look import COLOURS, WARM, styled

if TYPE_CHECKING:
    from palmette.search.run import Run

Scale = Literal["ms", "load"]
_TICKS_MS = [float(f"{digit}e{power}") for power in range(-3, 5) for digit in (1, 2, 5)]
_TITLES = {
    "ms": "predicted latency (ms)",
    "load": "load (predicted time over the target's budget)",
}


def fronts_figure(runs: Iterable[Run], scale: Scale = "ms") -> Any:
    """Plotly figure of several fronts; the picks are marked.

    Args:
        runs: finished ones with one source of accuracies.
        scale: `ms`, on a logarithmic axis with each budget as a line, but not of runs that pick by
            a reward, which hold none; or `load`, the time as a share of each target's own budget,
            where runs of several targets joined can stand too.

    Raises:
        InputError: no run, runs with two sources of accuracies, or joined ones under `ms`.
    """
    import plotly.graph_objects as go

    runs = listed(runs, "fronts")
    _check(runs, scale)
    figure = go.Figure()
    for run, name, colour in zip(runs, names_of(runs), cycle(COLOURS), strict=False):
        front, time = run.front, run.problem.time_columns[0]
        times = front[time] / (run.config.budget_ms if scale == "load" else 1.0)
        figure.add_trace(
            go.Scatter(
                x=times,
                y=front["top1"],
                mode="lines+markers",
                name=name,
                line={
                    "color": colour,
                    "shape": "hv",
                    "dash": "dot" if run.config.goals else "solid",
                },
                marker={"color": colour, "size": [13 if pick else 5 for pick in front["pick"]]},
                text=front["id"],
                hovertemplate=f"{name}<br>%{{text}}<br>%{{x:.3g}}, %{{y:.1f}} %<extra></extra>",
            )
        )
        if scale == "ms" and run.config.reward is None:
            figure.add_vline(x=run.config.budget_ms, line={"color": colour, "dash": "dash"})
    if scale == "ms":
        figure.update_xaxes(type="log", tickvals=_TICKS_MS)
    elif any(run.config.reward is None for run in runs):
        figure.add_vline(x=1.0, line={"color": WARM, "dash": "dash"})
    title = "Fronts of several targets; large markers are the picks"
    accuracy = f"top-1 (%), {runs[0].problem.accuracy.label}"
    return styled(figure, title, _TITLES[scale], accuracy)


def _check(runs: Sequence[Run], scale: str) -> None:
    expect(scale in get_args(Scale), f"scale: must be ms or load, got '{scale}'")
    expect(len(runs) > 0, "fronts: give finished runs")
    for run in runs:
        source, first = (source_of(one.problem.accuracy) for one in (run, runs[0]))
        expect(
            source == first,
            f"{run.folder.path}: its accuracies ({source}) are not those of"
            f" {runs[0].folder.path} ({first}); draw them in figures of their own",
        )
        expect(
            scale == "load" or not run.config.goals,
            f"{run.folder.path}: is of several targets joined and has no one time; draw it by load",
        )
