"""Which choices decided whether a network came near the front: PED-ANOVA over the trials.

Watanabe, Bansal & Hutter 2023 (arXiv 2304.10255), by Optuna, for both objectives at once: the best
tenth are the trials of the first ranks of non-domination.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

FEWEST = 50
"""Trials below which the best tenth has less than the five that the method wants."""
MOST = 2000
"""Trials that it looks at, evenly spaced in the order of asks: its time grows with their square."""


@dataclass(frozen=True, slots=True)
class Importance:
    """Share of each gene, the highest first; empty with a reason."""

    shares: tuple[tuple[str, float], ...]
    trials: int
    reason: str = ""


def importance(study: optuna.Study) -> Importance:
    """PED-ANOVA of a study's complete trials; of too few there is a reason instead."""
    import optuna
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(trials) < FEWEST:
        reason = (
            f"{len(trials)} finished trials are too few to tell which choices mattered; it takes"
            f" {FEWEST}."
        )
        return Importance((), len(trials), reason)
    step = -(-len(trials) // MOST)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    looked_at = optuna.create_study(directions=study.directions)
    looked_at.add_trials(trials[::step])
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    shares = optuna.importance.get_param_importances(looked_at, evaluator=evaluator)
    return Importance(tuple(shares.items()), len(trials[::step]))
