"""The line for pip that installs what is missing, as this palmette was installed itself.

palmette is on no registry: from a clone, which an editable install also is, pip takes the clone.
"""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path

_PLACE = Path(__file__).resolve().parents[1]
"""The clone; of a package that was copied into an environment, the package's own folder."""


def pip_install(extra: str = "", *options: str, place: Path = _PLACE) -> str:
    """Command line that installs palmette, with an extra.

    Args:
        extra: name of one in pyproject.toml, or several, separated by commas.
        options: further ones of pip, such as `--pre`.
        place: folder that is a clone of palmette, or is none.
    """
    extras = f"[{extra}]" if extra else ""
    words = ["pip", "install", *options]
    if not is_clone(place):
        # as it came, by a wheel or an address: pip knows no palmette of a registry
        return f"{shlex.join(words)} {shlex.quote(f'palmette{extras}')}"
    folder = "." if place == Path.cwd() else str(place)
    return f"{shlex.join(words)} -e {shlex.quote(f'{folder}{extras}')}"


def is_clone(place: Path) -> bool:
    """Whether a folder holds palmette's own pyproject.toml."""
    try:
        project = tomllib.loads((place / "pyproject.toml").read_text("utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return False
    return bool(project.get("name") == "palmette")
