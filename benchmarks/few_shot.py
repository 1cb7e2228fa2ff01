"""How well a new phone is predicted from a few timings, with an older known phone as the prior.

The prior is the iPhone 11 of the shipped table (17 networks, timed in 2020); new phones are the
iPhone XS and X of the same table: five targets. The class is ten networks, the eight MobileNet-like
ones, GhostNet and MixNet-M. A draw times the first k of them on the new phone, for k = 3, 5 and 8,
and predicts each of the others. A network that is predicted is out of every fit and every choice
behind its prediction, of the iPhone 11 too. There are 60 draws: six random orders of the ten, each
turned to begin at every place, so that each network is predicted equally often.

Beside the product's few-shot model, by the same draws: prices fitted to the k timings alone (on the
Neural Engine one form with a price of squeeze-and-excitation, as its other state needs a GPU's
timings), MACs with an offset, and the floor: the iPhone 11's own measured time of the network times
one scale, which no prediction of an unseen network has.

With `--all-out` the iPhone 11's model of a draw lacks all of the draw's networks to predict at once
(for k = 3 seven of ten), not just the one in turn: how much the prior's own timings matter.

    python benchmarks/few_shot.py [--all-out] [--json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import gmean

from palmette.latency import TARGETS, Target, published_timings
from palmette.latency.uncertainty import hull_sums
from palmette.latency.validation.baselines import BASELINES
from palmette.latency.whole.few_shot import Known, transfer, transfer_uncertainty
from palmette.latency.whole.fitted import measured_networks
from palmette.latency.whole.fitting import Design, fit_prices
from palmette.latency.whole.forms import FAMILIES, Form
from palmette.latency.whole.model import Measured, fit_family
from palmette.space import MOBILENET_LIKE
from palmette.space.files import write_text

Floats = NDArray[np.float64]

RESULTS = Path(__file__).resolve().parents[1] / "results" / "few_shot.json"
SUPPORT = (3, 5, 8)
ORDERS, SEED = 6, 0
CONFIDENCE = 0.8
PRIOR = "iphone-11"
CLASS = (*MOBILENET_LIKE, "ghostnet_1.0", "mixnet_m_as_timed")
NEW = (
    "iphone-xs/cpu@coreml-ios13",
    "iphone-x/cpu@coreml-ios12",
    "iphone-xs/gpu@coreml-ios13",
    "iphone-x/gpu@coreml-ios12",
    "iphone-xs/ane@coreml-ios13",
)
ONE_STATE = Form("ane_one_state", ("macs", "elements", "dispatched", "gates"))
WAYS = {"few": "few-shot", "own": "own fit", "flops": "MACs + offset", "floor": "(floor)"}


@dataclass(frozen=True, slots=True)
class Row:
    """One network of one draw on one new target: milliseconds, and the 80 % interval's factor."""

    target: str
    support: int
    measured_ms: float
    predicted_ms: dict[str, float]
    factor_80: float


def orders() -> list[tuple[str, ...]]:
    """Networks of the class in the order of each draw; every network is in every place equally."""
    random = np.random.default_rng(SEED)
    shuffled = [random.permutation(CLASS) for _ in range(ORDERS)]
    return [tuple(np.roll(order, turn).tolist()) for order in shuffled for turn in range(10)]


class Priors:
    """The iPhone 11 without some networks, fitted once for each set of them."""

    def __init__(self, everything: Measured) -> None:
        rows = {name: ms for name, ms in everything.latency_ms.items() if name.startswith(PRIOR)}
        self._measured = Measured(rows, everything.ops, matrices=everything.matrices)
        self._known: dict[tuple[str, frozenset[str]], Known] = {}

    def without(self, family: str, networks: frozenset[str]) -> Known:
        """The prior of a family's targets without some networks."""
        key = (family, networks)
        if key not in self._known:
            name = next(n for n in self._measured.latency_ms if TARGETS[n].family == family)
            self._known[key] = Known.of(name, self._measured.without(networks))
        return self._known[key]

    def measured_ms(self, family: str, network: str) -> float:
        """What the prior's phone measured."""
        rows = self._measured.latency_ms
        return next(ms[network] for name, ms in rows.items() if TARGETS[name].family == family)


def own_fit(target: Target, timed: Measured, networks: Sequence[str]) -> list[float]:
    """Networks by prices fitted to the few timings alone, in ms."""
    if not FAMILIES[target.family].fallback:
        model = fit_family(target.family, timed)[str(target)]
        return [timed.predict(name, model) for name in networks]
    names = list(timed.ops)
    floors = np.array([[timed.floor_ms(name, target) for name in names]])
    design = Design.of(ONE_STATE, [timed.matrix(name, ONE_STATE) for name in names], floors)
    rows = timed.latency_ms[str(target)]
    prices = fit_prices(design, np.array([[rows.get(name, np.nan) for name in names]]))[0]
    total: Floats = design.shares(prices) @ prices + floors[0]
    return [float(total[names.index(name)]) for name in networks]


def draw(
    order: tuple[str, ...],
    support: int,
    target: Target,
    everything: Measured,
    priors: Priors,
    all_out: bool = False,
) -> list[Row]:
    """Networks after the first few of an order, predicted from those few."""
    truth, family = everything.latency_ms[str(target)], target.family
    rows = {name: truth[name] for name in order[:support]}
    timed = Measured({str(target): rows}, everything.ops, matrices=everything.matrices)
    others = order[support:]
    scale = gmean([ms / priors.measured_ms(family, name) for name, ms in rows.items()])
    found = []
    for name, own in zip(others, own_fit(target, timed, others), strict=True):
        known = priors.without(family, frozenset(others if all_out else (name,)))
        predicted = {
            "few": timed.predict(name, transfer(known, target, timed)),
            "own": own,
            "flops": BASELINES["flops_offset"](timed, str(target), name),
            "floor": float(scale) * priors.measured_ms(family, name),
        }
        factor = transfer_uncertainty(known, target, timed).factor(
            hull_sums(timed, name), CONFIDENCE
        )
        found.append(Row(str(target), support, truth[name], predicted, float(factor)))
    return found


def measure(
    timings: pd.DataFrame, draws: Sequence[tuple[str, ...]], all_out: bool = False
) -> list[Row]:
    """Every draw on every new target."""
    everything = measured_networks(timings, "ane-2020")  # and the CPU's and GPU's, to fall back to
    priors = Priors(everything)
    return [
        row
        for target in NEW
        for support in SUPPORT
        for order in draws
        for row in draw(order, support, TARGETS[target], everything, priors, all_out)
    ]


def mape(rows: Sequence[Row], way: str) -> float:
    """Mean absolute error in %."""
    return 100 * float(np.mean([abs(r.predicted_ms[way] / r.measured_ms - 1) for r in rows]))


def metrics_of(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over draws and targets, by support; each target has equally many rows."""
    off = np.array([abs(np.log(row.predicted_ms["few"] / row.measured_ms)) for row in rows])
    factors = np.array([row.factor_80 for row in rows])
    return {
        **{
            f"mape_{way}_{support}": mape([row for row in rows if row.support == support], way)
            for way in WAYS
            for support in SUPPORT
        },
        "coverage_80": float(np.mean(off <= np.log(factors))),
        "interval_factor_80": float(np.median(factors)),
        "targets": len({row.target for row in rows}),
    }


def show(rows: Sequence[Row], metrics: dict[str, Any], draws: int) -> None:
    """Print errors by target and number of timings."""
    print(f"errors in % of networks that no fit saw; {draws} draws; prior: {PRIOR}")
    print(f"{'target':<14}{'timings':>8}" + "".join(f"{label:>15}" for label in WAYS.values()))
    for target in (*NEW, ""):
        for support in SUPPORT:
            own = [r for r in rows if r.support == support and target in ("", r.target)]
            name = TARGETS[target].alias if target else "mean"
            cells = "".join(f"{mape(own, way):15.1f}" for way in WAYS)
            print(f"{name:<14}{support:>8}{cells}")
    print(
        f"80 % intervals: coverage {metrics['coverage_80']:.2f},"
        f" median factor {metrics['interval_factor_80']:.2f}"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--all-out", action="store_true", help="hold all of a draw's networks out of the prior"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    draws = orders()
    rows = measure(published_timings(), draws, arguments.all_out)
    metrics = metrics_of(rows)
    show(rows, metrics, len(draws))
    command = "python benchmarks/few_shot.py" + (" --all-out" if arguments.all_out else "")
    write_text(arguments.out, json.dumps({"command": command, **metrics}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))


if __name__ == "__main__":
    main()
