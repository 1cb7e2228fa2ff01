"""How the hypervolume of a run grew with its trials, in the order in which they were told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from palmette.search.trials.progress import Tracker

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, slots=True)
class History:
    """Trials told, and the hypervolume (time x points) then; rows where it grew, and the last."""

    trials: tuple[int, ...]
    hypervolume: tuple[float, ...]


def history(told: Sequence[optuna.trial.FrozenTrial], budget: float) -> History:
    """History of trials.

    Args:
        told: complete and failed ones, in order.
        budget: time up to which the front counts; the other end is a score of 0.
    """
    tracker = Tracker(len(told), budget)
    rows = [(0, 0.0)]
    for number, trial in enumerate(told, start=1):
        if trial.state.name != "COMPLETE":
            continue
        kept = all(value <= 0 for value in trial.constraints.values())
        tracker.finished(trial.values[0], trial.values[1], feasible=kept)
        volume = tracker.snapshot().hypervolume
        if volume > rows[-1][1]:
            rows.append((number, volume))
    if rows[-1][0] < len(told):
        rows.append((len(told), rows[-1][1]))
    return History(tuple(n for n, _ in rows), tuple(volume for _, volume in rows))
