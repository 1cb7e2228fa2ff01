"""One network of a search space as a space of its own, with one choice of each key.

So a changed choice is decoded by the rules that all networks of the space are decoded by, whether
it is among the choices of the space or not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palmette.space.architecture import Architecture
from palmette.space.block_edits import read_choice
from palmette.space.choices import Choice
from palmette.space.search_space import SearchSpace
from palmette.space.space_toml import check_point, followers_of
from palmette.space.stage_blocks import KINDS, kinds_of

_NO_CODE = np.zeros(0, dtype=np.int64)


def point_of(space: SearchSpace, network: Architecture) -> SearchSpace:
    """The space without any choice but those of a network.

    Raises:
        InputError: the network is not in the space.
    """
    sections = {name: dict(table) for name, table in space.sections.items()}
    for gene, index in zip(space.genes, space.encode(network), strict=True):
        sections[gene.section][gene.key] = (gene.choices[int(index)],)
    return replace(space, sections=sections)


def decoded(point: SearchSpace) -> Architecture:
    """The one network of a point."""
    return point.decode(_NO_CODE)


def names_key(point: SearchSpace, section: str, key: str) -> bool:
    """Whether a space has a word for a key, and any stage listens to it."""
    if (section, key) == ("network", "se"):
        return bool(followers_of(point.sections))
    return key in point.sections.get(section, {})


def choose(
    point: SearchSpace, section: str, key: str, text: str
) -> tuple[tuple[tuple[str, Choice], ...], Choice, SearchSpace]:
    """Another choice of a key.

    Returns:
        Kinds of blocks with the choice that goes (none if it is the same), the choice that comes,
        and the point with it.

    Raises:
        InputError: the choice is not allowed, or not with the others.
    """
    table, kinds = point.sections[section], _kinds(point, section, key)
    comes, (was, *_) = read_choice(text, key, kinds[0]), table[key]
    changed = replace(point, sections={**point.sections, section: {**table, key: (comes,)}})
    check_point(changed.sections, f"space '{point.name}'")
    return tuple((kind, was) for kind in kinds if was != comes), comes, changed


def _kinds(point: SearchSpace, section: str, key: str) -> list[str]:
    """Kinds of the blocks that a key is about, each once; blank if it is not about their kind."""
    stages = {"network": followers_of(point.sections) if key == "se" else []}.get(
        section, [section]
    )
    named = [kinds_of(point.sections[stage])[0] for stage in stages]
    return list(dict.fromkeys(kind for kind in named if key in KINDS[kind].keys)) or [""]
