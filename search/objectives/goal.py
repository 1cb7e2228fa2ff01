"""A target with its budget, where a search has several, and how their times become one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from palmette.latency import parse_target
from palmette.space.errors import expect

Join = Literal["worst", "weighted", "best"]
JOINS: tuple[Join, ...] = get_args(Join)
JOINED_BUDGET = 1.0
"""Most load: joined times are shares of budgets."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One of several targets.

    Raises:
        InputError: an unknown target, or a budget or weight that is not positive.
    """

    target: str
    """Full name; an alias is taken too."""
    budget_ms: float
    weight: float = 1.0
    """Its part in a weighted sum, against the weights of the others."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", str(parse_target(self.target)))
        for name in ("budget_ms", "weight"):
            value = getattr(self, name)
            expect(
                0 < value < math.inf,
                f"target {self.alias}: {name} must be a positive number, got {value:g}",
            )

    @property
    def alias(self) -> str:
        """Short name of the target."""
        return parse_target(self.target).alias

    @property
    def slug(self) -> str:
        """The same for names of files and columns."""
        return self.alias.replace("/", "-")


def joined_name(goals: Sequence[Goal]) -> str:
    """Name of several targets together, such as `iphone-11/ane+iphone-xs/gpu`."""
    return "+".join(goal.alias for goal in goals)


def check_goals(goals: Sequence[Goal]) -> None:
    """Raise InputError unless these are several targets, each once."""
    names = [goal.target for goal in goals]
    expect(
        len(names) > 1,
        f"targets: at least two, got {', '.join(names) or 'none'}; give one with --target",
    )
    for name in names:
        expect(names.count(name) == 1, f"targets: {name} is there twice; name each target once")


def check_weights(join: str, given: bool) -> None:
    """Raise InputError for weights where nothing would be made of them."""
    expect(
        join == "weighted" or not given,
        f"weights: belong to --join weighted; leave them out with --join {join}",
    )


def check_join(goals: Sequence[Goal], join: str, joint: bool) -> None:
    """Raise InputError unless the targets can be joined in this way."""
    check_goals(goals)
    expect(join in JOINS, f"join: must be {', '.join(JOINS)}, got '{join}'")
    check_weights(join, {goal.weight for goal in goals} != {1.0})
    if join != "best":
        return
    targets = [parse_target(goal.target) for goal in goals]
    phones = {(target.device, target.runtime) for target in targets}
    expect(
        len(phones) == 1,
        "join best: chooses a compute unit, so all targets must be units of one phone under one"
        f" runtime, got {', '.join(goal.target for goal in goals)}",
    )
    expect(
        not joint,
        "joint: a network that runs on the best unit keeps one budget, not all; leave --joint out",
    )
