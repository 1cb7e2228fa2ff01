"""`palmette bundle`: the fewest backbones for a fleet of phones, packed for Swift."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palmette.cli.door import check_run
from palmette.cli.interrupts import working
from palmette.cli.labels import shortly
from palmette.cli.output import at_confidence, print_table, say, say_next
from palmette.cli.subjects import Json

if TYPE_CHECKING:
    from palmette.search.bundle import Portfolio


def bundle(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs.")],
    phones: Annotated[
        str | None,
        typer.Option(help="Such as iphone-11,iphone-xs/gpu; default all that the runs are for."),
    ] = None,
    max_loss: Annotated[
        float, typer.Option(help="Points of top-1 that a phone may lose against its own best.")
    ] = 0.5,
    backbones: Annotated[int | None, typer.Option(help="Most backbones.")] = None,
    confidence: Annotated[float, typer.Option(help="That each budget is kept.")] = 0.95,
    out: Annotated[Path | None, typer.Option(help="Folder to write; none: the choice.")] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="Trained weights of a backbone, or a training's folder; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Choose the fewest backbones that serve every phone, and pack them for an app."""
    from palmette.latency.budget import expect_confidence
    from palmette.search.bundle.losses import expect_asked
    from palmette.space.errors import expect

    for run in runs:
        check_run(run, several=True)
    expect_confidence(confidence)
    expect_asked(max_loss, backbones)
    expect(out is not None or not weights, "--weights: are for the packages; give --out too")
    names = [name.strip() for name in (phones or "").split(",") if name.strip()]
    with working("reading the runs"):
        from palmette.search.bundle import choose, open_fleet, packages_in, report, write_bundle

        portfolio = choose(open_fleet(runs, names, confidence), max_loss, backbones)
    if out is not None:
        with working("exporting"):
            write_bundle(portfolio, out, weights or ())
    packed = {} if out is None else packages_in(out)
    if as_json:
        folder = None if out is None else str(out)
        print(json.dumps({**report(portfolio), "folder": folder, "packages": packed}))
    else:
        _print(portfolio, out)
        trained = {about["backbone"]: about for about in packed.values() if "classes" in about}
        for name, about in trained.items():
            _print_trained(name[:8], about)


def _print_trained(name: str, about: dict[str, Any]) -> None:
    top1 = about["measured_top1"]
    measured = "" if top1 is None else f"{top1:.1f} % top-1 ({about['accuracy']}); "
    print(f"{name}: trained; {measured}classes: {shortly(tuple(about['classes']))}")


def _quantity(name: str) -> str:
    return "" if name == "latency" else f" {name}"


def _print(portfolio: Portfolio, out: Path | None) -> None:
    from palmette.search.bundle import proof_lines

    print_table(
        f"{len(portfolio.backbones)} backbones for {len(portfolio.shares)} phones x units",
        ["phone", "budget", "backbone", "ms", "at conf.", "top-1", "best", "lost"],
        [
            [
                name,
                f"{share.unit.budget_ms:.4g}{_quantity(share.unit.quantity)}",
                share.network.id[:8],
                f"{share.ms:.3g}",
                f"{share.upper_ms:.3g}",
                f"{share.top1:.1f}",
                f"{share.best_top1:.1f}",
                f"{share.loss_points:.2f}",
            ]
            for name, share in zip(portfolio.fleet.names, portfolio.shares, strict=True)
        ],
    )
    say(at_confidence(portfolio.fleet.confidence))
    say(
        f"best, lost: top-1 ({portfolio.fleet.accuracy}) of the best network for that phone alone,"
        " and points below it"
    )
    say(
        "backbones are weighed over the whole fleet, for the least points lost; a run's own pick is"
        " the fastest that ties with its best, so it may be another"
    )
    print(f"lost at worst {portfolio.worst_loss:.3f} points, in the mean {portfolio.mean_loss:.3f}")
    for line in proof_lines(portfolio):
        say(line)
    for network in portfolio.backbones:
        print(f"{network.id[:8]}: {network.to_text()}")
    if out is not None:
        print(f"bundle: {out} (Swift was parsed, not compiled: see its README.md)")
    else:
        say_next('palmette train "TEXT" --data IMAGES --out FOLDER', "for each backbone above")
        say_next(
            "the same command with --out app --weights FOLDER/best.safetensors",
            "packs them; docs/bundle.md tells how",
        )
