"""What a network may cost, and how its accuracy is scored: plain numbers, checked as given."""

from __future__ import annotations

import math
from dataclasses import dataclass

from palmette.latency.budget import expect_confidence
from palmette.search.objectives.quantities import NAMES as QUANTITY_NAMES
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class Limits:
    """What a network may cost; infinite where not limited.

    Raises:
        InputError: a limit is not positive, or the confidence not between 0.5 and 1.
    """

    budget_ms: float = math.inf
    confidence: float = 0.8
    """One-sided: the share of networks whose true time is expected inside the budget."""
    params_m: float = math.inf
    macs_m: float = math.inf
    lam: float = 0.5
    """Standard deviations that the accuracy score gives up."""
    package_mb: float = math.inf
    peak_memory_mb: float = math.inf

    def __post_init__(self) -> None:
        for name in ("budget_ms", *QUANTITY_NAMES):
            value = getattr(self, name)
            expect(value > 0, f"{name}: must be positive, got {value:g}")
        expect_confidence(self.confidence)
        expect(0 <= self.lam <= 10, f"lam: must be from 0 to 10, got {self.lam:g}")

    @property
    def most(self) -> dict[str, float]:
        """The quantities that are limited, and how much of each a network may have."""
        given = {name: float(getattr(self, name)) for name in QUANTITY_NAMES}
        return {name: limit for name, limit in given.items() if math.isfinite(limit)}
