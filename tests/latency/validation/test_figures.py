"""A whole validation of one family: its metrics, tables and figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from palmette.latency.validation.figures import figures, write_figures
from palmette.latency.validation.tables import tables
from palmette.latency.validation.validate import Validation, report, run
from palmette.space.look import INK, PLOTLY_FILE

pytestmark = pytest.mark.sweep


@pytest.fixture(scope="module")
def modern(timings: pd.DataFrame) -> pd.DataFrame:
    return timings[timings["target"].str.endswith("ios16")]


@pytest.fixture(scope="module")
def found(modern: pd.DataFrame) -> Validation:
    return run(modern, "mnasnet")


def test_metrics_are_plain_numbers(found: Validation) -> None:
    assert found.metrics["targets"] == 2 and found.metrics["monotonicity_violations"] == 0
    assert found.metrics["lono_mape_mobilenet_like"] is None  # no target of 2020
    json.dumps(found.metrics, allow_nan=False)


def test_every_table_has_as_many_cells_as_columns(found: Validation) -> None:
    listed = tables(found)
    assert len({title for title, _, _ in listed}) == len(listed)
    for title, columns, rows in listed:
        assert rows, title
        assert all(len(row) == len(columns) for row in rows), title


def test_a_table_shows_the_figures_of_the_rows(found: Validation) -> None:
    columns, rows = tables(found)[0][1:]
    shown = dict(zip(columns, rows[0], strict=True))
    assert shown["target"] == "iphone-13/ane" and shown["n"] == "19"
    assert shown["MAPE"] == f"{found.metrics['lono_mape_modern']:.1f}"


def test_figures_hold_all_points(found: Validation) -> None:
    drawn = figures(found)
    line, *traces = drawn["predicted_against_measured"].figure.data
    assert line.mode == "lines" and [len(trace.x) for trace in traces] == [19, 15]
    line, networks, families = drawn["calibration"].figure.data
    assert list(networks.x) == [0.5, 0.7, 0.8, 0.9]
    assert networks.y[2] == pytest.approx(found.metrics["coverage_80"])
    assert families.y[2] == pytest.approx(found.metrics["lofo_coverage_80"])
    bars = drawn["errors_beside_baselines"].figure.data
    assert len(bars) == 6 and bars[0].y[0] == pytest.approx(found.metrics["lono_mape_modern"])
    assert len(drawn["learning_curves"].figure.data) == 2
    assert sum(len(t.x) for t in drawn["one_change"].figure.data[1:]) == len(found.compared)


def test_an_interval_in_the_figure_is_that_of_the_row(found: Validation) -> None:
    trace = figures(found)["predicted_against_measured"].figure.data[1]
    row = next(r for r in found.rows if r.subject == trace.text[0])
    ms, factor = row.predicted_ms, row.factors[0.8]
    assert trace.y[0] + trace.error_y.array[0] == pytest.approx(ms * factor)
    assert trace.y[0] - trace.error_y.arrayminus[0] == pytest.approx(ms / factor)


def test_pages_are_the_same_byte_for_byte_and_share_one_script(
    found: Validation, tmp_path: Path
) -> None:
    first = write_figures(found, tmp_path / "one")
    second = write_figures(found, tmp_path / "two")
    assert [page.name for page in first] == [f"{name}.html" for name in figures(found)]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
        text = one.read_text("utf-8")
        assert f'src="{PLOTLY_FILE}"' in text and INK in text
        assert f'id="{one.stem}"' in text
        assert len(text) < 100_000
        assert not re.search(r'(src|href)="https?://', text)  # nothing is fetched
    assert (tmp_path / "one" / PLOTLY_FILE).stat().st_size > 1_000_000


def test_a_report_with_a_folder_writes_the_figures(
    modern: pd.DataFrame, found: Validation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palmette.latency.validation.validate.run", lambda timings: found)
    listed, metrics = report(modern, tmp_path / "figures")
    assert metrics == found.metrics and listed == tables(found)
    assert (tmp_path / "figures" / "calibration.html").exists()
