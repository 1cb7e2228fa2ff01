"""Precision of a network's weights in its package: what it changes, and what nobody knows of it.

A target's table has timings of one precision, and weights alone save megabytes, hardly time
(Apple's guide to optimisation: MobileNetV2 on an iPhone 14 Pro, 0.48 ms with 16 bits a weight and
0.45 ms with 8). So milliseconds stay what they are. Accuracies stay those of half precision:
what fewer bits cost a trained network is measured network by network, by `palmette compress
--sweep` on labelled images, and no figure of it is at hand for one that nobody trained.
"""

from __future__ import annotations

from dataclasses import dataclass

from palmette.export.formats import RUNTIME_KINDS
from palmette.latency import Target
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class Precision:
    """How weights are stored."""

    name: str
    """Of the scheme of `palmette compress` too; half precision is what an export writes."""
    bits: int
    ios: int
    """Oldest system that reads it."""


PRECISIONS: dict[str, Precision] = {
    row.name: row
    for row in (Precision("float16", 16, 16), Precision("int8", 8, 16), Precision("int4", 4, 18))
}
"""The most precise first. Exports have no single precision: half is what all units compute in."""
HALF = "float16"


def read_precisions(text: str) -> tuple[str, ...]:
    """Precisions from one name or several with commas between, the most precise first.

    Raises:
        InputError: an unknown name, or one that comes twice.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        expect(
            name in PRECISIONS,
            f"precision: must be of {', '.join(PRECISIONS)}, one or several with commas between,"
            f" got '{name}'",
        )
        expect(names.count(name) == 1, f"precision: '{name}' comes twice in '{text}'")
    return tuple(name for name in PRECISIONS if name in names)


def value_bytes(target: Target) -> int:
    """Bytes of an activation on a target: 2 where it computes in half precision, else 4.

    Neural Engines and GPUs do; CPUs do in ML Programs, whose values are of half precision by type.
    """
    typed = RUNTIME_KINDS.get(target.runtime) == "mlprogram"
    return 2 if typed or target.unit in ("gpu", "ane") else 4
