"""A study as others see it while its driver works: read, never written, leased or repaired."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages.journal import BaseJournalBackend

from palmette.search.ledger.place import database, is_url, masked
from palmette.search.ledger.storage import connected, explained
from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

    from palmette.search.run_folder import RunFolder


class WatchedJournal(BaseJournalBackend):
    """A journal that another process may be writing; a line that is not whole yet is left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records = self._offset = 0

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Records from a number on."""
        if log_number_from != self._records:
            self._records = self._offset = 0
        skipped = log_number_from - self._records
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.splitlines()
        self._records, self._offset = self._records + len(lines), self._offset + len(whole)
        return [json.loads(line) for line in lines[skipped:]]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse: the journal is its driver's.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self._path}: is only read here; its driver alone writes it")


@contextmanager
def watched_run(folder: RunFolder, storage: str | None = None) -> Iterator[optuna.Study]:
    """The study of a run, to be read while its driver may be at work.

    Args:
        folder: of the run.
        storage: URL of its database, where one keeps its trials and asks for a password.

    Raises:
        InputError: see `watched`; the place has other studies alone.
    """
    import optuna

    from palmette.search.compute import Compute
    from palmette.search.run_folder import STUDY

    about = folder.read_config()[1]
    place = Compute(storage=storage).place(about, folder.journal, folder.config)
    with watched(place) as kept:
        try:
            study = optuna.load_study(study_name=str(about.get("study", STUDY)), storage=kept)
        except KeyError:
            raise InputError(f"{masked(place)}: does not hold the study of {folder.path}") from None
        yield study


@contextmanager
def watched(place: Path | str) -> Iterator[BaseStorage]:
    """The storage of a place, to be read while a driver may be at work.

    Raises:
        InputError: it can't be reached or read, or holds no study.
    """
    with ExitStack() as stack:
        with explained(place):
            storage = _database(str(place), stack) if is_url(place) else _journal(Path(place))
            expect(bool(storage.get_all_studies()), f"{masked(place)}: holds no study")
        yield storage


def _journal(path: Path) -> BaseStorage:
    from optuna.storages import JournalStorage

    expect(path.is_file(), f"{path}: holds no study")
    return JournalStorage(WatchedJournal(path))


def _database(text: str, stack: ExitStack) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy import inspect

    url = database(text)
    engine = connected(url)
    stack.callback(engine.dispose)
    expect(inspect(engine).has_table("studies"), f"{masked(url)}: holds no study")
    storage = RDBStorage(
        url.render_as_string(hide_password=False),
        engine_kwargs={"pool_pre_ping": True},
        skip_table_creation=True,
    )
    stack.callback(storage.engine.dispose)
    return storage
