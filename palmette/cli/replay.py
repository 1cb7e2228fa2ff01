"""Whether a search can be repeated: `palmette replay`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from palmette.cli.subjects import Json


def replay(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    storage: Annotated[str | None, typer.Option(help="URL of its database.")] = None,
    as_json: Json = False,
) -> None:
    """Ask the sampler again with what was measured, in the same order; measures nothing."""
    from palmette.search.ledger.replay import replay_run

    found = replay_run(run, storage)
    print(json.dumps({**asdict(found), "same": found.same}) if as_json else found.words)
    if not found.same:
        raise typer.Exit(1)
