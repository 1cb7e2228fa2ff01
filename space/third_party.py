"""Where third-party tables lie that palmette was checked with and may not ship.

They stand beside the checkout, in `../shared/data`, or in the folder that `PALMETTE_DATA` names.
Whoever asks has to go on without them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "PALMETTE_DATA"
"""Environment variable with the folder, if it isn't the one beside the checkout."""
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def third_party_folder() -> Path:
    """Where they are looked for, whether it is there or not: to be named where they are missed."""
    return Path(os.environ.get(VARIABLE) or BESIDE)


def third_party_files(names: Sequence[str]) -> tuple[Path, ...] | None:
    """Paths of third-party tables by their file names; None unless all of them are there."""
    folder = third_party_folder()
    paths = tuple(folder / name for name in names)
    return paths if all(path.is_file() for path in paths) else None
