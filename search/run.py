"""The main job: search a space for the most accurate networks that fit a target.

The vectorised search over the compiled predictors runs at the study's first ask; its shortlist
becomes trials of an Optuna study in the run's folder, one architecture each. A run that was killed
goes on where its journal ends: the search repeats exactly (its random state derives from seed and
generation), and finished trials are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from palmette.latency import LatencyPredictor, find_target, load_predictor
from palmette.search.evolution import evolve, groups_of
from palmette.search.front import hypervolume
from palmette.search.problem import Limits, SearchProblem, describe, pose
from palmette.search.run_folder import RunFolder
from palmette.search.sampler import ShortlistSampler
from palmette.space import Architecture, InputError, SearchSpace
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.train import TIE_POINTS, AccuracyPrior

if TYPE_CHECKING:
    import optuna

EVALUATIONS = 1_000_000
SHORTLIST = 64
Progress = Callable[[int, float], None]
"""Called with evaluations so far and the hypervolume (ms x points) of what was found."""


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """Everything that decides what a search finds."""

    target: str
    budget_ms: float
    space: str = "mobilenet_v2"
    """Preset name, or path of a space's TOML file."""
    confidence: float = 0.8
    params_m: float = math.inf
    macs_m: float = math.inf
    lam: float = 0.5
    recipe: str | None = None
    evaluations: int = EVALUATIONS
    shortlist: int = SHORTLIST
    seed: int = 0
    extrapolate: bool = False
    predictor: str | None = None
    """Path of a predictor's JSON; default the one shipped for the target."""

    def __post_init__(self) -> None:
        expect(self.evaluations >= 1000, f"evaluations: at least 1000, got {self.evaluations}")
        expect(self.shortlist >= 3, f"shortlist: at least 3, got {self.shortlist}")
        expect(self.seed >= 0, f"seed: must not be negative, got {self.seed}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `run.toml`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any], where: str) -> SearchConfig:
        """Config from plain values; raises InputError for an unknown key or a wrong type."""
        known = {item.name: item for item in fields(cls)}
        for key, value in data.items():
            expect(key in known, f"{where}: unknown key '{key}'; known: {', '.join(known)}")
            wanted = _TYPES[str(known[key].type)]
            good = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
            expect(good, f"{where}: {key} has a wrong type, got {value!r}")
        missing = {"target", "budget_ms"} - set(data)
        expect(not missing, f"{where}: missing {', '.join(sorted(missing))}")
        return cls(**data)


_TYPES: dict[str, Any] = {
    "str": str,
    "str | None": str,
    "float": (int, float),
    "int": int,
    "bool": bool,
}


@dataclass(frozen=True)
class Run:
    """A finished search: the front (a data frame, fastest first), its folder, and how it ran."""

    config: SearchConfig
    folder: RunFolder
    front: pd.DataFrame
    problem: SearchProblem = field(repr=False)

    @property
    def pick(self) -> Architecture:
        """The network to take: the fastest of those that tie with the best score."""
        row = self.front.loc[self.front["pick"]].iloc[0]
        return Architecture.from_text(str(row["architecture"]))

    @property
    def guards(self) -> dict[str, Any]:
        """What kept the search honest: choices barred, and the guards of the accuracy prior."""
        prior = AccuracyPrior.load()
        active = {
            guard
            for text in self.front["architecture"]
            for guard in prior.active_guards(Architecture.from_text(str(text)))
        }
        return {
            "barred_choices": list(self.problem.barred),
            "guards_on_front": sorted(active),
            "outside_timed": int(self.front["outside_timed"].sum()),
        }


def run(
    target: str,
    budget_ms: float,
    out: Path,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Run:
    """Search for the most accurate networks inside a latency budget.

    Args:
        target: full name or alias, such as `iphone-13/ane`.
        budget_ms: milliseconds of one image, to be held at the confidence.
        out: folder for the run; it must be new or empty.
        progress: called after every generation.
        options: the other fields of `SearchConfig`.

    Raises:
        InputError: unknown target, space or option, an impossible budget, a folder in use.
    """
    config = SearchConfig(str(find_target(target)), float(budget_ms), **options)
    problem = _problem(config)
    folder = RunFolder(out)
    with folder.driver():
        folder.begin(config.to_dict())
        return _search(config, problem, folder, progress)


def resume(out: Path, *, progress: Progress | None = None) -> Run:
    """Go on with the run in a folder, whatever ended it; a finished run is only read again.

    Raises:
        InputError: no run there, a corrupt one, or another process at work in it.
    """
    folder = RunFolder(out)
    config = SearchConfig.from_dict(folder.read_config(), str(folder.config))
    problem = _problem(config)
    with folder.driver():
        return _search(config, problem, folder, progress)


def _problem(config: SearchConfig) -> SearchProblem:
    is_file = config.space.endswith(".toml")
    space = SearchSpace.read(Path(config.space)) if is_file else SearchSpace.preset(config.space)
    predictor = (
        LatencyPredictor.read(Path(config.predictor))
        if config.predictor
        else load_predictor(config.target)
    )
    expect(
        str(predictor.model_.target) == config.target,
        f"{config.predictor}: is a predictor of {predictor.model_.target}, not of {config.target}",
    )
    limits = Limits(config.budget_ms, config.confidence, config.params_m, config.macs_m, config.lam)
    return pose(space, predictor, limits, recipe=config.recipe, extrapolate=config.extrapolate)


def _search(
    config: SearchConfig, problem: SearchProblem, folder: RunFolder, progress: Progress | None
) -> Run:
    made: list[dict[str, Any]] = []

    def propose() -> list[dict[str, Any]]:
        made.extend(_shortlist(config, problem, progress))
        return made

    distributions = _distributions(problem.space)
    study = folder.study(ShortlistSampler(propose, distributions, seed=config.seed))
    while len(_finished(study)) < study.user_attrs.get("shortlist", math.inf):
        trial = study.ask(distributions)
        if "shortlist" not in study.user_attrs:
            study.set_user_attr("shortlist", len(made))
        found = problem.evaluate(_codes(problem.space, [trial.params]))
        trial.set_constraint("limits", float(found.violation[0]))
        ms, negative_score = found.objectives[0].tolist()
        study.tell(trial, [ms, -negative_score])
    front = _front(study, problem)
    write_text(folder.front, front.to_csv(index=False, lineterminator="\n"))
    finished = Run(config, folder, front, problem)
    from palmette.search.figure import front_page  # plotly is slow to import

    write_text(folder.page, front_page(finished))
    return finished


def _shortlist(
    config: SearchConfig, problem: SearchProblem, progress: Progress | None
) -> list[dict[str, Any]]:
    """Parameters of the networks to hand out: the front, thinned evenly, best score first."""

    def report(_: int, evaluations: int, found: Any) -> None:
        if progress is not None:
            progress(evaluations, hypervolume(found, _reference(config)))

    found = evolve(
        problem,
        evaluations=config.evaluations,
        seed=config.seed,
        groups=groups_of([gene.name for gene in problem.space.genes]),
        on_generation=report,
    )
    expect(
        len(found.codes) > 0,
        "no network of the space keeps all limits; raise --budget-ms, --params-m or --macs-m",
    )
    count = min(config.shortlist, len(found.codes))
    kept = np.unique(np.linspace(0, len(found.codes) - 1, count).round().astype(np.int64))[::-1]
    return [
        {gene.name: gene.choices[int(i)] for gene, i in zip(problem.space.genes, code, strict=True)}
        for code in found.codes[kept]
    ]


def _reference(config: SearchConfig) -> Any:
    """Corner of the hypervolume: the budget, and a score of nothing."""
    return np.array([config.budget_ms, 0.0])


def _distributions(space: SearchSpace) -> dict[str, optuna.distributions.BaseDistribution]:
    from optuna.distributions import CategoricalDistribution

    return {gene.name: CategoricalDistribution(gene.choices) for gene in space.genes}


def _codes(space: SearchSpace, params: list[dict[str, Any]]) -> Any:
    return np.array(
        [[gene.choices.index(row[gene.name]) for gene in space.genes] for row in params],
        dtype=np.int64,
    ).reshape(len(params), len(space.genes))


def _finished(study: optuna.Study) -> list[Any]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _front(study: optuna.Study, problem: SearchProblem) -> pd.DataFrame:
    """Non-dominated feasible trials, fastest first, with the pick and its ties marked."""
    from palmette.search.front import non_dominated

    trials = [t for t in _finished(study) if all(v <= 0 for v in t.constraints.values())]
    if not trials:
        raise InputError("no finished trial keeps all limits; raise the budget")
    values = np.array([(t.values[0], -t.values[1]) for t in trials])
    best = [trials[index] for index in non_dominated(values)]
    table = pd.DataFrame(describe(problem, _codes(problem.space, [t.params for t in best])))
    ties = table["score"] >= table["score"].max() - TIE_POINTS
    # the front is sorted by ms: the first of the ties is the fastest
    pick = np.arange(len(table)) == int(np.flatnonzero(ties)[0])
    table.insert(1, "pick", pick)
    table.insert(2, "tie", ties)
    return table
