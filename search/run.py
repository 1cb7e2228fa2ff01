"""The main job: search a space for the most accurate networks that fit a target.

The vectorised search over the compiled predictors runs at the study's first ask; its shortlist
becomes trials of an Optuna study in the run's folder, one architecture each. A run that was killed
goes on where its journal ends: the search repeats exactly (its random state derives from seed and
generation), and finished trials are kept.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from palmette.latency import LATENCY, LatencyPredictor, load_predictor, parse_target
from palmette.search.accuracy import PRIOR
from palmette.search.config import SearchConfig
from palmette.search.evolution import evolve, groups_of
from palmette.search.front import hypervolume
from palmette.search.objectives.quantities import NAMES as QUANTITY_NAMES
from palmette.search.problem import Limits, SearchProblem, describe, pose
from palmette.search.run_folder import RunFolder
from palmette.search.sampler import ShortlistSampler
from palmette.search.source import Source
from palmette.space import Architecture, CompiledSpace, InputError, SearchSpace
from palmette.space.errors import expect
from palmette.space.files import write_bytes, write_text
from palmette.train import AccuracyPrior

if TYPE_CHECKING:
    import optuna

Progress = Callable[[int, int, float], None]
"""Called with evaluations so far, evaluations in all, and the hypervolume (ms x points) so far."""


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
        prior, networks = AccuracyPrior.load(), list[Architecture]()
        if self.problem.accuracy.rung == PRIOR:
            networks = [Architecture.from_text(str(text)) for text in self.front["architecture"]]
        widened: dict[str, list[float]] = {}
        for network in networks:
            for row in prior.widened(network):
                widened.setdefault(row["family"], []).append(row["share"])
        return {
            "barred_choices": list(self.problem.barred),
            "refused_choices": list(self.problem.refused),
            "ops_refused_on_front": int((self.front["ops_refused"] > 0).sum()),
            "ops_at_risk_on_front": int((self.front["ops_at_risk"] > 0).sum()),
            "guards_on_front": sorted({g for a in networks for g in prior.active_guards(a)}),
            "widened_families": {name: max(shares) for name, shares in sorted(widened.items())},
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
    config = _absolute(SearchConfig(str(parse_target(target)), float(budget_ms), **options))
    folder = RunFolder(out)
    folder.check_free()
    problem = _problem(config, folder)
    with folder.driver():
        folder.begin(config.to_dict(), identity(problem))
        _copy_inputs(config, folder)
        try:
            return _search(config, problem, folder, progress)
        except InputError:
            folder.discard()
            raise


def resume(out: Path, *, progress: Progress | None = None) -> Run:
    """Go on with the run in a folder, whatever ended it; a finished run is only read again.

    Raises:
        InputError: no run there, a corrupt one, or another process at work in it.
    """
    folder = RunFolder(out)
    config, problem = reopen(folder)
    with folder.driver():
        return _search(config, problem, folder, progress)


def reopen(
    folder: RunFolder, compiled: CompiledSpace | None = None
) -> tuple[SearchConfig, SearchProblem]:
    """Config and problem of a run that was begun, the same as then.

    Args:
        folder: of the run.
        compiled: its full space, where another problem compiled that already.

    Raises:
        InputError: no run there, a corrupt one, or its space or predictor is another by now.
    """
    search, about = folder.read_config()
    config = SearchConfig.from_dict(search, str(folder.config))
    problem = _problem(config, folder, compiled)
    for name, value in identity(problem).items():
        expect(
            about.get(name) == value,
            f"{folder.config}: {name} is {about.get(name)!r}, but what would be searched now has"
            f" {value!r}; resume with the files and version of palmette that it began with",
        )
    return config, problem


def full_space(config: SearchConfig, folder: RunFolder) -> SearchSpace:
    """The space of a run before choices are barred; a user's file from the folder if it has it."""
    if config.space.endswith(".toml"):
        kept, given = folder.space, Path(config.space)
        return replace(SearchSpace.read(kept if kept.is_file() else given), name=given.stem)
    return SearchSpace.preset(config.space)


def _problem(
    config: SearchConfig, folder: RunFolder, compiled: CompiledSpace | None = None
) -> SearchProblem:
    """The problem of a config; files that it names are read from the run's folder if it has them.

    A folder without them is that of a new run.
    """
    space = full_space(config, folder)
    if config.predictor:
        kept, given = folder.predictor, Path(config.predictor)
        predictor = LatencyPredictor.read(kept if kept.is_file() else given)
        timed = str(predictor.model_.target)
        wanted = str(parse_target(config.target))
        expect(timed == wanted, f"{given}: is a predictor of {timed}, not of {wanted}")
        _expect_quantity(predictor.quantity_, config.budget, given)
    else:
        predictor = load_predictor(config.target)
    most = {name: getattr(config, name) for name in QUANTITY_NAMES}
    limits = Limits(config.budget_ms, config.confidence, lam=config.lam, **most)
    accuracy = None
    if config.accuracy != PRIOR:
        source = Source(config.accuracy, config.data, space, config.seed)
        space, accuracy = source.space, source.accuracy(config.samples, config.seed)
    return pose(
        space,
        predictor,
        limits,
        recipe=config.recipe,
        accuracy=accuracy,
        extrapolate=config.extrapolate,
        exportable=config.exportable,
        compiled=compiled,
    )


def _expect_quantity(predicted: str, budget: str, where: Path) -> None:
    """Raise InputError unless a predictor predicts what the budget is of."""
    expect(
        predicted == budget,
        f"{where}: predicts {predicted} milliseconds, but the budget is of {budget} ones; give"
        f" --budget {predicted}, or a predictor of `palmette latency fit"
        + (f" --{budget}`" if budget != LATENCY else "`"),
    )


def _absolute(config: SearchConfig) -> SearchConfig:
    """The config with a supernet's whole path: a run may be resumed from another folder."""
    kind, _, name = config.accuracy.partition(":")
    if kind != "supernet" or not name:
        return config
    return replace(config, accuracy=f"{kind}:{Path(name).absolute()}")


def identity(problem: SearchProblem) -> dict[str, str]:
    """Hashes of what `run.toml` only names; a run must go on with the same.

    Keys `space_id`, `predictor_id`, and `accuracy_id` if accuracies are measured.
    """
    predictor = json.dumps(problem.latency.predictor.to_dict(), sort_keys=True)
    measured = problem.accuracy.id
    return {
        **({"accuracy_id": measured} if measured else {}),
        "space_id": problem.space.id,
        "predictor_id": hashlib.sha256(predictor.encode()).hexdigest()[:12],
    }


def _copy_inputs(config: SearchConfig, folder: RunFolder) -> None:
    if config.space.endswith(".toml"):
        write_bytes(folder.space, Path(config.space).read_bytes())
    if config.predictor:
        write_bytes(folder.predictor, Path(config.predictor).read_bytes())


def _search(
    config: SearchConfig, problem: SearchProblem, folder: RunFolder, progress: Progress | None
) -> Run:
    made: list[dict[str, Any]] = []
    problem.accuracy.prepare(
        folder.accuracy, None if progress is None else lambda done, of: progress(done, of, math.nan)
    )

    def propose() -> list[dict[str, Any]]:
        made.extend(_shortlist(config, problem, progress))
        return made

    distributions = _distributions(problem.space)
    sampler = ShortlistSampler(propose, distributions, seed=config.seed)
    study = folder.study(sampler)
    _check_finished(study, problem.space, folder)
    while len(_finished(study)) < study.user_attrs.get("shortlist", math.inf):
        trial = study.ask(distributions)
        if "shortlist" not in study.user_attrs:
            sampler.remaining(study)  # makes the shortlist: a trial that waited did not need it
            study.set_user_attr("shortlist", len(made))
        codes = _codes(problem.space, [trial.params])
        problem.measure(codes)
        found = problem.evaluate(codes)
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
    planned = min(config.evaluations, problem.space.size)

    def report(_: int, evaluations: int, found: Any) -> None:
        if progress is not None:
            progress(evaluations, planned, hypervolume(found, _reference(config)))

    found = evolve(
        problem,
        evaluations=config.evaluations,
        seed=config.seed,
        groups=groups_of([gene.name for gene in problem.space.genes]),
        on_generation=report,
    )
    # a budget just above the fastest leaves so few networks that a short search finds none
    codes = found.codes if len(found) else problem.fastest()[None, :]
    kept = thinned(found.objectives if len(found) else np.zeros((1, 2)), config.shortlist)[::-1]
    return [
        {gene.name: gene.choices[int(i)] for gene, i in zip(problem.space.genes, code, strict=True)}
        for code in codes[kept]
    ]


def thinned(objectives: Any, count: int) -> Any:
    """Indices of at most `count` points of a front, evenly spaced along it, both ends included."""
    reach = np.ptp(objectives, axis=0)
    steps = np.diff(objectives, axis=0) / np.where(reach > 0, reach, 1.0)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(steps[:, 0], steps[:, 1]))])
    wanted = np.linspace(0.0, along[-1], min(count, len(along)))
    return np.unique(np.searchsorted(along, wanted - 1e-12))


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


def _check_finished(study: optuna.Study, space: SearchSpace, folder: RunFolder) -> None:
    """Raise InputError for a finished trial that lacks something, as when a record got lost."""
    for trial in _finished(study):
        whole = all(trial.params.get(gene.name) in gene.choices for gene in space.genes)
        expect(
            whole and "limits" in trial.constraints and len(trial.values or ()) == 2,
            f"{folder.journal}: corrupt: trial {trial.number} is finished, but no network of this"
            " space with its results; the run can't be resumed",
        )


def _front(study: optuna.Study, problem: SearchProblem) -> pd.DataFrame:
    """Non-dominated feasible trials, fastest first, with the pick and its ties marked."""
    from palmette.search.front import non_dominated

    trials = [t for t in _finished(study) if all(v <= 0 for v in t.constraints.values())]
    if not trials:
        raise InputError("no finished trial keeps all limits; raise the budget")
    values = np.array([(t.values[0], -t.values[1]) for t in trials])
    best = [trials[index] for index in non_dominated(values)]
    codes = _codes(problem.space, [t.params for t in best])
    problem.measure(codes)  # of a resumed run: what its folder kept
    table = pd.DataFrame(describe(problem, codes))
    ties = table["score"] >= table["score"].max() - problem.accuracy.tie_points
    # the front is sorted by ms: the first of the ties is the fastest
    pick = np.arange(len(table)) == int(np.flatnonzero(ties)[0])
    table.insert(1, "pick", pick)
    table.insert(2, "tie", ties)
    quantity = problem.latency.predictor.quantity_
    if quantity != LATENCY:
        table.insert(3, "quantity", quantity)
    return table
