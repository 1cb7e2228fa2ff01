"""The front put to the proof: networks of a run trained in full, estimated beside real accuracy.

Each network is a training of its own in the run's folder (`trained/ID`), so that whatever stops one
leaves the others, and the same call goes on. The table is written anew after each, and keeps its
rows.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from palmette.search.accuracy import PRIOR
from palmette.search.agreement import Agreement
from palmette.search.run import Run, resume
from palmette.search.run_folder import RunFolder
from palmette.search.trials.function import FUNCTION
from palmette.space.errors import expect, expect_some
from palmette.space.files import write_text
from palmette.space.lock import held
from palmette.train.datasets import anywhere
from palmette.train.estimates import Measured

if TYPE_CHECKING:
    from palmette.train.epochs import Watcher
    from palmette.train.recipe import Recipe
    from palmette.train.trainer import Trained

PICKS = 4
Told = Callable[[int, int], None]
"""Called with networks trained so far, and in all."""


@dataclass(frozen=True)
class TrainedFront:
    """Networks of a front that were trained.

    `table` has a row for each, fastest first: predicted milliseconds and estimated top-1 with their
    80 % intervals, top-1 after training with that of the validation images, and the difference.
    """

    run: Run
    data: str
    images: int
    """Of validation."""
    table: pd.DataFrame

    @property
    def agreement(self) -> Agreement:
        """How well the estimates ranked these networks."""
        real = Measured.of((self.table["real_top1"] / 100).tolist(), self.images)
        return Agreement.of(self.table["estimated_top1"].to_numpy(np.float64), real)

    def lines(self) -> list[str]:
        """What the table says, and what it does not."""
        rung, agreement = self.run.problem.accuracy.rung, self.agreement
        height = {
            PRIOR: f"estimates are of ImageNet's top-1, real ones of '{self.data}': compare the"
            " order, not the heights",
            "supernet": f"estimates are with shared weights on '{self.run.problem.accuracy.data}',"
            f" real ones with the network's own on '{self.data}'",
            "proxy": f"estimates are of short trainings on '{self.run.problem.accuracy.data}',"
            f" real ones of whole trainings on '{self.data}'",
            "function": f"estimates are by your own function '{self.run.problem.accuracy.data}',"
            f" real ones of whole trainings on '{self.data}'",
        }[rung]
        return [
            "predicted ms: of the network with the data's number of classes; the search's are those"
            " of its head as it was searched",
            f"real top-1: after the last epoch, which nothing chose, on {self.images} images",
            f"{height}; real less estimated {agreement.mean_difference:+.1f} points in the mean",
            *agreement.lines(self.images),
            "along a front more milliseconds mean a higher estimate: an order that agrees does not"
            " show that the estimates know more than the size of a network does",
        ]

    def summary(self) -> dict[str, Any]:
        """Plain values, for programs; what is not a number is None."""
        numbers = {name: getattr(self.agreement, name) for name in Agreement.__slots__}
        return {
            "folder": str(self.run.folder.path),
            "data": self.data,
            "images": self.images,
            "networks": self.table.to_dict("records"),
            "agreement": {
                name: None if isinstance(value, float) and np.isnan(value) else value
                for name, value in numbers.items()
            },
        }


def train_front(
    folder: Path,
    recipe: Recipe,
    *,
    data: str | None = None,
    picks: int = PICKS,
    told: Told | None = None,
    watch: Watcher | None = None,
    **options: Any,
) -> TrainedFront:
    """Train networks of a finished run's front; those that are trained already are only read.

    Args:
        folder: of the run.
        recipe: how each is trained.
        data: see `open_data`; None for those that the run's accuracies were measured on.
        picks: networks, the pick among them, the others spread along the front; networks that the
            table has already stay in it.
        told: called before each network and at the end.
        watch: told of every step of a training.
        options: `share`, `seed`, `device`, `teacher`, `halve`, `cluster`, `checkpoint_seconds`,
            `checking` as of `train.trainer.train`.

    Raises:
        InputError: the run is not finished, it names no data, a network was trained otherwise
            before, or as `train.trainer.train`.
    """
    expect_some("--picks", picks)
    run, name = finished_search(folder, data)
    found = run.folder
    trainings: dict[str, Trained] = {}
    with held(found.trained, found.lock.name, "training", lambda: begun(found)):
        known = tabled(found) & set(run.front["id"])
        chosen = _chosen(run.front, picks, known)
        for row in chosen.to_dict("records"):
            if told is not None:
                told(len(trainings), len(chosen))
            place = found.trained / str(row["id"])
            trainings[row["id"]] = trained_row(row, place, name, recipe, watch, options)
            if known <= trainings.keys():  # an interruption takes no row from the table
                front = beside(run, name, trainings)
                text = front.table.to_csv(index=False, lineterminator="\n")
                write_text(found.trained_table, text)
    if told is not None:
        told(len(chosen), len(chosen))
    return front


def finished_search(folder: Path, data: str | None) -> tuple[Run, str]:
    """A finished run, and the name of the images to train its networks on.

    Raises:
        InputError: the run is not finished, or it names no data and none are given.
    """
    found = RunFolder(folder)
    config, _ = found.read_config()
    expect(
        bool(data) or config.get("accuracy", PRIOR) != PRIOR,
        f"{folder}: was searched by the prior, which has no images; give --data",
    )
    expect(
        found.front.is_file(),
        f"{folder}: its search is not finished; go on with palmette search --resume {folder}",
    )
    kind = str(config.get("accuracy", PRIOR)).partition(":")[0]
    expect(
        bool(data) or kind != FUNCTION,
        f"{folder}: was searched by a function, which names no images; give --data",
    )
    run = resume(folder)
    run.config.expect_one_target(str(folder), hard=False)
    return run, data or run.problem.accuracy.data


def along(front: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` rows of a front, in its order: the pick, and others spread along it.

    Each further one is the farthest, in rows, from those before it, so a higher count has all rows
    of a lower one.
    """
    places, every = [int(np.flatnonzero(front["pick"])[0])], np.arange(len(front))
    while len(places) < min(count, len(front)):
        nearest = np.abs(every[:, None] - places).min(axis=1)
        places.append(int(nearest.argmax()))
    return front.iloc[sorted(places)]


def _chosen(front: pd.DataFrame, picks: int, tabled: set[str]) -> pd.DataFrame:
    """Rows to train, those that the table has first: they only need to be read."""
    known = front["id"].isin(tabled)
    new = front["id"].isin(along(front, picks)["id"]) & ~known
    return pd.concat([front[known], front[new]])


def begun(found: RunFolder) -> bool:
    """Whether the folder of trainings holds more than its lock."""
    return any(file.name != found.lock.name for file in found.trained.iterdir())


def tabled(found: RunFolder) -> set[str]:
    """Ids of the table's networks whose trainings are still there."""
    try:
        with found.trained_table.open(newline="", encoding="utf-8") as file:
            names = {row.get("id") or "" for row in csv.DictReader(file)}
    except (OSError, ValueError, csv.Error):
        return set()
    return {name for name in names if (found.trained / name / "run.toml").is_file()}


def trained_row(
    row: dict[Any, Any],
    place: Path,
    data: str,
    recipe: Recipe,
    watch: Watcher | None,
    options: dict[str, Any],
) -> Trained:
    """The training of a row's network, from wherever it stands."""
    from palmette.search.problem import architecture_of
    from palmette.train.run_folder import TrainingFolder
    from palmette.train.trainer import SHARE, resume, train

    folder = TrainingFolder(place)
    if not folder.config.is_file():
        folder.recipe.unlink(missing_ok=True)  # of a training that was killed as it began
        return train(architecture_of(row), data, recipe, place, watch=watch, **options)
    teacher = options.get("teacher")
    asked = {
        "data": anywhere(data),
        "share": options.get("share", SHARE),
        "seed": options.get("seed", 0),
        "teacher": None if teacher is None else str(teacher.absolute()),
    }
    _expect_same(folder, asked, recipe)
    kept = ("cluster", "checkpoint_seconds", "checking", "until")
    going = {key: options[key] for key in kept if key in options}
    return resume(place, watch=watch, **going)


def _expect_same(folder: Any, asked: dict[str, Any], recipe: Recipe) -> None:
    """Raise InputError if a training was begun with other options or another recipe."""
    stored, followed = folder.read()
    stored["data"] = anywhere(str(stored["data"]))  # an older palmette kept it as it was typed
    remedy = f"give the same, or remove {folder.path}, and the network is trained anew"
    for key, value in asked.items():
        expect(
            stored.get(key) == value,
            f"{folder.path}: was begun with {key} {stored.get(key)!r}, now it is {value!r};"
            f" {remedy}",
        )
    while recipe.batch > followed.batch:  # it was halved for want of memory
        recipe = recipe.halved()
    expect(recipe == followed, f"{folder.path}: was begun with another recipe; {remedy}")


def beside(run: Run, data: str, by_id: dict[str, Trained]) -> TrainedFront:
    """Estimates beside what came of the trainings, in the order of the front."""
    rows = run.front[run.front["id"].isin(by_id)]
    trainings = [by_id[name] for name in rows["id"]]
    images = trainings[0].images
    predictor = run.problem.latency.predictor
    networks = [training.architecture for training in trainings]
    ms = predictor.predict_interval(networks)
    real = Measured.of([training.history[-1]["top1"] for training in trainings], images)
    table = pd.DataFrame(
        {
            "id": rows["id"].tolist(),
            "pick": rows["pick"].tolist(),
            "ms": ms.ms,
            "ms_low": ms.lower_ms,
            "ms_high": ms.upper_ms,
            "rung": run.problem.accuracy.rung,
            "estimated_top1": rows["top1"].tolist(),
            "estimated_low": rows["top1_low"].tolist(),
            "estimated_high": rows["top1_high"].tolist(),
            "real_top1": real.top1,
            "real_low": real.lower,
            "real_high": real.upper,
            "difference": real.top1 - rows["top1"].to_numpy(np.float64),
            "images": images,
            "epochs": [len(training.history) for training in trainings],
            "weights": [f"trained/{name}/last.safetensors" for name in rows["id"]],
        }
    )
    return TrainedFront(run, data, images, table)
