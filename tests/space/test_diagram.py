"""A network's diagram has every block once, its shapes, and nothing that runs or loads."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from palmette.space import MOBILENET_LIKE, ZOO, Architecture, load
from palmette.space.diagram import diagram
from palmette.space.markup import facts, table, titled

VOID = ("br", "hr", "img", "input", "link", "meta")


class Checked(HTMLParser):
    """Text of HTML whose tags are closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.boxes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe", "style")
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        self.boxes += [data] if self.open[-1] == "code" else []


def read(html: str) -> Checked:
    checked = Checked()
    checked.feed(html)
    checked.close()
    assert checked.open == []
    return checked


def texts_of(html: str) -> list[str]:
    return read(html).texts


def blocks_in(boxes: list[str]) -> int:
    """A box with `× n` stands for n blocks."""
    counts = [re.search(" × ([0-9]+)$", box) for box in boxes]
    return sum(int(found.group(1)) if found else 1 for found in counts)


@pytest.mark.parametrize("name", ZOO)
def test_every_block_of_every_network_is_there_once(name: str) -> None:
    network = load(name)
    shown = read(network._repr_html_())
    assert f"Architecture {network.id}" in shown.texts
    names = ["stem", *(f"stage {i + 1}" for i in range(len(network.stages))), "head"]
    rest = [text for text in shown.texts if text not in shown.boxes or text == "head"]
    assert [text for text in rest if text in names][: len(names)] == names
    assert blocks_in(shown.boxes) == 2 + sum(map(len, network.stages))


def test_shapes_are_those_behind_each_part() -> None:
    texts = texts_of(diagram(load("mobilenet_v2")))
    shapes = [text for text in texts if text.startswith(("→", "from"))]
    assert shapes[0] == "→ 32 × 112 × 112"
    assert shapes[-2:] == ["→ 320 × 7 × 7", "from 320 × 7 × 7"]
    wide = Architecture.from_text("96x64 stem_k3_s2_c8_relu | ds_k3_s2_c16_relu | head_n10")
    texts = texts_of(diagram(wide))
    assert "image 3 × 96 × 64" in texts and "→ 16 × 24 × 16" in texts


def test_notes_stand_beside_their_part_and_are_escaped() -> None:
    html = diagram(load("mobilenet_v2"), {"stage 2": "<b>0.1 ms</b>"})
    assert "<b>" not in html and "<b>0.1 ms</b>" in texts_of(html)


def test_whatever_is_shown_is_escaped() -> None:
    nasty = '<script>alert("x")</script>&'
    for html in (
        titled(nasty),
        titled("a", facts({nasty: nasty})),
        titled("a", table([nasty], [[nasty]])),
    ):
        assert nasty in texts_of(html)


def test_a_diagram_is_small_and_needs_no_torch() -> None:
    assert max(len(load(name)._repr_html_()) for name in MOBILENET_LIKE) < 10_000
    code = (
        "import sys; from palmette.space import load; load('mobilenet_v2')._repr_html_();"
        " sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
