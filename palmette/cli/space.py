"""Commands on networks and spaces: `palmette zoo`, `palmette space`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from palmette.cli.completion import complete_network
from palmette.cli.families import number, print_families, print_folded, print_sources
from palmette.cli.output import print_table
from palmette.cli.subjects import Classes, Json, TaskName, read_task

zoo = typer.Typer(help="Reference networks.", no_args_is_help=True)
space = typer.Typer(help="Search spaces.", no_args_is_help=True)


@zoo.command("list")
def zoo_list(as_json: Json = False) -> None:
    """List the reference networks by family."""
    from palmette.space import ZOO
    from palmette.space.zoo import FAMILY_OF

    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "family": FAMILY_OF[name],
            "params_m": reference.params_m,
            "macs_m": reference.macs_m,
            "top1": reference.top1,
            "source": reference.source,
        }
        for name, reference in ZOO.items()
    ]
    if as_json:
        print(json.dumps(rows))
        return
    cells = [
        [
            number(row[key], form)
            for key, form in (("params_m", ".2f"), ("macs_m", ".0f"), ("top1", ".1f"))
        ]
        for row in rows
    ]
    print_families(
        "Reference networks, as published: millions of parameters and MACs, top-1 in %",
        ["params", "MACs", "top-1"],
        rows,
        cells,
    )
    print_sources(rows)


@zoo.command("show")
def zoo_show(
    name: Annotated[str, typer.Argument(autocompletion=complete_network)],
    task: TaskName = None,
    classes: Classes = None,
    as_json: Json = False,
) -> None:
    """Print a reference network's text, or its JSON."""
    network = read_task(name, task, classes)
    print(network.to_json() if as_json else network.to_text())


@zoo.command("check")
def zoo_check(as_json: Json = False) -> None:
    """Count every reference network and compare with the published figures."""
    from palmette.space.zoo.check import check

    found = check()
    if as_json:
        print(json.dumps(found))
        return
    rows = found["rows"]
    print_families(
        "Counts in millions, the published ones, and by how much ours are above them",
        ["params", "publ.", "", "MACs", "publ.", ""],
        rows,
        [[*_counts(row, "params", ".2f"), *_counts(row, "macs", ".0f")] for row in rows],
    )
    print_sources(rows)
    _print_notes(found)


def _counts(row: dict[str, Any], count: str, form: str) -> list[str]:
    return [
        number(row[f"{count}_m"], form),
        number(row[f"published_{count}_m"], form),
        number(row[f"{count}_difference"], "+.1%"),
    ]


def _print_notes(found: dict[str, Any]) -> None:
    """Why rows are apart that are; and how many are not."""
    from palmette.space.zoo.check import MACS_WITHIN, PARAMS_WITHIN, is_apart

    print(f"\nApart by over {PARAMS_WITHIN:.0%} of the parameters or {MACS_WITHIN:.0%} of the MACs")
    for row in found["rows"]:
        if is_apart(row):
            print_folded(f"{row['name']}: {row['note']}")
    print("\nMACs in millions that others count for such layouts, and ours over theirs")
    for row in found["rows"]:
        if row["recounted_macs_m"] is not None:
            print_folded(
                f"{row['name']}: {row['recounted_macs_m']:.0f} at {row['recount_px']} px,"
                f" {row['recount_difference']:+.1%} ({row['recount_source']})"
            )
    print()
    print_folded(
        f"{found['networks']} networks; of those with a published figure"
        f" {found['share_params_ok']:.1%} are within it in parameters,"
        f" {found['share_macs_ok_authors']:.1%} in MACs, {found['share_macs_ok']:.1%} with those"
        " that others count as we do"
    )


@space.command("list")
def space_list(as_json: Json = False) -> None:
    """List the shipped search spaces."""
    from palmette.space import SearchSpace, presets

    spaces = [SearchSpace.preset(name) for name in presets()]
    if as_json:
        print(json.dumps([{"name": s.name, "size": s.size, "genes": len(s.genes)} for s in spaces]))
        return
    print_table(
        "Search spaces",
        ["name", "architectures", "genes", "what it is"],
        [[s.name, f"{s.size:.2g}", str(len(s.genes)), s.description] for s in spaces],
    )


@space.command("show")
def space_show(name: str, as_json: Json = False) -> None:
    """Print the choices of a shipped space or of a space's TOML file."""
    from palmette.space import SearchSpace

    found = SearchSpace.read(Path(name)) if name.endswith(".toml") else SearchSpace.preset(name)
    if as_json:
        print(json.dumps(found.to_dict()))
        return
    rows = [
        [f"{section}.{key}", " ".join(map(str, choices)), "" if len(choices) > 1 else "fixed"]
        for section, table in found.sections.items()
        for key, choices in table.items()
    ]
    title = f"{found.name}: {found.size:.3g} architectures, {len(found.genes)} genes"
    print_table(title, ["key", "choices", ""], rows)
