"""A fleet: phones with a compute unit and a budget each, and every network that they may share.

Networks of all fronts are candidates for all phones. On each phone a network is timed by that
phone's own predictor and counts if it keeps the phone's limits: the budget at the confidence,
parameters and MACs, and no choice that the phone's timings cannot identify.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palmette.latency import LATENCY, Target, parse_target
from palmette.latency.budget import expect_confidence
from palmette.search.bundle.fronts import Front, read_fronts
from palmette.search.objectives.quantities import NAMES as QUANTITY_NAMES
from palmette.search.posing import identity
from palmette.search.problem import SearchProblem
from palmette.space import Architecture, InputError
from palmette.space.errors import expect
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
_LIMITS = ("budget", "budget_ms", *QUANTITY_NAMES, "precision", "extrapolate", "exportable")


@dataclass(frozen=True, slots=True)
class PhoneUnit:
    """A phone's compute unit: what runs there, and in how many milliseconds."""

    target: Target
    budget_ms: float
    searched_at: float
    """Lowest confidence of its runs; below the fleet's, a better network may not be on a front."""
    quantity: str = LATENCY
    """Which milliseconds the budget and all times are of."""

    def __str__(self) -> str:
        return self.target.alias


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """Phones and candidates; arrays of shape (networks, units), NaN where nothing is known."""

    units: tuple[PhoneUnit, ...]
    networks: tuple[Architecture, ...]
    """Candidates by id."""
    top1: Floats
    """Estimated, shape (networks,), percent."""
    ms: Floats
    lower_ms: Floats
    upper_ms: Floats
    """Each bound holds alone with the confidence."""
    keeps: NDArray[np.bool_]
    """Whether a network keeps all limits of a unit."""
    confidence: float
    accuracy: str
    """Where top-1 comes from, in few words."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of each unit, the alias, or the full name where another unit has the same alias."""
        counts = Counter(str(unit) for unit in self.units)
        return tuple(
            str(unit) if counts[str(unit)] == 1 else str(unit.target) for unit in self.units
        )

    @property
    def best_top1(self) -> Floats:
        """Of each unit, the best of the networks that keep its limits."""
        best: Floats = np.where(self.keeps, self.top1[:, None], -np.inf).max(axis=0)
        return best

    @property
    def losses(self) -> Floats:
        """Points below each unit's own best; infinite where a limit is broken."""
        losses: Floats = np.where(self.keeps, self.best_top1 - self.top1[:, None], np.inf)
        return losses


def open_fleet(
    folders: Sequence[Path], phones: Sequence[str] = (), confidence: float = CONFIDENCE
) -> Fleet:
    """The fleet of finished runs.

    Args:
        folders: of runs over one space with one source of accuracies.
        phones: devices or targets, such as `iphone-11` or `iphone-11/gpu`, in the order to keep;
            by default every target that a run is for.
        confidence: one-sided, with which a budget is held.

    Raises:
        InputError: a run that can't be read or goes with no other, a phone that no run is for, or
            one whose budget no network holds.
    """
    expect_confidence(confidence)
    expect(
        not isinstance(folders, (str, Path)) and len(folders) > 0,
        "runs: give a list of the folders of finished runs, one for each phone",
    )
    fronts = read_fronts([Path(folder) for folder in folders])
    by_target = _by_target(fronts)
    wanted = _wanted(phones, by_target)
    top1 = _candidates(fronts)
    networks = tuple(sorted(top1, key=lambda network: network.id))
    codes = fronts[0].space.encode_batch(networks)
    timed = [_timed(by_target[target][0].problem, codes, confidence) for target in wanted]
    ms, lower, upper, keeps = (np.stack(part, axis=1) for part in zip(*timed, strict=True))
    fleet = Fleet(
        tuple(_unit(by_target[target]) for target in wanted),
        networks,
        np.array([top1[network] for network in networks]),
        ms,
        lower,
        upper,
        keeps,
        confidence,
        fronts[0].problem.accuracy.label,
    )
    _check_served(fleet)
    return fleet


def _by_target(fronts: Iterable[Front]) -> dict[str, list[Front]]:
    """Runs by full target name, all of one target with the same limits and predictor."""
    found: dict[str, list[Front]] = {}
    for front in fronts:
        others = found.setdefault(front.config.target, [])
        first = others[0] if others else front
        mine, its = _decides(first), _decides(front)
        for name in its:
            expect(
                mine[name] == its[name],
                f"{front.folder.path}: {name} is {_word(its[name])} on {front.config.target}, but"
                f" {_word(mine[name])} in {first.folder.path}; give one of them",
            )
        others.append(front)
    return found


def _decides(front: Front) -> dict[str, float | str]:
    """What decides which networks keep a phone's limits: these, and the predictor."""
    limits = {name: getattr(front.config, name) for name in _LIMITS}
    return {**limits, "predictor_id": identity(front.problem)["predictor_id"]}


def _word(value: float | str) -> str:
    return str(value).lower() if isinstance(value, bool | str) else f"{value:g}"


def _wanted(phones: Sequence[str], known: Iterable[str]) -> list[str]:
    """Full target names that phones stand for, each once."""
    targets = {name: parse_target(name) for name in known}
    if not phones:
        return list(targets)
    wanted = dict[str, None]()
    for phone in phones:
        meant = [n for n, t in targets.items() if phone in (t.device, t.alias, n)]
        expect(
            bool(meant),
            f"phone '{phone}': no run is for it; search for it first, or leave it out; runs"
            f" are for {', '.join(t.alias for t in targets.values())}",
        )
        wanted |= dict.fromkeys(meant)
    return list(wanted)


def _unit(fronts: Sequence[Front]) -> PhoneUnit:
    config = fronts[0].config
    confidence = min(front.config.confidence for front in fronts)
    return PhoneUnit(parse_target(config.target), config.budget_ms, confidence, config.budget)


def _candidates(fronts: Iterable[Front]) -> dict[Architecture, float]:
    found: dict[Architecture, float] = {}
    for front in fronts:
        for network, top1 in front.top1.items():
            known = found.setdefault(network, top1)
            expect(
                abs(known - top1) < 1e-6,
                f"{front.folder.front}: top1 of {network.id} is {top1:g}, but {known:g} in another"
                " run's front; search again with one version of palmette",
            )
    return found


def _timed(
    problem: SearchProblem, full: Codes, confidence: float
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Of codes of the full space: time, its bounds, and whether all limits are kept; each (n,)."""
    codes, searched = problem.compiled_codes.restricted(full)
    strict = replace(problem, limits=replace(problem.limits, confidence=confidence))
    found = strict.candidates(codes)
    ms, lower, upper = (
        np.where(searched, values, np.nan) for values in (found.ms, found.lower_ms, found.upper_ms)
    )
    return ms, lower, upper, searched & (found.violation <= 0)


def _check_served(fleet: Fleet) -> None:
    for column, (name, unit) in enumerate(zip(fleet.names, fleet.units, strict=True)):
        if fleet.keeps[:, column].any():
            continue
        upper = fleet.upper_ms[:, column]
        fastest = (
            f"; the fastest takes {np.nanmin(upper):.4g} ms" if np.isfinite(upper).any() else ""
        )
        raise InputError(
            f"phone {name}: none of the {len(fleet.networks)} networks of the fronts keeps its"
            f" limits, {unit.budget_ms:g} ms at confidence {fleet.confidence:g}{fastest}; search"
            f" for it again with --confidence {fleet.confidence:g}, or with a higher budget"
        )
