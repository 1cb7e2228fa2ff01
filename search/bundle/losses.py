"""What a fleet may ask of its backbones: how few, and how much worse than each phone's own best."""

from __future__ import annotations

import math

from palmette.space.errors import expect, expect_some

MAX_LOSS_POINTS = 0.5


def expect_asked(max_loss: float, backbones: int | None) -> None:
    """Raise InputError for points that can't be lost, or for no backbone at all."""
    expect(0 <= max_loss < math.inf, f"max_loss: must be 0 points or more, got {max_loss:g}")
    if backbones is not None:
        expect_some("backbones", backbones)
