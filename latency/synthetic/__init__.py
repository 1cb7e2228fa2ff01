"""The synthetic phone: a made-up device whose true milliseconds are known.

For tests and tutorials, never for claims: nothing here was measured, and no number of it is that of
a real phone. Whatever comes of it says so: machine, device, runtime, system and source hold
`LABEL`, and tables that are meant for others refuse what holds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from palmette.space.late import opened_late

if TYPE_CHECKING:
    from palmette.latency.synthetic.truth import Cost as Cost
    from palmette.latency.synthetic.truth import truth_ms as truth_ms
else:  # predictors ask `is_synthetic`, and the truth is made of what they need
    __getattr__ = opened_late(__name__, {"truth": ("Cost", "truth_ms")})

LABEL = "synthetic"
"""In every row that the synthetic phone writes, and in no other."""
DEVICE = f"{LABEL}-phone"
"""Its name in targets."""
RUNTIME = LABEL
"""Of every target of it."""
MACHINE = DEVICE
"""What it calls itself where a phone gives its identifier."""
SOURCE = f"{LABEL} phone, not measured"
"""What a timing table says of where its rows come from."""


def target_of(unit: str) -> str:
    """Full name of its target with a unit (cpu, gpu, ane)."""
    return f"{DEVICE}/{unit}@{RUNTIME}"


def is_synthetic(name: str) -> bool:
    """Whether a machine, device, target or source is the synthetic phone's."""
    return LABEL in name.lower()
