"""`palmette --version`: what runs here, one line each, for a report of what went wrong."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

PACKAGES = ("torch", "coremltools", "optuna", "numpy", "pandas", "scikit-learn", "scipy", "ray")
"""Whose versions decide what palmette finds; read from their metadata, none is imported."""


def environment() -> list[tuple[str, str]]:
    """Names and versions; a package that is missing has none."""
    import palmette

    system, release = platform.system(), platform.release()
    if system == "Darwin":
        system, release = "macOS", platform.mac_ver()[0]
    return [
        ("palmette", palmette.__version__),
        ("Python", platform.python_version()),
        ("platform", f"{system} {release} {platform.machine()}"),
        *((name, _version(name) or "not installed") for name in PACKAGES),
    ]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _print(asked: bool) -> None:
    if asked:
        for name, text in environment():
            print(f"{name} {text}")
        raise typer.Exit


def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print, is_eager=True, help="Print versions and the platform."
        ),
    ] = False,
) -> None:
    """Find, train and ship convolutional backbones that fit an iPhone."""
