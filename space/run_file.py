"""`run.toml`: what a run is made of, with the versions that made it, in the folder of the run."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from palmette.space.errors import InputError, expect
from palmette.space.files import write_text
from palmette.space.toml import to_toml

KINDS = {
    "palmette/run": "a search",
    "palmette/target-runs": "a search on several targets",
    "palmette/training": "a training",
}
"""What the formats of run files are of."""


def expect_begun(path: Path, what: str = "run") -> None:
    """Raise InputError where the folder of a run file has none."""
    expect(path.is_file(), f"{path.parent}: holds no {what} ({path.name} is missing)")


def expect_free(folder: Path, lock: str) -> None:
    """Raise InputError unless a new run may begin in a folder, where a lock may lie.

    Nothing is changed.
    """
    try:
        occupied = folder.exists() and any(file.name != lock for file in folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: can't be a run's folder ({error.strerror})") from None
    expect(
        not occupied,
        f"{folder}: is not empty; name another folder with --out, or go on with --resume",
    )


def write_run_file(
    path: Path,
    file_format: str,
    table: str,
    config: Mapping[str, Any],
    libraries: Iterable[str],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write the table of a run's config beside [run]: format, machine, versions, and `about`."""
    made_by = {
        "format": file_format,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        **{f"version_{name}": version(name) for name in libraries},
        **(about or {}),
    }
    write_text(path, to_toml({"run": made_by, table: dict(config)}))


def read_run_file(
    path: Path, file_format: str, table: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The table of a run's config, and [run].

    Raises:
        InputError: the file is corrupt, or of another format.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: corrupt ({error}); the run can't be resumed") from None
    about, config = data.get("run"), data.get(table)
    found = about.get("format") if isinstance(about, dict) else None
    if isinstance(found, str) and _differs_in_version(found, file_format):
        raise InputError(
            f"{path}: is of format {found}, this palmette reads {file_format}; use the palmette"
            " that wrote it, or run it anew"
        )
    kind, wanted = (KINDS.get(str(f).partition("@")[0]) for f in (found, file_format))
    expect(kind in (None, wanted), f"{path.parent}: is {kind}; what is asked for here is {wanted}")
    if not (
        isinstance(about, dict) and about.get("format") == file_format and isinstance(config, dict)
    ):
        raise InputError(
            f'{path}: corrupt: needs a table [run] with format = "{file_format}" and a table'
            f" [{table}]"
        )
    return config, about


def _differs_in_version(found: str, wanted: str) -> bool:
    return found != wanted and found.partition("@")[0] == wanted.partition("@")[0]
