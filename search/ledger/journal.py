"""The journal of a run's folder: one record a line, appended by the one driver of the folder.

Optuna's own backend opens, locks and syncs the file at each of the forty-odd records of a trial.
Here the folder's lock (`space/lock.py`) keeps others out, it dies with its process, so there is no
lock to go stale, and the file is synced where a trial ends: a finished trial survives a power cut,
with all that was recorded before it. A power cut may take what was asked after the last end.

A line that a crash tore is cut off at the next opening; Optuna can't read on behind one.
"""

from __future__ import annotations

import json
import os
import sys
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation, JournalStorageReplayResult
from optuna.trial import TrialState

from palmette.space.errors import expect

_RUNNING = TrialState.RUNNING.value


class SoleJournal(BaseJournalBackend):
    """A journal that one process writes, as the holder of its folder.

    Args:
        path: of the file; made if it isn't there.

    Raises:
        OSError: it can't be made or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._close = weakref.finalize(self, os.close, self._handle)
        self._size = os.fstat(self._handle).st_size
        self._records = 0  # that were read or written
        self._unread: list[dict[str, Any]] = []
        _sync_folder(path.parent)

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Records from a number on; those just written come from memory."""
        if self._records - len(self._unread) == log_number_from > 0:
            unread, self._unread = self._unread, []
            return unread
        return self._from_file(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records, all or none.

        Raises:
            OSError: the disk is full, or worse; the file is as it was.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        size, records, unread = self._size, self._records, self._unread
        try:
            _write(self._handle, lines)
            if any(_ends(log) for log in logs):
                os.fsync(self._handle)
            self._unread = [*unread, *map(_as_read, logs)]
            self._size, self._records = size + len(lines), records + len(logs)
        except BaseException:  # an interrupt too
            self._size, self._records, self._unread = size, records, unread
            with suppress(OSError):  # else the next opening cuts what is torn
                os.ftruncate(self._handle, size)
            raise

    def close(self) -> None:
        """Let go of the file; nothing can be written any more."""
        self._close()
        self._handle = -1  # the number may be another file's soon

    def _from_file(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as file:
            lines = file.read().splitlines()
        self._records, self._unread = len(lines), []
        for line in lines[log_number_from:]:
            yield json.loads(line)


class SoleStorage(JournalStorage):
    """Optuna's storage over a journal, with one copy of what its trials have in common.

    Each record of a parameter brings its distribution as text. Kept once a record, 50,000 trials of
    thirty genes would hold a million and a half of them.
    """

    def __init__(self, journal: BaseJournalBackend) -> None:
        super().__init__(_Empty())
        self._backend = journal
        self._replay_result = _Shared(self._worker_id_prefix)
        self._sync_with_backend()


class _Empty(BaseJournalBackend):
    """Read by the constructor, before our own state is in place."""

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return []

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise NotImplementedError


class _Shared(JournalStorageReplayResult):
    """The state of a journal; names, distributions and choices that are equal are one object."""

    def __init__(self, worker_id_prefix: str) -> None:
        super().__init__(worker_id_prefix)
        self._distributions: dict[str, BaseDistribution] = {}

    def _apply_set_trial_param(self, log: dict[str, Any]) -> None:
        name, text = sys.intern(log["param_name"]), log["distribution"]
        super()._apply_set_trial_param({**log, "param_name": name})
        trial = self._trials.get(log["trial_id"])
        if trial is not None and name in trial.distributions:
            known = self._distributions.setdefault(text, trial.distributions[name])
            trial.distributions[name] = known
            trial.params[name] = known.to_external_repr(log["param_value_internal"])


def repair(journal: Path) -> None:
    """Cut a last line that a crash tore.

    Raises:
        InputError: a line before it is no record; the file is left as it is.
    """
    data = journal.read_bytes() if journal.is_file() else b""
    whole = data[: data.rfind(b"\n") + 1]
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            known = isinstance(json.loads(line)["op_code"], int)
        except (ValueError, TypeError, LookupError, RecursionError):
            known = False
        expect(
            known, f"{journal}: corrupt: line {number} is not a record; the run can't be resumed"
        )
    if len(whole) < len(data):
        with journal.open("r+b") as file:
            file.truncate(len(whole))
            os.fsync(file.fileno())


def _as_read(log: dict[str, Any]) -> dict[str, Any]:
    """A record as a reader of the file gets it: in what users give, lists and text alone."""
    if any(key.endswith("_attr") or key.endswith("_attrs") for key in log):
        read: dict[str, Any] = json.loads(json.dumps(log))
        return read
    return log


def _ends(log: dict[str, Any]) -> bool:
    """Whether a record must outlive a power cut: all but those of a trial under way."""
    operation = log["op_code"]
    if operation in (JournalOperation.SET_TRIAL_STATE_VALUES, JournalOperation.CREATE_TRIAL):
        return int(log.get("state", _RUNNING)) != _RUNNING
    return operation in (
        JournalOperation.CREATE_STUDY,
        JournalOperation.SET_STUDY_USER_ATTR,
        JournalOperation.SET_STUDY_SYSTEM_ATTR,
    )


def _write(handle: int, data: bytes) -> None:
    """Write all of it: a nearly full disk takes a part first, and fails at the next."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _sync_folder(folder: Path) -> None:
    """See a new file's name to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
