"""Why this choice: every network one choice away, its milliseconds and its points.

A search ends where no single change is better; this is the table that shows it. All neighbours are
estimated in one batch, so the table costs milliseconds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from palmette.search.problem import Candidates, SearchProblem
from palmette.space.errors import expect
from palmette.space.search_space import Codes

SAVING, GAINING = "saving", "gaining"

_LEAST = 1e-9
"""Smaller differences are rounding, not milliseconds or points."""


def alternatives(problem: SearchProblem, code: Codes) -> pd.DataFrame:
    """Every change of one gene, in the order of the genes.

    Args:
        problem: what is searched.
        code: of its space, shape (genes,).

    Returns:
        Columns stage ("network", "stem", "stage1", ..., "head"), gene, chosen, alternative, ms,
        d_ms (against the chosen network), top1 (%), d_points and feasible. Of a joined problem ms
        are those of the target whose budget the chosen network fills most, and there are load
        and d_load.

    Raises:
        InputError: not a code of the space.
    """
    code = np.asarray(code)
    space = problem.space
    space.decode(code)  # raises if it is none
    others = space.neighbours(code)
    codes = np.concatenate([code[None, :], others])
    found = problem.candidates(codes)
    changed = (others != code).argmax(axis=1)
    genes = [space.genes[index] for index in changed]
    columns = {
        "stage": [gene.name.split(".")[0] for gene in genes],
        "gene": [gene.name for gene in genes],
        "chosen": [gene.choices[code[index]] for gene, index in zip(genes, changed, strict=True)],
        "alternative": [
            gene.choices[row[index]]
            for gene, row, index in zip(genes, others, changed, strict=True)
        ],
        **_differences("ms", "d_ms", _milliseconds(problem, codes, found)),
        **_differences("top1", "d_points", found.top1),
        "feasible": found.violation[1:] <= 0,
    }
    if problem.joined is not None:
        columns |= _differences("load", "d_load", found.ms)
    table = pd.DataFrame(columns)
    # numbers, words and sizes stand in one column
    return table.astype({"chosen": object, "alternative": object})


def best_rates(table: pd.DataFrame) -> pd.DataFrame:
    """Of each stage the change that saves time at the least loss, and the best gain for its time.

    Args:
        table: of `alternatives`.

    Returns:
        Its columns, before them `way` ("saving" or "gaining") and `points_per_ms`: lost for each
        millisecond saved (below 0: gained on top), or gained for each millisecond added (infinite
        where it takes no longer). Of a joined problem the rates are per unit of load. Feasible
        changes come before others; a stage without such a change has no row.
    """
    expect("d_ms" in table, f"table: must be of alternatives, got columns {list(table.columns)}")
    cost = table["d_load" if "d_load" in table else "d_ms"]
    points = table["d_points"]
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = (points / cost).to_numpy()
    saves = (cost < -_LEAST).to_numpy()
    gains = (points > _LEAST).to_numpy()
    gain_rate = np.where((cost > _LEAST).to_numpy(), rate, np.inf)
    chosen = [
        *_first_of_each(table, SAVING, saves, rate, ascending=True),
        *_first_of_each(table, GAINING, gains, gain_rate, ascending=False),
    ]
    found = pd.concat(chosen) if chosen else table.iloc[:0].assign(way="", points_per_ms=0.0)
    first = ["stage", "way", "points_per_ms"]
    order = [*first, *(name for name in table.columns if name not in first)]
    return found.sort_index(kind="stable")[order].reset_index(drop=True)


def _first_of_each(
    table: pd.DataFrame,
    way: str,
    counted: NDArray[np.bool_],
    rate: NDArray[np.float64],
    *,
    ascending: bool,
) -> list[pd.DataFrame]:
    """The row of each stage that comes first by rate, feasible ones before others."""
    rows = table.assign(way=way, points_per_ms=rate)[counted]
    ordered = rows.sort_values(
        ["feasible", "points_per_ms"], ascending=[False, ascending], kind="stable"
    )
    return [ordered.groupby("stage", sort=False).head(1)] if len(ordered) else []


def _milliseconds(problem: SearchProblem, codes: Codes, found: Candidates) -> NDArray[np.float64]:
    """Of codes, the first of them the chosen one: on the target, or on the one that decides."""
    if problem.joined is None:
        return found.ms
    times = problem.joined
    joined = times.evaluate(problem.compiled_codes.full(codes), problem.limits.confidence)
    decides = int(joined.chosen[0])
    on_it: NDArray[np.float64] = joined.loads[:, decides] * times.budgets_ms[decides]
    return on_it


def _differences(
    name: str, difference: str, values: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Values of the neighbours, and how much more that is than the first one's."""
    return {name: values[1:], difference: values[1:] - values[0]}
