"""Machine identifiers of phones: what `uname` calls the phone that an app runs on.

`data/phones.csv` has one identifier a row, with the phone as targets name it, its chip, and the
source, a public table that is kept by hand; Apple publishes none.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from palmette.latency.tables import read_csv

PHONES = Path(str(files("palmette.latency") / "data" / "phones.csv"))


@dataclass(frozen=True, slots=True)
class Machine:
    """A phone as it names itself."""

    identifier: str
    """Such as `iPhone12,1`."""
    phone: str
    """As targets name it, such as `iphone-11`."""
    chip: str


def machines() -> list[Machine]:
    """Every known phone, in the order of the table."""
    rows = read_csv(PHONES)
    columns = (rows["identifier"], rows["phone"], rows["chip"])
    return [Machine(*row) for row in zip(*columns, strict=True)]
