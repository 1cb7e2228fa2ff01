"""The site builds without a warning, and opens from the disk in a browser that lets nothing out."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import browser

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.sweep


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, "docs/site", str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


class Visitor:
    """A page in the browser, and what it should not have done."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.faults: list[str] = []
        browser.guard(page, self.faults)
        page.on("requestfailed", lambda request: self.faults.append(request.url))


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    with browser.chromium() as started:
        context = started.new_context(viewport={"width": 1200, "height": 900})
        yield Visitor(context.new_page())


def test_the_front_door_leads_to_pages_that_all_open(site: Path, visitor: Visitor) -> None:
    page = visitor.page
    page.goto((site / "index.html").as_uri())
    page.wait_for_url("**/docs/index.html")
    links = page.eval_on_selector_all("article a.reference.internal", "all => all.map(a => a.href)")
    pages = sorted({link.partition("#")[0] for link in links})
    assert len(pages) > 35
    for link in pages:
        page.goto(link)
        assert page.inner_text("article h1") != ""
        assert page.evaluate("[...document.images].every(one => one.naturalWidth > 0)"), link
    assert visitor.faults == []


def test_a_search_finds_the_class(site: Path, visitor: Visitor) -> None:
    page = visitor.page
    page.goto((site / "docs" / "index.html").as_uri())
    page.fill("input[name=q]", "Architecture")
    page.press("input[name=q]", "Enter")
    result = page.wait_for_selector("#search-results li a[href*='palmette.space.Architecture']")
    result.click()
    page.wait_for_url("**/docs/reference/api/space.html*palmette.space.Architecture")
    assert "One network: input resolution" in page.inner_text(
        "dl.class:has(#palmette\\.space\\.Architecture)"
    )
    assert visitor.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_does_not_scroll_sideways(site: Path, visitor: Visitor, scheme: str) -> None:
    page = visitor.page
    page.set_viewport_size({"width": 360, "height": 760})
    page.emulate_media(color_scheme=scheme)
    for name in ("docs/index", "docs/results/latency", "docs/reference/api/search", "README"):
        page.goto((site / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
    assert visitor.faults == []


def test_the_reference_says_types_and_values_as_users_write_them(site: Path) -> None:
    pages = sorted((site / "docs" / "reference" / "api").glob("*.html"))
    assert len(pages) > 20
    for path in pages:
        text = path.read_text("utf-8")
        assert "ForwardRef" not in text and "Return type" not in text, path.name
        assert not re.search(r"=</span>.{0,80} object at 0x", text), path.name


def test_every_page_of_the_sources_was_written(site: Path) -> None:
    sources = site.with_name("site-source")
    pages = [path.relative_to(sources).with_suffix(".html") for path in sources.rglob("*.md")]
    assert len(pages) > 60 and all((site / page).is_file() for page in pages)
