"""A bundle on disk, read again: what an app finds in its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from palmette.search.bundle.folder import MANIFEST
from palmette.search.bundle.manifest import FORMAT
from palmette.space import InputError
from palmette.space.errors import expect

OF_CHOICE = ("phone", "timed_phone", "unit", "package", "expected_ms", "lower_ms", "upper_ms")
OF_FALLBACK = ("unit", "package")
FALLBACK = "any other"
"""Stands for the identifiers that the manifest does not list."""


def device_table(bundle: Path) -> pd.DataFrame:
    """What each phone runs: a row for each choice of each machine identifier, the first one first.

    Args:
        bundle: folder that `write_bundle` wrote.

    Returns:
        Columns `identifier`, `minimum_ios` of its package and `OF_CHOICE`: `phone` is the one whose
        timings it rests on. The last row is the fallback, of which no time is known.

    Raises:
        InputError: not a bundle, or one whose manifest lacks something.
    """
    manifest = _manifest(bundle)
    try:
        return pd.DataFrame(list(_rows(manifest)))
    except (KeyError, TypeError, AttributeError) as error:
        raise _not_whole(bundle, error) from None


def packages_in(bundle: Path) -> dict[str, dict[str, Any]]:
    """What the manifest of a bundle says of each package, by its file; raises as `device_table`."""
    try:
        return dict(_manifest(bundle)["packages"])
    except (KeyError, TypeError, ValueError) as error:
        raise _not_whole(bundle, error) from None


def _manifest(bundle: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((Path(bundle) / MANIFEST).read_text("utf-8"))
        known = manifest["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        known = False
    expect(known, f"bundle {bundle}: holds no manifest of format {FORMAT}; write one first")
    return dict(manifest)


def _not_whole(bundle: Path, error: Exception) -> InputError:
    return InputError(
        f"bundle {bundle}: its {MANIFEST} is not whole ({type(error).__name__}: {error});"
        " write the bundle again"
    )


def _rows(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    packages, fallback = manifest["packages"], manifest["fallback"]
    for name, every in manifest["devices"].items():
        for one in every:
            of_package = {"identifier": name, "minimum_ios": _minimum(packages, one)}
            yield of_package | {key: one[key] for key in OF_CHOICE}
    of_package = {"identifier": FALLBACK, "minimum_ios": _minimum(packages, fallback)}
    known = {key: fallback[key] for key in OF_FALLBACK}
    yield of_package | dict.fromkeys(OF_CHOICE) | known


def _minimum(packages: dict[str, Any], choice: dict[str, Any]) -> Any:
    return packages[choice["package"]]["minimum_ios"]
