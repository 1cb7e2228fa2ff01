"""What a package on disk must say, beside what it says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from palmette.export.errors import ExportError


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that a package must say, and what it says."""

    what: str
    found: object
    wanted: object


def settle(where: str, claims: Iterable[Claim]) -> None:
    """Raise ExportError for the first claim that is not true; begins with `where`."""
    for claim in claims:
        if claim.found != claim.wanted:
            raise ExportError(
                f"{where}: {claim.what} is {claim.found!r} in the package, not {claim.wanted!r}"
            )
