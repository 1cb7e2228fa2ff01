"""When which choices of a supernet vary: phases, as TOML.

A phase says until which share of the training it lasts and which genes are free; the others keep
their highest value. So progressive shrinking is data.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from palmette.space import SearchSpace
from palmette.space.errors import InputError, expect
from palmette.space.toml import to_toml
from palmette.train.keys import expect_known
from palmette.train.supernet.sampling import ALL

FORMAT = "palmette/supernet-schedule@1"
FOLDER = Path(__file__).parent / "schedules"
MOST_RANDOM = 64
KEYS = (
    "resolution",
    "activation",
    "block",
    "kernel",
    "first_kernel",
    "expansion",
    "channels",
    "depth",
    "se",
)
"""Keys that a supernet may vary, whether a space has them or not."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a training."""

    until: float
    """Share of the training at which it ends, from 0 to 1."""
    free: tuple[str, ...]
    """Genes (`stage3.kernel`), keys (`kernel`) or `all`; in every stage for a key."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Phases in order, and how many random networks a step takes.

    Raises:
        InputError: no phases, ends that do not rise to 1, a number out of range.
    """

    phases: tuple[Phase, ...]
    random: int = 2
    """Networks of a step beside the largest and the smallest."""

    def __post_init__(self) -> None:
        expect(
            type(self.random) is int and 0 <= self.random <= MOST_RANDOM,
            f"schedule: random must be a whole number from 0 to {MOST_RANDOM}, got {self.random!r}",
        )
        ends = [phase.until for phase in self.phases]
        rises = all(a < b for a, b in zip([0.0, *ends], ends, strict=False))
        expect(
            bool(ends) and rises and ends[-1] == 1,
            f"schedule: 'until' of the phases must rise from above 0 to 1, got {ends}",
        )

    def at(self, progress: float) -> Phase:
        """Phase after a share of the training, from 0 to 1."""
        return next((phase for phase in self.phases if progress < phase.until), self.phases[-1])

    def expect_fits(self, space: SearchSpace) -> None:
        """Raise InputError if a phase frees a gene of a stage that the space has not."""
        genes = [gene.name for gene in space.genes]
        for phase in self.phases:
            for name in phase.free:
                if "." in name:
                    expect_known(name, genes, f"schedule for space '{space.name}'")

    def to_text(self) -> str:
        """TOML text, see `from_text`."""
        top = {"format": FORMAT, "random": self.random}
        tables = [
            to_toml({"[phases]": {"until": phase.until, "free": list(phase.free)}})
            for phase in self.phases
        ]
        return "\n".join([to_toml({"": top}), *tables])

    @classmethod
    def from_text(cls, text: str, where: str) -> Schedule:
        """Schedule from TOML text.

        Raises:
            InputError: not TOML, another format, an unknown key (with the nearest), a bad value.
        """
        try:
            data = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not valid TOML ({error})") from None
        expect(data.pop("format", None) == FORMAT, f'{where}: needs the line format = "{FORMAT}"')
        for key in data:
            expect_known(key, ["random", "phases"], where)
        rows = data.get("phases")
        if not isinstance(rows, list) or not rows:
            raise InputError(f"{where}: needs at least one table [[phases]]")
        phases = tuple(_phase(row, f"{where}, phase {at}") for at, row in enumerate(rows, 1))
        try:
            return cls(phases, data.get("random", 2))
        except InputError as error:
            raise InputError(f"{where}: {error}") from None


def _phase(row: Any, where: str) -> Phase:
    expect(isinstance(row, dict), f"{where}: expected a table, got {row!r}")
    for key in row:
        expect_known(key, ["until", "free"], where)
    until, free = row.get("until"), row.get("free")
    expect(type(until) in (int, float), f"{where}: 'until' must be a number, got {until!r}")
    expect(
        isinstance(free, list) and all(isinstance(name, str) for name in free),
        f"{where}: 'free' must be a list of names, got {free!r}",
    )
    for name in free:
        expect_known(name.partition(".")[2] or name, [ALL, *KEYS], f"{where}, 'free'")
    return Phase(float(until), tuple(free))


@cache
def schedules() -> tuple[str, ...]:
    """Names of the shipped schedules."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_schedule(name: str) -> Schedule:
    """Shipped schedule by name, or one of a `.toml` file.

    Raises:
        InputError: no such schedule or file, or as `Schedule.from_text`.
    """
    if not name.endswith(".toml"):
        expect(
            name in schedules(),
            f"schedule '{name}': no such schedule; known are {', '.join(schedules())}, or give a"
            " .toml file",
        )
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"schedule {path}: can't be read ({error})") from None
    return Schedule.from_text(text, f"schedule {path.name}")
