"""Commands on networks and spaces: `palmette zoo`, `palmette space`."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from palmette.cli.output import print_table
from palmette.cli.subjects import Json

zoo = typer.Typer(help="Reference networks.", no_args_is_help=True)
space = typer.Typer(help="Search spaces.", no_args_is_help=True)


@zoo.command("list")
def zoo_list(as_json: Json = False) -> None:
    """List the reference networks."""
    from palmette.space import ZOO

    rows = [
        {"name": n, "params_m": r.params_m, "macs_m": r.macs_m, "top1": r.top1, "source": r.source}
        for n, r in ZOO.items()
    ]
    if as_json:
        print(json.dumps(rows))
        return
    print_table(
        "Reference networks, as published",
        ["name", "M parameters", "M MACs", "top-1", "source"],
        [[str(value) for value in row.values()] for row in rows],
    )


@zoo.command("show")
def zoo_show(name: str, as_json: Json = False) -> None:
    """Print a reference network's text, or its JSON."""
    from palmette.space import load

    print(load(name).to_json() if as_json else load(name).to_text())


@zoo.command("check")
def zoo_check(as_json: Json = False) -> None:
    """Count every reference network and compare with the published figures."""
    from palmette.space import ZOO, load

    rows = []
    for name, reference in ZOO.items():
        params, macs = load(name).params() / 1e6, load(name).macs() / 1e6
        rows.append(
            {
                "name": name,
                "params_m": round(params, 3),
                "published_params_m": reference.params_m,
                "params_difference": round(params / reference.params_m - 1, 4),
                "macs_m": round(macs, 1),
                "published_macs_m": reference.macs_m,
                "macs_difference": round(macs / reference.macs_m - 1, 4),
                "note": reference.note,
            }
        )
    if as_json:
        print(json.dumps(rows))
        return
    print_table(
        "Counts of the reference networks against the published ones (millions)",
        ["name", "parameters", "published", "MACs", "published", "why they differ"],
        [
            [
                str(r["name"]),
                f"{r['params_m']:.2f}",
                f"{r['published_params_m']:.2f} ({r['params_difference']:+.1%})",
                f"{r['macs_m']:.0f}",
                f"{r['published_macs_m']:.0f} ({r['macs_difference']:+.1%})",
                str(r["note"]),
            ]
            for r in rows
        ],
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
    rows = [[gene.name, " ".join(map(str, gene.choices))] for gene in found.genes]
    print_table(f"{found.name}: {found.size:.3g} architectures", ["gene", "choices"], rows)
