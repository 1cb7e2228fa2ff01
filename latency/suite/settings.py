"""How a suite is timed: `settings.json` beside its manifest, which the app and a Mac's run read.

`palmette latency suite` writes it: bursts on the units of the plan's targets, which is what the
plan's minutes count. A suite without that file is timed by the defaults, which are those that come
with the app.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from palmette.latency.planning.plan import KINDS
from palmette.latency.suite.results import MODES, REQUESTED_UNITS
from palmette.latency.targets import parse_target
from palmette.space.errors import InputError, expect
from palmette.space.files import write_text

SETTINGS = "settings.json"
BURST = MODES[0]
ASKED = {"cpu": "cpuOnly", "gpu": "cpuAndGPU", "ane": "cpuAndNeuralEngine"}
"""Compute units to ask for, by the unit of a target."""
LONGEST_S = 86_400.0
MOST_CALLS = 1_000_000


def usual_modes() -> dict[str, tuple[str, ...]]:
    """Kinds of subjects by mode: all in bursts, networks in the others."""
    return {"burst": KINDS, "sustained": ("network",), "paced": ("network",)}


@dataclass(frozen=True, slots=True)
class Settings:
    """What is timed, and for how long; seconds end in `_s`."""

    units: tuple[str, ...] = ("cpuOnly", "cpuAndGPU", "cpuAndNeuralEngine")
    modes: Mapping[str, tuple[str, ...]] = field(default_factory=usual_modes)
    """Kinds of subjects by mode; a mode that is not here is not run."""
    warmup_calls: int = 10
    warmup_s: float = 1.0
    """Both hold: at least so many calls, and at least so long."""
    least_calls: int = 50
    most_calls: int = 200
    timed_s: float = 2.0
    """Of a burst: calls go on for so long, or until there are `most_calls`."""
    sustained_s: float = 60.0
    """Of a sustained run, of which the last quarter counts."""
    paced_s: float = 10.0
    cool_s: float = 900.0
    """Longest wait for a phone to cool before a timing."""

    @classmethod
    def of(cls, targets: Sequence[str], modes: Sequence[str] = ()) -> Settings:
        """Settings of a plan: bursts of everything, on the units that its targets name.

        Args:
            targets: full names.
            modes: ways of calling its networks beside bursts.

        Raises:
            InputError: an unknown mode or target.
        """
        wrong = [mode for mode in modes if mode not in MODES]
        expect(not wrong, f"--mode: must be of {', '.join(MODES)}, got '{', '.join(wrong)}'")
        units = {ASKED[parse_target(target).unit] for target in targets}
        return cls(
            units=tuple(name for name in REQUESTED_UNITS if name in units),
            modes={
                mode: kinds
                for mode, kinds in usual_modes().items()
                if mode == BURST or mode in modes
            },
        )

    def write(self, folder: Path) -> None:
        """Write the settings of a suite, atomically."""
        write_text(folder / SETTINGS, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Settings:
        """Settings of a suite, or the defaults where its folder has no file of them.

        Raises:
            InputError: unreadable, or a key against its rule; the message names file, key, rule and
                value.
        """
        path = folder / SETTINGS
        if not path.exists():
            return cls()
        try:
            found = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        expect(isinstance(found, dict), f"{path}: must be a JSON object")
        names = [item.name for item in fields(cls)]
        expect(
            set(found) == set(names),
            f"{path}: must have exactly the keys {', '.join(names)}, got {', '.join(found)}",
        )
        return cls(
            units=_named(found["units"], REQUESTED_UNITS, f"{path}: units"),
            modes=_modes(found["modes"], f"{path}: modes"),
            **{name: _number(name, found[name], str(path)) for name in names[2:]},
        )


def _named(value: Any, known: tuple[str, ...], where: str) -> tuple[str, ...]:
    expect(
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(name, str) and name in known for name in value)
        and len(set(value)) == len(value),
        f"{where}: must be some of {', '.join(known)}, each once, got {json.dumps(value)}",
    )
    return tuple(value)


def _modes(value: Any, where: str) -> dict[str, tuple[str, ...]]:
    expect(
        isinstance(value, dict) and len(value) > 0 and set(value) <= set(MODES),
        f"{where}: must be a table with some of the keys {', '.join(MODES)}, got"
        f" {json.dumps(value)}",
    )
    found = {mode: _named(kinds, KINDS, f"{where}: {mode}") for mode, kinds in value.items()}
    expect_bursts_too(found, where)
    return found


def expect_bursts_too(modes: Mapping[str, Sequence[str]], where: str) -> None:
    """Refuse other modes for kinds that have no bursts: an import could use none of those rows."""
    bare = {kind for own in modes.values() for kind in own} - set(modes.get(BURST, ()))
    expect(
        not bare,
        f"{where}: every kind needs burst, beside which the other modes stand; {BURST} lacks"
        f" {', '.join(sorted(bare))}",
    )


def _number(name: str, value: Any, where: str) -> Any:
    is_time = name.endswith("_s")
    kinds: tuple[type, ...] = (int, float) if is_time else (int,)
    # no call at all is no timing; no time at all is one call
    least, most = (0, LONGEST_S) if is_time else (int(name != "warmup_calls"), MOST_CALLS)
    expect(
        type(value) in kinds and least <= value <= most,
        f"{where}: {name}: must be a {'number of seconds' if is_time else 'whole number'} from"
        f" {least} to {most:g}, got {json.dumps(value)}",
    )
    return float(value) if is_time else value
