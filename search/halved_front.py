"""Networks of a front trained by successive halving: all begin, the promising go on to the end.

Each training has its folder (`trained/ID`), from which the next rung goes on, and so does the same
call after an interruption. `halving.csv` has a row for each rung of each network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from palmette.search.expensive.halving import Contender, Halving, rungs_of
from palmette.search.run import Run
from palmette.search.trained_front import (
    TrainedFront,
    along,
    begun,
    beside,
    finished_search,
    tabled,
    trained_row,
)
from palmette.search.trials.task import Outcome, Task
from palmette.space.errors import expect_some
from palmette.space.files import write_text
from palmette.space.lock import held
from palmette.train.estimates import Measured

if TYPE_CHECKING:
    from palmette.train.epochs import Watcher
    from palmette.train.recipe import Recipe
    from palmette.train.trainer import Trained

PICKS = 9
Told = Callable[[int, int, int], None]
"""Called with the epoch to train to, the number of the training at that rung, and of how many."""


@dataclass(frozen=True)
class HalvedFront:
    """What successive halving came to.

    `trained` has the networks that were trained to the last epoch, `table` every rung of all.
    """

    trained: TrainedFront
    table: pd.DataFrame
    epochs_share: float
    """Epochs that were trained, over those of training every network in full."""

    def words(self) -> str:
        """In one line."""
        counts = [str(count) for _, count in self.table.groupby("epochs").size().items()]
        return (
            f"successive halving: {' > '.join(counts)} networks, {self.epochs_share:.0%} of the"
            f" epochs of training all; {self.trained.run.folder.halving}"
        )


def halve_front(
    folder: Path,
    recipe: Recipe,
    *,
    data: str | None = None,
    picks: int = PICKS,
    told: Told | None = None,
    watch: Watcher | None = None,
    **options: Any,
) -> HalvedFront:
    """Train networks of a finished run's front in rungs; the best third of each goes on.

    Args:
        folder: of the run.
        recipe: of the whole training; the rate falls as in it, whatever the rung.
        data: see `open_data`; None for those that the run's accuracies were measured on.
        picks: networks that begin: the pick, and others spread along the front.
        told: called before each training.
        watch: told of every step of one.
        options: as of `train_front`.

    Raises:
        InputError: as `train_front`.
    """
    expect_some("--picks", picks)
    run, name = finished_search(folder, data)
    rows = along(run.front, picks).to_dict("records")
    halving = _bracket(run, rows, recipe.epochs, int(options.get("seed", 0)))
    trainings: dict[int, Trained] = {}
    found = run.folder
    with held(found.trained, found.lock.name, "training", lambda: begun(found)):
        while tasks := halving.next_tasks(len(rows)):
            for done, task in enumerate(tasks, 1):
                if told is not None:
                    told(task.epochs or 0, done, len(tasks))
                row = rows[task.trial]
                place, limits = found.trained / str(row["id"]), {"until": task.epochs}
                trained = trained_row(row, place, name, recipe, watch, options | limits)
                trainings[task.trial] = trained
                halving.tell(_outcome(task, trained))
                write_text(found.halving, _csv(halving))
        whole = {end.task.trial for end in halving.whole()}
        by_id = {str(rows[at]["id"]): trainings[at] for at in sorted(whole)}
        known = run.front[run.front["id"].isin(tabled(found) - by_id.keys())]
        for row in known.to_dict("records"):  # trained in full by an earlier call: only read
            place = found.trained / str(row["id"])
            by_id[str(row["id"])] = trained_row(row, place, name, recipe, watch, options)
        front = beside(run, name, by_id)
        write_text(found.trained_table, front.table.to_csv(index=False, lineterminator="\n"))
    return HalvedFront(front, halving.frame(), halving.spent / (recipe.epochs * len(rows)))


def _bracket(run: Run, rows: list[dict[Any, Any]], epochs: int, seed: int) -> Halving:
    contenders = [
        Contender(at, str(row["architecture"]), float(row["ms"])) for at, row in enumerate(rows)
    ]
    return Halving(contenders, rungs_of(epochs), seed=seed)


def _outcome(task: Task, trained: Trained) -> Outcome:
    row = trained.history[(task.epochs or 0) - 1]
    found = Measured.of([row["top1"]], trained.images)
    return Outcome(task, "done", float(found.top1[0]), float(found.sigma[0]))


def _csv(halving: Halving) -> str:
    text: str = halving.frame().to_csv(index=False, lineterminator="\n")
    return text
