"""What no recipe says of a training: share of validation, seed, device, time between checkpoints.

Checked here for whoever takes them, without torch: a wrong one is told before anything is opened.
"""

from __future__ import annotations

from palmette.space.errors import expect

DEVICES = ("auto", "cpu", "cuda", "mps")
MOST_SEED = 2**32 - 1
"""Of scikit-learn and of NumPy."""


def expect_options(share: float, seed: int, device: str) -> None:
    """Raise InputError for one of these that is out of its range."""
    expect_share(share)
    expect(0 <= seed <= MOST_SEED, f"seed: must be from 0 to {MOST_SEED}, got {seed}")
    expect_device(device)


def expect_share(share: float) -> None:
    """Raise InputError unless some images train and some validate."""
    expect(0 < share < 1, f"val share: must lie between 0 and 1, got {share:g}")


def expect_device(device: str) -> None:
    """Raise InputError for a device that no machine has."""
    expect(device in DEVICES, f"device '{device}': must be one of {', '.join(DEVICES)}")


def expect_checkpoints(seconds: float) -> None:
    """Raise InputError unless this is a time between checkpoints."""
    expect(seconds >= 0, f"checkpoint seconds: must be a number from 0, got {seconds:g}")
