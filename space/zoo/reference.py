"""A published network, and what its authors say of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reference:
    """A published network: its text, in the notation of `Architecture.from_text`, and its figures.

    Parameters and MACs are in millions, `top1` in % (ImageNet); None where nobody printed one.
    """

    text: str
    params_m: float | None
    macs_m: float | None
    top1: float | None
    recipe: str
    """Training recipe behind `top1`, by the names of the accuracy prior; blank: none of those."""
    source: str
    note: str = ""
    """Why our counts differ from the published ones: parameters by over 2 %, MACs by over 3 %."""
