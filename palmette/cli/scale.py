"""The command that scales one network to a budget: `palmette scale`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from palmette.cli.interrupts import working
from palmette.cli.output import print_table
from palmette.cli.shrink import (
    ESTIMATES,
    Budget,
    Confidence,
    Lam,
    OutJson,
    RecipeName,
    check_limits,
    described,
    estimates,
    expect_json,
    print_columns,
    print_network,
    write_json,
)
from palmette.cli.subjects import (
    Arch,
    Json,
    MaybeTarget,
    PredictorFile,
    given_predictor,
    read_architecture,
)


def scale(
    arch: Arch,
    budget_ms: Budget,
    target: MaybeTarget = None,
    predictor_file: PredictorFile = None,
    alpha: Annotated[float, typer.Option(help="Factor of the depth, to the power of phi.")] = 1.2,
    beta: Annotated[float, typer.Option(help="Of the width.")] = 1.1,
    gamma: Annotated[float, typer.Option(help="Of the image's sides.")] = 1.15,
    fit: Annotated[
        bool, typer.Option("--fit", help="Find the three that suit twice the time here.")
    ] = False,
    confidence: Confidence = 0.8,
    lam: Lam = 0.5,
    recipe: RecipeName = None,
    out: OutJson = None,
    as_json: Json = False,
) -> None:
    """Scale depth, width and image of a network together, to the largest inside a budget."""
    from palmette import search as engine
    from palmette.space.errors import expect

    expect_json(out)
    given = engine.Coefficients(alpha, beta, gamma)
    expect(
        not fit or given == engine.Coefficients(),
        "--fit: finds alpha, beta and gamma; leave them out",
    )
    check_limits("scale", target, predictor_file, budget_ms, confidence, lam)
    base = read_architecture(arch)
    predictor = given_predictor("scale", target, predictor_file)
    with working("scaling"):
        if fit:
            given = engine.fit_coefficients(base, predictor, lam=lam, recipe=recipe)
        found = engine.scale_to_budget(
            base,
            predictor,
            budget_ms,
            coefficients=given,
            confidence=confidence,
            lam=lam,
            recipe=recipe,
        )
    write_json(found.architecture, out)
    row: dict[str, Any] = {str(name): value for name, value in found.row.iloc[0].items()}
    if as_json:
        answer = {
            "target": str(predictor.model_.target),
            "budget_ms": budget_ms,
            "confidence": confidence,
            "alpha": given.alpha,
            "beta": given.beta,
            "gamma": given.gamma,
            **row,
            **described(found.architecture, out),
        }
        print(json.dumps(answer))
        return
    print_table(
        f"{arch} on {predictor.model_.target}, {budget_ms:g} ms at {confidence:.0%}",
        ["phi", "depth", "width", *ESTIMATES],
        [
            [
                f"{found.phi:.3f}",
                f"x{given.alpha**found.phi:.2f}",
                f"x{given.beta**found.phi:.2f}",
                *estimates(row),
            ]
        ],
    )
    if fit:
        print(f"alpha {given.alpha:g}, beta {given.beta:g}, gamma {given.gamma:g}")
    print_columns(confidence, lam)
    print_network(found.architecture, predictor)
