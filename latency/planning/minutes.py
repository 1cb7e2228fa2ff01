"""How long a device may be busy with a plan."""

from __future__ import annotations

from palmette.space.errors import expect

MOST_MINUTES = 1e5
"""Ten weeks."""


def expect_minutes(minutes: float) -> None:
    """Raise InputError unless a plan can be made for so many minutes."""
    expect(
        0 < minutes <= MOST_MINUTES,
        f"minutes must be more than 0 and at most {MOST_MINUTES:g}, got {minutes:g}",
    )


def expect_seed(seed: int) -> None:
    """Raise InputError for a seed of the networks that are drawn which is below 0."""
    expect(seed >= 0, f"seed must be 0 or more, got {seed}")
