"""Where a study is kept: the journal of a run's folder, or a database named by a URL.

A password is for the connection alone. Whatever is written or printed names the database without.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

STORAGE_VARIABLE = "PALMETTE_STORAGE"
"""Environment variable that names a database, password and all, where no option does."""

_DRIVERS = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
_FORMS = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:///FILE"


def is_url(place: Path | str) -> bool:
    """Whether a place is a database, and not a journal's path."""
    return isinstance(place, str) and "://" in place


def database(text: str) -> URL:
    """The URL of a database, with its driver.

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
        "password" not in url.query,
        f"--storage: {rule}; the password stands before the @, not in the query",
    )
    expect(bool(url.database), f"--storage: {rule}; {masked(url)} names no database")
    return url.set(drivername=_DRIVERS[kind])


def masked(place: Path | str | URL) -> str:
    """A place as it may be shown and written: the password is `***`, the driver is left out."""
    if isinstance(place, Path) or (isinstance(place, str) and not is_url(place)):
        return str(place)
    url = database(place) if isinstance(place, str) else place
    plain = url.set(drivername=url.drivername.partition("+")[0])
    return plain.render_as_string(hide_password=True)
