"""The fewest backbones that serve every phone: exact set cover, by integer programs.

A backbone serves a phone if it holds the phone's budget and loses at most so many points there. The
fewest that serve all are a set cover (Karp 1972); of the optimal covers that with the least worst
loss is a bottleneck problem, solved by bisection over the losses that occur, and of those that with
the least mean loss a p-median problem (ReVelle & Swain 1970). HiGHS solves each to optimality; what
it answers is checked against the losses before it is used.

That K backbones are too few has a proof that can be checked by hand, where the linear relaxation
gives one: a weight for each phone, so that no backbone serves phones of more than 1 in all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.space.errors import expect

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

_WHOLE = 1e-6
"""How far a solver's number may be from the whole one that it stands for."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Backbones that serve every phone, and for each phone the one that it takes."""

    chosen: tuple[int, ...]
    """Rows of the losses, ascending."""
    taken: tuple[int, ...]
    """Row that each phone takes: of the chosen ones that with the least loss."""
    worst_loss: float
    mean_loss: float
    bound: int
    """No fewer backbones serve every phone, as the solver's lower bound proves."""


def cheapest_cover(losses: Floats, max_loss: float) -> Cover:
    """The fewest backbones; of all such covers the least worst loss, then the least mean loss.

    Args:
        losses: points, shape (backbones, phones); infinite where a budget is not held.
        max_loss: most points that a phone may lose.

    Raises:
        InputError: a phone that no backbone serves.
    """
    rows = _undominated(losses)
    kept = losses[rows]
    expect(
        bool((kept <= max_loss).any(axis=0).all()),
        f"cover: no backbone serves phone {_first_unserved(kept, max_loss)} of the losses",
    )
    bound = fewest(kept <= max_loss)
    worst = least_worst_loss(kept, bound, max_loss)
    chosen = _least_mean(np.where(kept <= worst, kept, np.inf), bound)
    taken = chosen[np.argmin(kept[chosen], axis=0)]
    paid = kept[taken, np.arange(losses.shape[1])]
    return Cover(
        tuple(int(rows[row]) for row in chosen),
        tuple(int(rows[row]) for row in taken),
        float(paid.max()),
        float(paid.mean()),
        bound,
    )


def fewest(serves: Bools) -> int:
    """Size of the smallest cover; `serves` has shape (backbones, phones), no column all false."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    distinct = np.unique(serves, axis=0)
    found = milp(
        np.ones(len(distinct)),
        constraints=LinearConstraint(distinct.T.astype(float), lb=1),
        integrality=np.ones(len(distinct), int),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0},
    )
    assert found.x is not None and found.mip_dual_bound is not None
    used = distinct[np.round(found.x) > 0]
    proven = math.ceil(found.mip_dual_bound - _WHOLE)
    assert found.status == 0 and used.any(axis=0).all() and len(used) == proven
    return len(used)


def least_worst_loss(losses: Floats, backbones: int, most: float = math.inf) -> float:
    """Least loss up to `most` under which so many backbones serve every phone; infinite if none."""
    steps = np.unique(losses[np.isfinite(losses) & (losses <= most)])
    if len(steps) == 0 or not _suffice(losses <= steps[-1], backbones):
        return math.inf
    low, high = 0, len(steps) - 1
    while low < high:
        middle = (low + high) // 2
        if _suffice(losses <= steps[middle], backbones):
            high = middle
        else:
            low = middle + 1
    return float(steps[high])


def certificate(serves: Bools, backbones: int) -> Floats | None:
    """Weights of the phones that prove that so many backbones are too few.

    No backbone serves phones of a weight above 1 in all, and all phones weigh more than
    `backbones`: so more are needed. None if the linear relaxation has no such proof.
    """
    from scipy.optimize import linprog

    phones = serves.shape[1]
    rows = np.unique(serves, axis=0).astype(float)
    found = linprog(-np.ones(phones), A_ub=rows, b_ub=np.ones(len(rows)), bounds=(0, 1))
    assert found.x is not None
    # a last step of rounding must not make a proof of what is none
    weights: Floats = np.floor(np.abs(found.x) * 1e6) / 1e6
    weights /= max(1.0, float((rows @ weights).max()))
    return weights if float(weights.sum()) > backbones + _WHOLE else None


def _suffice(serves: Bools, backbones: int) -> bool:
    return bool(serves.any(axis=0).all()) and fewest(serves) <= backbones


def _undominated(losses: Floats) -> Ints:
    """Rows that no other equals or beats on every phone; of equal ones the first."""
    kept: list[int] = []
    for row in np.argsort(losses.sum(axis=1), kind="stable"):
        if not any(bool((losses[other] <= losses[row]).all()) for other in kept):
            kept.append(int(row))
    return np.array(sorted(kept), dtype=np.int64)


def _first_unserved(losses: Floats, max_loss: float) -> int:
    return int(np.argmin((losses <= max_loss).any(axis=0)))


def _least_mean(losses: Floats, backbones: int) -> Ints:
    """Rows, ascending: at most so many, with the least sum of losses; infinite ones are barred."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array, vstack

    count, phones = losses.shape
    row, phone = np.nonzero(np.isfinite(losses))
    pairs = len(row)
    each, columns = np.arange(pairs), count + np.arange(pairs)
    shape = (pairs, count + pairs)
    # a phone takes a backbone only if that is chosen; every phone takes one
    linked = coo_array(
        (np.r_[np.ones(pairs), -np.ones(pairs)], (np.r_[each, each], np.r_[columns, row])), shape
    )
    served = coo_array((np.ones(pairs), (phone, columns)), (phones, count + pairs))
    size = coo_array((np.ones(count), (np.zeros(count, int), np.arange(count))), (1, count + pairs))
    found = milp(
        np.r_[np.zeros(count), losses[row, phone]],
        constraints=LinearConstraint(
            vstack([linked, served, size]).tocsr(),
            np.r_[np.full(pairs, -np.inf), np.ones(phones), 0],
            np.r_[np.zeros(pairs), np.ones(phones), backbones],
        ),
        integrality=np.r_[np.ones(count, int), np.zeros(pairs, int)],
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0},
    )
    assert found.x is not None
    chosen: Ints = np.flatnonzero(np.round(found.x[:count]) > 0)
    assert found.status == 0 and np.isfinite(losses[chosen]).any(axis=0).all()
    assert len(chosen) <= backbones
    return chosen
