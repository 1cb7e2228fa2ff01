"""A portfolio in words, as a table, and as plain values."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from palmette.latency import LATENCY
from palmette.search.bundle.portfolio import Portfolio


def table(portfolio: Portfolio) -> pd.DataFrame:
    """A row for each unit, in the fleet's order; with `quantity` if a budget is not of latency."""
    told = any(share.unit.quantity != LATENCY for share in portfolio.shares)
    return pd.DataFrame(
        {
            "target": str(share.unit.target),
            **({"quantity": share.unit.quantity} if told else {}),
            "budget_ms": share.unit.budget_ms,
            "backbone": share.network.id,
            "ms": share.ms,
            "lower_ms": share.lower_ms,
            "upper_ms": share.upper_ms,
            "top1": share.top1,
            "best_top1": share.best_top1,
            "loss_points": share.loss_points,
        }
        for share in portfolio.shares
    )


def proof(portfolio: Portfolio) -> dict[str, Any]:
    """The optimum as plain values: fewest backbones, what fewer would lose, weights by target."""
    units = [str(unit.target) for unit in portfolio.fleet.units]
    weights = portfolio.weights
    return {
        "fewest": portfolio.fewest,
        "least_worst_loss": {
            str(count): None if math.isinf(loss) else loss
            for count, loss in enumerate(portfolio.least_loss, 1)
        },
        "weights": None if weights is None else dict(zip(units, weights, strict=True)),
    }


def proof_lines(portfolio: Portfolio) -> list[str]:
    """The same in sentences."""
    fleet, count = portfolio.fleet, portfolio.fewest
    losses = ", ".join(
        f"{number}: {'no budget held' if math.isinf(loss) else f'{loss:.3f}'}"
        for number, loss in enumerate(portfolio.least_loss, 1)
    )
    lines = [
        f"fewest backbones within {portfolio.max_loss_points:g} points: {count} (optimum of an"
        f" integer program over {len(fleet.networks)} networks and {len(fleet.units)} phones x"
        " units, equal to its lower bound)",
        f"least worst loss, points, by number of backbones: {losses}",
    ]
    if count > 1 and portfolio.weights is not None:
        parts = " + ".join(
            f"{weight:.3g} {name}"
            for name, weight in zip(fleet.names, portfolio.weights, strict=True)
            if weight > 0
        )
        lines.append(
            f"why {count - 1} can't do: no network serves phones that weigh more than 1 together,"
            f" and all weigh {sum(portfolio.weights):.3g} ({parts})"
        )
    below = [
        name
        for name, unit in zip(fleet.names, fleet.units, strict=True)
        if unit.searched_at < fleet.confidence
    ]
    if below:
        lines.append(
            f"searched below confidence {fleet.confidence:g}, so that better networks may not be on"
            f" the front: {', '.join(below)}"
        )
    return lines


def report(portfolio: Portfolio) -> dict[str, Any]:
    """The portfolio as plain values, for programs."""
    return {
        "accuracy": portfolio.fleet.accuracy,
        "confidence": portfolio.fleet.confidence,
        "max_loss_points": portfolio.max_loss_points,
        "candidates": len(portfolio.fleet.networks),
        "backbones": {network.id: network.to_text() for network in portfolio.backbones},
        "worst_loss_points": portfolio.worst_loss,
        "mean_loss_points": portfolio.mean_loss,
        "proof": proof(portfolio),
        "phones": table(portfolio).to_dict("records"),
    }
