"""The command line: typed functions, each a call into a folder, and what is printed of the answer.

Heavy imports stand inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from palmette.cli import estimates, passports
from palmette.cli import search as searching
from palmette.cli.app import latency_app
from palmette.cli.bundle import bundle
from palmette.cli.compress import compress
from palmette.cli.confirm import confirm
from palmette.cli.dashboard import dashboard
from palmette.cli.doctor import FIRST, doctor
from palmette.cli.explain import explain
from palmette.cli.export import export_command
from palmette.cli.importing import import_command
from palmette.cli.latency import latency
from palmette.cli.measure import latency_measure
from palmette.cli.placement import placement
from palmette.cli.plain_signs import use_plain_signs
from palmette.cli.plan import latency_plan
from palmette.cli.refused import refusal
from palmette.cli.replay import replay
from palmette.cli.report import compare, report
from palmette.cli.scale import scale
from palmette.cli.shrink import shrink
from palmette.cli.space import space, zoo
from palmette.cli.suite import latency_probes, latency_suite
from palmette.cli.supernet import supernet
from palmette.cli.synthetic import synthetic
from palmette.cli.train import train
from palmette.cli.verify import verify
from palmette.cli.version import root

BEGIN = "\n\n".join(
    (
        "Where to begin: palmette doctor says what works here, palmette targets for which iPhones"
        " you can search. The first search:",
        FIRST,
        "docs/tutorial.md is the first hour. Each command has a --help of its own.",
    )
)
"""Below the list of commands."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.callback(epilog=BEGIN)(root)
app.command()(estimates.targets)
app.add_typer(zoo, name="zoo")
app.add_typer(space, name="space")
latency.command("measure")(latency_measure)
latency.command("app")(latency_app)
latency.command("suite")(latency_suite)
latency.command("probes")(latency_probes)
latency.command("import")(import_command)
latency.command()(placement)
latency.command("compare")(passports.compare)
latency.command("contribute")(passports.contribute)
latency.command("plan")(latency_plan)
latency.command("synthetic")(synthetic)
app.add_typer(latency, name="latency")
app.command()(estimates.predict)
app.command()(estimates.accuracy)
app.command()(explain)
app.command()(searching.search)
app.command()(dashboard)
app.command()(replay)
app.command()(report)
app.command()(compare)
app.command()(confirm)
app.command()(shrink)
app.command()(scale)
app.command()(train)
app.add_typer(supernet, name="supernet")
app.command("export")(export_command)
app.command()(verify)
app.command()(compress)
app.command()(bundle)
app.command()(doctor)


def main() -> None:
    """Entry point: user errors end in one line and exit code 2."""
    from palmette.space.errors import InputError

    use_plain_signs()
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except typer.TyperException as error:
        _fail(refusal(error))
    except OSError as error:  # of a disk or a folder: what we write, or a read that nothing guards
        _fail(str(error))
    except Exception as error:
        from palmette.export.errors import ExportError  # not earlier: it opens all of export

        if not isinstance(error, ExportError):
            raise
        # the network's fault or ours, told by layer or op
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(1)
    sys.exit(code or 0)  # an interrupt comes as code 130


def _fail(message: str) -> NoReturn:
    if message:  # a command without arguments has printed its help, and has none
        print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(2)
