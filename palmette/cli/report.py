"""`palmette report` and `palmette compare`: a run as a page, and two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from palmette.cli.output import status
from palmette.cli.subjects import Json


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run; it may be under way.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write; default report.html in the folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --out.")] = False,
    storage: Annotated[str | None, typer.Option(help="URL of the run's database.")] = None,
    as_json: Json = False,
) -> None:
    """Write a run as one page that explains itself: what was found, why, and how sure it is."""
    from palmette.search.report.page import write_report

    with status("reading the run"):
        path = write_report(run, out, storage=storage, force=force)
    size = path.stat().st_size
    answer = {"report": str(path), "bytes": size}
    print(json.dumps(answer) if as_json else f"{path}: {size / 1e6:.2f} MB; open it in a browser")
