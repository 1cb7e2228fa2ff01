"""A finished run's report, and a browser that lets nothing out."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from palmette.search import Run
from palmette.search.report.page import write_report


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
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Opened]]:
    """Opens a file in a context of its own: visit(path, width=..., color_scheme=...)."""
    contexts = []

    def opened(path: Path, width: int = 1100, height: int = 900, **options: Any) -> Opened:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        found = Opened(context.new_page())

        def route(one: Any) -> None:
            if one.request.url.startswith(("file:", "data:")):
                one.continue_()
            else:
                found.faults.append(one.request.url)
                one.abort()

        context.route("**/*", route)
        found.page.on("console", lambda message: found.faults.append(message.text))
        found.page.on("pageerror", lambda error: found.faults.append(str(error)))
        found.page.goto(path.as_uri())
        found.page.wait_for_selector("html[data-ready]")
        return found

    yield opened
    for context in contexts:
        context.close()
