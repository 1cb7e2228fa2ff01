"""A gate: one question that a package must pass, and what the answer shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from palmette.export.errors import ExportError
from palmette.space.errors import InputError


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


def ask(name: str, shows: str, question: Callable[[], Mapping[str, Any]]) -> Gate:
    """Gate that passes unless its question raises ExportError or InputError; it gives figures."""
    try:
        return Gate(name, shows, True, figures=dict(question()))
    except (ExportError, InputError) as error:
        return Gate(name, shows, False, str(error))
