"""How far off the accuracy prior is on families of blocks that it was not fitted to.

    python -m palmette.train.family_bias [--write] [--json]

prints the table that docs/accuracy.md shows; `--write` makes `data/family_bias.json`, from which
the prior widens its estimates (`families`).

An error is the estimate less the published top-1, in points. It is taken of the bare formula over
the whole network: the guards only withhold, and a search accepts no network that they change. A
network is one value, the mean over its published trainings: the zoo's figure, and those of
`data/family_rows.csv` at other recipes and resolutions. Two kinds (`mix`, `uir`) were in the fit
after all, as was an FBNet: their errors are those of the fit that was made without the family.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from palmette.space.architecture import Architecture
from palmette.space.blocks import BLOCKS
from palmette.space.files import write_text
from palmette.space.zoo import ZOO, load
from palmette.train import families
from palmette.train.families import COMPANIONS, FITTED_BLOCKS, GROUPS, Family
from palmette.train.features import features_of, laid_out, sums_of
from palmette.train.prior import AccuracyPrior

FITS = {"mix": "mixnet", "uir": "mobilenetv4", GROUPS: "fbnet"}
"""The fit without the family, for families of which the prior's fit has seen networks."""
OWN_RECIPES = ("timm_e500", "timm_e600", "timm_e1200", "timm_e2400", "timm_e3600")
"""Recipes whose u was fitted to MobileNetV4 alone, and so has taken in its error. For an honest one
they are unknown: the mean recipe stands for them."""
UNKNOWN_LAYOUTS = ("squeezenext_44_1.0",)
"""Networks whose published top-1 belongs to a layout that was not published."""
COMMAND = "python -m palmette.train.family_bias --write"


@dataclass(frozen=True, slots=True)
class Training:
    """A published training: network of the zoo, square resolution in px (None: the zoo's), recipe
    by the prior's names (blank: none of those), top-1 in %."""

    network: str
    resolution: int | None
    recipe: str
    top1: float


def trainings() -> list[Training]:
    """Published trainings of the zoo's networks: its own figures, then `family_rows.csv`."""
    found = [
        Training(name, None, reference.recipe, reference.top1)
        for name, reference in ZOO.items()
        if reference.top1 is not None and name not in UNKNOWN_LAYOUTS
    ]
    path = files("palmette.train") / "data" / "family_rows.csv"
    for row in csv.DictReader(path.read_text("utf-8").splitlines()):
        resolution, top1 = int(row["resolution"]), float(row["top1"])
        found.append(Training(row["network"], resolution, row["recipe"], top1))
    return found


def families_in(architecture: Architecture) -> set[str]:
    """Families outside the fit of which a network has blocks, companions left out.

    Groups are a matter of fitted blocks: where other families stand too, the error is theirs.
    """
    names = {families.family_of(block) for stage in architecture.stages for block in stage}
    names -= {*FITTED_BLOCKS, *COMPANIONS}
    return names - {GROUPS} if len(names) > 1 else names


def error(prior: AccuracyPrior, training: Training, family: str) -> float:
    """Bare estimate of a training less its published top-1, in points, as of a family outside."""
    network = load(training.network)
    if training.resolution:
        network = network.with_resolution(training.resolution, training.resolution)
    recipe = None if training.recipe in ("", *OWN_RECIPES) else training.recipe
    features = features_of(sums_of(network, list(laid_out(network)))[None])
    errors = prior.bare.errors(features, prior.recipe_offset(recipe))[:, 0]
    fit = 1 + prior.left_out.index(FITS[family]) if family in FITS else 0
    return float(100.0 - errors[fit] - training.top1)


def measure(prior: AccuracyPrior) -> dict[str, Family]:
    """Every family that blocks can form, with the prior's errors on its published networks."""
    outside = [kind for kind in BLOCKS if kind not in (*FITTED_BLOCKS, *COMPANIONS)]
    found: dict[str, dict[str, list[float]]] = {name: {} for name in (*outside, GROUPS)}
    for training in trainings():
        for family in families_in(load(training.network)):
            errors = found[family].setdefault(training.network, [])
            errors.append(error(prior, training, family))
    return {
        family: Family({name: round(float(np.mean(values)), 4) for name, values in rows.items()})
        for family, rows in found.items()
    }


def to_dict(measured: dict[str, Family]) -> dict[str, Any]:
    """The table as the plain values of its file; bias and spread are there to be read."""
    rows = {
        name: {
            "networks": len(family.errors),
            "bias": round(family.bias, 2),
            "spread": round(family.spread, 2),
            "refusal": family.refusal,
            "errors": dict(family.errors),
        }
        for name, family in measured.items()
    }
    return {"format": families.FORMAT, "command": COMMAND, "families": rows}


def markdown(measured: dict[str, Family]) -> str:
    """The table of docs/accuracy.md; families without a published network are left out."""
    lines = [
        "| blocks | networks | bias, points | spread, points | the prior |",
        "|---|---|---|---|---|",
    ]
    for name, family in measured.items():
        count = len(family.errors)
        if count:
            spread = f"{family.spread:.1f}" if count > 1 else ""
            verdict = "refuses" if family.refusal else "widens"
            lines.append(f"| `{name}` | {count} | {family.bias:+.1f} | {spread} | {verdict} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; see the module."""
    parser = argparse.ArgumentParser(prog="python -m palmette.train.family_bias")
    parser.add_argument("--write", action="store_true", help="make the table that is shipped")
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    options = parser.parse_args(arguments)
    measured = measure(AccuracyPrior.load())
    table = to_dict(measured)
    print(markdown(measured))
    if options.write:
        path = Path(__file__).parent / "data" / families.FILE
        write_text(path, json.dumps(table, indent=1) + "\n")
    if options.json:
        print(json.dumps(table))


if __name__ == "__main__":
    main()
