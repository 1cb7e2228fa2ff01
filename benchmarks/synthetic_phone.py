"""Timing, fitting, searching and timing again on the synthetic phone, whose truth is known.

Floors, blocks, steps of width and kernel, changes of unit: read off simulated timings by the code
that reads those of real phones, against what is true. Bursts of a hot phone: how many of those that
are slow are put aside or flagged. The loop: predictors fitted to planned tables, their error on
networks that nobody timed, and of each search the regret of its front before and after its picks
were timed, over every network of the space. Nothing here says anything about a real phone.

    python benchmarks/synthetic_phone.py [--seeds N --loops N --minutes M... --out FILE] [--json]
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from palmette.latency import LatencyPredictor, parse_target, read_timings
from palmette.latency.chains import Chain
from palmette.latency.foreign.forms import import_files
from palmette.latency.planning.plan import Plan, Planned
from palmette.latency.planning.space_plan import plan_space
from palmette.latency.quantity import LATENCY, SUSTAINED
from palmette.latency.suite.manifest import write_manifest
from palmette.latency.suite.probes import series
from palmette.latency.suite.slopes import chain_costs, floors, transfer_costs
from palmette.latency.synthetic import target_of
from palmette.latency.synthetic.app import Conditions
from palmette.latency.synthetic.planned import manifest_of
from palmette.latency.synthetic.results import write_results
from palmette.latency.synthetic.subjects import subject_truth
from palmette.latency.synthetic.truth import truth_ms, truth_of_codes
from palmette.latency.synthetic.units import UNITS
from palmette.search import Run, retime, retime_plan, run
from palmette.search.front import hypervolume_share, non_dominated
from palmette.search.rerank import ENTERS, STAYS
from palmette.search.retime_plan import unbudgeted
from palmette.space import Architecture, InputError, SearchSpace, compile_space
from palmette.space.files import write_text

Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "synthetic_phone.json"
ANE = target_of("ane")
SEEDS, LOOPS, MINUTES = 20, 3, (4.0, 15.0)
BUDGETS_MS = {LATENCY: (0.4, 0.5), SUSTAINED: (0.55,)}
HELD_OUT = 500
SLOW = 1.05
"""Times its truth from which on a burst is slow."""
CLOSE = 0.05
DEPTHS = (4, 24)
BLOCKS = (
    *(f"cn_r1_k3_s1_c{width}_relu)@56x56x{width}" for width in (32, 40, 48, 56, 64)),
    *(f"ir_r1_k{kernel}_s1_e6_c96_relu)@56x56x96" for kernel in (3, 5, 7)),
)
PROBED = "8*(ir_r1_k3_s1_e6_c48_relu)@28x28x48"
ANCHOR = "12*(ir_r1_k3_s1_e6_c48_relu)@28x28x48"


def time_on(
    plan: Plan, folder: Path, seed: int, about: Conditions | None = None, **options: Any
) -> pd.DataFrame:
    """Timings of a plan, as a user gets them: run, imported, read."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = manifest_of(plan, seed)
    write_manifest(folder, entries)
    found = write_results(entries, folder / "results.csv", seed=seed, conditions=about, **options)
    import_files([found.results], suite=folder).write(folder / "table.csv")
    return read_timings(folder / "table.csv")


# What the timings of a suite say about the phone


def ladder() -> Plan:
    """Blocks along widths and kernels as chains at two depths, probes of a chain, an anchor."""
    chains = [f"{depth}*({block}" for block in BLOCKS for depth in DEPTHS]
    probes = [probe.to_text() for probe in series(Chain.from_text(PROBED))]
    rows = [("chain", text, "chain") for text in chains]
    rows += [("probe", text, "probe") for text in probes]
    rows += [("chain", ANCHOR, "anchor")]
    return Plan(tuple(Planned(*row, ANE, 3.0) for row in rows))


def recovered(rows: pd.DataFrame) -> dict[str, list[float]]:
    """Relative errors of floor, blocks, steps from one block to the next, and the transfer."""
    costs = chain_costs(rows)
    found = {cost.chain: cost.block.ms for cost in costs}
    blocks = [Chain.from_text(f"1*({block}") for block in BLOCKS]
    true = [truth_ms(replace(one, depth=2).ops()) - truth_ms(one.ops()) for one in blocks]
    ratios = [found[one] / ms for one, ms in zip(blocks, true, strict=True)]
    (transfer,) = transfer_costs(rows)
    assert transfer.transfer is not None
    ms = [
        subject_truth("probe", f"{PROBED} + {count}*sigmoid@{precision}").ms()
        for precision in ("float32", "float16")
        for count in (4, 1)
    ]
    way_ms = (ms[0] - ms[1] - ms[2] + ms[3]) / 3
    return {
        "floor": [abs(floors(costs)[ANE].ms / UNITS["ane"].floor_ms - 1)],
        "blocks": [abs(ratio - 1) for ratio in ratios],
        "cliffs": [abs(b / a - 1) for a, b in itertools.pairwise(ratios)],
        "transfer": [abs(transfer.transfer.ms / way_ms - 1)],
    }


def recovery(seeds: int, folder: Path) -> dict[str, Any]:
    """Errors over some runs of the phone."""
    runs = [recovered(time_on(ladder(), folder / f"ladder{seed}", seed)) for seed in range(seeds)]
    errors = {name: np.array([e for one in runs for e in one[name]]) for name in runs[0]}
    metrics: dict[str, Any] = {}
    for name, values in errors.items():
        metrics[f"{name}_mape"] = 100 * float(values.mean())
        metrics[f"{name}_within_5_percent"] = float((values <= CLOSE).mean())
    return metrics


def heat(seeds: int, folder: Path) -> dict[str, Any]:
    """Of bursts that a hot phone slowed down, the share that is put aside or flagged."""
    sizes = [f"conv 256x56x56 -> 256x56x56 k{k}" for k in range(3, 11)]
    sizes += [f"conv {c}x28x28 -> {c}x28x28 k3" for c in (16, 32, 64, 128)]
    plan = Plan(tuple(Planned("op", text, "op", ANE, 3.0) for text in sizes))
    slow = unseen = 0
    for seed in range(seeds):
        own = folder / f"hot{seed}"
        rows = time_on(plan, own, seed, Conditions(patient=False), modes=("burst", "sustained"))
        trusted = set(rows.loc[~rows["flags"].str.contains("warm|drift"), "subject"])
        results = pd.read_csv(own / "results.csv")
        entries = manifest_of(plan, seed)
        for row in results[results["mode"] == "burst"].itertuples():
            subject = entries[int(str(row.position)) - 1].subject
            if float(str(row.median_ms)) > SLOW * subject_truth("op", subject).ms():
                slow += 1
                unseen += subject in trusted
    return {"slow_bursts": slow, "slow_bursts_recognised": 1 - unseen / max(slow, 1)}


# The loop


@dataclass(frozen=True)
class Truth:
    """Every network of a run's space, in truth and by score."""

    found: Run
    ms: Floats
    score: Floats

    @classmethod
    def of(cls, found: Run, space: SearchSpace) -> Truth:
        """Of a space small enough to be counted out."""
        sizes = found.problem.space.cardinalities
        codes = np.array(list(itertools.product(*map(range, sizes))), dtype=np.int64)
        allowed = unbudgeted(found.problem, codes).violation == 0
        return cls(found, *true_of(found, space, codes[allowed]))

    def scores(self, space: SearchSpace, front: pd.DataFrame) -> dict[str, float]:
        """How far a front is from the best there is.

        Mean points by which another network of the same time is better, share of the true front's
        hypervolume inside the budget that is missing, share of networks that break the budget, and
        points by which the pick is below the best inside the budget.
        """
        networks = [Architecture.from_text(str(text)) for text in front["architecture"]]
        codes = self.found.problem.space.encode_batch(networks)
        ms, score = true_of(self.found, space, codes)
        budget_ms, order = self.found.config.budget_ms, np.argsort(self.ms)
        best = np.maximum.accumulate(self.score[order])
        places = np.searchsorted(self.ms[order], ms * (1 + 1e-12), side="right") - 1
        every, own = (np.stack([m, -s], axis=1) for m, s in ((self.ms, self.score), (ms, score)))
        every, own = every[self.ms <= budget_ms], own[ms <= budget_ms]
        pick = int(np.flatnonzero(front["pick"])[0])
        return {
            "regret": float(np.mean(best[places] - score)),
            "missing": 1 - hypervolume_share(own, every[non_dominated(every)]),
            "over_budget": float((ms > budget_ms).mean()),
            "pick_over_budget": float(ms[pick] > budget_ms),
            "pick_below_best": float(self.score[self.ms <= budget_ms].max() - score[pick]),
        }


def true_of(found: Run, space: SearchSpace, codes: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """True milliseconds and scores of codes of a run's space."""
    problem = found.problem
    mode = {LATENCY: "burst", SUSTAINED: "sustained"}[found.config.budget]
    full = problem.compiled_codes.full(codes)
    candidates = problem.candidates(codes)
    score = candidates.top1 - problem.limits.lam * candidates.sigma
    return truth_of_codes(compile_space(space), full, mode=mode), score


def loop(seed: int, minutes: float, space_file: Path, folder: Path) -> list[dict[str, Any]]:
    """One afternoon: plan, time, fit, search, time the picks, rank anew; a row for each search."""
    space = replace(SearchSpace.read(space_file), name=space_file.stem)
    plan = plan_space(space, parse_target(ANE), minutes, seed=seed).plan
    rows = time_on(plan, folder, seed)
    codes = space.sample(HELD_OUT, np.random.default_rng([seed, 1]))
    compiled = compile_space(space)
    answers = []
    for quantity, budgets in BUDGETS_MS.items():
        predictor = LatencyPredictor(ANE, quantity=quantity).fit(rows)
        predictor.write(folder / f"{quantity}.json")
        mode = {LATENCY: "burst", SUSTAINED: "sustained"}[quantity]
        true_ms = truth_of_codes(compiled, codes, mode=mode)
        ms = predictor.compile(compiled).ms(codes)
        about = {
            "quantity": quantity,
            "planned": len(plan.rows),
            "mape": 100 * float(np.abs(ms / true_ms - 1).mean()),
            "rank_correlation": float(pd.Series(ms).corr(pd.Series(true_ms), "spearman")),
        }
        for budget_ms in budgets:
            found = run(
                ANE,
                budget_ms,
                folder / f"{quantity}{budget_ms:g}",
                space=str(space_file),
                predictor=str(folder / f"{quantity}.json"),
                budget=quantity,
                evaluations=20_000,
                extrapolate=True,  # a short plan identifies few choices; all are in the truth
                seed=seed,
            )
            answers.append(about | {"budget_ms": budget_ms, **again(found, space, seed)})
    return answers


def again(found: Run, space: SearchSpace, seed: int) -> dict[str, Any]:
    """A front before and after its picks were timed, against the truth."""
    folder = found.folder.path.with_name(f"{found.folder.path.name}-again")
    time_on(retime_plan(found), folder, seed + 1000)
    anew = retime(found.folder.path, [folder / "table.csv"])
    truth = Truth.of(found, space)
    after = anew.table[anew.table["fate"].isin([STAYS, ENTERS])]
    scores = {"before": truth.scores(space, found.front), "after": truth.scores(space, after)}
    return {
        "timed": len(anew.timed),
        "optimism": anew.optimism,
        **{f"{name}_{when}": v for when, own in scores.items() for name, v in own.items()},
    }


def show(metrics: dict[str, Any]) -> None:
    """Print the metrics."""
    for name, value in metrics.items():
        if name != "searches":
            print(f"{name}: {value:.4g}")
    print(pd.DataFrame(metrics["searches"]).to_string(index=False, float_format="%.3g"))


def measure(seeds: int, loops: int, minutes: Sequence[float], space_file: Path) -> dict[str, Any]:
    """All metrics; those of the loop as means over its afternoons, named by their minutes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        metrics = {"seeds": seeds, **recovery(seeds, folder), **heat(seeds, folder)}
        searches = [
            {"minutes": spent, "seed": seed, **row}
            for spent, seed in itertools.product(minutes, range(loops))
            for row in loop(seed, spent, space_file, folder / f"loop{seed}-{spent:g}")
        ]
    table = pd.DataFrame(searches)
    for (quantity, spent), own in table.groupby(["quantity", "minutes"], sort=False):
        means = own.drop(columns=["quantity", "minutes", "seed", "budget_ms"]).mean()
        metrics |= {f"{quantity}_{spent:g}min_{n}": float(v) for n, v in means.items()}
    return {**metrics, "searches": searches}


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"runs; default {SEEDS}")
    parser.add_argument("--loops", type=int, default=LOOPS, help=f"afternoons; default {LOOPS}")
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=MINUTES, help="of a plan; default 4 and 15"
    )
    parser.add_argument("--space", type=Path, default=ROOT / "examples" / "afternoon.toml")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    counts = (arguments.seeds, arguments.loops, arguments.minutes)
    try:
        metrics = measure(*counts, arguments.space)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(metrics)
    spent = " ".join(f"{minutes:g}" for minutes in arguments.minutes)
    words = f"--seeds {arguments.seeds} --loops {arguments.loops} --minutes {spent}"
    command = f"python benchmarks/synthetic_phone.py {words}"
    write_text(arguments.out, json.dumps({"command": command, **metrics}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
