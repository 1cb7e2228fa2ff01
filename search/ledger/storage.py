"""A study opened by its one driver: leased, repaired, and checked to be the study that is meant."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.search.ledger.lease import PERIOD_S, DatabaseLease, FolderLease, Lease, LeaseLost
from palmette.search.ledger.place import database, is_url, masked
from palmette.space.errors import InputError, expect
from palmette.space.installing import pip_install

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage
    from sqlalchemy.engine import URL, Engine

    from palmette.search.ledger.guarded import Notice

CONNECT_S = 9.0
"""An unreachable database is told within this time."""

METRICS = ("ms", "score")
DIRECTIONS = ("minimize", "maximize")

# a connection that a cable or a firewall cut is noticed, not waited for
_ALIVE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


@contextmanager
def open_study(
    place: Path | str,
    *,
    sampler: optuna.samplers.BaseSampler,
    name: str,
    about: Mapping[str, str],
    directions: Sequence[str] = DIRECTIONS,
    metrics: Sequence[str] = METRICS,
    genes: Sequence[str] = (),
    made: bool = False,
    in_vain: Callable[[InputError], bool] | None = None,
    lease_s: float = PERIOD_S,
    patience_s: float | None = None,
    notice: Notice | None = None,
) -> Iterator[tuple[optuna.Study, Lease]]:
    """The study of a run and the right to drive it, made if it isn't there.

    Trials that a dead driver left running are failed and put back in the queue. When it is left,
    trials still running go back too, and the lease is released.

    Args:
        place: path of a journal, whose folder this process holds, or the URL of a database.
        sampler: of the study.
        name: of the study in its place.
        about: what makes the study this one and no other, such as hashes of space and predictor;
            kept in the study, and compared when it is opened again.
        directions: `minimize` or `maximize`, one an objective.
        metrics: names of the objectives, in that order.
        genes: parameters that a whole network has.
        made: whether it was made earlier; one that is gone is then not made anew.
        in_vain: whether a study that was made here goes again after an error.
        lease_s: how long another driver would have to wait for this one's death.
        patience_s: how long a write waits for a database that went away.
        notice: told in one line when a write waits.

    Raises:
        InputError: the place can't be reached or written, is corrupt, is driven by another
            process, holds another study under that name, or none where one was made. Later, at a
            write: the lease is lost or the storage is.
    """
    import optuna

    from palmette.search.ledger.guarded import PATIENCE_S, GuardedStorage, StorageLost
    from palmette.search.ledger.orphans import INTERRUPTED, requeue

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with ExitStack() as stack:
        if made and is_url(place):
            _expect_file(database(str(place)))
        backend, lease = _opened(place, name, lease_s, stack)
        with explained(place):
            found = _found(backend, name)
            expect(found is not None or not made or not is_url(place), _gone(place, name))
            study_id = _made(backend, name, directions) if found is None else found
            storage = GuardedStorage(
                backend,
                study_id,
                lease,
                masked(place),
                patience_s=PATIENCE_S if patience_s is None else patience_s,
                notice=notice,
            )
            study = optuna.Study(name, storage, sampler=sampler)
            _check(study, place, about, directions)
            _describe(study, about, metrics)
            requeue(study, genes, died=not study.user_attrs.get(INTERRUPTED, False))
            if study.user_attrs.get(INTERRUPTED):
                study.set_user_attr(INTERRUPTED, False)
        try:
            yield study, lease
            requeue(study, genes, died=False)
        except (LeaseLost, StorageLost):
            raise
        except Exception as error:
            lease.explain()
            if found is None and isinstance(error, InputError) and in_vain and in_vain(error):
                storage.delete_study(study_id)
                raise
            with suppress(InputError):  # the first error counts
                requeue(study, genes, died=False)
            raise
        except BaseException:  # an interrupt may have cut a write in two: no more than a word
            storage.patience_s = 0.0
            with suppress(InputError):
                study.set_user_attr(INTERRUPTED, True)
            raise


def _opened(
    place: Path | str, name: str, lease_s: float, stack: ExitStack
) -> tuple[BaseStorage, Lease]:
    """The bare storage of a place, and the lease of the study in it; closed by the stack."""
    if not is_url(place):
        return _journal(Path(place), stack), FolderLease()
    url = database(str(place))
    engine = connected(url)
    stack.callback(engine.dispose)
    with explained(place):
        storage = _database_storage(url, stack)
        lease = DatabaseLease(engine, name, masked(url), period_s=lease_s)
        lease.acquire()
    stack.callback(lease.release)
    _fence(storage, lease)
    return storage, lease


def _journal(path: Path, stack: ExitStack) -> BaseStorage:
    from palmette.search.ledger.journal import SoleJournal, SoleStorage, repair

    repair(path)
    with explained(path):
        journal = SoleJournal(path)
        stack.callback(journal.close)
        return SoleStorage(journal)


def connected(url: URL, within_s: float = CONNECT_S) -> Engine:
    """An engine that has reached its database.

    Raises:
        InputError: no answer in time; no driver.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:
        # asked before each use: after a restart of the server the old connections are dead
        engine = create_engine(url, connect_args=_connect_args(url), pool_pre_ping=True)
    except ImportError:
        raise InputError(f"{masked(url)}: needs psycopg; {pip_install('postgresql')}") from None
    failures: list[str] = ["no answer"]

    def connect() -> None:
        try:
            with engine.connect():
                failures.clear()
        except (SQLAlchemyError, OSError) as error:
            failures[:] = [_reason(error)]

    # the name of a host is looked up outside of any timeout of the connection
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(within_s)
    if failures:
        engine.dispose()
        raise InputError(
            f"{masked(url)}: can't be reached ({failures[0]}); check that the server runs and the"
            " database exists"
        )
    return engine


def _database_storage(url: URL, stack: ExitStack) -> BaseStorage:
    from optuna.storages import RDBStorage, get_storage
    from sqlalchemy.exc import DatabaseError

    text = url.render_as_string(hide_password=False)
    for attempt in range(5):  # two that begin at once make the same tables
        try:
            storage = RDBStorage(text, engine_kwargs={"connect_args": _connect_args(url)})
            break
        except DatabaseError:
            if attempt == 4:
                raise
            time.sleep(0.2)
    stack.callback(storage.engine.dispose)
    stack.callback(storage.remove_session)
    return get_storage(storage)


def _connect_args(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"timeout": 10.0}
    return {"connect_timeout": 4, "application_name": "palmette", **_ALIVE}


def _fence(storage: BaseStorage, lease: DatabaseLease) -> None:
    """Look at the lease in each transaction that makes a trial or changes its state."""
    from optuna.storages._rdb.models import TrialModel
    from sqlalchemy import event

    def confirm(session: Any, _: Any) -> None:
        if any(isinstance(row, TrialModel) for row in (*session.new, *session.dirty)):
            lease.confirm(session.connection())

    backend: Any = storage
    event.listen(backend._backend.scoped_session, "after_flush", confirm)


def _found(backend: BaseStorage, name: str) -> int | None:
    try:
        return backend.get_study_id_from_name(name)
    except KeyError:
        return None


def _made(backend: BaseStorage, name: str, directions: Sequence[str]) -> int:
    from optuna.study import StudyDirection

    return backend.create_new_study([StudyDirection[d.upper()] for d in directions], name)


def _expect_file(url: URL) -> None:
    """Raise InputError where SQLite would make a file anew."""
    file = Path(str(url.database))
    expect(
        url.get_backend_name() != "sqlite" or file.is_file(),
        f"{masked(url)}: the file is gone, and with it the run's trials; bring it back, or begin a"
        " new run",
    )


def _gone(place: Path | str, name: str) -> str:
    return (
        f"{masked(place)}: holds no study {name!r} any more, so the run's trials are gone; bring"
        " the database back, or begin a new run"
    )


def _check(
    study: optuna.Study, place: Path | str, about: Mapping[str, str], directions: Sequence[str]
) -> None:
    """Raise InputError unless a study is the one that is meant."""
    kept, what = study.user_attrs, f"{masked(place)}: the study {study.study_name!r}"
    found = [direction.name.lower() for direction in study.directions]
    expect(
        found == list(directions),
        f"{what} has the directions {', '.join(found)}, not {', '.join(directions)};"
        " give the run another name",
    )
    known = any(key in kept for key in about)
    expect(
        known or not is_url(place) or not study.get_trials(deepcopy=False),
        f"{what} was not made by palmette; give the run another name",
    )
    for key, value in about.items():
        expect(
            kept.get(key, value) == value,  # a driver may have died between two of them
            f"{what} is of {key} {kept.get(key)!r}, but what would be searched now has {value!r};"
            " give the run another name",
        )


def _describe(study: optuna.Study, about: Mapping[str, str], metrics: Sequence[str]) -> None:
    """Say what a new study is, and how its values are called."""
    kept = study.user_attrs
    for key, value in about.items():
        if key not in kept:
            study.set_user_attr(key, value)
    names = "study:metric_names"  # set_metric_names is experimental, and warns
    if study._storage.get_study_system_attrs(study._study_id).get(names) != list(metrics):
        study._storage.set_study_system_attr(study._study_id, names, list(metrics))


@contextmanager
def explained(place: Path | str) -> Iterator[None]:
    """Turn what a broken place raises into one line."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    shown = masked(place)
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{shown}: can't be opened ({error.strerror})") from None
    except (SQLAlchemyError, OptunaError, RuntimeError) as error:
        raise InputError(f"{shown}: can't be used ({_reason(error)})") from None
    except (KeyError, ValueError, AttributeError, TypeError, AssertionError) as error:
        raise InputError(f"{shown}: corrupt ({_reason(error)}); the run can't be resumed") from None


def _reason(error: BaseException) -> str:
    """First line of an error, of its innermost cause."""
    cause = error.__cause__ or error
    cause = getattr(cause, "orig", None) or cause
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
