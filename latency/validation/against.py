"""A fitted predictor against timings: each network as measured, and as predicted without it.

A timing that the predictor was fitted to is predicted by the fit that did not see it, from the
error that is stored with the predictor; any other by the predictor itself, another timing of the
same network too: that is how a phone after an update shows what has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from palmette.latency.op_lists import network_ops
from palmette.latency.passports import typical_ms
from palmette.latency.per_op.kernels import kernel_from_text
from palmette.latency.quantity import timings_of
from palmette.latency.uncertainty import DEFAULT_CONFIDENCE, hull_channels
from palmette.latency.whole.fitted import marks
from palmette.space import Op, OpTable
from palmette.space.errors import expect
from palmette.space.look import MUTED, styled

if TYPE_CHECKING:
    from palmette.latency.predictor import LatencyPredictor

HELD_OUT, AGAIN, NEW = "held out", "timed anew", "never fitted"
COLUMNS = ("network", "seen", "measured_ms", "predicted_ms", "lower_ms", "upper_ms", "error")


def against(
    predictor: LatencyPredictor, timings: pd.DataFrame, confidence: float = DEFAULT_CONFIDENCE
) -> pd.DataFrame:
    """Networks of a timing table, measured and predicted, a row each.

    Columns: `network`; `seen`, `held out`, `timed anew` or `never fitted`; `measured_ms`;
    `predicted_ms`, with `lower_ms` and `upper_ms` of the interval at the confidence; `error` of the
    prediction in %. Networks timed anew are those that the predictor was fitted to by another
    timing: it has seen the network, so an error of theirs is of the two timings as much as of the
    fit. The intervals of held-out networks rest on these same errors: of those they hold about as
    many as they should. Of the others they need not.

    Args:
        predictor: fitted.
        timings: as `read_timings` gives them: those that it was fitted to, others of its target,
            or both. Rows of other targets, and without the predictor's quantity, are passed over.
        confidence: of the two-sided interval.

    Raises:
        InputError: not fitted, or read from a file that does not say to which timings; no network
            of its target in the table, or one of unknown ops.
    """
    errors, target = predictor.held_out_errors, str(predictor.model_.target)
    expect(
        set(errors.index) == set(predictor.timed_),
        f"the predictor of '{target}' does not say which timings it was fitted to; fit it again",
    )
    rows_of_it = timings_of(timings, predictor.quantity_)
    own = rows_of_it[rows_of_it["target"] == target]
    networks = own[own["subject_kind"] == "network"]
    expect(len(networks) > 0, f"target '{target}': the table has no network of it")
    inside = dict(list(own[own["subject_kind"] == "op"].groupby("part_of")["subject"]))
    rows = []
    for name, timed in networks.groupby("subject", sort=False):
        ops = _ops(str(name), list(inside.get(name, ())))
        measured = typical_ms(timed)
        seen = _seen(predictor, str(name), measured)
        held_out = seen == HELD_OUT
        ms = measured * (1 + errors[name] / 100) if held_out else float(predictor.predict([ops])[0])
        sums = hull_channels(OpTable.of(ops)).sum(axis=0)
        factor = float(predictor.uncertainty_.factor(sums, confidence))
        off = 100 * (ms / measured - 1)
        rows.append((str(name), seen, measured, ms, ms / factor, ms * factor, off))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def coverage(frame: pd.DataFrame) -> float:
    """Share of the networks of `against` that took a time inside their interval."""
    return float(frame["measured_ms"].between(frame["lower_ms"], frame["upper_ms"]).mean())


def against_figure(frame: pd.DataFrame, title: str) -> Any:
    """Plotly figure of `against`: predicted over measured, logarithmic, with the intervals."""
    import plotly.graph_objects as go

    figure = go.Figure()
    ends = [
        0.9 * float(np.minimum(frame["measured_ms"], frame["predicted_ms"]).min()),
        1.1 * float(np.maximum(frame["measured_ms"], frame["predicted_ms"]).max()),
    ]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name="equal", line={"color": MUTED, "dash": "dash"}
    )
    for seen, rows in frame.groupby("seen", sort=False):
        figure.add_scatter(
            x=rows["measured_ms"],
            y=rows["predicted_ms"],
            mode="markers",
            name=str(seen),
            text=[_short(name) for name in rows["network"]],
            error_y={
                "array": rows["upper_ms"] - rows["predicted_ms"],
                "arrayminus": rows["predicted_ms"] - rows["lower_ms"],
                "thickness": 0.7,
            },
            hovertemplate="%{text}<br>%{x:.3g} ms measured, %{y:.3g} ms predicted",
        )
    styled(figure, title, "measured latency (ms)", "predicted latency (ms)")
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    return figure


def _seen(predictor: LatencyPredictor, name: str, measured_ms: float) -> str:
    """Whether the fit held this timing of a network out, another one of it, or none."""
    if name not in predictor.timed_:
        return NEW
    return HELD_OUT if predictor.timed_[name] == marks({name: measured_ms})[name] else AGAIN


def _ops(name: str, kernels: Sequence[str]) -> tuple[Op, ...]:
    """Ops of a network: of the kernels timed inside it, else by its name or text."""
    if not kernels:
        return network_ops(name)
    return tuple(op for text in kernels for op in kernel_from_text(text))


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."
