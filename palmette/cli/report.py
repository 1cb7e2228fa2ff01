"""`palmette report` and `palmette compare`: a run as a page, and two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palmette.cli.door import check_run
from palmette.cli.interrupts import working
from palmette.cli.output import print_table, say
from palmette.cli.subjects import Json

if TYPE_CHECKING:
    from palmette.search.report.compare import Compared


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
    from palmette.space.files import expect_new

    check_run(run, several=True)  # whose error names the runs in it
    if out is not None:
        expect_new(out, force)
    with working("reading the run"):
        from palmette.search.report.page import write_report

        path = write_report(run, out, storage=storage, force=force)
    size = path.stat().st_size
    answer = {"report": str(path), "bytes": size}
    print(json.dumps(answer) if as_json else f"{path}: {size / 1e6:.2f} MB; open it in a browser")


def compare(
    first: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    second: Annotated[Path, typer.Argument(help="Folder of another.")],
    as_json: Json = False,
) -> None:
    """Show two runs side by side: settings that differ, fronts, picks, shared networks."""
    for folder in (first, second):
        check_run(folder, several=True)
    from palmette.search.report.compare import compare as compared

    with working("reading the runs"):
        found = compared(first, second)
    if as_json:
        print(json.dumps(found.to_dict(), default=str))
    else:
        _print_compared(found)


def _print_compared(found: Compared) -> None:
    names = [str(side.folder.path) for side in found.sides]
    if found.differing:
        rows = [[key, *map(_short, pair)] for key, pair in found.differing.items()]
        print_table("What differs", ["setting", *names], rows)
    picks = [side.pick for side in found.sides]
    rows = [
        ["networks on the front", *(str(len(side.front)) for side in found.sides)],
        ["pick", *(str(pick["id"])[:8] for pick in picks)],
        *(
            [f"pick: {label}", *(f"{pick[name]:.3g}" if name in pick else "-" for pick in picks)]
            for name, label in _ROWS.items()
            if any(name in pick for pick in picks)
        ),
        ["pick: resolution", *(str(pick["resolution"]) for pick in picks)],
    ]
    if found.volumes:
        rows += [
            ["hypervolume, share of the common box", *(f"{v:.3f}" for v in found.volumes.shares)],
            ["networks matched or beaten by the other", *_percents(found.volumes.covered)],
        ]
    print_table("Side by side", ["", *names], rows)
    say("at conf.: a network stays below this with the confidence of its run; M: millions")
    if found.volumes:
        say(
            "hypervolume: how much of the plane of time and score, between the ends of both fronts,"
            " a front beats"
        )
    if found.reason:
        say(f"fronts are not measured against each other: {found.reason}")
    print(f"networks on both fronts: {len(found.shared)}")


_ROWS = {
    "ms": "ms",
    "ms_at_confidence": "ms at conf.",
    "load": "load",
    "load_at_confidence": "load at conf.",
    "top1": "top-1",
    "confirmed_top1": "top-1 of fresh seeds",
    "confirmed_se": "its standard error",
    "params_m": "M par.",
    "macs_m": "M MACs",
}


def _percents(shares: tuple[float, float]) -> list[str]:
    return [f"{share:.0%}" for share in shares]


def _short(value: object) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
