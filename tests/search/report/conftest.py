"""A finished run's report, and a browser that lets nothing out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from palmette.search import Run
from palmette.search.report.page import write_report
from tests import browser


@pytest.fixture(scope="session")
def written(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a finished run."""
    return write_report(finished.folder.path, tmp_path_factory.mktemp("report") / "report.html")


@dataclass
class Opened:
    """A page in the browser, and what it should not have done."""

    page: Any
    faults: list[str] = field(default_factory=list)
    """Errors on the console, and requests to anywhere but this machine's files."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium; of a module, as its event loop keeps others from running."""
    with browser.chromium() as started:
        yield started


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Opened]]:
    """Opens a file in a context of its own: visit(path, width=..., color_scheme=...)."""
    contexts = []

    def opened(path: Path, width: int = 1100, height: int = 900, **options: Any) -> Opened:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        found = Opened(context.new_page())
        browser.guard(found.page, found.faults)
        found.page.goto(path.as_uri())
        found.page.wait_for_selector("html[data-ready]")
        return found

    yield opened
    for context in contexts:
        context.close()
