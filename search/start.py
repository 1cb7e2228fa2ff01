"""Networks that a search begins with, such as those of the front of a search for another target.

A table names them by their `architecture`; other columns are left alone, so that a run's
`front.csv` will do. What was measured already stands in `measured_top1` and `measured_sigma`: such
networks come into the study as finished trials, with the milliseconds of its own target, so that
nothing is measured twice.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.latency.tables import read_csv
from palmette.search.evolution import State, begun
from palmette.space import Architecture, InputError, SearchSpace
from palmette.space.errors import expect
from palmette.space.search_space import Codes

if TYPE_CHECKING:
    import optuna

    from palmette.search.problem import SearchProblem

MEASURED = ("measured_top1", "measured_sigma")


@dataclass(frozen=True, slots=True)
class Start:
    """Networks to begin with, each with its measured top-1 and sigma (%, points) or None."""

    networks: tuple[Architecture, ...] = ()
    measured: tuple[tuple[float, float] | None, ...] = ()

    @property
    def id(self) -> str:
        """Hash of all of it."""
        text = repr([(n.id, m) for n, m in zip(self.networks, self.measured, strict=True)])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_csv(self) -> str:
        """Text of the table."""
        lines = [",".join(("architecture", *MEASURED))]
        for network, measured in zip(self.networks, self.measured, strict=True):
            values = ("", "") if measured is None else (repr(measured[0]), repr(measured[1]))
            lines.append(",".join((f'"{network.to_text()}"', *values)))
        return "\n".join([*lines, ""])


NOTHING = Start()


def read_start(path: Path) -> Start:
    """Networks of a table.

    Raises:
        InputError: no such table, or a row that is no network or has no proper top-1.
    """
    rows = read_csv(path)
    expect("architecture" in rows, f"{path}: column 'architecture' is missing; give a front.csv")
    found: dict[Architecture, tuple[float, float] | None] = {}
    for row, values in zip(rows.index, rows.to_dict("records"), strict=True):
        where = f"{path} row {row}"
        try:
            network = Architecture.from_text(str(values["architecture"]))
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        found[network] = found.get(network) or _measured(values, where)
    return Start(tuple(found), tuple(found.values()))


def _measured(values: dict[Any, Any], where: str) -> tuple[float, float] | None:
    texts = [str(values.get(name, "")) for name in MEASURED]
    if texts in (["", ""], ["nan", "nan"]):
        return None
    try:
        top1, sigma = map(float, texts)
    except ValueError:
        top1, sigma = math.nan, math.nan
    expect(
        0 <= top1 <= 100 and 0 <= sigma <= 100,
        f"{where}: {' and '.join(MEASURED)} must both be from 0 to 100, or blank, got"
        f" '{texts[0]}' and '{texts[1]}'",
    )
    return top1, sigma


def encoded(networks: Sequence[Architecture], space: SearchSpace) -> tuple[Codes, list[int]]:
    """Codes (n, genes) of the networks that are in a space, and their places among all."""
    codes, places = [], []
    for place, network in enumerate(networks):
        try:
            codes.append(space.encode(network))
        except InputError:
            continue  # another target may have had choices that this one's timings don't identify
        places.append(place)
    return np.array(codes, dtype=np.int64).reshape(len(codes), len(space.genes)), places


def start_codes(problem: SearchProblem) -> Codes:
    """Codes (n, genes) of the networks to begin with that are in a problem's space."""
    return encoded(problem.start.networks, problem.space)[0]


def first_state(problem: SearchProblem, evaluations: int) -> State | None:
    """State of a problem's search that knows the networks to begin with; None without any."""
    return begun(problem, start_codes(problem), evaluations)


def import_measured(study: optuna.Study, problem: SearchProblem) -> int:
    """Add what was measured already to a study, as finished trials; returns how many it has.

    To be called before the first ask. Those that are there are not added again, so it may be
    interrupted. Attribute `known` tells them from the study's own.
    """
    from optuna.trial import create_trial

    from palmette.search.trials.params import distributions, params_of

    if not count_known(problem):
        return 0
    codes, values = known_of(problem)
    done = sum(1 for trial in study.get_trials(deepcopy=False) if "known" in trial.user_attrs)
    if done >= len(codes):
        return done
    ms, violation = problem.costs(codes)
    space = distributions(problem.space)
    for order in range(done, len(codes)):
        top1, sigma = values[order]
        about = {"top1": top1, "sigma": sigma, "told_before": order, "order": order}
        study.add_trial(
            create_trial(
                values=[float(ms[order]), top1 - problem.limits.lam * sigma],
                params=params_of(problem.space, codes[order]),
                distributions=space,
                user_attrs={**about, "known": True},
                constraints={"limits": float(violation[order])},
            )
        )
    return len(codes)


def count_known(problem: SearchProblem) -> int:
    """Finished trials that come from the start of a problem: `--trials` are beside these."""
    if problem.accuracy.evaluator is None:
        return 0  # the prior knows all by itself
    return len(known_of(problem)[0])


def known_of(problem: SearchProblem) -> tuple[Codes, list[tuple[float, float]]]:
    """Codes (n, genes) of the networks of a problem's start that were measured, with top-1, sigma.

    Those that are not in its space are left out.
    """
    start = problem.start
    known = [
        (network, value)
        for network, value in zip(start.networks, start.measured, strict=True)
        if value is not None
    ]
    codes, places = encoded([network for network, _ in known], problem.space)
    return codes, [known[place][1] for place in places]
