"""Where a package goes: checked before it is made, and taken in one step once it is proven."""

from __future__ import annotations

import os
from pathlib import Path

from palmette.export.formats import FORMATS
from palmette.space.errors import expect


def destination(path: Path, kind: str) -> Path:
    """Path of a package, with its format's suffix if it has none.

    Args:
        path: as somebody named it.
        kind: a key of `FORMATS`.

    Raises:
        InputError: another suffix, no such folder, or something else is there.
    """
    suffix = FORMATS[kind].suffix
    # a number after a dot is part of a network's name, as in `mobilenet_v2_0.5`
    if not path.suffix or path.suffix[1].isdigit():
        path = path.with_name(path.name + suffix)
    expect(
        path.suffix == suffix, f"output {path}: a package of the format '{kind}' ends in '{suffix}'"
    )
    writable = path.parent.is_dir() and os.access(path.parent, os.W_OK)
    expect(
        writable, f"output {path}: its folder does not exist or cannot be written; make it first"
    )
    # only what an export of this format made before may be replaced
    same = (path / "Manifest.json").is_file() if suffix == ".mlpackage" else path.is_file()
    expect(same or not path.exists(), f"output {path}: is something else; choose another name")
    return path


def move_into_place(built: Path, path: Path) -> None:
    """Put a proven package in its place.

    One that is there already goes with the folder in which the new one was made.
    """
    if not path.is_dir():
        built.replace(path)
        return
    # a folder that is not empty cannot be replaced in one step
    old = path.replace(built.with_name(f"replaced-{built.name}"))
    try:
        built.replace(path)
    except OSError:
        old.replace(path)
        raise
