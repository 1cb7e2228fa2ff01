"""What the project's own files promise: benchmarks that are run, dependencies that are used."""

from __future__ import annotations

import itertools
import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPORTED_AS = {"scikit-learn": "sklearn"}
"""Of packages whose module has another name."""


def test_make_bench_runs_every_benchmark() -> None:
    run = set(re.findall(r"benchmarks/(\w+)\.py", (ROOT / "Makefile").read_text()))
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} == run


def test_what_is_not_slow_is_run_by_one_of_the_two_suites_of_continuous_integration() -> None:
    chosen = re.findall(r'-m "([^"]+)"', (ROOT / "Makefile").read_text())
    for sweep, slow in itertools.product((False, True), repeat=2):
        runs = [eval(words, {"sweep": sweep, "slow": slow}) for words in chosen]
        assert sum(runs) == (not slow)


def test_make_install_alone_says_what_to_do_next() -> None:
    """`make demo` builds on it, and goes on by itself."""
    for target, told in (("install", 1), ("demo", 0)):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert done.stdout.count("next: source .venv/bin/activate") == told, target


def test_contributing_says_what_continuous_integration_runs() -> None:
    run = re.findall(r"^make ([\w-]+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    said = (ROOT / "CONTRIBUTING.md").read_text().partition("Continuous integration runs")[2]
    assert re.findall(r"`make ([\w-]+)`", said.partition(". Nothing")[0]) == run


def test_every_dependency_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[<>=\[ ]", entry)[0] for entry in project["dependencies"]]
    folders = ("space", "export", "latency", "train", "search", "palmette/cli")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    imported = re.compile(r"^\s*(?:import|from) (\w+)", re.MULTILINE)
    found = {name for path in files for name in imported.findall(path.read_text())}
    assert {IMPORTED_AS.get(name, name) for name in names} <= found
