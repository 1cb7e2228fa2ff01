"""A headless Chromium for tests of pages, and a guard of what a page asks for and complains of."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def chromium(passed: str = "", **options: Any) -> Iterator[Any]:
    """Debian's browser; skips the test where it or its driver is absent.

    Args:
        passed: what the test has shown already, for the reason of a skip.
        options: of playwright's `launch`.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason=f"{passed}needs playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip(f"{passed}needs Debian's chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"], **options)
        yield browser
        browser.close()


def guard(page: Any, faults: list[str]) -> None:
    """Note errors on the console, and stop requests to anywhere but this machine's files."""

    def route(one: Any) -> None:
        if one.request.url.startswith(("file:", "data:")):
            one.continue_()
        else:
            faults.append(one.request.url)
            one.abort()

    page.context.route("**/*", route)
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
