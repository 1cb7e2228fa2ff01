"""A row of what the doctor found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["works", "missing", "broken", "can't here"]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing, how it stands, and what to do about it."""

    what: str
    state: State
    detail: str
    remedy: str = ""
    needed: bool = False
    """Whether a search with an export, the main job, needs it."""

    @property
    def stops(self) -> bool:
        """Whether the main job can't be done for this."""
        return self.needed and self.state != "works"
