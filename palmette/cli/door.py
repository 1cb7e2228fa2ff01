"""What is checked before anything slow is opened: a mistake in a name or a place is told at once.

Here, and in what is called from here, no torch, Optuna, scikit-learn, pandas or coremltools is
imported. What a file holds is read later.
"""

from __future__ import annotations

import sys
from pathlib import Path

TARGET_RUNS = "targets.toml"
RUN = "run.toml"


def check_target(command: str, target: str | None, predictor: Path | None) -> None:
    """Raise InputError unless one of a shipped target and a file with a predictor is named."""
    from palmette.latency.targets import find_target
    from palmette.space.errors import expect
    from palmette.space.files import expect_readable

    expect(
        (target is None) != (predictor is None), f"{command}: give either --target or --predictor"
    )
    if target is not None:
        find_target(target)
    if predictor is not None:
        expect_readable(predictor)


def check_searched(target: str, predictor: str | None) -> None:
    """Raise InputError for a target that is malformed, or unknown and without a predictor."""
    from palmette.latency.targets import find_target, parse_target
    from palmette.space.files import expect_readable

    found = parse_target(target)
    if predictor is None:
        find_target(str(found))
    else:
        expect_readable(Path(predictor))


def check_run(folder: Path, several: bool = False) -> None:
    """Raise InputError where no run was begun; with `several` those of several targets are too."""
    from palmette.space.run_file import expect_begun

    if not (several and (folder / TARGET_RUNS).is_file()):
        expect_begun(folder / RUN)


def tell_interrupted(folder: Path, again: str) -> None:
    """Say on standard error what goes on with an interrupted run, or that it had not begun."""
    begun = any((folder / name).is_file() for name in (RUN, TARGET_RUNS))
    words = again if begun else "the same command; nothing was kept yet"
    print(f"interrupted; go on with: {words}", file=sys.stderr)


def check_new_run(folder: Path) -> None:
    """Raise InputError where a search or a training can't begin."""
    from palmette.space.run_file import expect_free

    expect_free(folder, "driver.lock")
