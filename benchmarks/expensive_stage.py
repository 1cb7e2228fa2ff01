"""What each sampler finds in 100 and in 500 measurements, where a measurement would cost minutes.

Ground truth: boosted trees fitted to Accel-NASBench (networks of MnasNet's search space, each
trained on ImageNet for 16 epochs; its cross-validated Kendall tau is printed). A measurement is
that truth with noise of 0.29 points, the spread of one training. Milliseconds are those of the
shipped predictor of a target; a network over the budget is rejected before a measurement is spent,
for all samplers alike. 28 genes, 10^11 networks.

Every sampler runs with and without a warm start, the same shortlist of 20 networks by the shipped
prior. `palmette` goes on with the prior; `palmette_blind`, to 100 measurements, has none. Of the
table, 1,500 rows had a hand in the prior's coefficients, beside 222 published results: it knows
this space better than it would know a new one. Its level is some 12 points off here.

Score: hypervolume of the noise-free accuracy of everything that was measured, in the box of the
best known front (the vectorised search over the truth), as a share of that front's. Differences of
ours and each other sampler are bootstrapped over seeds, paired. GP takes a second of processor time
a trial: it runs to 100 measurements, with fewer seeds.

Each seed's figures are written as they come (`--table`), and what is there is not run again. The
table says in its first line what it was made with; rows of other settings, or of other code, are
refused, unless `--anew` names the samplers that differ: these run again, and the rest stays. At the
end comes the processor time of one choice of ours against the number of results that it knows.

    python benchmarks/expensive_stage.py [--seeds 20] [--gp-seeds 5] [--longest 500] [--json]
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prior_ranking import DEFAULT_TABLE, SPACE, read_table
from scipy.stats import kendalltau

import palmette.search.expensive
from palmette.latency import find_target, load_predictor
from palmette.search.evolution import Evaluation, Settings, evolve, groups_of
from palmette.search.expensive.chooser import shortlist
from palmette.search.expensive.known import Known
from palmette.search.expensive.measured import prior_of
from palmette.search.expensive.samplers import sampler_of
from palmette.search.front import hypervolume_share
from palmette.search.limits import Limits
from palmette.search.problem import SearchProblem, pose
from palmette.space import InputError, SearchSpace, compile_space
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]

TARGET = "iphone-13/ane"
BUDGET_MS = 1.1
"""Half of random networks keep it."""
NOISE = 0.29
COUNTS = (20, 50, 100, 200, 500)
WARM = 20
WARM_EVALUATIONS = 20_000
SAMPLERS = {
    "palmette": 500,
    "palmette_blind": 100,
    "tpe": 500,
    "nsga2": 500,
    "pymoo": 500,
    "random": 500,
    "gp": 100,
}
"""Measurements of each."""
STARTS = ("warm", "cold")
POPULATION = 20  # of pymoo, as of Optuna's NSGA-II; 50 did worse with both up to 500
KNOWN_EVALUATIONS = 200_000
FOLDS = 5
RESAMPLES = 10_000
COST_RESULTS = (100, 400, 2000, 10_000)
COST_CHOICES = 11
RESULTS = Path(__file__).resolve().parents[1] / "results"


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known before a measurement, and what one would be without noise."""

    problem: SearchProblem
    trees: Any
    tau: float
    """Cross-validated Kendall tau of the trees on the table."""
    prior: Callable[[Codes], Any]
    front: Floats
    """Best known objectives (n, 2): ms, minus top-1."""

    @classmethod
    def of(cls, table: Path, target: str) -> Truth:
        """Fit the trees, and search their front."""
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.model_selection import KFold, cross_val_predict

        space = SearchSpace.preset(SPACE)
        rows, compiled = read_table(table, space), compile_space(space)
        trees = HistGradientBoostingRegressor(
            max_iter=500, learning_rate=0.05, max_depth=3, random_state=0
        )
        folds = KFold(FOLDS, shuffle=True, random_state=0)
        held_out = cross_val_predict(trees, rows.codes, rows.top1, cv=folds)
        trees.fit(rows.codes, rows.top1)
        predictor = load_predictor(str(find_target(target)))
        limits = Limits(BUDGET_MS)
        problem = pose(space, predictor, limits, extrapolate=True, compiled=compiled)
        prior = prior_of(compiled)
        assert prior is not None
        tau = float(kendalltau(held_out, rows.top1).statistic)
        bare = cls(problem, trees, tau, prior, np.empty((0, 2)))
        best = evolve(
            bare,
            evaluations=KNOWN_EVALUATIONS,
            seed=0,
            groups=groups_of([gene.name for gene in space.genes]),
            settings=Settings(batch=2000),
        )
        return cls(problem, trees, tau, prior, best.objectives)

    @property
    def cardinalities(self) -> Codes:
        """Choices of each gene."""
        return self.problem.cardinalities

    def evaluate(self, codes: Codes) -> Evaluation:
        """Objectives without noise, and violation, of codes (n, genes)."""
        ms, violation = self.problem.costs(codes)
        return Evaluation(np.stack([ms, -self.trees.predict(codes)], axis=1), violation)

    def known(self, prior: bool = True) -> Known:
        """What samplers may look at."""
        return Known(self.problem.space, self.problem.costs, self.prior if prior else None)


@dataclass(frozen=True, slots=True)
class Arm:
    """One run: a sampler, its start and its seed."""

    sampler: str
    start: str
    seed: int


def objectives_of(truth: Truth, arm: Arm, count: int) -> Floats:
    """Noise-free objectives (count, 2) of what an arm measures, in its order."""
    warm = shortlist(truth.known(), WARM, WARM_EVALUATIONS, arm.seed)
    warm = warm if arm.start == "warm" else warm[:0]
    if arm.sampler == "pymoo":
        return _by_pymoo(truth, arm.seed, warm, count)
    return _by_optuna(truth, arm, warm, count)


def _noise(seed: int, number: int) -> float:
    return float(np.random.default_rng([7, seed, number]).normal(0.0, NOISE))


def _by_optuna(truth: Truth, arm: Arm, warm: Codes, count: int) -> Floats:
    """Samplers behind `--sampler`, by ask and tell; storage in memory."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name, _, blind = arm.sampler.partition("_")
    known = truth.known(prior=not blind)
    sampler = sampler_of(name, known, seed=arm.seed, warm_start=lambda: warm)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    found = []
    for number in range(count):
        trial = study.ask(sampler.distributions)
        code = known.code(trial.params)
        assert code is not None
        worth = truth.evaluate(code[None])
        found.append(worth.objectives[0])
        top1 = float(-worth.objectives[0, 1]) + _noise(arm.seed, number)
        trial.set_constraint("limits", float(worth.violation[0]))
        trial.set_user_attr("top1", top1)
        trial.set_user_attr("sigma", NOISE)
        study.tell(trial, [float(worth.objectives[0, 0]), top1])
    return np.array(found)


def _by_pymoo(truth: Truth, seed: int, warm: Codes, count: int) -> Floats:
    """pymoo's NSGA-II by ask and tell; what breaks the budget costs it no measurement."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UniformCrossover

    cardinalities = truth.cardinalities

    class NewChoice(Mutation):
        def _do(self, problem: Any, x: Any, *_: Any, random_state: Any, **__: Any) -> Any:
            chosen = random_state.random(x.shape) < 1 / x.shape[1]
            return np.where(chosen, random_state.integers(0, cardinalities, size=x.shape), x)

    rng = np.random.default_rng(seed)
    drawn = truth.problem.space.sample(50 * POPULATION, rng)
    first = np.concatenate([warm, drawn[truth.known().feasible(drawn)]])[:POPULATION]
    algorithm = NSGA2(
        pop_size=POPULATION, sampling=first, crossover=UniformCrossover(), mutation=NewChoice()
    )
    high = cardinalities - 1
    stage = Problem(n_var=len(high), n_obj=2, n_ieq_constr=1, xl=0, xu=high, vtype=int)
    algorithm.setup(stage, seed=seed, termination=("n_gen", sys.maxsize), verbose=False)
    found: list[Floats] = []
    while len(found) < count:
        asked = algorithm.ask()
        worth = truth.evaluate(asked.get("X").astype(np.int64))
        noisy = worth.objectives.copy()
        for index in np.flatnonzero(worth.violation <= 0):
            noisy[index, 1] -= _noise(seed, len(found))
            found.append(worth.objectives[index])
        asked.set("F", noisy, "G", worth.violation[:, None])
        for one in asked:
            one.evaluated.update({"F", "G", "H"})
        algorithm.tell(infills=asked)
    return np.array(found[:count])


CODE = (
    *("../evolution", "../moves", "../archive", "belief", "chooser", "encoding", "gain", "kernel"),
    *("known", "peers", "pool", "samplers", "seen", "shortlist"),
)
"""Files of `search/expensive`, and beside it, that decide what a sampler asks."""
Table = dict[tuple[str, str, int, int], float]
"""Share by sampler, start, seed and measurements."""


def about(data: Path, target: str) -> dict[str, str]:
    """What shares depend on, beside sampler, start, seed and count."""
    folder = Path(palmette.search.expensive.__file__).parent
    sources = [folder / f"{name}.py" for name in CODE]
    return {
        "target": str(find_target(target)),
        "budget_ms": f"{BUDGET_MS:g}",
        "noise": f"{NOISE:g}",
        "warm": f"{WARM}x{WARM_EVALUATIONS}",
        "data": _hash([data]),
        "code": _hash(sources),
    }


def _hash(files: list[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def read_shares(path: Path, made: dict[str, str], anew: Collection[str] = ()) -> Table:
    """What was run before, less the samplers that are to run anew.

    Raises:
        InputError: the table was made with something else, and none is named to run anew.
    """
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        first = file.readline()
        before = dict(word.split("=", 1) for word in first.removeprefix("# ").split())
        differ = [name for name in made if before.get(name) != made[name]]
        expect(
            not differ or (bool(anew) and differ == ["code"]),
            f"{path}: was made with another {', '.join(differ)}; name the samplers that run"
            " otherwise with --anew if it is the code, or give another --table",
        )
        return {
            (r["sampler"], r["start"], int(r["seed"]), int(r["measurements"])): float(r["share"])
            for r in csv.DictReader(file)
            if r["sampler"] not in anew
        }


def write_shares(path: Path, table: Table, made: dict[str, str]) -> None:
    """The table, sorted, after a line that says what it was made with."""
    rows = [f"{','.join(map(str, key))},{share:.6f}" for key, share in sorted(table.items())]
    first = "# " + " ".join(f"{name}={value}" for name, value in made.items())
    write_text(path, "\n".join([first, "sampler,start,seed,measurements,share", *rows, ""]))


def arms(seeds: int, gp_seeds: int, longest: int) -> Iterator[tuple[Arm, int]]:
    """All runs and their measurements: the short ones of every seed, the long ones, GP.

    A long run makes its short one again, from the same seed; so much for having those early.
    """
    for slow, count in ((False, 100), (False, 500), (True, 100)):
        for seed in range(gp_seeds if slow else seeds):
            for sampler, most in SAMPLERS.items():
                if (sampler == "gp") == slow and count <= min(most, longest):
                    yield from ((Arm(sampler, start, seed), count) for start in STARTS)


def run(
    truth: Truth, planned: Iterable[tuple[Arm, int]], table: Table, save: Callable[[Table], None]
) -> Table:
    """Run what the table lacks."""
    for arm, last in planned:
        counts = [count for count in COUNTS if count <= last]
        if all((arm.sampler, arm.start, arm.seed, count) in table for count in counts):
            continue
        begin = time.process_time()
        objectives = objectives_of(truth, arm, last)
        seconds = time.process_time() - begin
        for count in counts:
            share = hypervolume_share(objectives[:count], truth.front)
            table[arm.sampler, arm.start, arm.seed, count] = share
        save(table)
        print(f"{arm}: {share:.4f} after {count}, {seconds:.0f} CPU s", file=sys.stderr, flush=True)
    return table


def compared(table: Table) -> list[dict[str, Any]]:
    """Mean share of each sampler, and how much ours has more with the same start and seeds."""
    rows = []
    kinds = sorted({(start, count, sampler) for sampler, start, _, count in table})
    for start, count, sampler in kinds:
        own = {
            seed: v for (s, b, seed, c), v in table.items() if (s, b, c) == (sampler, start, count)
        }
        ours = {seed: table.get(("palmette", start, seed, count)) for seed in own}
        pairs = [(value, own[seed]) for seed, value in ours.items() if value is not None]
        row: dict[str, Any] = {
            "start": start,
            "measurements": count,
            "sampler": sampler,
            "share": float(np.mean(list(own.values()))),
            "lowest": min(own.values()),
            "highest": max(own.values()),
            "seeds": len(own),
        }
        if sampler != "palmette" and len(pairs) > 1:
            more = np.array([a - b for a, b in pairs])
            rng = np.random.default_rng(0)
            means = more[rng.integers(0, len(more), (RESAMPLES, len(more)))].mean(axis=1)
            low, high = np.quantile(means, [0.025, 0.975])
            row |= {"ours_more": float(more.mean()), "low": float(low), "high": float(high)}
        rows.append(row)
    return rows


def cost_of_a_choice(truth: Truth, results: int) -> float:
    """Median milliseconds of processor time of one choice of ours, with so many random results.

    Fits of the kernel and searches for candidates come at some choices only; they are left out by
    the median, and the first choice, which makes both, is not counted.
    """
    import optuna
    from optuna.trial import create_trial

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    known = truth.known()
    sampler = sampler_of("palmette", known, seed=0)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    codes = truth.problem.space.sample(3 * results, np.random.default_rng(0))
    codes = codes[known.feasible(codes)][:results]
    for code, values in zip(codes, truth.evaluate(codes).objectives.tolist(), strict=True):
        study.add_trial(
            create_trial(
                params=known.params(code),
                distributions=sampler.distributions,
                values=[values[0], -values[1]],
            )
        )
    seconds = []
    for _ in range(COST_CHOICES):
        begin = time.process_time()
        trial = study.ask(sampler.distributions)
        seconds.append(time.process_time() - begin)
        study.tell(trial, [1.0, 60.0])
    return 1000 * float(np.median(seconds[1:]))


def show(truth: Truth, rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    print(f"boosted trees: cross-validated Kendall tau {truth.tau:.3f}; noise {NOISE} points")
    print(
        f"{'start':<6}{'n':>4}  {'sampler':<16}{'share':>8}  {'ours more [95 %]':<28}{'seeds':>5}"
    )
    for row in rows:
        more = ""
        if "ours_more" in row:
            more = f"{row['ours_more']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
        print(
            f"{row['start']:<6}{row['measurements']:>4}  {row['sampler']:<16}{row['share']:8.4f}"
            f"  {more:<28}{row['seeds']:>5}"
        )


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_TABLE, help="Accel-NASBench's rows")
    parser.add_argument("--target", default=TARGET, help="whose milliseconds")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--gp-seeds", type=int, default=5, help="of GP, to 100 measurements")
    parser.add_argument("--longest", type=int, default=500, help="measurements of the long runs")
    parser.add_argument("--table", type=Path, default=RESULTS / "expensive_stage.csv")
    parser.add_argument("--out", type=Path, default=RESULTS / "expensive_stage.json")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    parser.add_argument("--anew", nargs="+", default=[], choices=SAMPLERS, help="run these again")
    arguments = parser.parse_args()
    a = arguments
    try:
        expect(arguments.seeds >= 2, f"--seeds: needs 2 or more, got {arguments.seeds}")
        made = about(a.data, a.target)
        table = read_shares(a.table, made, a.anew)
        truth = Truth.of(a.data, a.target)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    planned = arms(a.seeds, a.gp_seeds, a.longest)
    rows = compared(run(truth, planned, table, lambda found: write_shares(a.table, found, made)))
    show(truth, rows)
    costs = {str(results): cost_of_a_choice(truth, results) for results in COST_RESULTS}
    print("one choice of ours, ms of processor time by results:", end=" ")
    print(", ".join(f"{results}: {ms:.0f}" for results, ms in costs.items()))
    metrics = {
        "command": f"python benchmarks/expensive_stage.py --seeds {arguments.seeds}"
        f" --gp-seeds {arguments.gp_seeds} --longest {arguments.longest}",
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in ("numpy", "optuna", "pymoo", "scikit-learn")},
        "made_with": made,
        "target": made["target"],
        "budget_ms": BUDGET_MS,
        "kendall_tau_of_truth": truth.tau,
        "noise_points": NOISE,
        "front_points": len(truth.front),
        "warm_start": WARM,
        "choice_cpu_ms_by_results": costs,
        "rows": rows,
    }
    write_text(arguments.out, json.dumps(metrics, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
