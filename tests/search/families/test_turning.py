"""Turning to a time: the least turn that reaches it, and few questions."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from palmette.search.families.changes import Knob
from palmette.search.families.turning import reaching
from palmette.space import Architecture, InputError

BASE = Architecture.from_text("64x64 stem_k3_s2_c8_relu | ds_r1_k3_s2_c8_relu | head")
BROKEN = st.sets(st.integers(1, 59), max_size=20)


def numbered(height: int) -> Architecture:
    return BASE.with_resolution(height)


@given(st.integers(2, 60), st.integers(0, 3600), st.integers(1, 3), BROKEN)
def test_the_least_turn_that_reaches_the_goal_is_found(
    now: int, goal: int, power: int, broken: set[int]
) -> None:
    asked: list[int] = []

    def change(value: int) -> Architecture:
        if value in broken:
            raise InputError("not allowed")
        return numbered(3 + value)

    def times(networks: Sequence[Architecture]) -> list[float]:
        asked.extend(network.resolution[0] - 3 for network in networks)
        return [float((network.resolution[0] - 3) ** power) for network in networks]

    one = Knob("height", now, tuple(range(now - 1, 0, -1)), change)
    found = reaching([one], float(now**power), min(float(goal), now**power - 1.0), times)
    right = [v for v in one.values if v not in broken and v**power <= min(goal, now**power - 1)]
    assert [turned.words for turned in found] == [f"height {now} -> {v}" for v in right[:1]]
    assert len(asked) == len(set(asked))
