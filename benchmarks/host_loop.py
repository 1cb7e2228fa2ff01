"""The whole loop on this machine: plan, measure, fit, predict networks, measure those.

A plan of ops, chains and calibration networks is timed together with networks that the fit never
sees: networks of the zoo and beyond, and architectures sampled with another seed. All are timed in
the same interleaved rounds, so that both sides know the same machine; only the rows of the plan are
fitted. Beside the error stands how well the measurement itself repeats, between two halves of its
rounds, and what MACs with an offset reach, calibrated on the same networks.

What is a plan worth? In the same rounds an unplanned table is timed: of each kind things drawn at
random from those that the plan chose from, until they are thought to take twice as long. A second
fit gets that table. Time is counted as calls times milliseconds; both have equally many calls.

    python benchmarks/host_loop.py [--target T --rounds N --out FILE] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau

from palmette.latency.host.measure import Measured, measure, spread
from palmette.latency.host.plan import host_plan
from palmette.latency.host.runtimes import HOST_TARGETS
from palmette.latency.op_lists import network_ops
from palmette.latency.per_op.op_fit import fit_op_target
from palmette.latency.planning.choose import DEPTHS
from palmette.latency.planning.needs import Needs
from palmette.latency.planning.plan import Plan
from palmette.latency.planning.space_plan import space_needs
from palmette.latency.targets import parse_target
from palmette.latency.timings import read_timings
from palmette.space import MOBILENET_LIKE, InputError, OpTable, SearchSpace
from palmette.space.errors import expect
from palmette.space.files import write_text

Floats = NDArray[np.float64]
Subject = tuple[str, str]
"""Kind and text."""

RESULTS = Path(__file__).resolve().parents[1] / "results" / "host_loop.json"
TARGET = "host/cpu@torch-eager"
SPACE = "mobilenet_v2"
ROUNDS, SAMPLED, TEST_SEED = 24, 20, 1_000_003
MINUTES, UNPLANNED_TIMES = 1.5, 2.0
"""Of the plan; how much longer the unplanned table may take."""
PUBLISHED = (
    *MOBILENET_LIKE,
    "mobilenet_v2_1.4",
    "mobilenet_v3_small_0.75",
    "mobilenet_v3_large_0.75",
    "mobilenet_v4_conv_small",
    "ghostnet_1.0",
    "mixnet_s",
    "shufflenet_v2_1.0",
    "efficientnet_b1",
    "resnet18",
    "squeezenet_v1.1",
)
"""Test networks; those beyond the zoo need timm and torchvision."""


def test_networks(space: SearchSpace) -> tuple[str, ...]:
    """Networks to predict: published ones, and architectures drawn from the space."""
    codes = space.sample(SAMPLED, np.random.default_rng(TEST_SEED))
    return (*PUBLISHED, *(one.to_text() for one in space.decode_batch(codes)))


def predict(rows: pd.DataFrame, subjects: Sequence[str]) -> Floats:
    """Milliseconds of networks by what is fitted to rows of a timing table, (subjects,)."""
    model = fit_op_target(rows, parse_target(str(rows["target"].iloc[0]))).fitted.model
    found: Floats = model.predict([OpTable.of(network_ops(subject)) for subject in subjects])
    return found


def predict_flops(rows: pd.DataFrame, subjects: Sequence[str]) -> Floats:
    """The same by MACs and an offset, least squares of the relative error on the timed networks."""
    networks = rows[rows["subject_kind"] == "network"]
    ms = networks["latency_ms"].to_numpy(dtype=float)
    seen = np.stack([_macs(networks["subject"].tolist()), np.ones(len(ms))], axis=1)
    price, offset = np.linalg.lstsq(seen / ms[:, None], np.ones(len(ms)), rcond=None)[0]
    predicted: Floats = price * _macs(subjects) + offset
    return predicted


def _macs(subjects: Sequence[str]) -> Floats:
    return np.array([OpTable.of(network_ops(subject)).macs.sum() for subject in subjects])


def mape(predicted: Floats, measured: Floats) -> float:
    """Mean absolute error in %."""
    return 100 * float(np.abs(predicted / measured - 1).mean())


def unplanned(needs: Needs, plan: Plan, times: float, seed: int = 0) -> list[Subject]:
    """Things of the plan's kinds drawn at random, which are thought to take `times` as long.

    Ops that no network needs are in both: nobody chose them.
    """
    rng = np.random.default_rng([TEST_SEED, seed])
    chosen, found, known = set(plan.subjects), [], set()
    for things in _candidates(needs).values():
        known |= {subject for subjects, _ in things for subject in subjects}
        limit = times * sum(ms for subjects, ms in things if subjects[0] in chosen)
        for at in rng.permutation(len(things)).tolist():
            if limit <= 0:
                break
            subjects, ms = things[at]
            found += subjects
            limit -= ms
    return [*found, *sorted(chosen - known)]


def _candidates(needs: Needs) -> dict[str, list[tuple[list[Subject], float]]]:
    """Kind -> what is timed together, and the milliseconds of a call of each."""
    ops, networks, blocks = needs.kernels, needs.networks, needs.blocks
    chains = [
        [("chain", replace(chain, depth=depth).to_text()) for depth in DEPTHS[0]]
        for chain in blocks.chains
    ]
    return {
        "op": [([("op", t)], ms) for t, ms in zip(ops.texts, ops.ms.tolist(), strict=True)],
        "chain": list(zip(chains, (sum(DEPTHS[0]) * blocks.ms).tolist(), strict=True)),
        "network": [
            ([("network", t)], ms)
            for t, ms in zip(networks.texts, networks.ms.tolist(), strict=True)
        ],
    }


def rows_of(rows: pd.DataFrame, subjects: Sequence[Subject]) -> pd.DataFrame:
    """The rows of a timing table that are of these subjects."""
    timed = pd.MultiIndex.from_frame(rows[["subject_kind", "subject"]])
    return rows[timed.isin(pd.MultiIndex.from_tuples(subjects))]


def score(
    measured: Measured,
    out: Path,
    planned: Sequence[Subject],
    others: Sequence[Subject],
    tests: Sequence[str],
) -> dict[str, Any]:
    """Metrics of a finished measurement; one fit gets the plan's rows alone, one the others'."""
    rows = read_timings(out)
    fitted, rest = rows_of(rows, planned), rows_of(rows, others)
    of_network = rows[rows["subject_kind"] == "network"].set_index("subject")["latency_ms"]
    seen = {text for kind, text in (*planned, *others) if kind == "network"}
    names = [name for name in tests if name in of_network.index and name not in seen]
    ms = of_network[names].to_numpy(dtype=float)
    predicted, by_others = predict(fitted, names), predict(rest, names)
    published = np.array([name in PUBLISHED for name in names])
    counts, other_counts = (part["subject_kind"].value_counts() for part in (fitted, rest))
    return {
        "mape": mape(predicted, ms),
        "kendall_tau": float(kendalltau(predicted, ms).statistic),
        "mape_flops": mape(predict_flops(fitted, names), ms),
        "spread": spread(measured, "network", names),
        "spread_ops": spread(measured, "op"),
        "mape_published": mape(predicted[published], ms[published]),
        "mape_sampled": mape(predicted[~published], ms[~published]),
        **{kind + "s": int(counts.get(kind, 0)) for kind in ("op", "chain")},
        "calibration_networks": int(counts.get("network", 0)),
        "time_share": float(fitted["latency_ms"].sum() / rest["latency_ms"].sum()),
        "mape_unplanned": mape(by_others, ms),
        "kendall_tau_unplanned": float(kendalltau(by_others, ms).statistic),
        **{f"{kind}s_unplanned": int(n) for kind, n in other_counts.items()},
        "networks": len(names),
        "refused": len(measured.refused),
        "table": {
            name: {"ms": took, "predicted_ms": guess, "unplanned_ms": other}
            for name, took, guess, other in zip(
                names, ms.tolist(), predicted.tolist(), by_others.tolist(), strict=True
            )
        },
    }


def show(metrics: dict[str, Any], refused: dict[tuple[str, str], str]) -> None:
    """Print the metrics, and what was refused."""
    for (kind, text), reason in refused.items():
        print(f"refused: {kind} {text[:60]}: {reason}")
    print(f"{'network':<56}{'ms':>8}{'predicted':>11}{'error %':>9}")
    for name, row in metrics["table"].items():
        error = 100 * (row["predicted_ms"] / row["ms"] - 1)
        print(f"{name[:54]:<56}{row['ms']:8.2f}{row['predicted_ms']:11.2f}{error:9.1f}")
    print(
        f"{metrics['networks']} networks from {metrics['ops']} ops, {metrics['chains']} chains and"
        f" {metrics['calibration_networks']} calibration networks, {metrics['seconds']:.0f} s\n"
        f"MAPE {metrics['mape']:.1f} % (published {metrics['mape_published']:.1f}, sampled"
        f" {metrics['mape_sampled']:.1f}), Kendall tau {metrics['kendall_tau']:.3f}\n"
        f"MACs and offset: {metrics['mape_flops']:.1f} %; two halves of the rounds differ by"
        f" {metrics['spread']:.1f} % (ops {metrics['spread_ops']:.1f} %)\n"
        f"unplanned, {metrics['ops_unplanned']} ops, {metrics['chains_unplanned']} chains and"
        f" {metrics['networks_unplanned']} networks: MAPE {metrics['mape_unplanned']:.1f} %, tau"
        f" {metrics['kendall_tau_unplanned']:.3f}; the plan took {metrics['time_share']:.2f} of"
        " its time"
    )


def run(target: str, rounds: int, out: Path) -> dict[str, Any]:
    """Measure, fit, predict and compare; prints as it goes."""
    expect(target in HOST_TARGETS, f"target '{target}' is none of {', '.join(HOST_TARGETS)}")
    begin = time.monotonic()
    space = SearchSpace.preset(SPACE)
    plan, tests = host_plan(space, minutes=MINUTES), test_networks(space)
    needs = space_needs(space, parse_target(target), broad=True, known=False)
    others = unplanned(needs, plan, UNPLANNED_TIMES)

    def tell(what: str, done: int, of: int) -> None:
        if done == of or (what == "time" and done % 8 == 0):
            print(f"{what}: {done} of {of}, {time.monotonic() - begin:.0f} s", flush=True)

    subjects = [*plan.subjects, *others, *(("network", name) for name in tests)]
    measured = measure(target, subjects, out, rounds=rounds, progress=tell)
    metrics = score(measured, out, plan.subjects, others, tests)
    metrics["seconds"] = time.monotonic() - begin
    show(metrics, measured.refused)
    return metrics


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--target", default=TARGET, help=f"default {TARGET}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--out", type=Path, help="table to keep and to go on with")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            out = arguments.out or Path(folder) / "timings.csv"
            metrics = run(arguments.target, arguments.rounds, out)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    command = (
        f"python benchmarks/host_loop.py --target {arguments.target} --rounds {arguments.rounds}"
    )
    write_text(arguments.results, json.dumps({"command": command, **metrics}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
