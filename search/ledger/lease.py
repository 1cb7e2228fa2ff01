"""Who may drive a study in a database: a row with its holder, an expiry and a fencing number.

The row outlives a restart of the server, which an advisory lock does not. Its times are the
database's, so clocks of hosts don't matter. Every taker raises the fencing number; each transaction
of the driver that makes or finishes a trial looks at the number before it commits (`fence`). So a
driver that slept through its lease writes nothing, however late it wakes.

The fencing number: M. Kleppmann, How to do distributed locking, 2016.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from palmette.space.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

PERIOD_S = 30.0
"""A driver that can't be heard for so long is taken for dead."""

# seconds since 1970, by the database's clock
_NOW = {
    "postgresql": "extract(epoch from clock_timestamp())",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}
_RETRY_S = 1.0


class LeaseLost(InputError):
    """Another driver has the study by now; this one must stop and write nothing."""


class Lease(Protocol):
    """The right to drive a study."""

    def check(self) -> None:
        """Return while the right lasts; cheap, to be asked before every write.

        Raises:
            LeaseLost: another driver has the study.
        """
        ...

    def explain(self) -> None:
        """Raise LeaseLost if that is what is behind another error."""
        ...


class FolderLease:
    """Of a journal: the lock of the run's folder is the lease, and dies with its process."""

    def check(self) -> None:
        """Nothing to ask: nobody can take a lock that is held."""

    def explain(self) -> None:
        """It never is."""


class DatabaseLease:
    """A row of the table `palmette_lease`, renewed by a thread at a third of the period.

    Args:
        engine: the lease's own, of the study's database.
        study: name of the study.
        place: the database as it may be shown.
        period_s: how long the lease lasts without a renewal.
        holder: `host:pid`; by default of this process.
    """

    def __init__(
        self,
        engine: Engine,
        study: str,
        place: str,
        *,
        period_s: float = PERIOD_S,
        holder: str | None = None,
    ) -> None:
        self.study = study
        self.holder = holder or f"{socket.gethostname()}:{os.getpid()}"
        self.fence = 0
        self._engine = engine
        self._place = place
        self._period_s = period_s
        self._until = 0.0  # by our clock, never later than by the database's
        self._taker = ""
        self._stop = threading.Event()
        self._one = threading.Lock()  # one renewal at a time
        self._thread = threading.Thread(target=self._keep, name="palmette lease", daemon=True)

    def acquire(self) -> None:
        """Take the lease, and keep it until `release`.

        Raises:
            InputError: another driver has it; who, and for how long.
        """
        self._make_table()
        sent = time.monotonic()
        self._execute(  # two that begin at once: one inserts, both try to take
            "insert into palmette_lease (study, holder, since, expires, fence)"
            " values (:study, '', 0, 0, 0) on conflict (study) do nothing"
        )
        taken = self._execute(
            "update palmette_lease set holder = :holder, since = {now}, expires = {now} + :period,"
            " fence = fence + 1 where study = :study and expires <= {now}"
        )
        found = self._row()
        if not taken and _died(found["holder"]):
            self.fence = found["fence"]
            taken = self._execute(
                "update palmette_lease set holder = :holder, since = {now},"
                " expires = {now} + :period, fence = fence + 1 where study = :study"
                " and fence = :fence"
            )
            found = self._row()
        if not taken:
            raise InputError(
                f"{self._place}: the study {self.study!r} is driven by {found['holder']} for"
                f" {found['age']:.0f} s; wait for it to end, or, if it is dead, for"
                f" {max(found['left'], 0) + 1:.0f} s until its lease runs out"
            )
        self.fence, self._until = found["fence"], sent + self._period_s
        self._thread.start()

    def check(self) -> None:
        """Return while the lease is ours.

        Raises:
            LeaseLost: another driver took it.
            sqlalchemy.exc.OperationalError: it ran out, and the database can't be asked.
        """
        if not self._taker and time.monotonic() >= self._until:
            self._renew()
        if self._taker:
            raise LeaseLost(
                f"{self._place}: the study {self.study!r} is driven by {self._taker} by now;"
                " this run stops, what it had finished is kept"
            )

    def explain(self) -> None:
        """Ask the database now; where it can't be asked, nothing is known.

        Raises:
            LeaseLost: another driver took it, and what this one met is that one's work.
        """
        from sqlalchemy.exc import SQLAlchemyError

        with suppress(SQLAlchemyError):
            if not self._taker:
                self._renew()
            self.check()

    def confirm(self, connection: Connection) -> None:
        """Raise LeaseLost unless the lease is ours, as part of a transaction that writes.

        Nobody can take the lease between this and the transaction's end.
        """
        from sqlalchemy import text

        # SQLite has one writer at a time, and this transaction is it
        lock = " for share" if connection.dialect.name == "postgresql" else ""
        row = connection.execute(
            text(f"select fence, holder from palmette_lease where study = :study{lock}"),
            {"study": self.study},
        ).one_or_none()
        if row is None or row.fence != self.fence:
            self._taker = "nobody" if row is None else str(row.holder)
            self.check()

    def release(self) -> None:
        """Give the lease back, if it is still ours; an unreachable database keeps it till then."""
        from sqlalchemy.exc import SQLAlchemyError

        self._stop.set()
        self._thread.join()
        with suppress(SQLAlchemyError):
            self._execute(
                "update palmette_lease set expires = 0 where study = :study and fence = :fence"
            )
        self._engine.dispose()

    def _make_table(self) -> None:
        from sqlalchemy.exc import DatabaseError

        for attempt in range(5):  # PostgreSQL refuses one of two that make it at once
            try:
                self._execute(
                    "create table if not exists palmette_lease (study varchar(512) primary key,"
                    " holder varchar(512) not null, since double precision not null,"
                    " expires double precision not null, fence integer not null)"
                )
                return
            except DatabaseError:
                if attempt == 4:
                    raise
                time.sleep(0.2)

    def _keep(self) -> None:
        """Renew until released or lost; a database that is away is asked again."""
        from sqlalchemy.exc import SQLAlchemyError

        wait_s = self._period_s / 3
        while not self._stop.wait(wait_s) and not self._taker:
            try:
                self._renew()
                wait_s = self._period_s / 3
            except SQLAlchemyError:
                wait_s = min(_RETRY_S, self._period_s / 10)

    def _renew(self) -> None:
        with self._one:
            sent = time.monotonic()
            renewed = self._execute(
                "update palmette_lease set expires = {now} + :period"
                " where study = :study and fence = :fence"
            )
            if renewed:
                self._until = sent + self._period_s
            else:
                self._taker = str(self._row()["holder"])

    def _row(self) -> Any:
        from sqlalchemy import text

        query = (
            f"select holder, fence, {self._now} - since, expires - {self._now}"
            " from palmette_lease where study = :study"
        )
        with self._engine.begin() as connection:
            row = connection.execute(text(query), {"study": self.study}).one_or_none()
        if row is None:
            return {"holder": "nobody", "fence": 0, "age": 0.0, "left": 0.0}
        return {"holder": row[0], "fence": row[1], "age": float(row[2]), "left": float(row[3])}

    def _execute(self, statement: str) -> int:
        """Rows that one statement changed, in a transaction of its own."""
        from sqlalchemy import text

        values = {
            "study": self.study,
            "holder": self.holder,
            "period": self._period_s,
            "fence": self.fence,
        }
        used = {name: value for name, value in values.items() if f":{name}" in statement}
        with self._engine.begin() as connection:
            return connection.execute(text(statement.replace("{now}", self._now)), used).rowcount

    @property
    def _now(self) -> str:
        return _NOW[self._engine.dialect.name]


def _died(holder: str) -> bool:
    """Whether a holder was a process of this host that is no more; nothing needs to wait for it.

    Should two hosts share a name, the fencing number keeps the one that still lives from writing.
    """
    host, _, pid = holder.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
