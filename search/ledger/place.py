"""Where a study is kept: the journal of a run's folder, or a database named by a URL.

A password is for the connection alone. Whatever is written or printed names the database without.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

STORAGE_VARIABLE = "PALMETTE_STORAGE"
"""Environment variable with the URL of a database, password and all; taken where it is the database
that is named without."""

_DRIVERS = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
_FORMS = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:///FILE"
_SECRETS = ("password", "sslpassword", "oauth_client_secret")
"""Parameters of PostgreSQL that a URL's query could hold, and that would be shown there."""


def is_url(place: Path | str) -> bool:
    """Whether a place is a database, and not a journal's path."""
    return isinstance(place, str) and "://" in place


def database(text: str) -> URL:
    """The URL of a database, with its driver and the whole path of a file.

    Raises:
        InputError: no URL of a kind that we know, or a part is missing.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    rule = f"a storage is named as {_FORMS}"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # the text is not shown: it may hold a password
        raise InputError(f"--storage: {rule}; what came is no URL") from None
    kind = url.drivername.partition("+")[0]
    expect(
        url.drivername in (kind, _DRIVERS.get(kind)) and kind in _DRIVERS,
        f"--storage: {rule}, not as {url.drivername}://",
    )
    expect(
        not any(name in url.query for name in _SECRETS),
        f"--storage: {rule}; a password stands before the @, not in the query, and that of a"
        " certificate in a file of services (PGSERVICEFILE)",
    )
    expect(bool(url.database), f"--storage: {rule}; {masked(url)} names no database")
    url = url.set(drivername=_DRIVERS[kind])
    return _on_disk(url) if kind == "sqlite" else url


def _on_disk(url: URL) -> URL:
    """SQLite's URL with the whole path: it is to be the same from another folder."""
    file = str(url.database)
    expect(
        file != ":memory:" and not file.startswith("file:"),
        f"--storage: sqlite:///FILE takes the path of a file, not {file!r}: trials must outlive"
        " the search",
    )
    return url.set(database=str(Path(file).absolute()))


def masked(place: Path | str | URL) -> str:
    """A place as it may be shown and written: the password is `***`, the driver is left out."""
    if isinstance(place, Path) or (isinstance(place, str) and not is_url(place)):
        return str(place)
    url = database(place) if isinstance(place, str) else place
    plain = url.set(drivername=url.drivername.partition("+")[0])
    return plain.render_as_string(hide_password=True)


def same_database(one: str, other: str) -> bool:
    """Whether two URLs name the same, whatever their passwords."""
    first, second = (masked(text).replace(":***@", "@") for text in (one, other))
    return first == second


def with_password(text: str) -> str:
    """A URL with the password that the environment has for it, unless it has one itself."""
    known = os.environ.get(STORAGE_VARIABLE)
    bare = masked(text).replace(":***@", "@") == masked(text) or ":***@" in text
    return known if known and bare and same_database(known, text) else text
