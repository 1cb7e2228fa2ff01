"""How good the predictors are: everything that `palmette latency validate` prints.

Networks and whole families predicted by fits that never saw them (`held_out`), how often intervals
hold, also on networks that a search selected (`selected`), the error against the number of designs
timed (`learning`), published one-change timings (`one_change`), and steps of more work that would
be predicted cheaper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from palmette.latency.fit_targets import timed_per_op
from palmette.latency.per_op.op_timings import gather
from palmette.latency.predictor import LatencyPredictor, fit_all
from palmette.latency.targets import parse_target
from palmette.latency.validation import one_change, per_op_report, selected
from palmette.latency.validation.baselines import BASELINES as BASELINES
from palmette.latency.validation.held_out import (
    CONFIDENCES,
    SPLITS,
    Timed,
    coverage,
    median_factor,
    timed_families,
)
from palmette.latency.validation.held_out import MODERN_TARGET as MODERN_TARGET
from palmette.latency.validation.held_out import OLD_RUNTIMES as OLD_RUNTIMES
from palmette.latency.validation.held_out import Row as Row
from palmette.latency.validation.held_out import headline as headline
from palmette.latency.validation.held_out import held_out_rows as held_out_rows
from palmette.latency.validation.held_out import scores as scores
from palmette.latency.validation.learning import Point, learning_curves
from palmette.latency.validation.one_change import Compared, compare
from palmette.latency.validation.selected import Outcome, selections
from palmette.latency.whole.model import Fits
from palmette.space import CompiledSpace, SearchSpace, compile_space

_BY_TARGET = ("networks", "mape", "mape_flops_offset", "mape_params_offset")
MONOTONE_STEPS = 10_000
MONOTONE_KEYS = ("kernel", "expansion", "depth", "channels", "resolution", "se")
SPACE = "mobilenet_v2"


@dataclass(frozen=True, slots=True)
class Validation:
    """All that a validation finds; `rows` has every timing once for each of `SPLITS`."""

    predictors: dict[str, LatencyPredictor]
    rows: tuple[Row, ...]
    outcomes: tuple[Outcome, ...]
    compared: tuple[Compared, ...]
    points: tuple[Point, ...]
    metrics: dict[str, Any]

    def of(self, split: str) -> list[Row]:
        """Rows of one split."""
        return [row for row in self.rows if row.split == split]


def run(timings: pd.DataFrame, space: str = SPACE) -> Validation:
    """Everything about a table of timings; under a minute for the shipped one.

    Args:
        timings: as `read_timings` gives them.
        space: preset in which networks are selected and steps of more work are taken.

    Raises:
        InputError: too few timings of a target.
    """
    fits: Fits = {}
    predictors = fit_all(timings, fits)
    families = timed_families(timings, fits)
    rows, metrics = _held_out(families)
    compiled = compile_space(SearchSpace.preset(space))
    outcomes = selections(families, compiled)
    compared = compare(families)
    own = [row for row in rows if row.split == "network"]
    metrics |= selected.summary(outcomes) | one_change.summary(compared)
    metrics["monotonicity_violations"] = sum(
        monotonicity_violations(predictor, compiled, MONOTONE_STEPS, seed=0)
        for predictor in predictors.values()
    )
    points = tuple(learning_curves(families, own))
    return Validation(predictors, tuple(rows), tuple(outcomes), tuple(compared), points, metrics)


def validate(timings: pd.DataFrame, fits: Fits | None = None) -> tuple[list[Row], dict[str, Any]]:
    """All rows with their network held out, and the metrics of both splits.

    `lono_mape_mobilenet_like`: mean over the 2020 targets of the error on the MobileNet-like eight.
    `lono_mape_all`: the same over all networks timed on each target.
    `lono_mape_modern`: error on the whole networks of the iPhone 13 under iOS 16, at their own
    resolutions; `lono_mape_modern_512`: on the backbones timed at 512 px.
    `targets_beating_flops` of `targets`: with a lower error than FLOPs and offset, on the networks
    of the lines above but `all` (all networks of the iPhone 12); `by_target`: their errors.
    `coverage_80`, `interval_factor_80`: of the 80 % intervals of the same networks; `coverage_50`,
    `_70`, `_90` of others.
    `lofo_...`: the same with families held out.
    """
    rows, metrics = _held_out(timed_families(timings, fits))
    return [row for row in rows if row.split == "network"], metrics


def _held_out(families: Sequence[Timed]) -> tuple[list[Row], dict[str, Any]]:
    rows = {
        split: [row for timed in families for row in held_out_rows(timed, split)]
        for split in SPLITS
    }
    metrics = _metrics(rows["network"])
    lofo = {name.removeprefix("lono_"): value for name, value in _metrics(rows["family"]).items()}
    return [*rows["network"], *rows["family"]], metrics | {
        f"lofo_{name}": value for name, value in lofo.items()
    }


def _metrics(rows: list[Row]) -> dict[str, Any]:
    targets = list(dict.fromkeys(row.target for row in rows))
    heads = {target: headline(rows, target) for target in targets}
    by_target = {target: scores(head) for target, head in heads.items() if head}
    old = [t for t in targets if parse_target(t).runtime in OLD_RUNTIMES]
    every = [scores([row for row in rows if row.target == t])["mape"] for t in old]
    like = [by_target[t]["mape"] for t in old if t in by_target]
    large = [row for row in rows if row.target == MODERN_TARGET and not row.whole]
    inner = [row for head in heads.values() for row in head]
    beating = [v["mape"] < v["mape_flops_offset"] for v in by_target.values()]
    return {
        "lono_mape_mobilenet_like": float(np.mean(like)) if like else None,
        "lono_mape_all": float(np.mean(every)) if every else None,
        "lono_mape_modern": by_target.get(MODERN_TARGET, {}).get("mape"),
        "lono_mape_modern_512": scores(large)["mape"] if large else None,
        "targets_beating_flops": sum(beating),
        "targets": len(by_target),
        "by_target": {t: {name: s[name] for name in _BY_TARGET} for t, s in by_target.items()},
        **{f"coverage_{c * 100:.0f}": coverage(inner, c) if inner else None for c in CONFIDENCES},
        "interval_factor_80": median_factor(inner, 0.8) if inner else None,
    }


def monotonicity_violations(
    predictor: LatencyPredictor, compiled: CompiledSpace, steps: int, seed: int
) -> int:
    """Random one-step increases of work in a space after which the prediction does not grow.

    Steps raise kernel, expansion, depth, width or resolution to the next choice, or add
    squeeze-and-excitation.
    """
    space, table = compiled.space, predictor.compile(compiled)
    rng = np.random.default_rng(seed)
    genes = [
        index for index, gene in enumerate(space.genes) if gene.name.split(".")[1] in MONOTONE_KEYS
    ]
    codes = space.sample(steps, rng)
    chosen = rng.choice(genes, size=steps)
    rows = np.arange(steps)
    codes[rows, chosen] = rng.integers(0, space.cardinalities[chosen] - 1)
    higher = codes.copy()
    higher[rows, chosen] += 1
    return int((table.ms(higher) <= table.ms(codes)).sum())


def report(
    timings: pd.DataFrame, figures: Path | None = None
) -> tuple[list[tuple[str, list[str], list[list[str]]]], dict[str, Any]]:
    """Tables (title, columns, rows) and metrics of `palmette latency validate`.

    Args:
        timings: as `read_timings` gives them.
        figures: folder for the figures; none are drawn without.
    """
    from palmette.latency.validation.tables import tables

    per_op = [name for name in sorted(set(timings["target"])) if timed_per_op(timings, name)]
    found, metrics = [], {}
    if len(per_op) < timings["target"].nunique():
        validation = run(timings[~timings["target"].isin(per_op)])
        found, metrics = tables(validation), dict(validation.metrics)
        if figures is not None:
            from palmette.latency.validation.figures import write_figures

            write_figures(validation, figures)
    by_target = {}
    for name in per_op:
        timed = gather(timings, parse_target(name))
        more, by_target[name] = per_op_report.report(timed, figures)
        found += more
    return found, metrics | ({"per_op": by_target} if by_target else {})
