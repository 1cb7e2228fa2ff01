"""How good the predictors are: every network predicted by fits that never saw it.

Held out is a *design*: a network in all its widths and resolutions, on all targets. Intervals are
themselves calibrated inside the fold, on fits that leave out a second design. Baselines answer the
same folds: FLOPs and parameters with an offset (non-negative least squares on relative error) and
the nearest timed networks, scaled by their MACs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import kendalltau

from palmette.latency.fitted import measured_networks
from palmette.latency.forms import FAMILIES
from palmette.latency.model import Fits, Measured, fit_family
from palmette.latency.predictor import LatencyPredictor, fit_all
from palmette.latency.targets import TARGETS
from palmette.latency.uncertainty import (
    design,
    estimate,
    held_out_errors,
    held_out_fits,
    hull_sums,
)
from palmette.space import MOBILENET_LIKE, CompiledSpace, SearchSpace, compile_space

Floats = NDArray[np.float64]

CONFIDENCE = 0.8
OLD_RUNTIMES = ("coreml-ios12", "coreml-ios13")
MODERN_TARGET = "iphone-13/ane@coreml-ios16"
MONOTONE_STEPS = 10_000
MONOTONE_KEYS = ("kernel", "expansion", "depth", "channels", "resolution", "se")


@dataclass(frozen=True, slots=True)
class Row:
    """One network on one target, held out: milliseconds measured and predicted."""

    target: str
    network: str
    measured_ms: float
    predicted_ms: float
    factor_80: float
    """Factor of the 80 % interval, calibrated inside the fold."""
    baselines_ms: Mapping[str, float]

    @property
    def mobilenet_like(self) -> bool:
        """One of the eight names of the zoo."""
        return self.network in MOBILENET_LIKE

    @property
    def covered(self) -> bool:
        """Whether the measurement lies inside the 80 % interval."""
        return abs(math.log(self.measured_ms / self.predicted_ms)) <= math.log(self.factor_80)


def held_out_rows(timings: pd.DataFrame, family: str, fits: Fits | None = None) -> list[Row]:
    """Every timed network of a family's targets, predicted without its design.

    Args:
        timings: as `read_timings` gives them.
        family: of `FAMILIES`.
        fits: models of the same table that were fitted before.
    """
    measured = measured_networks(timings, family, fits)
    rows: list[Row] = []
    if not any(TARGETS[target].family == family for target in measured.latency_ms):
        return rows
    for held in sorted({design(name) for name in measured.ops}):
        inside = measured.without(frozenset(n for n in measured.ops if design(n) == held))
        models = fit_family(family, inside)
        errors = held_out_errors(list(models), inside, held_out_fits(family, inside))
        for target, model in models.items():
            spread = estimate(inside, errors[target])
            for name in (n for n in measured.latency_ms[target] if design(n) == held):
                rows.append(
                    Row(
                        target,
                        name,
                        measured.latency_ms[target][name],
                        inside.predict(name, model),
                        float(spread.factor(hull_sums(inside, name), CONFIDENCE)),
                        {
                            baseline: predict(inside, target, name)
                            for baseline, predict in BASELINES.items()
                        },
                    )
                )
    return rows


def scores(rows: list[Row]) -> dict[str, float]:
    """Errors over rows of one target, in percent, and rank, coverage and width of intervals."""
    ratio = np.array([row.predicted_ms / row.measured_ms for row in rows])
    both = np.array([(row.predicted_ms, row.measured_ms) for row in rows])
    result = {
        "networks": len(rows),
        "mape": 100 * float(np.abs(ratio - 1).mean()),
        "bias": 100 * float(np.expm1(np.log(ratio).mean())),
        "worst": 100 * float(np.abs(ratio - 1).max()),
        "tau": float(kendalltau(both[:, 0], both[:, 1]).statistic) if len(rows) > 1 else math.nan,
        "coverage_80": float(np.mean([row.covered for row in rows])),
        "factor_80": float(np.median([row.factor_80 for row in rows])),
    }
    for name in BASELINES:
        errors = [abs(row.baselines_ms[name] / row.measured_ms - 1) for row in rows]
        result[f"mape_{name}"] = 100 * float(np.mean(errors))
    return result


def validate(timings: pd.DataFrame, fits: Fits | None = None) -> tuple[list[Row], dict[str, Any]]:
    """All held-out rows, and the metrics that `palmette latency validate --json` prints.

    `lono_mape_mobilenet_like`: mean over the 2020 targets of the error on the MobileNet-like eight.
    `lono_mape_modern`: error on the whole networks of the iPhone 13 under iOS 16, at their own
    resolutions; `lono_mape_modern_512`: on the backbones timed at 512 px.
    `targets_beating_flops` of `targets`: with a lower error than FLOPs and offset, on the networks
    of the two lines above (all networks of the iPhone 12).
    `coverage_80`, `interval_factor_80`: of the 80 % intervals of the same networks.
    """
    fits = {} if fits is None else fits
    rows = [row for family in FAMILIES for row in held_out_rows(timings, family, fits)]
    heads = {target: headline(rows, target) for target in TARGETS}
    by_target = {target: scores(head) for target, head in heads.items() if head}
    old = [v["mape"] for t, v in by_target.items() if TARGETS[t].runtime in OLD_RUNTIMES]
    large = [row for row in rows if row.target == MODERN_TARGET and "_backbone_" in row.network]
    inner = [row for head in heads.values() for row in head]
    beating = [v["mape"] < v["mape_flops_offset"] for v in by_target.values()]
    metrics: dict[str, Any] = {
        "lono_mape_mobilenet_like": float(np.mean(old)) if old else None,
        "lono_mape_modern": by_target.get(MODERN_TARGET, {}).get("mape"),
        "lono_mape_modern_512": scores(large)["mape"] if large else None,
        "targets_beating_flops": sum(beating),
        "targets": len(by_target),
        "coverage_80": float(np.mean([row.covered for row in inner])) if inner else None,
        "interval_factor_80": float(np.median([r.factor_80 for r in inner])) if inner else None,
    }
    return rows, metrics


def headline(rows: list[Row], target: str) -> list[Row]:
    """The networks that a target's headline error is taken over.

    MobileNet-like ones under the 2020 runtimes; later, all whole networks.
    """
    own = [row for row in rows if row.target == target]
    if TARGETS[target].runtime in OLD_RUNTIMES:
        return [row for row in own if row.mobilenet_like]
    return [row for row in own if "_backbone_" not in row.network]


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


def _with_offset(feature: str) -> Callable[[Measured, str, str], float]:
    """Baseline: a·x + c with a, c >= 0, least squares on relative error."""

    def value(measured: Measured, name: str) -> float:
        return float(getattr(measured.ops[name], feature).sum())

    def predict(measured: Measured, target: str, network: str) -> float:
        names = list(measured.latency_ms[target])
        ms = np.array([measured.latency_ms[target][name] for name in names])
        x = np.array([value(measured, name) for name in names])
        scale = x.mean()
        matrix = np.stack([x / scale, np.ones(len(x))], axis=1) / ms[:, None]
        (slope, offset), _ = nnls(matrix, np.ones(len(x)))
        return float(slope * value(measured, network) / scale + offset)

    return predict


def _nearest(count: int) -> Callable[[Measured, str, str], float]:
    """Baseline: the nearest timed networks in log work, each scaled by its MACs, averaged."""

    def logs(measured: Measured, name: str) -> Floats:
        found: Floats = np.log(hull_sums(measured, name)[3:])
        return found

    def predict(measured: Measured, target: str, network: str) -> float:
        own = logs(measured, network)
        distances = {
            name: float(np.linalg.norm(logs(measured, name) - own))
            for name in measured.latency_ms[target]
        }
        nearest = sorted(distances, key=lambda name: distances[name])[:count]
        guesses = [
            math.log(measured.latency_ms[target][name]) + own[0] - logs(measured, name)[0]
            for name in nearest
        ]
        return math.exp(float(np.mean(guesses)))

    return predict


BASELINES: dict[str, Callable[[Measured, str, str], float]] = {
    "flops_offset": _with_offset("macs"),
    "params_offset": _with_offset("weights"),
    "nearest_1": _nearest(1),
    "nearest_2": _nearest(2),
}
"""Name -> prediction of a network from the timings of a fold."""


def report(timings: pd.DataFrame) -> tuple[list[tuple[str, list[str], list[list[str]]]], Any]:
    """Tables (title, columns, rows) and metrics of `palmette latency validate`."""
    fits: Fits = {}
    predictors = fit_all(timings, fits)
    rows, metrics = validate(timings, fits)
    metrics["monotonicity_violations"] = 0
    compiled = compile_space(SearchSpace.preset("mobilenet_v2"))
    for predictor in predictors.values():
        metrics["monotonicity_violations"] += monotonicity_violations(
            predictor, compiled, MONOTONE_STEPS, seed=0
        )
    by_target = {t: scores([row for row in rows if row.target == t]) for t in predictors}
    headlines = {t: scores(headline(rows, t)) for t in predictors if headline(rows, t)}
    tables = [
        (
            "Headline networks, held out: errors in %, Kendall's tau, share inside the 80 %"
            " interval and its factor",
            *_score_rows(headlines),
        ),
        ("The same folds: MAPE in % beside the baselines", *_baseline_rows(headlines)),
        ("All timed networks, held out", *_score_rows(by_target)),
        ("Predicted effect of one change to MobileNetV2", *_effect_rows(predictors)),
    ]
    return tables, metrics


def _score_rows(found: Mapping[str, dict[str, float]]) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            TARGETS[target].alias,
            str(score["networks"]),
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


def _baseline_rows(found: Mapping[str, dict[str, float]]) -> tuple[list[str], list[list[str]]]:
    names = ("", *(f"_{name}" for name in BASELINES))
    rows = [
        [TARGETS[target].alias, *(f"{score[f'mape{name}']:.1f}" for name in names)]
        for target, score in found.items()
    ]
    return ["target", "ours", *(name.replace("_", " ") for name in BASELINES)], rows


def _effect_rows(
    predictors: Mapping[str, LatencyPredictor],
) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            TARGETS[target].alias,
            effect.name,
            f"{effect.change:+.1%}",
            f"{effect.low:+.1%} to {effect.high:+.1%}",
            "yes" if effect.identified else "no (barred)",
        ]
        for target, predictor in predictors.items()
        for effect in predictor.effects_
    ]
    return ["target", "change", "effect", "interval", "identified"], rows
