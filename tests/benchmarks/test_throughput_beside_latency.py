"""The table of published throughput: what stands beside what, and bad rows are named."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from palmette.latency import load_predictor
from palmette.space import InputError, load

HEADER = "network,resolution,runtime,device,frames_per_second,source"


def test_every_published_row_of_a_device_with_a_target_is_there(benchmark: ModuleType) -> None:
    published = pd.read_csv(benchmark.PUBLISHED)
    assert len(published) == 27
    rows = benchmark.beside()
    with_target = published[published["device"].isin(benchmark.TARGETS)]
    assert [row["published_fps"] for row in rows] == with_target["frames_per_second"].tolist()
    assert len(rows) == 12
    assert {row["zoo"] for row in rows} == set(benchmark.ZOO.values())


def test_a_row_holds_the_prediction_of_its_network_and_says_what_it_is(
    benchmark: ModuleType,
) -> None:
    row = next(r for r in benchmark.beside() if r["network"] == "MobileNet V2 + SSDLite")
    network = load("mobilenet_v2_ssdlite").with_resolution(300)
    ms = load_predictor(row["target"]).predict([network])[0]
    assert row["predicted_ms"] == round(ms, 2)
    assert row["images_per_second_one_by_one"] == round(1000 / ms, 1)
    assert row["published_kind"] == "throughput with triple buffering, not latency"


def test_the_stored_table_names_the_same_rows(benchmark: ModuleType) -> None:
    stored = pd.read_csv(benchmark.RESULTS)
    names = ["network", "runtime", "device", "published_fps", "published_kind"]
    found = pd.DataFrame(benchmark.beside())[names]
    pd.testing.assert_frame_equal(stored[names], found)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("YOLO,224,metal,iPhone X,12,me", "row 2: network must be one of MobileNet V1, "),
        ("MobileNet V1,224,metal,iPhone X,fast,me", "row 2: frames_per_second must be a positive"),
        ("MobileNet V1,big,metal,iPhone X,12,me", "row 2: resolution must be a number of px"),
        ("MobileNet V1,224,metal,iPhone X,-1,me", "row 2: frames_per_second must be a positive"),
    ],
)
def test_a_bad_row_is_named(benchmark: ModuleType, tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "fps.csv"
    path.write_text(f"{HEADER}\n{row}\n", "utf-8")
    with pytest.raises(InputError, match=f"fps.csv: {said}"):
        benchmark.beside(path)


def test_a_missing_column_is_named(benchmark: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "fps.csv"
    path.write_text("network,resolution\nMobileNet V1,224\n", "utf-8")
    with pytest.raises(InputError, match="fps.csv: column 'runtime' is missing"):
        benchmark.beside(path)
