"""How far each knob must be turned to reach a time: all knobs at once, a few networks each.

The time falls nearly in proportion to a width, so the value is guessed along a straight line
between two known ones; the bounds close in on it as in bisection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from palmette.search.families.changes import Knob
from palmette.space import Architecture

Times = Callable[[Sequence[Architecture]], list[float]]
"""Architectures to milliseconds."""


@dataclass(frozen=True, slots=True)
class Turned:
    """A network with one knob turned down, and that in words."""

    words: str
    architecture: Architecture


def reaching(knobs: Sequence[Knob], now_ms: float, goal_ms: float, times: Times) -> list[Turned]:
    """For each knob that can, the network with the least turn that takes at most `goal_ms`.

    Args:
        knobs: of one network.
        now_ms: its time.
        goal_ms: below it.
        times: gives the time of networks; it should not rise as a knob is turned down.
    """
    turning = [_Turning(knob, list(knob.values), now_ms) for knob in knobs]
    while asked := [(one, made) for one in turning if (made := one.next(goal_ms)) is not None]:
        for (one, made), ms in zip(asked, times([made for _, made in asked]), strict=True):
            one.tell(made, ms, goal_ms)
    return [
        Turned(one.knob.words(one.values[one.high]), one.found)
        for one in turning
        if one.found is not None and one.high_ms <= goal_ms
    ]


@dataclass(slots=True)
class _Turning:
    """A knob between a value that does not reach the goal, and one that does."""

    knob: Knob
    values: list[int]
    low_ms: float
    low: int = -1
    high: int = field(init=False)
    high_ms: float = math.nan
    found: Architecture | None = None
    asked: int = 0

    def __post_init__(self) -> None:
        self.high = len(self.values) - 1

    def next(self, goal_ms: float) -> Architecture | None:
        """The network to be timed next; None if there is nothing left to find out."""
        while self.values:
            if self.found is None:
                self.asked = self.high
            elif self.high_ms > goal_ms or self.high - self.low <= 1:
                return None
            else:
                self.asked = self._guess(goal_ms)
            made = self.knob.turned(self.values[self.asked])
            if made is not None:
                return made
            del self.values[self.asked]
            self.high -= 1
        return None

    def tell(self, made: Architecture, ms: float, goal_ms: float) -> None:
        """The milliseconds of the network that was asked for."""
        if ms <= goal_ms or self.found is None:
            self.high, self.high_ms, self.found = self.asked, ms, made
        else:
            self.low, self.low_ms = self.asked, ms

    def _guess(self, goal_ms: float) -> int:
        share = (self.low_ms - goal_ms) / (self.low_ms - self.high_ms)
        guess = self.low + math.ceil(share * (self.high - self.low))
        return min(max(guess, self.low + 1), self.high - 1)
