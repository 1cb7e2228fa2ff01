"""What is checked before anything slow is opened: a mistake in a name or a place is told at once.

Here, and in what is called from here, no torch, Optuna, scikit-learn, pandas or coremltools is
imported. What a file holds is read later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palmette.latency import Target

TARGET_RUNS = "targets.toml"
RUN = "run.toml"
_CORE_ML = re.compile("(?:core-?ml-?)?(?:ios-?)?([0-9]+)(?:[.-][0-9]+)*")
"""What somebody may write who means Core ML of an iOS: ios18, coreml-18, coreml-ios18.2."""


def check_target(command: str, target: str | None, predictor: Path | None) -> None:
    """Raise InputError unless a shipped target, a file with a predictor, or both are named."""
    from palmette.space.errors import expect
    from palmette.space.files import expect_readable

    expect(
        target is not None or predictor is not None,
        f"{command}: give --target, --predictor FILE, or both",
    )
    if target is not None:
        check_searched(target, predictor)
    elif predictor is not None:
        expect_readable(predictor)


def check_searched(target: str, predictor: Path | str | None) -> None:
    """Raise InputError for a target that is malformed, or unknown and without a predictor."""
    from palmette.latency.targets import TARGETS, parse_target
    from palmette.space.errors import expect
    from palmette.space.files import expect_readable

    found = str(parse_target(target))
    if predictor is None:
        expect(
            found in TARGETS,
            f"target '{found}': palmette ships no predictor of it; give yours by --predictor FILE,"
            " as palmette latency fit writes it; palmette targets lists those that it ships",
        )
    else:
        expect_readable(Path(predictor))


def check_planned(target: Target) -> None:
    """Raise InputError for a runtime that is meant as Core ML's, and that no package can be for."""
    from palmette.export.formats import RUNTIME_KINDS
    from palmette.space.errors import expect
    from palmette.space.spelling import did_you_mean

    meant = _CORE_ML.fullmatch(target.runtime)
    if meant is not None:
        near = did_you_mean(
            f"coreml-ios{meant[1]}",
            RUNTIME_KINDS,
            lambda runtime: f"{target.device}/{target.unit}@{runtime}",
        )
        expect(
            target.runtime in RUNTIME_KINDS,
            f"target '{target}': palmette makes no packages to time for {target.runtime}; {near}"
            f"known of Core ML: {', '.join(RUNTIME_KINDS)}",
        )


def check_run(folder: Path, several: bool = False) -> None:
    """Raise InputError where no run was begun; with `several` those of several targets are too."""
    from palmette.space.run_file import expect_begun

    if not (several and (folder / TARGET_RUNS).is_file()):
        expect_begun(folder / RUN)


def check_new_run(folder: Path) -> None:
    """Raise InputError where a search or a training can't begin."""
    from palmette.space.run_file import expect_free

    expect_free(folder, "driver.lock")


_OTHERS = {
    "measurements": "measurements of a device; make them a table: palmette latency import FILE",
    "predictor": "a predictor, fitted already; ask it: palmette predict ARCH --predictor FILE",
    "architecture": "a network; predict it: palmette predict FILE --target TARGET",
}
"""Name in the format of a JSON file -> what it is, and the command that takes it."""
NEEDED_COLUMNS = ("subject_kind", "subject", "target", "latency_ms", "source")
"""Those of `palmette.latency.timings`, which opens pandas; a test holds them alike."""
_FOREIGN = (
    "it has no format that palmette knows; write your timings as CSV, a row each, with the columns"
    f" {', '.join(NEEDED_COLUMNS)} (docs/timing.md); palmette latency import takes results.csv of"
    " our app, .mlperf of Xcode, JSON of palmette/measurements@1, and other CSV by --map"
)
"""Of JSON that says nothing of itself."""


def check_tables(tables: Sequence[Path] | None) -> None:
    """Raise InputError for tables of timings that cannot be opened, or are JSON."""
    from palmette.space.files import expect_readable

    for table in tables or ():
        expect_readable(table)
        _check_table(table)


def _check_table(path: Path) -> None:
    """Raise InputError for a JSON file in place of a table of timings; says what it is.

    A file counts as JSON if it begins as an object or a list does, as no header of a table can.
    """
    import json

    from palmette.space.errors import InputError

    with path.open("rb") as file:
        if file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
            return
    try:
        data = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path}: is neither a table in CSV nor whole JSON ({error})") from None
    form = str(data.get("format", "")) if isinstance(data, dict) else ""
    words = _OTHERS.get(form.removeprefix("palmette/").partition("@")[0], "")
    words = words.replace("FILE", str(path)) or _FOREIGN
    named = f" ({form})" if form else ""
    raise InputError(f"{path}: is JSON{named}, where a table of timings in CSV is needed: {words}")
