"""Reference networks under the same predictors as a run's picks: what a front is compared with."""

from __future__ import annotations

import pandas as pd

from palmette.latency import LatencyPredictor
from palmette.space import ZOO, load
from palmette.train import AccuracyPrior
from palmette.train.prior import LAMBDA


def references(
    predictor: LatencyPredictor, recipe: str | None, confidence: float, lam: float = LAMBDA
) -> pd.DataFrame:
    """The zoo on a target, fastest first.

    Columns: network, ms, ms_at_confidence (one-sided), top1 (the prior's, with `recipe`, as for the
    picks), score (`lam` standard deviations off), published_top1 and its recipe, params_m, macs_m.
    """
    names = list(ZOO)
    architectures = [load(name) for name in names]
    time = predictor.predict_interval(architectures, confidence, two_sided=False)
    accuracy = AccuracyPrior.load().evaluate(architectures, recipe)
    table = pd.DataFrame(
        {
            "network": names,
            "ms": time.ms,
            "ms_at_confidence": time.upper_ms,
            "top1": accuracy.top1,
            "score": accuracy.score(lam),
            "published_top1": [ZOO[name].top1 for name in names],
            "published_recipe": [ZOO[name].recipe for name in names],
            "params_m": [architecture.params() / 1e6 for architecture in architectures],
            "macs_m": [architecture.macs() / 1e6 for architecture in architectures],
        }
    )
    return table.sort_values("ms", ignore_index=True)
