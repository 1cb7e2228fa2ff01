"""What works on this machine: one function per thing, each a row or some.

Packages are judged by their metadata, so that asking costs no import of torch (seconds);
`palmette.cli.tried` imports them. The rows of the optional extras are those that palmette declares.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator

from palmette.cli.machine_places import folder_rows, storage_rows
from palmette.cli.machine_row import Row
from palmette.cli.machine_tools import coremltools_rows, torch_rows, xcode_rows
from palmette.cli.requirements import name_of, requirements, trouble, version_of, wanted_python
from palmette.space.installing import pip_install

PRERELEASES = ("coreai",)
"""Extras of which only pre-releases exist."""


def rows() -> Iterator[Row]:
    """Everything, in the order in which it is printed."""
    for check in CHECKS:
        try:
            yield from check()
        except ImportError as error:  # a doctor is asked when packages are missing
            what = check.__name__.strip("_").removesuffix("_rows")
            detail = f"can't be told: {error.name or 'a package'} is not installed"
            yield Row(what, "broken", detail, pip_install(), True)


def _python() -> Iterator[Row]:
    from packaging.specifiers import SpecifierSet

    here = platform.python_version()
    wanted = wanted_python()
    fits = SpecifierSet(wanted).contains(here, prereleases=True)
    detail = f"{here} at {sys.executable}" if fits else f"{here}; palmette needs {wanted}"
    remedy = "" if fits else "make an environment with a Python of these"
    yield Row("Python", "works" if fits else "broken", detail, remedy, True)


def _dependencies() -> Iterator[Row]:
    """All packages that palmette always needs, in one row unless one is wrong."""
    wrong, right = [], 0
    for requirement in requirements().get("", []):
        found = trouble(requirement)
        if found:
            wrong.append(found)
        right += not found
    remedy = pip_install("", "--upgrade") if wrong else ""
    if not wrong and not right:
        yield Row("packages", "missing", "palmette itself is not installed", pip_install(), True)
        return
    detail = "; ".join(wrong) or f"all {right} that palmette needs, in the versions it needs"
    yield Row("packages", "broken" if wrong else "works", detail, remedy, True)


def _extras() -> Iterator[Row]:
    """Each optional extra: works if all its packages are there, in versions that fit."""
    for extra, lines in sorted(requirements().items()):
        if not extra:
            continue
        wrong = [found for line in lines if (found := trouble(line))]
        there = ", ".join(f"{name_of(line)} {version_of(name_of(line))}" for line in lines)
        options = ("--pre",) if extra in PRERELEASES else ()
        remedy = pip_install(extra, *options) if wrong else ""
        yield Row(f"[{extra}]", "missing" if wrong else "works", "; ".join(wrong) or there, remedy)


CHECKS: tuple[Callable[[], Iterator[Row]], ...] = (
    _python,
    _dependencies,
    torch_rows,
    coremltools_rows,
    xcode_rows,
    storage_rows,
    _extras,
    folder_rows,
)
