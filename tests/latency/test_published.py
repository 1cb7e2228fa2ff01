"""The shipped timings follow from the published figures by the stated rules."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from palmette.latency.published import MODELS, build, modern_rows, seed_rows
from palmette.space import InputError

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT.parent / "shared" / "data"
SHIPPED = ROOT / "latency" / "data" / "timings.csv"

COLUMNS = (
    "model",
    "variant",
    "device",
    "runtime",
    "compute_units",
    "precision",
    "os",
    "latency_ms",
    "source",
    "notes",
)


def figure(**values: str) -> dict[str, str]:
    """A row of published figures that counts, with some values changed."""
    given = dict(zip(COLUMNS, ("MobileNetV2", "1.0", "iPhone 13", "coreml", "all"), strict=False))
    given |= {"precision": "unknown", "os": "not stated", "latency_ms": "0.73"}
    return given | {"source": "iFormer paper, table 18, stored there", "notes": ""} | values


def test_the_shipped_table_is_what_the_figures_give_byte_for_byte() -> None:
    if not (FIGURES / "seed_latency.csv").is_file():
        pytest.skip("the published figures are not beside this repository")
    assert SHIPPED.read_bytes() == build(FIGURES).encode()


def test_rows_of_2020_name_phone_unit_and_era() -> None:
    figures = pd.DataFrame(
        {
            "network": ["mobilenet_v1", "mobilenet_v1", "fbnet_c"],
            "device": ["iPhone 11", "iPhone X", "iPhone XS"],
            "compute_unit": ["ane", "gpu", "cpu"],
            "latency_ms": ["4.1", "27.3", "20.0"],
        }
    )
    rows = seed_rows(figures)
    assert rows["target"].tolist() == [
        "iphone-11/ane@coreml-ios13",
        "iphone-x/gpu@coreml-ios12",
        "iphone-xs/cpu@coreml-ios13",
    ]
    assert rows["latency_ms"].tolist() == ["4.1", "27.3", "20.0"]
    assert rows["os_build"].tolist() == ["iOS 13", "iOS 12", "iOS 13"]


@pytest.mark.parametrize(
    "values",
    [
        {"model": "iFormer", "variant": "M"},  # attention
        {"variant": "9.9"},
        {"device": "iPhone 14"},
        {"runtime": "tflite"},
        {"compute_units": "cpu"},
        {"source": "a README"},
        {"device": "iPhone 12"},  # of another source
    ],
)
def test_figures_outside_the_rules_are_left_out(values: dict[str, str]) -> None:
    rows = modern_rows(pd.DataFrame([figure(), figure(latency_ms="9.9") | values]))
    assert rows["latency_ms"].tolist() == ["0.73"]
    assert rows["target"].tolist() == ["iphone-13/ane@coreml-ios16"]
    assert rows["source"].tolist() == ["iFormer paper, table 18"]


def test_of_two_figures_the_one_with_more_digits_counts_then_the_first() -> None:
    table = [figure(latency_ms=ms) for ms in ("0.7", "0.73", "0.75")]
    assert modern_rows(pd.DataFrame(table))["latency_ms"].tolist() == ["0.73"]


def test_digitised_figures_are_flagged() -> None:
    rows = modern_rows(pd.DataFrame([figure(notes="read off chart, +-0.05")]))
    assert rows["flags"].tolist() == ["digitised"]


def test_every_model_is_a_known_network() -> None:
    from palmette.latency.op_lists import shipped_names
    from palmette.space import ZOO

    assert set(MODELS.values()) <= {*ZOO, *shipped_names()}


def test_a_missing_file_of_figures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"seed_latency\.csv: no such file of figures"):
        build(tmp_path)
