"""The app's Swift is Swift, and writes what palmette reads. No compiler is at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import tree_sitter_swift
from tree_sitter import Language, Node, Parser

from palmette.latency.app.source import SOURCE
from palmette.latency.foreign.plausible import HOT
from palmette.latency.suite import manifest, results
from palmette.latency.suite.settings import Settings

SOURCES = {path.name: path.read_bytes() for path in sorted(SOURCE.rglob("*.swift"))}
PARSER = Parser(Language(tree_sitter_swift.language()))


def parse(source: bytes) -> Node:
    return PARSER.parse(source).root_node


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def text(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


def named(file: str, kind: str) -> Iterator[Node]:
    return (node for node in walk(parse(SOURCES[file])) if node.type == kind)


def declared(file: str) -> dict[str, Node]:
    """Declarations of properties by name."""
    found = {}
    for node in named(file, "property_declaration"):
        name = next(child for child in node.children if child.type == "pattern")
        found[text(name)] = node
    return found


def strings(node: Node) -> tuple[str, ...]:
    return tuple(text(child) for child in walk(node) if child.type == "line_str_text")


def cases(file: str, enum: str) -> tuple[str, ...]:
    (found,) = (node for node in named(file, "class_declaration") if text(node.children[1]) == enum)
    entries = (child for child in walk(found) if child.type == "enum_entry")
    return tuple(
        text(child)
        for entry in entries
        for child in entry.children
        if child.type == "simple_identifier"
    )


def snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter.group().lower()}", name)


@pytest.mark.parametrize("file", SOURCES)
def test_every_source_parses(file: str) -> None:
    assert not parse(SOURCES[file]).has_error


def test_a_broken_source_does_not_parse() -> None:
    assert parse(SOURCES["Runner.swift"].replace(b")", b"", 1)).has_error


def test_columns_are_those_that_palmette_reads() -> None:
    found = declared("Columns.swift")
    assert strings(found["results"]) == results.COLUMNS
    assert strings(found["placement"]) == results.PLACEMENT_COLUMNS


def test_modes_units_and_their_names_are_those_of_the_results() -> None:
    assert cases("Modes.swift", "Mode") == results.MODES
    assert cases("Modes.swift", "Units") == results.REQUESTED_UNITS
    hertz = declared("Timing.swift")["pacedHz"]
    assert text(hertz.children[-1]) == f"{results.PACED_HZ}.0"


def test_thermal_states_are_told_by_their_own_names() -> None:
    told = {}
    for entry in named("Phone.swift", "switch_entry"):
        patterns = [text(child) for child in entry.children if child.type == "switch_pattern"]
        told[patterns[0].removeprefix(".") if patterns else "new"] = strings(entry)
    assert told == {**{state: (state,) for state in results.THERMAL_STATES}, "new": ()}
    assert strings(declared("Phone.swift")["hot"]) == HOT


def test_places_are_told_by_our_names() -> None:
    told = {
        text(child).removeprefix("."): strings(entry)
        for entry in named("Placement.swift", "switch_entry")
        for child in entry.children
        if child.type == "switch_pattern" and strings(entry)
    }
    assert told.items() >= {"cpu": ("cpu",), "gpu": ("gpu",), "neuralEngine": ("ane",)}.items()
    new = [
        strings(entry)
        for entry in named("Placement.swift", "switch_entry")
        if any(child.type == "modifiers" for child in entry.children)
    ]
    assert new == [()]  # no name that palmette would refuse


def test_a_file_is_begun_only_where_none_is() -> None:
    forgiven = set(re.findall(rb"try\? ([\w.]+)", SOURCES["CsvFile.swift"]))
    assert forgiven == {b"handle.close", b"handle.truncate"}


def test_a_plan_that_is_known_is_not_made_again() -> None:
    (made,) = (
        text(node)
        for node in named("Runner.swift", "if_statement")
        if "Placement.rows(" in text(node)
    )
    assert made.startswith("if plan.isEmpty {")


def keys(file: str) -> set[str]:
    """Texts in subscripts of `row` and `cells`, and keys of dictionaries."""
    found = set()
    for node in walk(parse(SOURCES[file])):
        if node.type == "call_expression":
            found |= set(re.findall(r'^(?:row|cells|\$0)\["(\w+)"\]$', text(node)))
        if node.type == "dictionary_literal":
            at = [child for child in node.children if child.is_named]
            found |= {name for key in at[::2] for name in strings(key)}
    return found


def test_every_column_is_filled_and_nothing_else_is() -> None:
    rows = (keys("Runner.swift") | keys("Statistics.swift")) - {"run"}  # of started.csv
    (counted,) = (
        strings(node)
        for node in named("Placement.swift", "array_literal")
        if "ane" in strings(node)
    )
    assert rows | {f"ops_{unit}" for unit in counted} == set(results.COLUMNS)
    assert keys("Placement.swift") == set(results.PLACEMENT_COLUMNS)


def test_columns_that_are_read_are_those_of_the_manifest() -> None:
    read = {
        strings(node)[0]
        for node in named("Suite.swift", "call_expression")
        if text(node).startswith("cell(")
    }
    assert {"file", "sha256"} <= read <= set(manifest.COLUMNS)


def test_settings_have_the_keys_that_palmette_checks() -> None:
    fields = [snake(name) for name in declared("Settings.swift") if name != "decoder"]
    assert fields == list(Settings.__dataclass_fields__)
    shipped = json.loads((SOURCE / "settings.json").read_text("utf-8"))
    assert list(shipped) == fields
    assert Settings.read(SOURCE) == Settings()


def test_no_source_names_a_person_or_a_date() -> None:
    for source in SOURCES.values():
        assert not re.search(rb"Created by|Copyright|\b20\d\d\b", source)
