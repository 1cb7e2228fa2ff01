"""A validation as tables of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from palmette.latency.effects import CHANGES, Effect
from palmette.latency.predictor import LatencyPredictor
from palmette.latency.targets import parse_target
from palmette.latency.validation.baselines import BASELINES
from palmette.latency.validation.breeding import Shares
from palmette.latency.validation.held_out import (
    CONFIDENCES,
    Row,
    coverage,
    headline,
    median_factor,
    scores,
)
from palmette.latency.validation.one_change import Compared, one_changes
from palmette.latency.validation.selected import Outcome
from palmette.latency.validation.validate import Validation

Table = tuple[str, list[str], list[list[str]]]
"""Title, columns, rows."""


def tables(found: Validation) -> list[Table]:
    """All tables, in the order in which `palmette latency validate` prints them."""
    by_split = {split: _headlines(found.of(split)) for split in ("network", "family")}
    every = {t: [r for r in found.of("network") if r.target == t] for t in found.predictors}
    return [
        (
            "Headline networks, held out: errors in %, Kendall's tau, share inside the 80 %"
            " interval and its factor",
            *_scores(by_split["network"]),
        ),
        ("The same folds: MAPE in % beside the baselines", *_baselines(by_split["network"])),
        ("Whole families held out, as above", *_scores(by_split["family"])),
        (
            "Whole families held out: MAPE in % beside the baselines",
            *_baselines(by_split["family"]),
        ),
        (
            "All timed networks, held out",
            *_scores({t: scores(own) for t, own in every.items() if own}),
        ),
        (
            "Targets with anchors alone: each anchor predicted from the others and the prior",
            *_anchors(found),
        ),
        ("Share inside intervals, headline networks held out", *_calibration(found)),
        (
            "Model against model, no phone: share of networks that a search selected, and of random"
            " ones, inside the 80 % interval, below its one-sided end; true over predicted ms",
            *_selected(found.outcomes),
        ),
        ("Error in % against designs fitted to", *_learning(found)),
        (
            "Published one-change timings: effects in %, both families held out; in brackets:"
            " another runtime, for orientation",
            *_one_changes(found.compared),
        ),
        ("Published changes without a prediction", *_inexpressible()),
        ("Predicted effect of one change to MobileNetV2", *_effects(found)),
    ]


Columns = tuple[list[str], list[list[str]]]


def _headlines(rows: list[Row]) -> dict[str, dict[str, float]]:
    targets = dict.fromkeys(row.target for row in rows)
    heads = {target: headline(rows, target) for target in targets}
    return {target: scores(head) for target, head in heads.items() if head}


def _alias(target: str) -> str:
    return parse_target(target).alias


def _scores(found: Mapping[str, Mapping[str, float]]) -> Columns:
    rows = [
        [
            _alias(target),
            f"{score['networks']}",
            f"{score['mape']:.1f}",
            f"{score['bias']:+.1f}",
            f"{score['worst']:.0f}",
            f"{score['tau']:.2f}",
            f"{score['coverage_80']:.2f}",
            f"{score['factor_80']:.2f}",
        ]
        for target, score in found.items()
    ]
    return ["target", "n", "MAPE", "bias", "worst", "tau", "inside", "factor"], rows


def _baselines(found: Mapping[str, Mapping[str, float]]) -> Columns:
    names = ("", *(f"_{name}" for name in BASELINES))
    rows = [
        [_alias(target), *(f"{score[f'mape{name}']:.1f}" for name in names)]
        for target, score in found.items()
    ]
    return ["target", "ours", *(name.replace("_", " ") for name in BASELINES)], rows


def _anchors(found: Validation) -> Columns:
    rows = [
        [_alias(target), name, f"{np.expm1(error):+.0%}", f"{predictor.usual_factor():.2f}"]
        for target, predictor in found.predictors.items()
        if predictor.anchors
        for name, error in predictor.held_out_errors_.items()
    ]
    return ["target", "anchor", "error", "80 % factor"], rows


def _calibration(found: Validation) -> Columns:
    heads = {
        split: [row for target in found.predictors for row in headline(found.of(split), target)]
        for split in ("network", "family")
    }
    rows = []
    for confidence in CONFIDENCES:
        cells = [f"{confidence:.0%}"]
        for head in heads.values():
            cells += (
                [f"{coverage(head, confidence):.2f}", f"{median_factor(head, confidence):.2f}"]
                if head
                else ["", ""]
            )
        rows.append(cells)
    return ["nominal", "networks", "factor", "families", "factor"], rows


def _selected(outcomes: Sequence[Outcome]) -> Columns:
    rows = []
    for target in dict.fromkeys(outcome.target for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.target == target]
        cells = [_alias(target)]
        for shares in ([o.selected for o in own], [o.random for o in own]):
            cells += _means(shares)
        rows.append(cells)
    columns = ["inside", "below", "true/ours"]
    return ["target", *columns, *("(random)" for _ in columns)], rows


def _means(shares: Sequence[Shares]) -> list[str]:
    ratio = float(np.exp(np.mean([np.log(share.ratio) for share in shares])))
    inside, below = (
        float(np.mean([getattr(share, name) for share in shares])) for name in ("inside", "below")
    )
    return [f"{inside:.2f}", f"{below:.2f}", f"{ratio:.2f}"]


def _learning(found: Validation) -> Columns:
    last = {point.target: point.designs for point in found.points}  # the points rise
    counts = sorted({p.designs for p in found.points if p.designs < last[p.target]})
    rows = []
    for target in (target for target in found.predictors if target in last):
        most = last[target]
        own = {point.designs: point for point in found.points if point.target == target}
        cells = [f"{own[n].mape:.1f}" if n in own and n < most else "" for n in counts]
        rows.append(
            [
                _alias(target),
                *cells,
                f"{own[most].mape:.1f} ({most})",
                f"{own[most].mape_flops:.1f}",
            ]
        )
    return ["target", *map(str, counts), "all but one", "MACs + offset"], rows


def _one_changes(compared: Sequence[Compared]) -> Columns:
    rows = []
    for row in compared:
        effect, low, high = row.published.measured()
        name = row.published.change
        rows.append(
            [
                name if row.published.counts else f"({name})",
                _alias(row.published.target),
                row.published.before,
                f"{effect:+.0%}",
                f"{low:+.0%} to {high:+.0%}",
                f"{row.predicted:+.0%}",
                f"{row.low:+.0%} to {row.high:+.0%}",
                "yes" if row.inside else "no",
            ]
        )
    return ["change", "target", "of", "timed", "rounded", "ours", "interval", "meet"], rows


def _inexpressible() -> Columns:
    rows = [
        [row.change, f"{row.measured()[0]:+.0%}", row.source, row.remark]
        for row in one_changes()
        if not row.expressible
    ]
    return ["change", "measured", "source", "why"], rows


def _effects(found: Validation) -> Columns:
    rows = [
        [
            _alias(target),
            effect.name,
            f"{effect.change:+.1%}",
            f"{effect.low:+.1%} to {effect.high:+.1%}",
            told(predictor, effect),
        ]
        for target, predictor in found.predictors.items()
        for effect in predictor.effects_
    ]
    return ["target", "change", "effect", "interval", "identified"], rows


def told(predictor: LatencyPredictor, effect: Effect) -> str:
    """Whether an effect is identified, or what is missing."""
    choices, _ = CHANGES[effect.name]
    untold = predictor.support_.untold(choices, effect.change != 0)
    return f"no ({', '.join(untold)})" if untold else "yes"
