"""Machine identifiers of phones: what `uname` calls the phone that an app runs on.

`data/phones.csv` has one identifier a row, with the phone as targets name it, its chip, and the
source, a public table that is kept by hand; Apple publishes none.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from palmette.latency.tables import read_csv
from palmette.space.errors import expect

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


def device_of(machine: str) -> str:
    """Device as targets name it: `iphone-12-mini` of `iPhone13,1` and of `iPhone 12 mini`.

    Machines that the table lacks keep their name in lower case: `mac-15-6` of `Mac15,6`.

    Args:
        machine: as `uname` calls it, or as it is sold.

    Raises:
        InputError: nothing of the name is left.
    """
    if machine in _phones():
        return _phones()[machine]
    name = re.sub(r"\((\d)(st|nd|rd|th) generation\)", r"\1", machine)
    name = re.sub(r"([A-Za-z])(\d+),(\d+)$", r"\1-\2-\3", name)
    device = re.sub("[^a-z0-9._]+", "-", name.lower()).strip("-._")
    expect(device != "", f"machine '{machine}' has no name that a target could have")
    return device


@functools.cache
def _phones() -> dict[str, str]:
    return {one.identifier: one.phone for one in machines()}
