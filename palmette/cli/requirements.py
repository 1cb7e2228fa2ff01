"""What palmette says that it needs, and whether that is there. Nothing of it is imported.

Of a checkout `pyproject.toml` says it: the metadata of an editable install are as old as the
install.
"""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any


def requirements() -> dict[str, list[str]]:
    """What palmette asks for, by extra; blank: always. Empty where palmette is not installed."""
    from packaging.requirements import Requirement

    project = _project()
    if project:
        return {"": project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, list[str]] = {}
    try:
        lines = metadata.requires("palmette") or []
    except metadata.PackageNotFoundError:
        return {}
    extras = metadata.metadata("palmette").get_all("Provides-Extra") or []
    for line in lines:
        marker = Requirement(line).marker
        if marker is None or marker.evaluate({"extra": ""}):
            found.setdefault("", []).append(line)
            continue
        for extra in extras:
            if marker.evaluate({"extra": extra}):
                found.setdefault(extra, []).append(line)
    return found


def wanted_python() -> str:
    """Versions of Python that palmette runs on."""
    project = _project()
    if project:
        return str(project["requires-python"])
    try:
        return str(metadata.metadata("palmette")["Requires-Python"])
    except metadata.PackageNotFoundError:
        return ""


def _project() -> dict[str, Any]:
    """The table of a checkout's pyproject.toml; empty for an installed package."""
    import palmette

    file = Path(palmette.__file__).parents[1] / "pyproject.toml"
    try:
        project: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return {}
    return project if project.get("name") == "palmette" else {}


def name_of(line: str) -> str:
    """The package that a requirement names."""
    from packaging.requirements import Requirement

    return Requirement(line).name


def trouble(line: str) -> str:
    """Why a requirement does not hold; blank if it does."""
    from packaging.requirements import Requirement

    requirement = Requirement(line)
    version = version_of(requirement.name)
    if version is None:
        return f"{requirement.name} is not installed"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} is {version}, needed is {requirement.specifier}"
    return ""


def version_of(name: str) -> str | None:
    """Version of an installed package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
