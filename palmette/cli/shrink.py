"""The command that makes one network fit a budget: `palmette shrink`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from palmette.cli.door import check_target
from palmette.cli.interrupts import working
from palmette.cli.output import at_confidence, note, print_table, say
from palmette.cli.subjects import (
    Arch,
    Json,
    MaybeTarget,
    PredictorFile,
    given_predictor,
    read_architecture,
)

if TYPE_CHECKING:
    from palmette.latency import LatencyPredictor
    from palmette.space import Architecture

Budget = Annotated[float, typer.Option("--budget-ms", help="Milliseconds of one image.")]
Confidence = Annotated[float, typer.Option(help="That the budget is kept.")]
Lam = Annotated[float, typer.Option(help="Standard deviations taken off the accuracy: the score.")]
RecipeName = Annotated[str | None, typer.Option(help="Training recipe; default the mean.")]
OutJson = Annotated[
    Path | None, typer.Option("--out", metavar="FILE.json", help="Write the network as JSON.")
]


def shrink(
    arch: Arch,
    budget_ms: Budget,
    target: MaybeTarget = None,
    predictor_file: PredictorFile = None,
    confidence: Confidence = 0.8,
    lam: Lam = 0.5,
    recipe: RecipeName = None,
    rule: Annotated[
        Literal["rate", "score"],
        typer.Option(help="Keep what loses least per ms saved, or what scores best."),
    ] = "rate",
    extrapolate: Annotated[bool, typer.Option(help="Change also what timings don't show.")] = False,
    out: OutJson = None,
    as_json: Json = False,
) -> None:
    """Take from a network what costs the least accuracy, until it keeps a budget."""
    from palmette import search as engine

    expect_json(out)
    check_limits("shrink", target, predictor_file, budget_ms, confidence, lam)
    network = read_architecture(arch)
    predictor = given_predictor("shrink", target, predictor_file)
    with working("shrinking"):
        found = engine.shrink(
            network,
            predictor,
            budget_ms,
            confidence=confidence,
            lam=lam,
            recipe=recipe,
            rule=rule,
            extrapolate=extrapolate,
        )
    write_json(found.architecture, out)
    if as_json:
        answer = {
            "target": str(predictor.model_.target),
            "budget_ms": budget_ms,
            "confidence": confidence,
            "path": found.path.to_dict("records"),
            **described(found.architecture, out),
        }
        print(json.dumps(answer))
        return
    print_table(
        f"{arch} on {predictor.model_.target}, {budget_ms:g} ms at {confidence:.0%}",
        ["step", *ESTIMATES, "change"],
        [
            [str(row["step"]), *estimates(row), row["change"] or "as it was"]
            for row in found.path.to_dict("records")
        ],
    )
    print_columns(confidence, lam)
    print_network(found.architecture, predictor)


ESTIMATES = ["ms", "at conf.", "top-1", "score", "params M", "MACs M"]
"""Columns of a network's estimates."""


def estimates(row: Mapping[Any, Any]) -> list[str]:
    """Cells of `ESTIMATES` of a row of `Shrunk.path`."""
    return [
        f"{row['ms']:.3g}",
        f"{row['ms_at_confidence']:.3g}",
        f"{row['top1']:.1f}",
        f"{row['score']:.1f}",
        f"{row['params_m']:.2f}",
        f"{row['macs_m']:.0f}",
    ]


def print_columns(confidence: float, lam: float) -> None:
    """What columns of `ESTIMATES` hold that their heads don't tell."""
    say(at_confidence(confidence))
    say(f"score: estimated top-1 less {lam:g} of its standard deviations (--lam)")


def print_network(network: Architecture, predictor: LatencyPredictor) -> None:
    """The text of a network, ready for `palmette export`; what to know of it beside."""
    from palmette.train import AccuracyPrior

    for guard in AccuracyPrior.load().active_guards(network):
        note(f"guard: {guard}")
    if predictor.outside(network):
        note("warning: its work lies outside that of the timed networks; the interval is widened")
    if predictor.caution:
        note(f"{predictor.model_.target}: {predictor.caution}")
    print(network.to_text())


def described(network: Architecture, out: Path | None) -> dict[str, str | None]:
    """A network as plain values."""
    return {
        "id": network.id,
        "architecture": network.to_text(),
        "out": None if out is None else str(out),
    }


def check_limits(
    command: str,
    target: str | None,
    predictor: Path | None,
    budget_ms: float,
    confidence: float,
    lam: float,
) -> None:
    """Raise InputError for a target that is not there, or a number out of range."""
    from palmette.latency.budget import expect_budget
    from palmette.search import Limits

    check_target(command, target, predictor)
    expect_budget(budget_ms)
    Limits(budget_ms, confidence, lam=lam)


def expect_json(out: Path | None) -> None:
    """Raise InputError if a file could not be read as ARCH."""
    from palmette.space.errors import expect

    expect(
        out is None or out.suffix == ".json", f"--out: {out} must end in .json, to be read again"
    )


def write_json(network: Architecture, out: Path | None) -> None:
    """Write a network, atomically, if a file is given."""
    from palmette.space.files import write_text

    if out is not None:
        write_text(out, network.to_json() + "\n")
