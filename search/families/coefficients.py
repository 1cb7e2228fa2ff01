"""How depth, width and image of a family grow together: three factors, checked as given."""

from __future__ import annotations

from dataclasses import dataclass

from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Factors of depth, width and resolution for one step of phi; by default EfficientNet's.

    Raises:
        InputError: one is below 1 or above 4, or all are 1.
    """

    alpha: float = 1.2
    beta: float = 1.1
    gamma: float = 1.15

    def __post_init__(self) -> None:
        values = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}
        for name, value in values.items():
            expect(1 <= value <= 4, f"{name}: must be from 1 to 4, got {value:g}")
        expect(
            any(value > 1 for value in values.values()),
            "alpha, beta, gamma: one must be above 1, or the family is one network",
        )
