"""Promises of small arrays, worked by hand: kept ones pass, each broken one is named."""

import numpy as np
import pytest

from palmette.export import ExportError
from palmette.export.compression.promises import check_promise
from palmette.export.compression.schemes import Palettise, Prune, Quantise, Step

ROW = np.array([[4.0, -1.0, 0.5, 2.0]], np.float16)


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float16)


@pytest.mark.parametrize(
    ("step", "after"),
    [
        (Prune(50), row(4, 0, 0, 2)),
        (Palettise(1), row(3, 0, 0, 3)),
        (Palettise(2), ROW),
        # the scale is 4 / 7
        (Quantise(4), row(4, -8 / 7, 4 / 7, 16 / 7)),
        (Quantise(4, block=2), row(4, -8 / 7, 4 / 7, 2)),
    ],
)
def test_a_kept_promise_passes(step: Step, after: np.ndarray) -> None:
    check_promise(step, ROW, after, "layer")


@pytest.mark.parametrize(
    ("step", "after", "rule"),
    [
        (Prune(50), row(4, 0, 0, 2.5), "changed weights that it kept"),
        (Prune(50), row(4, -1, 0, 0), "larger than one it kept"),
        (Prune(75), row(4, 0, 0, 2), "only 2 of 4 weights are zero"),
        (Palettise(1), row(4, -1, 0.5, 4), "3 values, more than 1 bits have"),
        (Palettise(1), row(3, 0, 0, 0), "not the nearest value"),
        (Quantise(4), row(4, -1.5, 4 / 7, 16 / 7), "more than half a scale"),
    ],
)
def test_a_broken_promise_is_named(step: Step, after: np.ndarray, rule: str) -> None:
    with pytest.raises(ExportError, match=f"^layer: .*{rule}"):
        check_promise(step, ROW, after, "layer")


def test_a_table_is_of_its_group_of_channels() -> None:
    before = np.array([[1.0], [2.0], [8.0], [9.0]], np.float16)
    check_promise(Palettise(1, group=2), before, before, "layer")
    with pytest.raises(ExportError, match="4 values"):
        check_promise(Palettise(1), before, before, "layer")


def test_a_joint_scheme_leaves_zeros_alone_and_counts_the_rest() -> None:
    pruned = row(4, 0, 0, 2)
    check_promise(Palettise(1), pruned, row(4, 0, 0, 2), "layer", joint=True)
    with pytest.raises(ExportError, match="pruned is not zero"):
        check_promise(Palettise(1), pruned, row(4, 2, 0, 2), "layer", joint=True)


def test_more_codes_than_bits_have_are_found() -> None:
    before = np.linspace(-1, 1, 64, dtype=np.float16).reshape(1, 64)
    with pytest.raises(ExportError, match="more than half a scale|more values than 4 bits"):
        check_promise(Quantise(4), before, before, "layer")


def test_a_scale_too_small_for_half_precision_is_not_held_against_a_channel() -> None:
    largest = 1139 * 2.0**-20  # its 127th part lies between two numbers of half precision
    exact = largest / 127
    before = row(largest, 120.4 * exact)
    stored = float(np.float16(exact))
    codes = np.round(before.astype(np.float64) / exact)
    after = (codes * stored).astype(np.float16)
    moved = np.abs(after.astype(np.float64) - before)
    assert moved.max() > 0.5 * exact + np.abs(before).max() * 2.0**-10
    check_promise(Quantise(8), before, after, "layer")
