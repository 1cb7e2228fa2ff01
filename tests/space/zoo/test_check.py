"""`check`: our counts beside the published, differences, shares, and who must say why."""

from typing import Any

import pytest

from palmette.space import ZOO, load
from palmette.space.zoo import Reference
from palmette.space.zoo.check import check, compared, is_apart

# 3x3 of the stem, BatchNorm, classifier: 216 + 16 + 36 parameters, 216 x 256 + 32 MACs
TEXT = "32x32 stem_k3_s2_c8_relu | cn_r1_k1_s1_c8_relu | head_n4"
PARAMS, MACS = 216 + 16 + 64 + 16 + 36, 216 * 256 + 64 * 256 + 32


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Row of a small network with these published figures, in millions."""

    def row(params_m: float | None, macs_m: float | None) -> dict[str, Any]:
        reference = Reference(TEXT, params_m, macs_m, None, "", "a paper", "a reason")
        monkeypatch.setitem(ZOO, "mobilenet_v2", reference)
        load.cache_clear()
        found = compared("mobilenet_v2")
        load.cache_clear()
        return found

    return row


def test_a_row_has_both_counts_and_by_how_much_ours_is_above(made: Any) -> None:
    row = made(PARAMS / 1e6 / 1.01, MACS / 1e6 / 0.96)
    assert row == {
        "name": "mobilenet_v2",
        "family": "mobilenet",
        "params_m": round(PARAMS / 1e6, 3),
        "published_params_m": PARAMS / 1e6 / 1.01,
        "params_difference": 0.01,
        "macs_m": round(MACS / 1e6, 1),
        "published_macs_m": MACS / 1e6 / 0.96,
        "macs_difference": -0.04,
        "note": "a reason",
        "source": "a paper",
    }
    assert is_apart(row)


@pytest.mark.parametrize(
    ("params_off", "macs_off", "apart"),
    [(0.019, 0.029, False), (0.021, 0.0, True), (0.0, -0.031, True), (None, None, False)],
)
def test_two_percent_of_the_parameters_and_three_of_the_macs_need_no_word(
    made: Any, params_off: float | None, macs_off: float | None, apart: bool
) -> None:
    row = made(
        None if params_off is None else PARAMS / 1e6 / (1 + params_off),
        None if macs_off is None else MACS / 1e6 / (1 + macs_off),
    )
    assert (row["params_difference"] is None) == (params_off is None)
    assert is_apart(row) is apart


def test_shares_are_of_the_networks_with_a_published_figure() -> None:
    found = check()
    assert found["networks"] == len(found["rows"]) == len(ZOO) >= 60
    for count, within in (("params", 0.02), ("macs", 0.03)):
        known = [row for row in found["rows"] if row[f"published_{count}_m"] is not None]
        near = [row for row in known if abs(row[f"{count}_difference"]) <= within]
        assert found[f"share_{count}_ok"] == pytest.approx(len(near) / len(known), abs=1e-4)


def test_every_network_that_is_apart_says_why() -> None:
    assert all(row["note"] for row in check()["rows"] if is_apart(row))
