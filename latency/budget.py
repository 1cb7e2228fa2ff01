"""A budget of milliseconds, and the confidence with which it is held: what numbers they may be."""

from __future__ import annotations

import math

from palmette.space.errors import expect


def expect_budget(budget_ms: float) -> None:
    """Raise InputError unless this is a positive number of milliseconds, and no infinite one."""
    expect(0 < budget_ms < math.inf, f"budget_ms: must be a positive number, got {budget_ms:g}")


def expect_confidence(confidence: float) -> None:
    """Raise InputError unless this is above 0.5 and below 1."""
    expect(0.5 < confidence < 1, f"confidence: must be above 0.5 and below 1, got {confidence:g}")
