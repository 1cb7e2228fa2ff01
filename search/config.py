"""Everything that decides what a search finds, checked as it is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from palmette.latency import LATENCY, QUANTITIES
from palmette.latency.budget import expect_budget
from palmette.search.accuracy import PRIOR
from palmette.search.limits import Limits
from palmette.search.objectives.goal import (
    JOINED_BUDGET,
    Goal,
    Join,
    check_join,
    joined_name,
)
from palmette.search.objectives.precision import HALF, read_precisions
from palmette.search.objectives.quantities import NAMES as QUANTITY_NAMES
from palmette.search.objectives.reward import reward_of
from palmette.space.errors import expect

EVALUATIONS = 1_000_000
SHORTLIST = 64
TRIALS = 200
LEAST_TRIALS = 3
PALMETTE = "palmette"
SAMPLERS = (PALMETTE, "tpe", "nsga2", "nsga3", "gp", "random")


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """Everything that decides what a search finds."""

    target: str
    """Full name; of several targets `joined_name`."""
    budget_ms: float
    """Of several targets `JOINED_BUDGET`, a load."""
    space: str = "mobilenet_v2"
    """Preset name, or path of a space's TOML file."""
    confidence: float = 0.8
    params_m: float = math.inf
    macs_m: float = math.inf
    package_mb: float = math.inf
    """Most megabytes of the Core ML package."""
    peak_memory_mb: float = math.inf
    """Most megabytes of activations that are alive at once."""
    precision: str = HALF
    """Of weights: one of `objectives.precision.PRECISIONS`, or several with commas between; a
    network then has the most precise one with which its package keeps `package_mb`."""
    lam: float = 0.5
    recipe: str | None = None
    evaluations: int = EVALUATIONS
    shortlist: int | None = None
    """Networks that the predictors choose for trials; None: 64, a fifth of measured trials."""
    seed: int = 0
    extrapolate: bool = False
    exportable: bool = False
    """Bar networks with ops that the target's unit is known to refuse."""
    predictor: str | None = None
    """Path of a predictor's JSON; default the one shipped for the target."""
    accuracy: str = PRIOR
    """`prior`; `supernet:FILE` or `proxy:RECIPE`, which measure on `data`; or a function of the
    user's own, `function:FILE.py:NAME` or `function:MODULE:NAME`."""
    data: str | None = None
    """Images, see `train.datasets.open_data`; default those that a supernet was trained on."""
    trials: int = TRIALS
    """Networks whose accuracy is found out, where they are measured or another sampler chooses.

    What `start` has measured values of is beside these."""
    sampler: str = PALMETTE
    """What chooses them: ours, or one of Optuna's."""
    warm_start: bool = True
    """Whether the first of them are the shortlist."""
    halving: bool = False
    """Whether the shortlist is trained in rungs of epochs, and only the best third goes on."""
    epochs: int | None = None
    """Whole length of a training by a function that takes `epochs`; a recipe has its own."""
    budget: str = LATENCY
    """Which milliseconds the budget is of: `latency`, or `sustained`, of a warm phone."""
    goals: tuple[Goal, ...] = ()
    """Several targets that are searched as one; empty: the one target."""
    join: Join = "worst"
    """How their times become one, see `search.objectives.joined`."""
    joint: bool = False
    """Hold their budgets together at the confidence, not each."""
    reward: str | None = None
    """What picks instead of a hard budget, see `search.objectives.reward`."""
    start: str | None = None
    """Path of a CSV with networks that the search begins with, such as the front of another run."""

    def __post_init__(self) -> None:
        expect(
            len(self.precisions) == 1 or self.package_mb < math.inf,
            f"precision: package_mb chooses among '{self.precision}'; give that limit, or one name",
        )
        names = " or ".join(QUANTITIES)
        expect(self.budget in QUANTITIES, f"budget: must be {names}, got '{self.budget}'")
        expect(
            self.budget == LATENCY or self.predictor is not None,
            f"budget: {self.budget} needs --predictor, a file of `palmette latency fit"
            f" --{self.budget}`: no published table has {self.budget} timings; time your own",
        )
        expect_budget(self.budget_ms)
        _ = self.limits  # which checks its numbers
        expect(self.evaluations >= 1000, f"evaluations: at least 1000, got {self.evaluations}")
        expect(self.first >= 3, f"shortlist: at least 3, got {self.first}")
        expect(self.seed >= 0, f"seed: must not be negative, got {self.seed}")
        expect(self.trials >= LEAST_TRIALS, f"trials: at least {LEAST_TRIALS}, got {self.trials}")
        known = ", ".join(SAMPLERS)
        expect(self.sampler in SAMPLERS, f"sampler: must be one of {known}, got '{self.sampler}'")
        self._check_goals()
        self._check_trainings()
        if self.reward is not None:
            reward_of(self.reward)
        measured = self.accuracy != PRIOR
        expect(
            measured or self.data is None,
            "data: the prior takes none; give --accuracy, or leave --data out",
        )
        expect(
            not measured or self.recipe is None,
            "recipe: belongs to the prior; a supernet or a proxy has its own",
        )

    def _check_trainings(self) -> None:
        kind = self.accuracy.partition(":")[0]
        expect(
            self.epochs is None or kind == "function",
            "epochs: are a function's; a proxy's stand in its name, as in proxy:RECIPE@9x1",
        )
        expect(self.epochs is None or self.epochs >= 1, f"epochs: at least 1, got {self.epochs}")
        if not self.halving:
            return
        expect(
            kind not in UNTRAINED,
            f"halving: with a {kind} no network is trained; give --accuracy proxy:RECIPE, or a"
            " function that takes epochs",
        )
        expect(
            kind != "function" or self.epochs is not None,
            "halving: --epochs must say how long a whole training by the function is",
        )
        expect(self.warm_start, "halving: is of the shortlist; leave --cold out")

    def _check_goals(self) -> None:
        if not self.goals:
            expect(
                (self.join, self.joint) == ("worst", False),
                "join, joint: belong to several targets; give --targets, or leave them out",
            )
            return
        check_join(self.goals, self.join, self.joint)
        expect(
            (self.target, self.budget_ms) == (joined_name(self.goals), JOINED_BUDGET),
            f"target: must be {joined_name(self.goals)} with a budget of {JOINED_BUDGET:g}, as the"
            f" goals say, got {self.target} with {self.budget_ms:g}",
        )
        expect(
            self.predictor is None,
            "predictor: is of one target; search the targets one by one to use your own",
        )
        expect(
            not self.joint or self.reward is None,
            "joint: is a confidence of budgets, and a reward holds none; leave one of them out",
        )

    @classmethod
    def of_goals(cls, goals: Sequence[Goal], join: Join, **options: Any) -> SearchConfig:
        """Config of several targets that are searched as one; `options` are other fields."""
        check_join(goals, join, bool(options.get("joint", False)))
        return cls(joined_name(goals), JOINED_BUDGET, goals=tuple(goals), join=join, **options)

    def expect_one_target(self, where: str, hard: bool = True) -> None:
        """Raise InputError if this is of several targets, or if `hard` of a budget that is soft."""
        expect(
            not self.goals,
            f"{where}: is of several targets joined ({self.target}); this takes runs of one target:"
            " search with --targets without --join, and give the folder of each",
        )
        expect(
            self.reward is None or not hard,
            f"{where}: was searched by a reward, which holds no budget; search with --budget-ms"
            " alone",
        )

    @property
    def limits(self) -> Limits:
        """What a network may cost; a reward has no hard budget.

        Raises:
            InputError: see `Limits`.
        """
        most = {name: getattr(self, name) for name in QUANTITY_NAMES}
        budget_ms = math.inf if self.reward else self.budget_ms
        return Limits(budget_ms, self.confidence, lam=self.lam, **most)

    @property
    def words(self) -> str:
        """Target and budget, in few words."""
        if not self.goals:
            return f"{self.target}, budget {self.budget_ms:g} ms"
        names = ", ".join(f"{goal.alias} {goal.budget_ms:g} ms" for goal in self.goals)
        return f"{self.join} of {names}"

    @property
    def first(self) -> int:
        """Networks that the predictors choose for trials, before anything is measured."""
        if self.shortlist is not None:
            return self.shortlist
        return SHORTLIST if self.accuracy == PRIOR else max(3, self.trials // 5)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `run.toml`; what belongs to several targets only where there are."""
        plain = asdict(self)
        if not self.goals:
            return {name: value for name, value in plain.items() if name not in _OF_GOALS}
        return {**plain, "goals": [asdict(goal) for goal in self.goals]}

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that weights may have, the most precise first."""
        return read_precisions(self.precision)

    @classmethod
    def from_dict(cls, data: dict[str, Any], where: str) -> SearchConfig:
        """Config from plain values; raises InputError for an unknown key or a wrong type."""
        known = {item.name: item for item in fields(cls)}
        old = data.get("accuracy", PRIOR) != PRIOR and "samples" in data
        expect(
            not old,
            f"{where}: was begun by an older palmette, which measured networks outside of trials;"
            " search again",
        )
        data = {key: value for key, value in data.items() if key not in _FORMER}
        for key, value in data.items():
            expect(key in known, f"{where}: unknown key '{key}'; known: {', '.join(known)}")
            wanted = _TYPES[str(known[key].type)]
            good = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
            expect(good, f"{where}: {key} has a wrong type, got {value!r}")
        missing = {"target", "budget_ms"} - set(data)
        expect(not missing, f"{where}: missing {', '.join(sorted(missing))}")
        goals = tuple(_goal(goal, where) for goal in data.get("goals", ()))
        return cls(**{**data, "goals": goals})


def _goal(data: Any, where: str) -> Goal:
    expect(
        isinstance(data, dict) and set(data) == {item.name for item in fields(Goal)},
        f"{where}: goals must be tables of target, budget_ms and weight, got {data!r}",
    )
    numbers = [data["budget_ms"], data["weight"]]
    good = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers)
    expect(
        good and isinstance(data["target"], str), f"{where}: goals: has a wrong type, got {data!r}"
    )
    return Goal(**data)


UNTRAINED = (PRIOR, "supernet")
"""Accuracies that no training of a network gives."""
_OF_GOALS = ("goals", "join", "joint")


_FORMER = ("samples",)
"""Keys of older runs that the prior never had a use for."""
_TYPES: dict[str, Any] = {
    "str": str,
    "str | None": (str, type(None)),
    "float": (int, float),
    "int": int,
    "int | None": (int, type(None)),
    "bool": bool,
    "Join": str,
    "tuple[Goal, ...]": list,
}
