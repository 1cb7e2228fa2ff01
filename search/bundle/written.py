"""A bundle on disk, read again: what an app finds in its manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from palmette.search.bundle.folder import MANIFEST
from palmette.search.bundle.manifest import FORMAT
from palmette.space import InputError

OF_CHOICE = ("phone", "timed_phone", "unit", "package", "expected_ms", "lower_ms", "upper_ms")
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
        InputError: not a bundle.
    """
    try:
        manifest = json.loads((bundle / MANIFEST).read_text("utf-8"))
        known = manifest["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        raise InputError(f"bundle {bundle}: holds no manifest of format {FORMAT}; write one first")
    choices = [(name, one) for name, every in manifest["devices"].items() for one in every]
    rows = [
        {"identifier": name, "minimum_ios": manifest["packages"][one["package"]]["minimum_ios"]}
        | {key: one.get(key) for key in OF_CHOICE}
        for name, one in [*choices, (FALLBACK, manifest["fallback"])]
    ]
    return pd.DataFrame(rows)
