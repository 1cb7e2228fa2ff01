"""Reference networks under the same predictors as a run's picks: what a front is compared with."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from palmette.latency import LatencyPredictor
from palmette.search.objectives.joined import JoinedTimes, join_loads
from palmette.search.objectives.quantities import quantities_of
from palmette.search.timed import timed_ms
from palmette.space import MOBILENET_LIKE, ZOO, Architecture, load
from palmette.train import AccuracyPrior
from palmette.train.prior import LAMBDA

if TYPE_CHECKING:
    from palmette.search.problem import SearchProblem

Quantify = Callable[[Architecture], dict[str, float]]


def references(
    predictor: LatencyPredictor,
    recipe: str | None,
    confidence: float,
    lam: float = LAMBDA,
    quantify: Quantify = quantities_of,
) -> pd.DataFrame:
    """The zoo on a target, fastest first.

    Columns: network, ms, ms_at_confidence (one-sided), timed_ms (see `search.timed`; NaN for a
    network that wasn't), top1 (the prior's, with `recipe`, as for the picks), score (`lam` standard
    deviations off), published_top1 and its recipe, and the quantities that can be limited, as
    `quantify` counts them.
    """
    names = list(MOBILENET_LIKE)
    architectures = [load(name) for name in names]
    time = predictor.predict_interval(architectures, confidence, two_sided=False)
    timed = timed_ms(predictor)
    accuracy = AccuracyPrior.load().evaluate(architectures, recipe)
    table = pd.DataFrame(
        {
            "network": names,
            "ms": time.ms,
            "ms_at_confidence": time.upper_ms,
            "timed_ms": [timed.get(network.id, math.nan) for network in architectures],
            "top1": accuracy.top1,
            "score": accuracy.score(lam),
            "published_top1": [ZOO[name].top1 for name in names],
            "published_recipe": [ZOO[name].recipe for name in names],
        }
    )
    quantities = pd.DataFrame([quantify(architecture) for architecture in architectures])
    table = pd.concat([table, quantities], axis=1)
    return table.sort_values("ms", ignore_index=True)


def joined_references(
    times: JoinedTimes,
    recipe: str | None,
    confidence: float,
    lam: float = LAMBDA,
    quantify: Quantify = quantities_of,
) -> pd.DataFrame:
    """The zoo under several targets joined, least load first.

    Columns as of `references`, with load and load_at_confidence in place of its three times.
    """
    each = times.each_at(confidence)
    tables = [
        references(latency.predictor, recipe, each, lam, quantify).set_index("network")
        for latency in times.latencies
    ]
    table = tables[0]
    ms, upper = (
        np.stack([one.loc[table.index, name].to_numpy() for one in tables], axis=1)
        / times.budgets_ms
        for name in ("ms", "ms_at_confidence")
    )
    found = join_loads(times.join, times.weights, (ms, ms, upper), np.zeros_like(ms))
    table = table.drop(columns=["ms", "ms_at_confidence", "timed_ms"])
    table.insert(0, "load", found.load)
    table.insert(1, "load_at_confidence", found.upper)
    return table.reset_index().sort_values("load", ignore_index=True)


def run_references(problem: SearchProblem, recipe: str | None) -> pd.DataFrame:
    """The zoo under a run's predictors, in the columns of its front."""
    limits, counted = problem.limits, problem.quantities
    quantify = partial(
        quantities_of,
        precisions=counted.precisions,
        value_bytes=counted.value_bytes,
        package_mb=limits.package_mb,
    )
    if problem.joined is None:
        predictor = problem.latency.predictor
        return references(predictor, recipe, limits.confidence, limits.lam, quantify)
    return joined_references(problem.joined, recipe, limits.confidence, limits.lam, quantify)
