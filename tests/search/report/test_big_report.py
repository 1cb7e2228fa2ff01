"""A report of ten thousand trials stays light; screenshots for the documentation.

PALMETTE_SCREENSHOTS=1 writes them to `docs/`; otherwise they go to a folder of the test.
"""

import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from palmette.search import run
from palmette.search.report.page import write_report

ROOT = Path(__file__).parents[3]
OPENED_MS = (
    "new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
)
MOST_SCREENSHOT_BYTES = 150_000
SCREENSHOTS = {
    "report.png": ("answer", 900, 1080, "light"),
    "report-network.png": ("network", 900, 900, "light"),
    "report-phone.png": ("front", 360, 760, "dark"),
}
"""Name of the file, and what stands at its top, width and height in px, colour scheme."""

Visit = Callable[..., Any]


@pytest.mark.slow
def test_ten_thousand_trials_open_in_two_seconds_and_weigh_under_six_megabytes(
    visit: Visit, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"sampler": "random", "warm_start": False, "trials": 10_000}
    run("iphone-13/ane", 1.0, tmp_path / "run", **options)
    path = write_report(tmp_path / "run")
    took = []
    for _ in range(5):
        opened = visit(path)
        took.append(opened.page.evaluate(OPENED_MS) / 1000)  # from navigation to the first frame
        assert opened.faults == []
    size = path.stat().st_size / 1e6
    print(f"\nreport of 10,000 trials: {size:.2f} MB, opens in {statistics.median(took):.2f} s")
    assert size < 6
    assert statistics.median(took) < 2
    page = opened.page
    assert page.get_attribute(".cloud", "d").count("M") == 10_000
    page.select_option("#filter-resolution", label="192")
    assert 0 < page.get_attribute(".cloud", "d").count("M") < 10_000


@pytest.mark.sweep
def test_screenshots_are_small(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the page names its run's folder
    kept = bool(os.environ.get("PALMETTE_SCREENSHOTS"))
    out = ROOT / "docs" if kept else tmp_path
    folder = Path("runs/first")
    run("iphone-13/ane", 1.0, folder, **({} if kept else {"evaluations": 20_000}))
    path = write_report(folder).absolute()
    for name, (place, width, height, scheme) in SCREENSHOTS.items():
        page = visit(path, width=width, height=height, color_scheme=scheme).page
        page.evaluate("place => document.getElementById(place).scrollIntoView()", place)
        page.screenshot(path=out / name)
        assert (out / name).stat().st_size < MOST_SCREENSHOT_BYTES
