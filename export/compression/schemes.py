"""What compression there is: a table of schemes, each of one step or two.

Sizes of numbers and the oldest system that reads them are those of coremltools' guide to
optimisation and of the ops in its specification. What a scheme costs in accuracy depends on the
network; `palmette.export.compression.sweep` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass

from palmette.space.errors import expect

SYSTEMS: dict[int, str] = {7: "iOS16", 8: "iOS17", 9: "iOS18", 10: "iOS26"}
"""Oldest system that reads a package, by the version of its specification; ML Programs only."""

LEAST_VALUES = 512
"""Weights of no more values stay as they are: a table of their own would outweigh the gain."""


@dataclass(frozen=True, slots=True)
class Palettise:
    """Each weight is one of 2^bits values in a table of its layer, found by k-means."""

    bits: int
    group: int = 0
    """Output channels that share a table; 0: all of a layer."""

    @property
    def system(self) -> str:
        """Oldest system that runs it."""
        return "iOS18" if self.group or self.bits not in (1, 2, 4, 6, 8) else "iOS16"


@dataclass(frozen=True, slots=True)
class Quantise:
    """Each weight is a whole number of `bits` bits times a scale; symmetric about zero."""

    bits: int
    block: int = 0
    """Input channels that share a scale; 0: all of an output channel."""

    @property
    def system(self) -> str:
        """Oldest system that runs it."""
        return "iOS18" if self.block or self.bits != 8 else "iOS16"


@dataclass(frozen=True, slots=True)
class Prune:
    """The smallest weights of a layer, so many percent of them, are zero and not stored."""

    percent: int

    @property
    def system(self) -> str:
        """Oldest system that runs it."""
        return "iOS16"


Step = Palettise | Quantise | Prune


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to store weights; several steps are joint, each on what the one before left."""

    name: str
    what: str
    bits: int
    """Of a weight that is stored, without tables, scales and the places of zeros."""
    steps: tuple[Step, ...]

    @property
    def system(self) -> str:
        """Oldest system that runs it."""
        oldest = max((step.system for step in self.steps), key=_age)
        return "iOS18" if len(self.steps) > 1 else oldest


_TABLE = (
    *(
        Scheme(f"palette{bits}", f"{2**bits} values a layer", bits, (Palettise(bits),))
        for bits in (8, 6, 4, 3, 2, 1)
    ),
    Scheme("palette4_group16", "16 values for 16 channels", 4, (Palettise(4, group=16),)),
    Scheme("int8", "8 bits, a scale a channel", 8, (Quantise(8),)),
    Scheme("int4", "4 bits, a scale a channel", 4, (Quantise(4),)),
    Scheme("int4_block32", "4 bits, a scale for 32 inputs", 4, (Quantise(4, block=32),)),
    Scheme("sparse50", "half the weights are zero", 16, (Prune(50),)),
    Scheme("sparse75", "three quarters are zero", 16, (Prune(75),)),
    Scheme("sparse50_palette4", "half zero, 16 values", 4, (Prune(50), Palettise(4))),
    Scheme("sparse50_int8", "half zero, 8 bits", 8, (Prune(50), Quantise(8))),
)
SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in _TABLE}
"""Schemes by name."""


def scheme_named(name: str) -> Scheme:
    """Scheme of a name.

    Raises:
        InputError: there is none; the message lists those that there are.
    """
    expect(
        name in SCHEMES,
        f"scheme '{name}': no such scheme; known are {', '.join(SCHEMES)}",
    )
    return SCHEMES[name]


def runs_on(scheme: Scheme, system: str) -> bool:
    """Whether a package for a system can hold a scheme."""
    return _age(system) >= _age(scheme.system)


def _age(system: str) -> int:
    return list(SYSTEMS.values()).index(system)
