"""`palmette doctor`: what works on this machine, what is missing, and what to do about it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from palmette.cli.output import print_table
from palmette.cli.subjects import Json


def doctor(
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Import torch, coremltools, Ray and psycopg too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what works on this machine, what is missing, and how to get it."""
    from rich.markup import escape  # the brackets of extras are none

    from palmette.cli.machine import rows
    from palmette.cli.tried import tried

    found = [*rows(), *(tried() if thorough else ())]
    stopping = [row.what for row in found if row.stops]
    if as_json:
        print(json.dumps({"works": not stopping, "rows": [asdict(row) for row in found]}))
    else:
        print_table(
            "This machine",
            ["what", "state", "detail", "remedy"],
            [[escape(text) for text in (r.what, r.state, r.detail, r.remedy)] for r in found],
        )
        print(
            f"the main job can't be done for: {', '.join(stopping)}"
            if stopping
            else "all that a search with an export needs is there"
        )
    if stopping:
        raise typer.Exit(1)
