"""A published network, and what its authors say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from palmette.space.architecture import Architecture
from palmette.space.scaling import scale
from palmette.space.tasks import with_task


@dataclass(frozen=True, slots=True)
class Reference:
    """A published network: its layout, in the notation of `Architecture.from_text`, and figures.

    Parameters and MACs are in millions, `top1` in % (ImageNet); None where nobody printed one.
    """

    layout: str | Callable[[], str]
    """The text, or what makes it of another network's (see `scaled`)."""
    params_m: float | None
    macs_m: float | None
    top1: float | None
    recipe: str
    """Training recipe behind `top1`, by the names of the accuracy prior; blank: none of those."""
    source: str
    note: str = ""
    """Why our counts differ from the published ones: parameters by over 2 %, MACs by over 3 %."""
    recounted_macs_m: float | None = None
    """MACs in millions that others published for the layout as it was released."""
    recount_px: int | None = None
    """Height and width that they counted at, if not the network's own."""
    recount_source: str = ""

    @property
    def text(self) -> str:
        """Text of the network."""
        return self.layout if isinstance(self.layout, str) else self.layout()


TIMM_COUNT = "timm benchmark-infer-amp-nhwc-pt240-cu124-rtx4090.csv, infer_gmacs"
"""Two decimals of a billion; the counter adds a little for BatchNorm and pooling to our count."""


def scaled(text: str, **factors: Any) -> Callable[[], str]:
    """Layout that `palmette.space.scaling.scale` makes of a network's text with these factors.

    It is made when it is asked for: an import makes no networks.
    """
    return lambda: scale(Architecture.from_text(text), **factors).to_text()


def tasked(backbone: Reference, task: str, **options: Any) -> Callable[[], str]:
    """Layout that `palmette.space.tasks.with_task` makes of a network, when it is asked for."""
    return lambda: with_task(Architecture.from_text(backbone.text), task, **options).to_text()
