"""`palmette dashboard`: a study in a browser."""

from __future__ import annotations

from typing import Annotated

import typer


def dashboard(
    run: Annotated[str, typer.Argument(help="Folder of a run, or URL of a database.")],
    port: Annotated[int, typer.Option(help="To listen on; 0: a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="Address; there is no password.")] = "127.0.0.1",
) -> None:
    """Show a run's trials in optuna-dashboard, while the search runs or after; it only reads."""
    from palmette.search.ledger.dashboard import dashboard as pages
    from palmette.search.ledger.dashboard import journal_of

    with pages(journal_of(run), host, port) as server:
        typer.echo(f"http://{host}:{server.server_port}/ (end it with Ctrl-C)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("ended")
