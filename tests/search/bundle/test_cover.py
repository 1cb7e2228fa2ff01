"""Covers are the fewest, then the least worst, then the least mean loss: against counting out."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from palmette.search.bundle.cover import (
    Floats,
    certificate,
    cheapest_cover,
    fewest,
    least_worst_loss,
)
from palmette.space import InputError

NO = math.inf


def counted_out(losses: Floats, max_loss: float) -> tuple[int, float, float]:
    """Size, worst and mean loss of the best cover, of all subsets of the rows."""
    served = np.where(losses <= max_loss, losses, NO)
    for size in range(1, len(losses) + 1):
        paid = [served[list(rows)].min(axis=0) for rows in combinations(range(len(losses)), size)]
        whole = [(float(p.max()), float(p.mean())) for p in paid if np.isfinite(p).all()]
        if whole:
            return (size, *min(whole))
    raise AssertionError("no cover")


@st.composite
def tables(draw: st.DrawFn) -> Floats:
    """Losses of up to seven backbones on up to five phones; each phone has a best at 0."""
    shape = (draw(st.integers(1, 7)), draw(st.integers(1, 5)))
    values = st.sampled_from([0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.9, 1.3, NO])
    table: Floats = draw(arrays(np.float64, shape, elements=values))
    for phone in range(shape[1]):
        table[draw(st.integers(0, shape[0] - 1)), phone] = 0.0
    return table


def test_one_backbone_that_serves_all_beats_two_that_lose_nothing() -> None:
    losses = np.array([[0.0, 0.9], [0.9, 0.0], [0.4, 0.5]])
    found = cheapest_cover(losses, 0.5)
    assert found.chosen == (2,) and found.taken == (2, 2)
    assert (found.worst_loss, found.mean_loss, found.bound) == (0.5, 0.45, 1)


def test_of_two_covers_the_one_with_the_least_worst_loss_is_taken() -> None:
    losses = np.array([[0.0, 0.5], [0.3, 0.3]])  # means 0.25 and 0.3
    found = cheapest_cover(losses, 0.5)
    assert found.chosen == (1,) and found.worst_loss == 0.3


def test_of_covers_with_the_same_worst_loss_the_one_with_the_least_mean_is_taken() -> None:
    losses = np.array([[0.4, 0.3, 0.4], [0.4, 0.1, 0.2], [0.0, NO, NO]])
    found = cheapest_cover(losses, 0.5)
    assert found.chosen == (1,) and found.mean_loss == pytest.approx(0.7 / 3)


def test_a_budget_that_is_not_held_is_no_service_however_small_the_loss() -> None:
    losses = np.array([[0.0, NO], [NO, 0.0]])
    assert cheapest_cover(losses, 100.0).chosen == (0, 1)
    assert least_worst_loss(losses, 1) == NO


def test_three_pairs_of_three_phones_need_two_backbones_though_one_and_a_half_would_do() -> None:
    serves = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=bool)
    assert fewest(serves) == 2
    weights = certificate(serves, 1)
    assert weights is not None and weights.sum() == pytest.approx(1.5)


def test_a_proof_that_the_relaxation_cannot_give_is_not_given() -> None:
    # phones and backbones are the vectors of three bits; a backbone serves those of odd product:
    # 1/4 of each of the seven serves all (7/4 in sum), yet no two do
    serves = np.array([[(a & b).bit_count() % 2 for b in range(1, 8)] for a in range(1, 8)], bool)
    assert fewest(serves) == 3
    assert certificate(serves, 1) is not None
    assert certificate(serves, 2) is None


def test_the_least_worst_loss_of_fewer_backbones_is_what_would_have_to_be_allowed() -> None:
    losses = np.array([[0.0, 0.8, 2.0], [0.7, 0.0, 1.1], [3.0, 0.9, 0.0]])
    assert cheapest_cover(losses, 0.5).bound == 3
    assert least_worst_loss(losses, 2) == 0.7
    assert least_worst_loss(losses, 1) == 1.1


def test_a_phone_that_nothing_serves_is_refused() -> None:
    with pytest.raises(InputError, match="serves phone 1"):
        cheapest_cover(np.array([[0.0, 0.7], [0.2, 0.8]]), 0.5)


@settings(max_examples=60, deadline=None)
@given(tables(), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_covers_are_those_of_counting_out(losses: Floats, max_loss: float) -> None:
    found = cheapest_cover(losses, max_loss)
    size, worst, mean = counted_out(losses, max_loss)
    assert len(found.chosen) == found.bound == size
    assert found.worst_loss == worst and found.mean_loss == pytest.approx(mean)
    paid = losses[list(found.taken), np.arange(losses.shape[1])]
    assert paid.max() == worst and set(found.taken) <= set(found.chosen)


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(1, 4))
def test_the_least_worst_loss_is_that_of_counting_out(losses: Floats, backbones: int) -> None:
    size = min(backbones, len(losses))
    covers = [
        losses[list(rows)].min(axis=0).max() for rows in combinations(range(len(losses)), size)
    ]
    assert least_worst_loss(losses, backbones) == min(covers)


@settings(max_examples=60, deadline=None)
@given(tables(), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_certificate_proves_what_it_says(losses: Floats, max_loss: float) -> None:
    serves = losses <= max_loss
    size, _, _ = counted_out(losses, max_loss)
    assert certificate(serves, size) is None
    proof = certificate(serves, size - 1)
    if proof is not None:
        assert proof.sum() > size - 1 and (proof >= 0).all()
        assert (serves @ proof <= 1 + 1e-12).all()
