"""The report in a real browser: what a reader does, with the mouse, the keyboard or a phone."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from palmette.search import Run
from palmette.space import Architecture

Visit = Callable[..., Any]
POINTS = ".point[role=radio]"
TOKENS = ("ink", "quiet", "front", "pick", "reference", "budget")


@pytest.fixture
def other(finished: Run) -> int:
    """A row of the front that is not the pick."""
    return next(index for index, pick in enumerate(finished.front["pick"]) if not pick)


def words(page: Any) -> str:
    return str(page.text_content("#network-words"))


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_the_page_opens_on_the_pick_without_a_fault(
    visit: Visit, written: Path, finished: Run
) -> None:
    opened = visit(written)
    assert finished.pick.id[:8] in words(opened.page)
    assert opened.page.locator(POINTS).count() == len(finished.front)
    assert opened.faults == []


def test_hovering_over_a_point_tells_what_it_is(
    visit: Visit, written: Path, finished: Run, other: int
) -> None:
    page = visit(written).page
    assert page.is_hidden("#tip")
    page.hover(f'{POINTS}[data-index="{other}"]', force=True)
    row = finished.front.iloc[other]
    assert page.text_content("#tip").startswith(row["id"][:8])
    assert f"top-1 {row['top1']:.1f} %" in page.text_content("#tip")
    page.hover("h1")
    assert page.is_hidden("#tip")


def test_the_panels_follow_a_selected_point(
    visit: Visit, written: Path, finished: Run, other: int
) -> None:
    opened = visit(written)
    page, row = opened.page, finished.front.iloc[other]
    before = page.inner_html("#diagram"), page.inner_html("#waterfall"), page.inner_html("#others")
    page.dispatch_event(f'{POINTS}[data-index="{other}"]', "click")
    assert row["id"][:8] in words(page)
    assert page.text_content("#network-text") == row["architecture"]
    after = page.inner_html("#diagram"), page.inner_html("#waterfall"), page.inner_html("#others")
    assert all(old != new for old, new in zip(before, after, strict=True))
    network = Architecture.from_text(row["architecture"])
    assert page.locator("#diagram .stage").count() == len(network.stages) + 2
    assert f"{row['ms']:.3g} ms" in page.text_content("#waterfall text:last-of-type")
    page.click("#to-pick")
    assert "(the pick)" in words(page)
    assert opened.faults == []


def test_the_waterfall_shows_stages_or_ops_that_end_at_the_whole(
    visit: Visit, written: Path
) -> None:
    page = visit(written).page
    for button in ("#by-stage", "#by-op"):
        page.click(button)
        bars = page.eval_on_selector_all(
            "#waterfall rect",
            "all => all.map(one => [+one.getAttribute('x'), +one.getAttribute('width')])",
        )
        *parts, whole = bars
        # a bar of next to nothing is drawn one pixel wide
        assert parts[-1][0] + parts[-1][1] == pytest.approx(whole[0] + whole[1], abs=1)
        assert [x for x, _ in parts] == sorted(x for x, _ in parts)
    assert len(bars) > 20
    assert page.get_attribute("#by-op", "aria-pressed") == "true"


def test_filters_leave_the_networks_that_have_the_choice(
    visit: Visit, written: Path, finished: Run
) -> None:
    page = visit(written).page
    sides = finished.front["resolution"].astype(str)
    for side in sides.unique():
        page.select_option("#filter-resolution", label=side)
        count = int((sides == side).sum())
        assert page.locator(POINTS).count() == count
        assert page.text_content("#filter-count") == f"{count} of {len(sides)} networks"
    page.select_option("#filter-resolution", label="any")
    page.select_option("#filter-gene", label="stage2.kernel")
    page.select_option("#filter-value", label="3")
    fits = finished.front["architecture"].str.split(" | ", regex=False).str[2].str.contains("_k3_")
    assert page.locator(POINTS).count() == int(fits.sum())


def test_everything_can_be_reached_and_changed_by_the_keyboard(visit: Visit, written: Path) -> None:
    page = visit(written).page
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('role')") == "radio":
            break
    focused = "document.activeElement.dataset.index"
    at = int(page.evaluate(focused))
    page.keyboard.press("Home")
    assert page.evaluate(focused) == "0"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "1" != at
    assert page.get_attribute(f'{POINTS}[data-index="1"]', "aria-checked") == "true"
    assert page.text_content("#tip").split()[0] in words(page)
    page.keyboard.press("Escape")
    assert page.is_hidden("#tip")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_page_without_scrolling_sideways_in_readable_colours(
    visit: Visit, written: Path, scheme: str
) -> None:
    page = visit(written, width=360, color_scheme=scheme).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    shown = "all => all.map(one => one.getBoundingClientRect().right)"
    assert max(page.eval_on_selector_all("#others td", shown)) <= 360
    first = page.eval_on_selector_all(
        "#others tbody tr:first-child td",
        "all => all.map(one => getComputedStyle(one, '::before').content)",
    )
    assert first == ['"chosen"', '"instead"', '"ms"', '"points"', '"verdict"']
    paper, soft, *inks = page.evaluate(
        "names => names.map(name => getComputedStyle(document.documentElement)"
        ".getPropertyValue('--' + name).trim())",
        ["paper", "soft", *TOKENS],
    )
    assert (luminance(paper) < 0.1) == (scheme == "dark")
    for name, ink in zip(TOKENS, inks, strict=True):
        assert re.fullmatch("#[0-9a-f]{6}", ink)
        assert contrast(ink, paper) >= 4.5, name
    assert min(contrast(ink, soft) for ink in inks[:2]) >= 4.5


def test_figures_have_words_and_print_leaves_the_controls_out(visit: Visit, written: Path) -> None:
    page = visit(written, color_scheme="dark").page
    labels = page.eval_on_selector_all(
        ".figure svg", "all => all.map(one => one.getAttribute('aria-label'))"
    )
    assert len(labels) == 3
    assert all(labels)
    page.emulate_media(media="print")
    assert page.is_hidden(".filters")
    assert page.is_visible("#front-figure svg")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
