"""*Measured results*: every benchmark, what it asks, the command, and what stands in `results/`."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measured import Table, command_of, tables

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
FOLDER = "docs/results"
ABOUT = """\
Figures that benchmarks of the repository printed, as they stand in the folder `results/`, rounded
for reading: four digits, and more of what is near 1. Each names its command; `make bench` repeats
most of them. Units stand in names (`_ms`, `_percent`) or in brackets behind them. Without one stand
shares and coverages, which are fractions of 1, ranks such as Kendall's tau, ratios and counts."""
CLAIMS = Path(__file__).with_name("results.toml")
READING = ("units", "summaries")
"""Tables of `results.toml` that say how files are read."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A page of results."""

    name: str
    title: str
    words: str
    files: dict[str, list[str]]
    """Benchmark -> files of `results/` that it writes."""


def _claims() -> dict[str, dict[str, Any]]:
    return tomllib.loads(CLAIMS.read_text("utf-8"))


def subjects() -> list[Subject]:
    """What `results.toml` says of benchmarks and their files."""
    found = {name: table for name, table in _claims().items() if name not in READING}
    return [
        Subject(name, table.pop("title"), table.pop("words"), table)
        for name, table in found.items()
    ]


def docstring(benchmark: str) -> str:
    """What a benchmark says of itself; it is read, not imported."""
    source = (ROOT / "benchmarks" / f"{benchmark}.py").read_text("utf-8")
    words = ast.get_docstring(ast.parse(source))
    assert words, f"benchmarks/{benchmark}.py: no docstring"
    return words


def pages() -> dict[str, str]:
    """Path -> Markdown."""
    made = {f"{FOLDER}/{one.name}.md": _page(one) for one in subjects()}
    return {f"{FOLDER}/index.md": _overview(), **made}


def files() -> dict[str, Path]:
    """Path -> file that the pages link to or show."""
    return {f"results/{path.name}": path for path in sorted(RESULTS.iterdir())}


def _overview() -> str:
    parts = [
        "# Measured results",
        ABOUT,
    ]
    for one in subjects():
        lines = [
            f"| [{benchmark}]({one.name}.md#{_anchor(benchmark)}) | {_first_line(benchmark)} |"
            for benchmark in one.files
        ]
        parts += [f"## [{one.title}]({one.name}.md)", "| benchmark | what it asks |\n|---|---|"]
        parts[-1] += "\n" + "\n".join(lines)
    return "\n\n".join(parts) + "\n"


def _page(subject: Subject) -> str:
    head = [f"# {subject.title}", f"{subject.words[0].upper()}{subject.words[1:]}."]
    sections = [part for name, made in subject.files.items() for part in _section(name, made)]
    return "\n\n".join([*head, *sections]) + "\n"


def _section(benchmark: str, made: list[str]) -> Iterator[str]:
    yield f"({_anchor(benchmark)})=\n## {benchmark}"
    yield docstring(benchmark)
    if not made:
        yield "It prints its figures; no file of them is kept in the repository."
    for name in made:
        yield from _file(name)


def _file(name: str) -> Iterator[str]:
    link = f"../../results/{name}"
    size = (RESULTS / name).stat().st_size / 1000
    yield f"**[results/{name}]({link})** ({max(size, 0.1):,.1f} kB)"
    if name.endswith(".png"):
        yield f"![{name.removesuffix('.png').replace('_', ' ')}]({link})"
        return
    if command := command_of(RESULTS / name):
        yield f"Made by\n\n```text\n{command}\n```"
    claims = _claims()
    for table in tables(RESULTS / name, claims["units"], claims["summaries"].get(name)):
        yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    name, columns, rows, count = table
    more = f"the first {len(rows)} of {count:,} rows" if count > len(rows) else ""
    title = ", ".join(part for part in (f"`{name}`" if name else "", more) if part)
    if title:
        yield f"{title}:"
    lines = [columns, ["---"] * len(columns), *rows]
    yield "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def _escaped(text: str) -> str:
    return "".join("\\" + sign if sign in r"\|*_<>[]`" else sign for sign in text)


def _anchor(benchmark: str) -> str:
    return "benchmark-" + benchmark.replace("_", "-")


def _first_line(benchmark: str) -> str:
    return docstring(benchmark).splitlines()[0]
