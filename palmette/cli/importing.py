"""The command that brings foreign timings in: `palmette latency import`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palmette.cli.output import note, say_next
from palmette.cli.subjects import Json, SuiteFolder, TimedSubject
from palmette.space.errors import expect

if TYPE_CHECKING:
    from palmette.latency.foreign.imported import Imported


def import_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="results.csv of our app, .mlperf of Xcode, .json of coremltools, other CSV.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Timing table to write.")],
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="Map of each other CSV file: a .toml file, or the name of a shipped one."
        ),
    ] = None,
    suite: SuiteFolder = None,
    subject: TimedSubject = None,
    target: Annotated[
        str | None, typer.Option(help="Target of all rows, in place of what files or maps say.")
    ] = None,
    join: Annotated[
        Path | None, typer.Option(help="File to join, in place of the one that a map names.")
    ] = None,
    quarantine: Annotated[
        Path | None, typer.Option(help="CSV file for the rows that were left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring foreign timings into the one table: what devices gave, and CSV files by maps."""
    from palmette.latency.foreign.forms import import_files, reads_of
    from palmette.latency.foreign.maps import find_map

    _expect_apart(out, quarantine, reads_of([*files, *map(Path, maps or ())], suite, join))
    found = import_files(
        files,
        [find_map(name) for name in maps or ()],
        suite=suite,
        subject=subject or "",
        joined=join,
        target=target or "",
    )
    found.write(out)
    if quarantine is not None:
        found.write_left_out(quarantine)
    _tell(found)
    answer = {
        "table": str(out),
        "rows": len(found.rows),
        "taken": found.taken,
        "left_out": len(found.left_out),
        "without_passport": found.without_passport,
    }
    if as_json:
        print(json.dumps(answer))
        return
    print(f"{out}: {answer['rows']} timings")
    say_next(f"palmette latency fit {shlex.quote(str(out))} --out predictors", "predictors of them")


def _expect_apart(out: Path, quarantine: Path | None, reads: Sequence[Path]) -> None:
    """What is written must be no file that is read, and not the same twice."""
    known = {path.resolve(): "a file that is read" for path in reads}
    for option, path in (("--out", out), ("--quarantine", quarantine)):
        if path is None:
            continue
        place = path.resolve()
        other = next((known[one] for one in (place, *place.parents) if one in known), "")
        expect(not other, f"{option}: {path} is {other}; name another path")
        known[place] = f"that of {option}"


def _tell(found: Imported) -> None:
    """What else a reader should know, and what was left out, by reason."""
    for line in found.notes:
        note(line)
    for reason in found.reasons():
        rows = ", ".join(map(str, reason.first_rows))
        more = ", ..." if reason.count > len(reason.first_rows) else ""
        note(f"left out: {reason.file}: {reason.count} rows ({rows}{more}): {reason.text}")
    if found.without_passport:
        note(
            f"{found.without_passport} of {len(found.rows)} timings have no passport (system build,"
            " calls, heat, power mode, placement): beside one that has, they count half"
        )
