"""The front of a study: its non-dominated trials, with everything that is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from palmette.latency import LATENCY
from palmette.search.problem import SearchProblem, describe
from palmette.search.trials.driver import AllFailed, told_trials
from palmette.search.trials.failures import Failures
from palmette.search.trials.params import codes_of
from palmette.space import InputError, SearchSpace
from palmette.space.errors import expect

if TYPE_CHECKING:
    import optuna


def _finished(study: optuna.Study) -> list[Any]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _nothing(study: optuna.Study, space: SearchSpace) -> InputError:
    """Why a study has no front."""
    failures = Failures.of(told_trials(study), space)
    if failures and not _finished(study):
        return AllFailed(failures.words)
    said = f"{failures.words}; of the others none" if failures else "no finished trial"
    return InputError(f"{said} keeps all limits; raise the budget")


def check_finished(study: optuna.Study, space: SearchSpace, where: str) -> None:
    """Raise InputError for a finished trial that lacks something, as when a record got lost.

    `where` names the journal or the database.
    """
    for trial in _finished(study):
        whole = all(trial.params.get(gene.name) in gene.choices for gene in space.genes)
        expect(
            whole and "limits" in trial.constraints and len(trial.values or ()) == 2,
            f"{where}: corrupt: trial {trial.number} is finished, but no network of this"
            " space with its results; the run can't be resumed",
        )


def front_of(study: optuna.Study, problem: SearchProblem) -> pd.DataFrame:
    """Non-dominated feasible trials, fastest first, with the pick and its ties marked.

    Raises:
        AllFailed: trials failed, and no other ended.
        InputError: no finished trial keeps all limits.
    """
    from palmette.search.expensive.confirm import recorded
    from palmette.search.front import non_dominated

    trials = [t for t in _finished(study) if all(v <= 0 for v in t.constraints.values())]
    if not trials:
        raise _nothing(study, problem.space)
    values = np.array([(t.values[0], -t.values[1]) for t in trials])
    best = [trials[index] for index in non_dominated(values)]
    codes = codes_of(problem.space, [t.params for t in best])
    table = pd.DataFrame(describe(problem, codes))
    ties = table["score"] >= table["score"].max() - problem.accuracy.tie_points
    # the front is sorted by time: the first of the ties is the fastest
    picked = int(np.flatnonzero(ties)[0])
    if problem.reward is not None:
        picked = int(table["reward"].to_numpy().argmax())
    pick = np.arange(len(table)) == picked
    table.insert(1, "pick", pick)
    table.insert(2, "tie", ties)
    quantity = problem.latency.predictor.quantity_
    if quantity != LATENCY:
        table.insert(3, "quantity", quantity)
    return recorded(study, table, problem.accuracy.tie_points, problem.rewards)
