"""The Swift of a bundle is Swift, and reads what the manifest writes. No compiler is at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tree_sitter_swift
from tree_sitter import Language, Node, Parser

from palmette.search.bundle.folder import TEMPLATES
from palmette.search.bundle.manifest import FORMAT, UNITS

SOURCES = sorted(TEMPLATES.rglob("*.swift"))
MANIFEST = json.loads(Path(__file__).with_name("manifest.json").read_text("utf-8"))
PARSER = Parser(Language(tree_sitter_swift.language()))


def parse(source: bytes) -> Node:
    return PARSER.parse(source).root_node


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def structs() -> dict[str, dict[str, str]]:
    """Stored properties with their types, by struct of the manifest's source."""
    source = next(path for path in SOURCES if path.name == "Manifest.swift")
    found = {}
    for node in walk(parse(source.read_bytes())):
        if node.type != "class_declaration" or node.children_by_field_name("name") == []:
            continue
        (name,), (body,) = (node.children_by_field_name(field) for field in ("name", "body"))
        lines = [child.text.decode() for child in body.children if child.text is not None]
        fields = (re.fullmatch(r"public let (\w+): (.+)", line) for line in lines)
        assert name.text is not None
        found[name.text.decode()] = {f.group(1): f.group(2) for f in fields if f is not None}
    return found


def snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter.group().lower()}", name)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_source_parses(path: Path) -> None:
    assert not parse(path.read_bytes()).has_error


def test_a_broken_source_does_not_parse() -> None:
    source = SOURCES[0].read_bytes()
    assert parse(source.replace(b")", b"", 1)).has_error
    assert parse(b"func f( { }").has_error


def test_the_loader_reads_keys_that_the_manifest_has() -> None:
    found = structs()
    examples: dict[str, list[dict[str, Any]]] = {
        "Manifest": [{**MANIFEST, "made_by": ""}],
        "Package": list(MANIFEST["packages"].values()),
        "Choice": [*(c for choices in MANIFEST["devices"].values() for c in choices)],
    }
    for name, rows in examples.items():
        assert len(found[name]) >= 6
        assert all(snake(field) in row for field in found[name] for row in rows), name
    # what the fallback lacks may be nil
    needed = {field for field, kind in found["Choice"].items() if not kind.endswith("?")}
    assert {snake(field) for field in needed} == set(MANIFEST["fallback"])


def test_format_and_units_are_those_of_the_manifest() -> None:
    text = next(path for path in SOURCES if path.name == "Manifest.swift").read_text("utf-8")
    assert f'format = "{FORMAT}"' in text
    (units,) = re.findall(r"case ([a-z, ]+)\n", text)
    assert set(units.split(", ")) == {*UNITS, "all"}


def test_no_source_names_a_person_or_a_date() -> None:
    for path in SOURCES:
        assert not re.search(r"Created by|Copyright|\b20\d\d\b", path.read_text("utf-8"))
