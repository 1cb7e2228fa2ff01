"""The shipped timings are what the shipped maps make of the published figures."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd
import pytest

from palmette.latency.foreign.imported import Imported
from palmette.latency.foreign.importing import import_timings
from palmette.latency.foreign.maps import find_map
from palmette.latency.tables import read_csv
from palmette.space import InputError
from palmette.space.third_party import third_party_folder

ROOT = Path(__file__).resolve().parents[2]
FIGURES = third_party_folder()
SHIPPED = ROOT / "latency" / "data" / "timings.csv"
MAPS = ("seed_latency", "iphone_latency_published")

GIVEN = {
    **{"model": "MobileNetV2", "variant": "1.0", "device": "iPhone 13", "runtime": "coreml"},
    **{"compute_units": "all", "precision": "unknown", "os": "not stated", "latency_ms": "0.73"},
    **{"source": "iFormer paper, table 18, stored there", "notes": ""},
}


def figures(path: Path, *changes: dict[str, str]) -> Imported:
    """Published figures that count, with some values changed, imported by their map."""
    pd.DataFrame([{**GIVEN, **change} for change in changes]).to_csv(path, index=False)
    return import_timings([(path, find_map("iphone_latency_published"))])


def test_the_shipped_table_is_what_the_figures_give_byte_for_byte(tmp_path: Path) -> None:
    if not (FIGURES / "seed_latency.csv").is_file():
        pytest.skip("the published figures are not beside this repository")
    imported = import_timings([(FIGURES / f"{name}.csv", find_map(name)) for name in MAPS])
    imported.write(tmp_path / "timings.csv")
    assert (tmp_path / "timings.csv").read_bytes() == SHIPPED.read_bytes()
    given = sum(len(pd.read_csv(FIGURES / f"{name}.csv")) for name in MAPS)
    assert len(imported.rows) + len(imported.left_out) == given


def test_every_published_figure_is_used_or_excluded_with_a_reason() -> None:
    """A figure that the map leaves out takes the first reason whose patterns it fits."""
    path = FIGURES / "iphone_latency_published.csv"
    if not path.is_file():
        pytest.skip("the published figures are not beside this repository")
    imported = import_timings([(path, find_map("iphone_latency_published"))])
    given = pd.read_csv(path, dtype=str, keep_default_na=False)
    rules = read_csv(ROOT / "latency" / "data" / "excluded.csv").to_dict("records")
    needed = set()
    for row in imported.left_out:
        if "times the same and is preferred" in row.reason:
            continue
        cells = given.iloc[row.row - 2]
        values = {**cells, "model": f"{cells['model']} {cells['variant']}"}
        fitting = (
            at
            for at, rule in enumerate(rules)
            if all(fnmatchcase(values[key], rule[key]) for key in ("device", "source", "model"))
        )
        needed.add(next(fitting))
    assert needed == set(range(len(rules)))
    assert all(rule["reason"] for rule in rules)


def test_rows_of_2020_name_phone_unit_and_era(tmp_path: Path) -> None:
    path = tmp_path / "seed.csv"
    path.write_text(
        "network,device,compute_unit,latency_ms\nmobilenet_v1,iPhone 11,ane,4.1\n"
        "mobilenet_v1,iPhone X,gpu,27.30\nfbnet_c,iPhone XS,cpu,20.0\nfbnet_c,iPhone X,ane,9\n"
    )
    imported = import_timings([(path, find_map("seed_latency"))])
    assert imported.rows["target"].tolist() == [
        "iphone-11/ane@coreml-ios13",
        "iphone-x/gpu@coreml-ios12",
        "iphone-xs/cpu@coreml-ios13",
    ]
    assert imported.rows["latency_ms"].tolist() == ["4.1", "27.30", "20.0"]
    assert imported.rows["os_build"].tolist() == ["iOS 13", "iOS 12", "iOS 13"]
    assert [row.row for row in imported.left_out] == [5]  # that chip opened no Neural Engine


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "iFormer", "variant": "M"}, "subject has no value for this in the map"),
        ({"variant": "9.9"}, "got 'MobileNetV2 9.9'"),
        ({"device": "iPhone 11"}, "target has no value for this in the map"),
        ({"runtime": "tflite"}, "not kept: runtime must be coreml, got 'tflite'"),
        ({"compute_units": "cpu"}, "not kept: compute_units must be all or ane, got 'cpu'"),
        ({"precision": "W8A8"}, "not kept: precision must be unknown or Float16, got 'W8A8'"),
        ({"source": "a README"}, "target has no value for this in the map"),
        ({"device": "iPhone 12"}, "target has no value for this in the map"),  # of another source
    ],
)
def test_figures_outside_the_rules_are_left_out_with_the_reason(
    tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    imported = figures(tmp_path / "a.csv", {}, {"latency_ms": "9.9"} | change)
    assert imported.rows["latency_ms"].tolist() == ["0.73"]
    assert imported.rows["target"].tolist() == ["iphone-13/ane@coreml-ios16"]
    assert imported.rows["source"].tolist() == ["iFormer paper, table 18"]
    (row,) = imported.left_out
    assert row.row == 3 and reason in row.reason


def test_of_two_figures_the_one_with_more_digits_counts_then_the_first(tmp_path: Path) -> None:
    imported = figures(tmp_path / "a.csv", *({"latency_ms": ms} for ms in ("0.7", "0.73", "0.75")))
    assert imported.rows["latency_ms"].tolist() == ["0.73"]
    assert [(row.row, row.reason) for row in imported.left_out] == [
        (2, "row 3 times the same and is preferred"),
        (4, "row 3 times the same and is preferred"),
    ]


def test_digitised_figures_are_flagged(tmp_path: Path) -> None:
    imported = figures(tmp_path / "a.csv", {"notes": "read off chart, +-0.05"})
    assert imported.rows["flags"].tolist() == ["digitised"]


def test_every_model_is_a_known_network() -> None:
    from palmette.latency.op_lists import network_ops

    subjects = find_map("iphone_latency_published").columns["subject"].values
    assert len(subjects) == 33 and all(network_ops(name) for name in subjects.values())


def test_frames_per_second_are_refused_as_latency(tmp_path: Path) -> None:
    text = 'format = "palmette/import-map@1"\n[columns]\n' + "".join(
        f'{name} = "{{{column}}}"\n'
        for name, column in {
            **{"subject_kind": "task", "subject": "network", "target": "device"},
            **{"latency_ms": "frames_per_second", "source": "source"},
        }.items()
    )
    path = tmp_path / "fps.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match="'frames_per_second' is throughput, not latency"):
        find_map(str(path))
