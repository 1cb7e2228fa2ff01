"""What a front says of trainings with fresh seeds, which `confirm` makes: three columns of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

TOP1, SE, SEEDS = COLUMNS = ("confirmed_top1", "confirmed_se", "confirmed_seeds")
"""Mean in %, its standard error in points, and how many trainings succeeded."""
UNSEEDED = {
    "prior": "is an estimate and has no seed; train its networks (palmette train --run)",
    "supernet": "gives one value whatever the seed; train its networks (palmette train --run)",
}
"""Rungs of accuracy that no seed changes, and what to do instead."""


def is_confirmed(row: Mapping[Any, Any]) -> bool:
    """Whether a row of a front has a fresh mean."""
    return float(row.get(SEEDS) or 0) > 0


def confirmed_pick(front: pd.DataFrame) -> bool:
    """Whether fresh means chose the pick of a front."""
    return is_confirmed(front.loc[front["pick"]].iloc[0].to_dict())


def fresh_words(row: Mapping[Any, Any]) -> str:
    """The fresh mean of a row that has one."""
    return f"{row[TOP1]:.1f} % ({basis(row)})"


def basis(row: Mapping[Any, Any]) -> str:
    """What the fresh mean of a row is made of, and how sure it is."""
    seeds = int(row[SEEDS])
    made = "one fresh seed" if seeds == 1 else f"mean of {seeds} fresh seeds"
    return f"{made}, standard error {row[SE]:.1f}"


def lower(points: float) -> str:
    """How far fresh means are below the values that won, in words."""
    return f"{abs(points):.2f} points {'lower' if points >= 0 else 'higher'}"
