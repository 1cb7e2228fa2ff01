"""Order of a run: everything once, anchors first, last and between."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from palmette.latency.suite.order import EVERY, run_order


@given(st.integers(0, 90), st.integers(0, 4), st.integers(0, 3))
def test_others_come_once_and_anchors_first_last_and_between(
    count: int, anchors: int, seed: int
) -> None:
    others, again = [f"s{at}" for at in range(count)], [f"a{at}" for at in range(anchors)]
    order = run_order(others, again, seed)
    assert sorted(one for one in order if one[0] == "s") == sorted(others)
    runs = [(key, len(list(own))) for key, own in itertools.groupby(one[0] for one in order)]
    if anchors and count:
        assert runs[0] == runs[-1] == ("a", anchors)
        assert all(length == anchors for key, length in runs if key == "a")
        lengths = [length for key, length in runs if key == "s"]
        assert max(lengths) <= EVERY and len(lengths) == -(-count // EVERY)
    assert set(order[:anchors]) == set(order[len(order) - anchors :]) == set(again)


def test_the_order_follows_from_the_seed_and_is_no_order_of_the_plan() -> None:
    others = list(range(60))
    orders = [run_order(others, [-1], seed) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert [one for one in orders[0] if one >= 0] != others
