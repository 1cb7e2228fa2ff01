"""The accuracy prior against published networks: what it says of each, and what was published.

Trainings are those of `family_bias`: the zoo's figures and `data/family_rows.csv`. Estimates are
those of `AccuracyPrior.evaluate`, behind the guards, at the training's recipe where that is known
and was not fitted to these networks alone, else at the mean recipe. Where the prior was fitted once
without a network's family, there is the error of that fit too, without guards: what the prior would
have said of a family that it had never seen. (Its recipes have seen all families.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.space.architecture import Architecture
from palmette.space.errors import InputError, expect
from palmette.space.look import COLOURS, MUTED, styled
from palmette.space.zoo import FAMILIES, load
from palmette.train.family_bias import OWN_RECIPES, Training, families_in, trainings
from palmette.train.features import features_of, laid_out, sums_of
from palmette.train.prior import AccuracyPrior

if TYPE_CHECKING:
    import pandas as pd

FITS = {
    "mobilenet_v1": "mobilenetv1",
    "mobilenet_v2": "mobilenetv2",
    "mobilenet_v3": "mobilenetv3",
    "mobilenet_v4": "mobilenetv4",
    "mnasnet": "mnasnet",
    "fbnet": "fbnet",
    "mixnet": "mixnet",
    "efficientnet_b": "efficientnet",
    "efficientnet_lite": "efficientnet-lite",
    "efficientnet_edgetpu": "efficientnet-edgetpu",
}
"""Start of a network's name -> the fit of the prior without its family."""
FITTED = "blocks of the fit"
"""What the column `blocks` says of networks whose blocks had a hand in the prior."""
OUTSIDE = "other blocks"
"""What it says of all others."""


def published(prior: AccuracyPrior | None = None) -> pd.DataFrame:
    """A row per published training of the zoo's networks, estimated and published.

    Columns: `network`; `family`, of the zoo; `blocks`, `FITTED` or `OUTSIDE`; `recipe`, blank for
    the mean recipe; `published` top-1 in %; `top1`, `lower`, `upper` of the estimate with its 80 %
    interval, and its `error`, estimate less published in points; `inside`, whether the interval
    holds what was published, NA where there is none; `left_out_error`, of the fit without the
    network's family; `guarded`, whether a guard withheld a reward; `refused`, why the prior does
    not judge it, else blank.

    Args:
        prior: default the shipped one.
    """
    import pandas as pd

    prior = prior or AccuracyPrior.load()
    family = {name: file.__name__.rpartition(".")[2] for file in FAMILIES for name in file.NETWORKS}
    rows = [_row(prior, training, family[training.network]) for training in trainings()]
    frame = pd.DataFrame(rows)
    frame["error"] = frame["top1"] - frame["published"]
    inside = frame["published"].between(frame["lower"], frame["upper"]).astype("boolean")
    frame["inside"] = inside.mask(frame["refused"] != "")
    return frame


def errors_by(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Errors of `published` by a column's values: those judged, in points.

    Columns: `networks`, `bias` (mean error), `mae` (mean absolute error), `worst` (absolute),
    `inside` (share inside the 80 % interval).

    Raises:
        InputError: the frame has no such column.
    """
    expect(
        column in frame, f"column '{column}': the frame has none; it has {', '.join(frame.columns)}"
    )
    judged = frame[frame["refused"] == ""]
    inside = judged["inside"].astype(np.float64)
    judged = judged.assign(off=judged["error"].abs(), inside=inside)
    groups = judged.groupby(column, sort=False)
    return groups.agg(
        networks=("error", "size"),
        bias=("error", "mean"),
        mae=("off", "mean"),
        worst=("off", "max"),
        inside=("inside", "mean"),
    )


def published_figure(frame: pd.DataFrame) -> Any:
    """Plotly figure of `published`: estimate with its interval over published top-1, by family."""
    import plotly.graph_objects as go

    judged = frame[frame["refused"] == ""]
    ends = [float(judged[["published", "lower"]].min().min()), 85.0]
    figure = go.Figure()
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name="equal", line={"color": MUTED, "dash": "dash"}
    )
    for place, (family, rows) in enumerate(judged.groupby("family", sort=False)):
        figure.add_scatter(
            x=rows["published"],
            y=rows["top1"],
            mode="markers",
            name=str(family),
            marker={
                "color": COLOURS[place % len(COLOURS)],
                "size": 8,
                "symbol": [
                    "circle" if blocks == FITTED else "circle-open" for blocks in rows["blocks"]
                ],
            },
            error_y={
                "array": rows["upper"] - rows["top1"],
                "arrayminus": rows["top1"] - rows["lower"],
                "thickness": 0.6,
                "width": 0,
            },
            text=rows["network"],
            hovertemplate="%{text}<br>published %{x:.1f} %, estimated %{y:.1f} %",
        )
    title = "Published networks; hollow: blocks that the prior was not fitted to"
    return styled(figure, title, "published top-1, %", "estimated top-1 with 80 % interval, %")


def _row(prior: AccuracyPrior, training: Training, family: str) -> dict[str, Any]:
    network = load(training.network)
    if training.resolution:
        network = network.with_resolution(training.resolution, training.resolution)
    known = training.recipe not in ("", *OWN_RECIPES)
    row = {
        "network": training.network,
        "family": family,
        "blocks": OUTSIDE if families_in(network) else FITTED,
        "recipe": training.recipe if known else "",
        "published": training.top1,
    }
    return row | _estimate(prior, network, training, training.recipe if known else None)


def _estimate(
    prior: AccuracyPrior, network: Architecture, training: Training, recipe: str | None
) -> dict[str, Any]:
    nan = float("nan")
    try:
        batch = prior.evaluate([network], recipe)
    except InputError as error:
        empty = dict.fromkeys(("top1", "lower", "upper", "left_out_error"), nan)
        return {**empty, "guarded": False, "refused": str(error)}
    lower, upper = batch.interval()
    return {
        "top1": float(batch.top1[0]),
        "lower": float(lower[0]),
        "upper": float(upper[0]),
        "left_out_error": _left_out_error(prior, network, training, recipe),
        "guarded": bool(batch.guarded[0]),
        "refused": "",
    }


def _left_out_error(
    prior: AccuracyPrior, network: Architecture, training: Training, recipe: str | None
) -> float:
    """Error of the fit without the family, in points; not a number where there is no such fit."""
    fit = next((fit for start, fit in FITS.items() if training.network.startswith(start)), "")
    if fit not in prior.left_out:
        return float("nan")
    features = features_of(sums_of(network, list(laid_out(network)))[None])
    errors = prior.bare.errors(features, prior.recipe_offset(recipe))[:, 0]
    return float(100.0 - errors[1 + prior.left_out.index(fit)] - training.top1)
