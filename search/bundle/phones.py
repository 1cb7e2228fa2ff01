"""Machine identifiers of phones: what `uname` calls the phone that an app runs on.

`phones.csv` has one identifier a row, with the phone as targets name it, its chip, and the source,
a public table that is kept by hand; Apple publishes none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from palmette.latency.tables import read_csv
from palmette.space.errors import expect

PHONES = Path(str(files("palmette.search.bundle") / "phones.csv"))


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


def served_by(phones: Iterable[str]) -> dict[str, tuple[str, bool]]:
    """Identifier -> the phone whose choice it takes, and whether it is that phone itself.

    Phones that are not in the list take what the first one in it with their chip takes.

    Raises:
        InputError: a phone without a known identifier.
    """
    known, wanted = machines(), tuple(dict.fromkeys(phones))
    chips: dict[str, str] = {}
    for phone in wanted:
        chip = next((machine.chip for machine in known if machine.phone == phone), None)
        expect(
            chip is not None,
            f"phone '{phone}': its machine identifier is not known; known phones are"
            f" {', '.join(dict.fromkeys(machine.phone for machine in known))}; leave it out with"
            " --phones",
        )
        chips.setdefault(chip or "", phone)
    found = {}
    for machine in known:
        if machine.phone in wanted:
            found[machine.identifier] = (machine.phone, True)
        elif machine.chip in chips:
            found[machine.identifier] = (chips[machine.chip], False)
    return found
