"""The command that holds a compute plan against what was expected: `palmette latency placement`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palmette.cli.output import note, print_table
from palmette.cli.subjects import Json, SuiteFolder, TimedSubject

if TYPE_CHECKING:
    from palmette.search.placed import PlacementReport

SHOWN = 30


def placement(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="placement.csv of our app, .mlperf of Xcode, .json of coremltools."
        ),
    ],
    suite: SuiteFolder = None,
    subject: TimedSubject = None,
    package: Annotated[
        Path | None, typer.Option(help="Of the subject, for plans that name outputs alone.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Of the plans, in place of what the file or the suite says.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show which ops a compute plan has elsewhere than the rules of thumb expect."""
    from palmette.search.placed_files import hold

    found = hold(file, suite=suite, subject=subject or "", package=package, target=target or "")
    for line in found.notes:
        note(line)
    for bad in found.left_out:
        note(f"left out: {bad}")
    if as_json:
        print(json.dumps([{"subject": name, **one.to_dict()} for name, one in found.reports]))
        return
    by_target: dict[str, list[PlacementReport]] = {}
    for _, report in found.reports:
        by_target.setdefault(str(report.target), []).append(report)
    for name, reports in by_target.items():
        _print(name, reports)


def _print(target: str, reports: list[PlacementReport]) -> None:
    counts = sum((report.counts for report in reports), Counter[tuple[str, str]]())
    print_table(
        f"{len(reports)} plans on {target}",
        ["expected", "actual unit", "ops"],
        [[predicted, actual, str(n)] for (predicted, actual), n in sorted(counts.items())],
    )
    differing = Counter(
        (one.op.to_text(), one.predicted, one.rule, one.actual)
        for report in reports
        for one in report.differing
    )
    if not differing:
        print(f"{target}: no op is elsewhere than the rules of thumb expect")
        return
    print_table(
        "Elsewhere than expected",
        ["times", "expected", "actual", "by", "op"],
        [
            [str(count), expected, actual, rule, op]
            for (op, expected, rule, actual), count in differing.most_common(SHOWN)
        ],
    )
    if len(differing) > SHOWN:
        print(f"and {len(differing) - SHOWN} more ops (--json has all)")
