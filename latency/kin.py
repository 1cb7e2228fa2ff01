"""Kin: networks that are held out together when a predictor is asked about a new family.

A family is what one publication scales or trims from one layout: all MobileOne, all RepViT,
EfficientNet with its lite version, both sizes of MobileNetV3. The generations of MobileNet are
families of their own, and so are networks that merely share a kind of block (MnasNet, FBNet).
`data/families.csv` is the table; a design that it lacks is a family by itself.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from pathlib import Path

import pandas as pd

from palmette.latency.tables import read_csv
from palmette.latency.uncertainty import design
from palmette.space.errors import expect


def kin_of(network: str) -> str:
    """Family of a network, in whatever width and resolution."""
    return _shipped().get(design(network), design(network))


def kin(timings: pd.DataFrame) -> dict[str, str]:
    """Family of every network of a timing table: its own `family` column wins where it is filled.

    Raises:
        InputError: rows of one network name two families.
    """
    networks = timings[timings["subject_kind"] == "network"]
    found = {str(name): kin_of(str(name)) for name in networks["subject"]}
    if "family" not in networks:
        return found
    given = networks[networks["family"].fillna("") != ""]
    for name, families in given.groupby("subject")["family"]:
        said = sorted(set(families.astype(str)))
        expect(
            len(said) == 1,
            f"network '{name}': its rows name the families {', '.join(said)}; give it one",
        )
        found[str(name)] = said[0]
    return found


@functools.cache
def _shipped() -> dict[str, str]:
    table = read_csv(Path(str(files("palmette.latency") / "data" / "families.csv")))
    return dict(zip(table["design"], table["family"], strict=True))
