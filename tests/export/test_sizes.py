"""Sizes that a package takes: read from text, checked, and said back the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmette.export import ExportOptions, export
from palmette.export.sizes import SizeRange, Sizes, read_range, read_size, read_sizes
from palmette.space import Architecture, InputError

SIDES = st.integers(1, 4096)
PAIRS = st.tuples(SIDES, SIDES)


def test_one_number_is_a_square_and_height_comes_first() -> None:
    assert read_size("224", "size") == (224, 224)
    assert read_size(" 192x256", "size") == (192, 256)


@given(st.lists(PAIRS, min_size=2, max_size=5, unique=True))
def test_sizes_are_read_as_they_are_written(every: list[tuple[int, int]]) -> None:
    sizes = Sizes(tuple(every))
    assert read_sizes(sizes.to_text(), "sizes") == sizes
    assert all(sizes.holds(size) for size in sizes.samples())


@given(PAIRS, st.tuples(st.integers(0, 99), st.integers(1, 99)))
def test_a_range_is_read_as_it_is_written_and_holds_its_corners(
    least: tuple[int, int], more: tuple[int, int]
) -> None:
    most = (least[0] + more[0], least[1] + more[1])
    sizes = SizeRange(least, most)
    assert read_range(sizes.to_text(), "range") == sizes
    assert {least, most} <= set(sizes.samples())
    assert all(sizes.holds(size) for size in sizes.samples())
    assert not sizes.holds((most[0], most[1] + 1)) and not sizes.holds((least[0] - 1, least[1]))


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_size, "", "HEIGHTxWIDTH"),
        (read_size, "224x", "got '224x'"),
        (read_size, "224*224", "HEIGHTxWIDTH"),
        (read_size, "-3", "HEIGHTxWIDTH"),
        (read_size, "0x4", "whole px"),
        (read_sizes, "224", "from 2 to 128 can be enumerated, got 1"),
        (read_sizes, "224,224x224", "224x224 comes twice"),
        (read_sizes, "224,,192", "HEIGHTxWIDTH"),
        (read_range, "160-320", "LEAST..MOST"),
        (read_range, "320..160", "must grow"),
        (read_range, "160..160", "must grow"),
        (read_range, "160x320..320x160", "must grow"),
    ],
)
def test_an_unknown_form_is_refused(
    read: Callable[[str, str], object], text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(text, "here")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (Sizes(((64, 64), (96, 96))), "the network's own, 32x48, is not in 64x64,96x96"),
        (SizeRange((33, 33), (64, 64)), "is not in 33x33..64x64"),
    ],
)
def test_the_networks_own_size_must_be_among_them(
    small: Architecture, tmp_path: Path, sizes: Sizes | SizeRange, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export(small, tmp_path / "x", options=ExportOptions(sizes=sizes))


def test_heads_that_belong_to_one_size_are_refused(
    detector: Architecture, segmenter: Architecture, tmp_path: Path
) -> None:
    for network in (detector, segmenter):
        sizes = Sizes((network.resolution, (96, 96)))
        with pytest.raises(InputError, match="is made for one size"):
            export(network, tmp_path / "x", options=ExportOptions(sizes=sizes))
