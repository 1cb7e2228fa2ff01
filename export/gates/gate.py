"""A gate: one question that a package must pass, and what the answer shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Gate:
    """The answer to one question."""

    name: str
    shows: str
    """What a pass proves, in one line."""
    passed: bool | None
    """None: it could not be asked of this package; `reason` says why."""
    reason: str = ""
    """Why it failed, in one line."""
    figures: dict[str, Any] = field(default_factory=dict)
    """What was measured, by name."""
