"""Where and by what trials run, and where they are kept: nothing here changes what they find."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space.errors import expect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from palmette.search.trials.task import Evaluator, Executor


@dataclass(frozen=True, slots=True)
class Compute:
    """Workers and storage of a run; given anew when it is resumed.

    Raises:
        InputError: options that contradict each other.
    """

    workers: int | None = None
    """Processes that measure; None: the driver itself, one after another."""
    ray: str | None = None
    """Address of a Ray cluster; `workers` is then the most trials at once, None: all it has room
    for."""
    storage: str | None = None
    """URL of a database; None: the journal of the run's folder."""
    study: str | None = None
    """Name in that database; None: made from the folder's name and the time, so that no other run
    has it."""
    gpus: float = 0.0
    """Of each trial, on Ray."""
    cpus: float = 1.0
    timeout_s: float | None = None
    """Of each trial."""

    def __post_init__(self) -> None:
        expect(
            self.study is None or self.storage is not None,
            "--study: names a study in a database; give --storage",
        )
        if self.storage is not None:
            from palmette.search.ledger.place import database

            database(self.storage)
        expect(
            self.workers is None or self.workers >= 1 or self.ray is not None,
            f"--workers: at least 1, got {self.workers}",
        )
        from palmette.search.trials.opening import expect_valid

        expect_valid(self.workers, self.ray, self.gpus, self.cpus, self.timeout_s)

    @property
    def apart(self) -> bool:
        """Whether something else than the driver's own process measures."""
        return self.workers is not None or self.ray is not None or self.timeout_s is not None

    def probe(self, place: Path | str | None = None) -> None:
        """See whether cluster and database answer, before anything that takes time.

        Args:
            place: of the study of a run that goes on; None: of a new one.

        Raises:
            InputError: one of them doesn't.
        """
        from palmette.search.ledger.place import database, is_url, with_password
        from palmette.search.ledger.storage import connected
        from palmette.train.ray_connection import AUTO, probe

        if self.ray is not None and self.ray != AUTO:  # to find that one takes Ray itself
            probe(self.ray, "--ray")
        if place is None and self.storage is not None:
            place = with_password(self.storage)
        if place is not None and is_url(place):
            url = database(str(place))
            if url.get_backend_name() != "sqlite":  # a file: nothing to reach
                connected(url).dispose()

    def executor(self, evaluator: Evaluator) -> Executor:
        """What runs tasks; a context manager."""
        from palmette.search.trials.opening import open_executor

        workers = self.workers if self.apart else 0
        return open_executor(
            evaluator,
            workers=workers,
            ray=self.ray,
            gpus=self.gpus,
            cpus=self.cpus,
            timeout_s=self.timeout_s,
        )

    def kept(self, folder: Path) -> dict[str, str]:
        """What `run.toml` says of the storage of a new run; nothing of a journal."""
        from palmette.search.ledger.place import masked, with_password

        if self.storage is None:
            return {}
        return {
            "storage": masked(with_password(self.storage)),
            "study": self.study or _named(folder),
        }

    def place(self, about: Mapping[str, Any], journal: Path, where: Path) -> Path | str:
        """The place of a run's study, as `open_study` takes it.

        Args:
            about: what `run.toml` says of the storage.
            journal: of the run's folder.
            where: `run.toml`, for errors.

        Raises:
            InputError: the run is kept elsewhere, or its database needs a password.
        """
        from palmette.search.ledger.place import (
            STORAGE_VARIABLE,
            masked,
            same_database,
            with_password,
        )

        stored = about.get("storage")
        if stored is None:
            expect(
                self.storage is None,
                f"{where}: the run keeps its trials in its folder; leave --storage out",
            )
            return journal
        given = with_password(self.storage or str(stored))
        expect(
            same_database(given, str(stored)),
            f"{where}: the run keeps its trials in {stored}, what came is {masked(given)}",
        )
        expect(
            ":***@" not in given,
            f"{where}: the run keeps its trials in {stored}; give its URL with the password by"
            f" --storage or in {STORAGE_VARIABLE}",
        )
        return given


def _named(folder: Path) -> str:
    """A name that no other run has in a database: of the folder and the time."""
    return f"{folder.absolute().name}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
