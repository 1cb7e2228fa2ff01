"""A run's folder: `run.toml`, the Optuna study, `front.csv`, `front.html`, `models/`.

Beside `run.toml` lie copies of the files that it names, so that a folder can be moved.
One driver at a time: a lock that the system itself lets go of when a process dies, so a kill leaves
nothing to clean up by hand.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palmette.space.lock import held
from palmette.space.run_file import expect_begun, expect_free, read_run_file, write_run_file

FORMAT = "palmette/run@1"
STUDY = "palmette"
_LIBRARIES = ("palmette", "optuna", "numpy", "torch", "coremltools")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a run."""

    path: Path

    @property
    def config(self) -> Path:
        """Everything needed to repeat the run."""
        return self.path / "run.toml"

    @property
    def space(self) -> Path:
        """Copy of the space's TOML file, where the user gave one."""
        return self.path / "space.toml"

    @property
    def predictor(self) -> Path:
        """Copy of the predictor's JSON, where the user gave one."""
        return self.path / "predictor.json"

    @property
    def start(self) -> Path:
        """Copy of the networks that the search begins with, where some were given."""
        return self.path / "start.csv"

    @property
    def function(self) -> Path:
        """Copy of the file of the user's own function, where one measures."""
        return self.path / "function.py"

    @property
    def journal(self) -> Path:
        """The Optuna study."""
        return self.path / "study.journal"

    @property
    def in_database(self) -> Path:
        """Names the database and the study, once that was made there."""
        return self.path / "study.txt"

    @property
    def kept_in(self) -> str:
        """The journal or the database that has the study, for errors of a run that was begun."""
        return str(self.read_config()[1].get("storage", self.journal))

    @property
    def front(self) -> Path:
        """The front, one architecture a row."""
        return self.path / "front.csv"

    @property
    def page(self) -> Path:
        """The front as a figure."""
        return self.path / "front.html"

    @property
    def trained(self) -> Path:
        """Trainings of networks of the front, each in a folder of its own."""
        return self.path / "trained"

    @property
    def trained_table(self) -> Path:
        """Their accuracies beside those that were estimated."""
        return self.path / "trained.csv"

    @property
    def halving(self) -> Path:
        """What each rung of successive halving came to."""
        return self.path / "halving.csv"

    @property
    def rungs(self) -> Path:
        """What each rung of the shortlist came to, where the search halved it."""
        return self.path / "rungs.csv"

    @property
    def trainings(self) -> Path:
        """Trainings of a search that halves, for the next rung to go on from."""
        return self.path / "trainings"

    @property
    def retimed(self) -> Path:
        """The front ranked anew by timings of its networks."""
        return self.path / "retimed.csv"

    @property
    def lock(self) -> Path:
        """Held by the process that drives the run."""
        return self.path / "driver.lock"

    @property
    def models(self) -> Path:
        """Exported packages."""
        return self.path / "models"

    def check_free(self) -> None:
        """Raise InputError unless a new run may begin here; changes nothing."""
        expect_free(self.path, self.lock.name)

    def begin(self, config: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Write `run.toml`, as the folder's driver; `about` goes beside the versions.

        Raises:
            InputError: the folder holds something already.
        """
        self.check_free()
        write_run_file(self.config, FORMAT, "search", config, _LIBRARIES, about)

    def discard(self) -> None:
        """Take back what a new run wrote before it found nothing; as the folder's driver."""
        for path in (
            self.journal,
            self.in_database,
            self.function,
            self.predictor,
            self.space,
            self.start,
            self.config,
        ):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.trainings, ignore_errors=True)

    def read_config(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The tables `search` and `run` of `run.toml`.

        Raises:
            InputError: no run in this folder, or its file is corrupt.
        """
        expect_begun(self.config)
        return read_run_file(self.config, FORMAT, "search")

    @contextmanager
    def driver(self) -> Iterator[None]:
        """Hold the folder for this process; made here and left without a run, it is removed.

        Raises:
            InputError: another process holds it, or it can't be made or written.
        """
        with held(self.path, self.lock.name, "search", self.config.is_file):
            yield
