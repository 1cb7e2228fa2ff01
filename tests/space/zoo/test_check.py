"""`check`: our counts beside the published, differences, shares, and who must say why."""

from typing import Any

import pytest

from palmette.space import ZOO, Architecture, load
from palmette.space.zoo import Reference
from palmette.space.zoo import check as check_module
from palmette.space.zoo.check import _nearer, _share, check, compared, is_apart

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
        "recounted_macs_m": None,
        "recount_difference": None,
        "recount_px": 32,
        "recount_source": "",
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
    shares = {"params": ("share_params_ok", 0.02), "macs": ("share_macs_ok_authors", 0.03)}
    for count, (share, within) in shares.items():
        known = [row for row in found["rows"] if row[f"published_{count}_m"] is not None]
        near = [row for row in known if abs(row[f"{count}_difference"]) <= within]
        assert found[share] == pytest.approx(len(near) / len(known), abs=1e-4)
    others = [row for row in found["rows"] if row["recounted_macs_m"] is not None]
    # each of them is off the authors' figure, and most are what others count
    assert all(abs(row["macs_difference"]) > 0.03 for row in others)
    counted = [row for row in others if abs(row["recount_difference"]) <= 0.03]
    gained = (found["share_macs_ok"] - found["share_macs_ok_authors"]) * len(known)
    assert round(gained) == len(counted) > len(others) / 2
    assert all(row["note"] and row["recount_source"] for row in others)


@pytest.mark.parametrize(("note", "ok"), [("a reason", 1.0), ("", 0.0)])
def test_a_recount_at_its_own_resolution_counts_where_the_note_sets_the_authors_apart(
    note: str, ok: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_16_px = (MACS - 32) / 4 + 32
    others = {"recounted_macs_m": at_16_px / 1e6, "recount_px": 16, "recount_source": "others"}
    reference = Reference(TEXT, None, 1.0, None, "", "a paper", note, **others)
    monkeypatch.setattr(check_module, "ZOO", {"it": reference})
    monkeypatch.setattr(check_module, "FAMILY_OF", {"it": "family"})
    monkeypatch.setattr(check_module, "load", lambda _: Architecture.from_text(TEXT))
    row = compared("it")
    assert row["recount_px"] == 16 and row["recount_difference"] == 0
    assert _share([_nearer(row)], 0.03) == ok
    assert _share([row["macs_difference"]], 0.03) == 0


def test_every_network_that_is_apart_says_why() -> None:
    assert all(row["note"] for row in check()["rows"] if is_apart(row))
