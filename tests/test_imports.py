"""Imports run one way, and the packages open without torch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweep import sweep

ROOT = Path(__file__).parents[1]
FOLDERS = ("space", "export", "latency", "train", "search")

# What the modules of a folder may import besides their own folder
MAY_IMPORT = {
    "space": set(),
    "export": {"space"},
    "latency": {"space"},
    "train": {"space"},
    "search": {"space", "export", "latency", "train"},
    "palmette": {*FOLDERS, "cli"},
}
EXCEPTIONS = {"latency/suite/": {"export"}}  # what it times are exported packages


def imported(source: str) -> set[str]:
    """Dotted names that a module imports, at its top or in any function; `.` if relative."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            names.add(".")
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def offences(place: str, source: str) -> set[str]:
    """Imports that a module at this place may not make: upwards, sideways, bare or relative."""
    folder = place.partition("/")[0]
    more = (names for start, names in EXCEPTIONS.items() if place.startswith(start))
    allowed = {folder}.union(MAY_IMPORT[folder], *more)
    found = set()
    for name in imported(source):
        top, *rest = name.split(".")
        part = rest[0] if top == "palmette" and rest else ""
        upwards = part in (*FOLDERS, "cli") and part not in allowed
        if upwards or name == "." or top in FOLDERS:
            found.add(name)
    return found


# `palmette/` holds links to the folders: its own modules are at its top and in the command line
PLACES = (*(f"{folder}/**/*.py" for folder in FOLDERS), "palmette/*.py", "palmette/cli/*.py")
MODULES = sorted(path.relative_to(ROOT).as_posix() for place in PLACES for path in ROOT.glob(place))


@pytest.mark.parametrize("place", MODULES)
def test_a_module_imports_only_what_lies_below_it(place: str) -> None:
    assert offences(place, (ROOT / place).read_text("utf-8")) == set()


def test_the_modules_that_are_checked_are_those_of_the_repository() -> None:
    assert {"space/trace.py", "palmette/__init__.py", "palmette/cli/search.py"} <= set(MODULES)
    assert len(MODULES) == len(set(MODULES))


@pytest.mark.parametrize(
    ("place", "source", "found"),
    [
        ("space/a.py", "from palmette.search import run", {"palmette.search.run"}),
        ("space/a.py", "import palmette.latency.whole.model", {"palmette.latency.whole.model"}),
        ("space/a.py", "from palmette import train", {"palmette.train"}),
        ("space/a.py", "def f():\n    import palmette.export", {"palmette.export"}),
        ("latency/a.py", "from palmette.train import prior", {"palmette.train.prior"}),
        ("train/a.py", "from palmette.latency import fit", {"palmette.latency.fit"}),
        ("latency/a.py", "from palmette.export import export", {"palmette.export.export"}),
        ("latency/suite/a.py", "from palmette.export import export", set()),
        ("search/a.py", "from palmette.cli import main", {"palmette.cli.main"}),
        ("search/a.py", "from palmette import cli", {"palmette.cli"}),
        (
            "search/a.py",
            "from search.study import run\nimport space",
            {"search.study.run", "space"},
        ),
        ("search/a.py", "from . import study", {"."}),
        ("search/a.py", "from palmette.train import prior\nimport palmette, numpy", set()),
        ("palmette/cli.py", "from palmette.search import run", set()),
        ("palmette/__main__.py", "from palmette.cli import main", set()),
    ],
)
def test_imports_of_every_form_are_seen(place: str, source: str, found: set[str]) -> None:
    assert offences(place, source) == found


PACKAGES = ["palmette"] + [
    "palmette." + path.parent.relative_to(ROOT).as_posix().replace("/", ".")
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("__init__.py"))
]
OPEN_TORCH = {
    "palmette.space.modules",  # modules of torch
    "palmette.export.interpreter",  # runs in torch
    "palmette.export.interpreter.ops",
    "palmette.export.compression",  # these hold packages against torch modules
    "palmette.export.gates",
    "palmette.export.quantised",
}


OPEN = """
import importlib, sys
for package in sys.argv[1:]:
    for name in [name for name in sys.modules if name.split(".")[0] == "palmette"]:
        del sys.modules[name]  # each as if it were opened first
    importlib.import_module(package)
    assert "torch" not in sys.modules, package
"""


def test_the_packages_open_without_torch() -> None:
    light = [package for package in PACKAGES if package not in OPEN_TORCH]
    done = subprocess.run([sys.executable, "-c", OPEN, *light], capture_output=True, check=False)
    assert len(light) > 25 and set(PACKAGES) > OPEN_TORCH
    assert (done.returncode, done.stderr) == (0, b"")


LATE = """
import importlib, sys
package, *names = sys.argv[1:]
for name in names:
    for module in [module for module in sys.modules if module.split(".")[0] == "palmette"]:
        del sys.modules[module]  # each as if it were asked for first
    getattr(importlib.import_module(package), name)
"""
GIVEN = re.compile(r"from (palmette\.\S+) import (\w+) as \2$", re.MULTILINE)
OPEN_LATE = {
    path.parent.relative_to(ROOT).as_posix(): text
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("__init__.py"))
    if "= opened_late(" in (text := path.read_text("utf-8"))
}


@pytest.mark.parametrize("folder", sweep(OPEN_LATE, set(OPEN_LATE) - {"search"}))
def test_every_module_that_a_package_gives_names_of_can_be_the_first_to_open(folder: str) -> None:
    """What is opened late is imported in any order, and cycles would show in one alone."""
    names = {module: name for module, name in GIVEN.findall(OPEN_LATE[folder])}.values()
    package = f"palmette.{folder.replace('/', '.')}"
    done = subprocess.run(
        [sys.executable, "-c", LATE, package, *names], capture_output=True, check=False
    )
    assert names and (done.returncode, done.stderr) == (0, b"")


def test_the_packages_that_open_late_are_known() -> None:
    assert set(OPEN_LATE) >= {"latency", "latency/per_op", "search", "train", "train/supernet"}


SAME = """
import sys
import palmette.search
import palmette.search.run, palmette.search.summary
from palmette.search import run, summary
assert run is sys.modules["palmette.search.run"].run is palmette.search.run
assert summary is sys.modules["palmette.search.summary"].summary is palmette.search.summary
"""


def test_a_name_that_a_package_lists_is_never_the_module_of_that_name() -> None:
    done = subprocess.run([sys.executable, "-c", SAME], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
