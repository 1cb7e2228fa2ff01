"""The winners of a finished run trained anew with fresh seeds, and its pick chosen by these."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.search.compute import Compute
from palmette.search.expensive.confirm import TRAININGS, WINNERS, Confirmed, confirm
from palmette.search.expensive.fresh import COLUMNS, UNSEEDED
from palmette.search.front_table import front_of
from palmette.search.posing import reopen
from palmette.search.proposals import Proposals, Told
from palmette.search.run import Run, opened, written
from palmette.search.run_folder import RunFolder
from palmette.search.trials.driver import learn_trial, told_trials
from palmette.search.trials.progress import Snapshot
from palmette.space.errors import expect, expect_some

if TYPE_CHECKING:
    from palmette.search.trials.task import Executor, Outcome

CONFIRMING = "confirming"


@dataclass(frozen=True)
class ConfirmedRun:
    """A run whose front has the fresh values."""

    run: Run
    confirmed: Confirmed

    def summary(self) -> dict[str, Any]:
        """Plain values, for programs."""
        time = self.run.problem.time_columns[0]
        names = ["id", "pick", time, "top1", *COLUMNS, "architecture"]
        rows = self.run.front[self.run.front["id"].isin(self.confirmed.ids)][names]
        return {
            "folder": str(self.run.folder.path),
            "pick": self.run.pick.to_text(),
            "shrinkage_points": self.confirmed.shrinkage if self.confirmed.known else None,
            "networks": rows.astype(object).where(rows.notna(), None).to_dict("records"),
        }


def confirm_front(
    folder: Path,
    *,
    winners: int = WINNERS,
    seeds: int = TRAININGS,
    compute: Compute | None = None,
    told: Told | None = None,
) -> ConfirmedRun:
    """Train the winners of a finished run anew; what was trained before is only read.

    Args:
        folder: of the run, whose accuracies were measured by trainings.
        winners: rows of the front: those that were trained anew before, then the pick and those
            nearest to it.
        seeds: fresh ones for each.
        compute: workers and storage, as `run` takes them.
        told: called after every training.

    Raises:
        InputError: no such run, or not finished; its accuracies know no seeds; numbers below 1; as
            `resume`.
    """
    expect_some("--winners", winners)
    expect_some("--seeds", seeds)
    found, compute = RunFolder(folder), compute or Compute()
    config, problem = reopen(found)
    rung, evaluator = problem.accuracy.rung, problem.accuracy.evaluator
    expect(rung not in UNSEEDED, f"{folder}: accuracy by the {rung} {UNSEEDED.get(rung)}")
    assert evaluator is not None
    expect(
        found.front.is_file(),
        f"{folder}: its search is not finished; go on with palmette search --resume {folder}",
    )
    proposals = Proposals(config, problem, None)
    with found.driver(), opened(problem, found, compute, proposals) as (study, _):
        for trial in told_trials(study):
            learn_trial(problem, trial)
        front = front_of(study, problem)
        with compute.executor(evaluator) as executor:
            progress = _Progress(executor, min(winners, len(front)) * seeds, told)
            confirmed = confirm(
                study,
                front,
                executor,
                winners=winners,
                seeds=seeds,
                seed=config.seed,
                tie_points=problem.accuracy.tie_points,
                rewards=problem.rewards,
                told=progress.ended,
            )
        run = written(Run(config, found, front_of(study, problem), problem))
    return ConfirmedRun(run, confirmed)


class _Progress:
    """Counts trainings, and tells."""

    def __init__(self, executor: Executor, planned: int, told: Told | None) -> None:
        self.executor, self.planned, self.told = executor, planned, told
        self.done, self.failed = 0, 0

    def ended(self, outcome: Outcome) -> None:
        """A training ended."""
        self.done += outcome.fate == "done"
        self.failed += outcome.fate != "done"
        if self.told is not None:
            health = tuple(self.executor.health())
            self.told(Snapshot(CONFIRMING, self.done, self.planned, self.failed, workers=health))
