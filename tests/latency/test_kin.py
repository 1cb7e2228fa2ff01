"""Families: what is scaled from one layout goes together, and a table may say otherwise."""

from __future__ import annotations

import pandas as pd
import pytest

from palmette.latency.kin import kin, kin_of
from palmette.latency.op_lists import network_ops
from palmette.latency.predictor import DATA
from palmette.latency.tables import read_csv
from palmette.space import InputError


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("efficientnet_b0", "efficientnet_lite0", True),
        ("efficientnet_b0_backbone_512", "efficientnet_b3", True),
        ("mobilenet_v3_small_0.75", "mobilenet_v3_large@192x192", True),
        ("resnet18_backbone_512", "resnet50", True),
        ("mobilenet_v1", "mobilenet_v2", False),
        ("mobilenet_v2", "mobilenet_v2_1.4", True),
        ("repvit_m1.0", "repnext_m3", False),
        ("mnasnet_a1", "efficientnet_b0", False),
    ],
)
def test_kin_are_scaled_from_one_layout(one: str, other: str, same: bool) -> None:
    assert (kin_of(one) == kin_of(other)) is same


def test_a_family_has_two_designs_at_least_and_a_design_one_family() -> None:
    from pathlib import Path

    table = read_csv(Path(str(DATA / "families.csv")))
    assert not table["design"].duplicated().any()
    assert (table.groupby("family").size() >= 2).all()
    assert not set(table["family"]) & set(table["design"])


def table(*rows: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"subject_kind": "network", "subject": n, "family": f} for n, f in rows],
        columns=["subject_kind", "subject", "family"],
    )


def test_a_family_of_the_table_wins_where_it_is_filled() -> None:
    found = kin(table(("resnet18", ""), ("resnet50", "mine"), ("resnet50", ""), ("fbnet_c", "")))
    assert found == {"resnet18": "resnet", "resnet50": "mine", "fbnet_c": "fbnet_c"}


def test_a_network_in_two_families_is_refused() -> None:
    with pytest.raises(InputError, match="network 'resnet50': .* families a, b; give it one"):
        kin(table(("resnet50", "a"), ("resnet50", "b")))


def test_a_table_without_the_column_has_the_shipped_families(timings: pd.DataFrame) -> None:
    found = kin(timings.drop(columns="family", errors="ignore"))
    assert len(set(found.values())) < len(found)
    assert found["mobileone_s1"] == found["mobileone_s4"] == "mobileone"
    assert all(network_ops(name) for name in found)
