"""`palmette doctor`: what works on this machine, what is missing, and what to do about it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from palmette.cli.output import print_table, say_next
from palmette.cli.subjects import Json

FIRST = "palmette search --target iphone-13/ane --budget-ms 0.9 --out runs/first"
"""The first thing to try."""


def doctor(
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Import torch, coremltools, Ray and psycopg too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what works on this machine, what is missing, and how to get it."""
    from palmette.cli.machine import rows
    from palmette.cli.tried import tried

    found = [*rows(), *(tried() if thorough else ())]
    stopping = [row.what for row in found if row.stops]
    if as_json:
        print(json.dumps({"works": not stopping, "rows": [asdict(row) for row in found]}))
    else:
        print_table(
            "This machine",
            ["what", "state", "detail"],
            [
                [row.what, row.state, row.detail + (f"\nto do: {row.remedy}" if row.remedy else "")]
                for row in found
            ],
        )
        if stopping:
            print(f"the main job can't be done for: {', '.join(stopping)}")
        else:
            print("all that a search with an export needs is there")
            say_next(FIRST, "the first search, of about a minute")
    if stopping:
        raise typer.Exit(1)
