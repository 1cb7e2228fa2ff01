"""How well timings per op predict whole networks of families that were never timed.

Whole families are held out in six folds. Two questions:

* (A) the ops of a new network are measured: `a * sum + c + d * slow activations`, calibrated on
  five networks drawn from the other families; a draw takes five for each fold, 200 draws;
* (B) the ops of a new network are not measured: a model of kernels is chosen, fitted and calibrated
  on the other families alone. Only models that rise strictly with the work are chosen from, since
  a search needs one; each model is also shown without the choice.

Beside them, by the same folds: MACs with an offset, parameters with an offset, MACs, elements moved
and the number of kernels with an offset (all fitted to the whole networks of the other folds by the
same loss), and the plain sum of the measured ops. The 90 % intervals of (B) are split conformal on
the training families' held-out errors.

Files are any phone's that the import maps `mobile_ml_ops` and `mobile_ml_networks` fit: rows put
aside are listed, networks that lost an op are left out.

    python benchmarks/per_op_to_network.py [--ops FILE --networks FILE --families FILE] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from palmette.latency.per_op.network_cost import (
    NetworkCalibration,
    TimedNetworks,
    choose,
    family_folds,
    fit_networks,
    least_kernel_ms,
)
from palmette.latency.per_op.op_cost import OP_MODELS, STRICT_MODELS
from palmette.latency.validation.inside import FOLDS, Loaded, read
from palmette.latency.validation.per_op import BASELINES, CONFIDENCE, Score, baseline_ms
from palmette.space import InputError
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.third_party import third_party_folder

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESULTS = Path(__file__).resolve().parents[1] / "results" / "per_op_to_network.json"
DATA = third_party_folder()
DEFAULTS = {
    "ops": DATA / "iphone_xs_gpu_tflite_ops.csv.gz",
    "networks": DATA / "iphone_xs_gpu_tflite_networks.csv.gz",
    "families": DATA / "network_families.csv",
}
DRAWS, CALIBRATION = 200, 5
CHOSEN = "chosen"
LABELS = {
    CHOSEN: "ops never measured, model chosen",
    "parametric": "  parametric alone",
    "power": "  power laws alone",
    "trees": "  power laws and trees alone",
    "nearest": "  nearest kernels alone (no search)",
    "macs": "MACs and offset",
    "parameters": "parameters and offset",
    "macs_moved_count": "MACs, elements, kernels and offset",
    "raw_sum": "raw sum of measured ops",
}


def measured_ops(networks: TimedNetworks, fold: Ints, draws: int = DRAWS) -> Floats:
    """Error in % over all networks of each draw of calibration networks (A), shape (draws,).

    Raises:
        InputError: a fold leaves fewer than `CALIBRATION` networks to draw from.
    """
    features = networks.features(networks.kernel_ms)
    errors = np.zeros((draws, len(networks.ms)))
    for held in np.unique(fold):
        out = fold == held
        others = np.flatnonzero(~out)
        expect(
            len(others) >= CALIBRATION, f"{CALIBRATION} calibration networks, {len(others)} left"
        )
        least = least_kernel_ms(networks.kernel_ms[~out[networks.network]])
        for draw in range(draws):
            picked = np.random.default_rng([draw, held]).choice(others, CALIBRATION, replace=False)
            fitted = NetworkCalibration(least).fit(features[picked], networks.ms[picked])
            errors[draw, out] = np.abs(fitted.predict(features[out]) / networks.ms[out] - 1)
    found: Floats = 100 * errors.mean(axis=1)
    return found


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Answers to (B): held-out ms (networks,) by `CHOSEN` and each model, and 90 % factors.

    `factor` (networks,) belongs to the chosen model; `chosen` names it for each fold.
    """

    ms: dict[str, Floats]
    factor: Floats
    chosen: tuple[str, ...]


def unmeasured_ops(networks: TimedNetworks, fold: Ints) -> Unmeasured:
    """Networks predicted by op models that know nothing of their families, nor of their kernels."""
    count = len(networks.ms)
    ms = {name: np.zeros(count) for name in (CHOSEN, *OP_MODELS)}
    factor, chosen = np.zeros(count), []
    for held in np.unique(fold):
        out = fold == held
        others = networks.take(~out)
        models = fit_networks(others, OP_MODELS)
        strict = {name: models[name] for name in STRICT_MODELS}
        best = choose(strict, others.timed(np.ones(len(others.ms), dtype=np.bool_)))
        for name, model in {CHOSEN: best, **models}.items():
            ms[name][out] = model.predict(networks.take(out))
        factor[out] = best.factor(CONFIDENCE)
        chosen.append(best.name)
    return Unmeasured(ms, factor, tuple(chosen))


def fit_seconds(networks: TimedNetworks) -> float:
    """Seconds that a predictor's fit to all kernels takes, the choice of its model included."""
    begin = time.perf_counter()
    choose(fit_networks(networks), networks.timed(np.ones(len(networks.ms), dtype=np.bool_)))
    return time.perf_counter() - begin


def measure(loaded: Loaded, draws: int = DRAWS) -> dict[str, Any]:
    """All metrics; raises InputError if there are too few networks or families."""
    networks = loaded.networks
    fold = family_folds(networks.families, FOLDS)
    errors = measured_ops(networks, fold, draws)
    unmeasured = unmeasured_ops(networks, fold)
    predicted = {
        **unmeasured.ms,
        **{name: baseline_ms(networks, fold, columns) for name, columns in BASELINES.items()},
        "raw_sum": networks.sums(networks.kernel_ms),
    }
    rows = {name: asdict(Score.of(ms, networks.ms)) for name, ms in predicted.items()}
    off = np.abs(np.log(predicted[CHOSEN] / networks.ms))
    inside = off <= np.log(unmeasured.factor)
    return {
        "mape_a": float(errors.mean()),
        "mape_a_p90": float(np.quantile(errors, 0.9)),
        "mape_b": rows[CHOSEN]["mape"],
        "within10_b": rows[CHOSEN]["within10"],
        "coverage_90": float(inside.mean()),
        "interval_factor_90": float(np.median(unmeasured.factor)),
        "coverage_90_p": float(binomtest(int(inside.sum()), len(inside), CONFIDENCE).pvalue),
        **{f"mape_{name}": row["mape"] for name, row in rows.items() if name != CHOSEN},
        "networks": len(networks.ms),
        "kernels": len(networks.kernels),
        "put_aside": len(loaded.put_aside),
        "fit_seconds": fit_seconds(networks),
        "chosen": list(unmeasured.chosen),
        "table": rows,
    }


def show(metrics: dict[str, Any], put_aside: Sequence[str]) -> None:
    """Print the metrics, and what was put aside."""
    for line in put_aside:
        print(f"put aside: {line}")
    print(
        f"{metrics['networks']} networks, {metrics['kernels']} kernels, {FOLDS} folds of families"
    )
    print(f"{'predictor of a network':<36}{'MAPE %':>8}{'in 10 %':>9}{'worst %':>9}")
    print(
        f"{f'ops measured, {CALIBRATION} networks to calibrate':<36}{metrics['mape_a']:8.2f}"
        f"          90th percentile of draws: {metrics['mape_a_p90']:.2f}"
    )
    for name, row in metrics["table"].items():
        print(f"{LABELS[name]:<36}{row['mape']:8.2f}{row['within10']:9.2f}{row['worst']:9.1f}")
    print(f"chosen in the folds: {', '.join(metrics['chosen'])}")
    print(f"a fit to all of it: {metrics['fit_seconds']:.1f} s")
    print(
        f"90 % intervals: coverage {metrics['coverage_90']:.3f}"
        f" (p = {metrics['coverage_90_p']:.3f}), median factor {metrics['interval_factor_90']:.3f}"
    )


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for name, path in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=Path, default=path, help=f"CSV of {name}")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    try:
        loaded = read(arguments.ops, arguments.networks, arguments.families)
        metrics = measure(loaded)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(metrics, loaded.put_aside)
    files = " ".join(f"--{name} {getattr(arguments, name).name}" for name in DEFAULTS)
    about = {"command": f"python benchmarks/per_op_to_network.py {files}"}
    write_text(arguments.out, json.dumps({**about, **metrics}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
