"""`palmette latency app`: the source of the benchmark app."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from palmette.cli.subjects import Json


def latency_app(
    out: Annotated[Path, typer.Option(help="Folder to write it to; an older one is renewed.")],
    as_json: Json = False,
) -> None:
    """Write the source of the iPhone app that times a suite, and the script that runs it."""
    from palmette.latency.app.source import SCRIPT, write_source

    written = write_source(out)
    answer = {"folder": str(out), "script": str(out / SCRIPT), "files": len(written)}
    told = f"{out}: {len(written)} files; on a Mac with Xcode and XcodeGen run {out / SCRIPT}"
    print(json.dumps(answer) if as_json else told)
