"""A rank-correlation card of one's own: networks trained alone, and estimators held against them.

On the user's space, images and recipe, because how well an estimator ranks depends on all three.
It costs `seeds` whole trainings of every network; ten networks and three seeds are little, and the
intervals say how little.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from palmette.space import Architecture
from palmette.space.errors import expect
from palmette.space.look import MAIN, styled
from palmette.train.datasets import Data
from palmette.train.features import Floats
from palmette.train.proxy import Fidelity, ProxyAccuracy
from palmette.train.rank_card import ONE_TRAINING, REFERENCES, card
from palmette.train.recipe import Recipe
from palmette.train.trainer import train

LEAST_NETWORKS, LEAST_SEEDS = 3, 2
Told = Callable[[str, int, int], None]
"""Called with what is being trained, how many networks are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Card:
    """Networks trained alone, what estimators said of them, and the figures of `rank_card.card`.

    `alone` is top-1 as a share, (seeds, n); `estimates` are (n,) by name of the estimator, `params`
    and `macs` in millions among them.
    """

    networks: tuple[Architecture, ...]
    alone: Floats
    estimates: Mapping[str, Floats]
    figures: Mapping[str, Any]


def make_card(
    networks: Sequence[Architecture],
    data: Data,
    recipe: Recipe,
    *,
    seeds: int = 3,
    fidelities: Sequence[Fidelity] = (Fidelity(1), Fidelity(3)),
    others: Mapping[str, Floats] | None = None,
    device: str = "auto",
    told: Told | None = None,
) -> Card:
    """Train networks alone and by short trainings, and compare the orders.

    Args:
        networks: of the user's space; those that a search would choose between, not only far ones.
        data: images.
        recipe: of the trainings alone.
        seeds: trainings of each network, 2 or more; a short training gets a seed of its own.
        fidelities: of the short trainings, each an estimator named `proxy_EPOCHSxSCALE`.
        others: estimates (n,) of anything else, by name, such as a supernet's. They are free here.
        device: where it is computed.
        told: told of every training.

    Raises:
        InputError: fewer than 3 networks or 2 seeds, a fidelity twice, others of another length,
            not finite or named as a row that the card has, or what a training refuses.
    """
    others = {name: np.asarray(values, np.float64) for name, values in (others or {}).items()}
    _check(networks, seeds, [f"proxy_{fidelity}" for fidelity in fidelities], others)
    tell = told or (lambda what, done, of: None)
    one = 0.0
    alone = []
    for seed in range(seeds):
        measure = partial(_alone, data, recipe, seed, device)
        top1, seconds = _each(networks, f"alone, seed {seed}", measure, tell)
        alone.append(top1)
        one += seconds / (seeds * len(networks))
    estimates: dict[str, Floats] = {}
    costs: dict[str, float] = {}
    for fidelity in fidelities:
        proxy = ProxyAccuracy(data, recipe, fidelity, seed=seeds, device=device)
        name = f"proxy_{fidelity}"
        estimates[name], seconds = _each(networks, name, partial(_short, proxy), tell)
        costs[name] = seconds / one
    estimates |= others
    estimates["params"] = np.array([network.params() / 1e6 for network in networks])
    estimates["macs"] = np.array([network.macs() / 1e6 for network in networks])
    free = dict.fromkeys(estimates, 0.0)
    figures = card(estimates, np.stack(alone), free | costs, 0)
    return Card(tuple(networks), np.stack(alone), estimates, figures)


def card_figure(found: Card, name: str) -> Any:
    """Plotly figure of one estimator of a card: top-1 alone, mean and range of seeds, over it.

    Raises:
        InputError: the card has no estimator of that name.
    """
    import plotly.graph_objects as go

    expect(
        name in found.estimates,
        f"card: no estimator '{name}'; it has {', '.join(found.estimates)}",
    )
    top1 = 100 * found.alone
    middle = top1.mean(axis=0)
    figure = go.Figure()
    figure.add_scatter(
        x=found.estimates[name],
        y=middle,
        mode="markers",
        marker={"color": MAIN, "size": 9},
        error_y={
            "array": top1.max(axis=0) - middle,
            "arrayminus": middle - top1.min(axis=0),
            "thickness": 0.8,
        },
        text=[network.to_text() for network in found.networks],
        hovertemplate="%{text}<br>%{x:.3g}, alone %{y:.1f} %",
    )
    tau = found.figures["estimators"][name]["tau"]
    title = f"{name}: tau {tau['value']:.2f} ({tau['low']:.2f} to {tau['high']:.2f})"
    return styled(figure, title, name, "top-1 alone, % (mean and range of seeds)", height=460)


def _check(
    networks: Sequence[Architecture],
    seeds: int,
    proxies: Sequence[str],
    others: Mapping[str, Floats],
) -> None:
    expect(
        len(networks) >= LEAST_NETWORKS,
        f"a card needs {LEAST_NETWORKS} networks or more to rank, got {len(networks)}",
    )
    expect(
        seeds >= LEAST_SEEDS,
        f"seeds must be {LEAST_SEEDS} or more, got {seeds}: one says nothing of the noise",
    )
    for name in proxies:
        expect(proxies.count(name) == 1, f"fidelities: {name} is given twice")
    for name, values in others.items():
        expect(
            name not in (*proxies, *REFERENCES, ONE_TRAINING),
            f"estimator '{name}': the card has a row of that name; give it another",
        )
        expect(
            values.shape == (len(networks),),
            f"estimator '{name}': {values.size} estimates for {len(networks)} networks",
        )
        for number, value in enumerate(values, 1):
            expect(
                np.isfinite(value),
                f"estimator '{name}': must be finite, got {value} of network {number}",
            )


def _each(
    networks: Sequence[Architecture],
    what: str,
    measure: Callable[[Architecture], float],
    tell: Told,
) -> tuple[Floats, float]:
    """What is measured of each network, (n,), and the seconds that all took."""
    start, found = time.perf_counter(), []
    for done, network in enumerate(networks, 1):
        found.append(measure(network))
        tell(what, done, len(networks))
    return np.array(found), time.perf_counter() - start


def _alone(data: Data, recipe: Recipe, seed: int, device: str, network: Architecture) -> float:
    with tempfile.TemporaryDirectory() as scratch:
        done = train(network, data, recipe, Path(scratch) / "run", seed=seed, device=device)
    return float(done.history[-1]["top1"])


def _short(proxy: ProxyAccuracy, network: Architecture) -> float:
    return float(proxy.evaluate([network]).top1[0]) / 100
