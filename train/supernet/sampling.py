"""Codes to train on: the largest, the smallest and random networks of a phase.

What has no order, such as activations, is drawn for the largest and the smallest too, where a
generator is given; else it is the first choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from palmette.space import SearchSpace
from palmette.space.choices import image_size
from palmette.space.search_space import Codes, Gene

ALL = "all"


def is_free(gene: Gene, free: Sequence[str]) -> bool:
    """Whether a gene varies, given names of genes or of their keys."""
    return ALL in free or gene.name in free or gene.name.partition(".")[2] in free


def largest(space: SearchSpace) -> Codes:
    """Code (genes,) with the highest value of every gene."""
    return np.array([_place(gene, 1.0) for gene in space.genes], dtype=np.int64)


def smallest(space: SearchSpace, free: Sequence[str] = (ALL,)) -> Codes:
    """Code (genes,) with the lowest value of every free gene and the highest of the others."""
    places = [_place(gene, -1.0 if is_free(gene, free) else 1.0) for gene in space.genes]
    return np.array(places, dtype=np.int64)


def sandwich(
    space: SearchSpace, free: Sequence[str], random: int, rng: np.random.Generator
) -> list[Codes]:
    """The largest network, the smallest and some random ones, each once (Yu and Huang, 2019).

    Args:
        space: of the supernet.
        free: genes or keys that vary; the others keep their highest value.
        random: how many random networks.
        rng: what they are drawn from.
    """
    ends = [largest(space), smallest(space, free)]
    open_ = np.array([is_free(gene, free) for gene in space.genes], dtype=np.bool_)
    drawn = [np.where(open_, code, ends[0]) for code in space.sample(random, rng)]
    codes = [_unordered_drawn(space, code, open_, rng) for code in ends] + drawn
    return list({tuple(code.tolist()): code for code in codes}.values())


def _unordered_drawn(
    space: SearchSpace, code: Codes, free: NDArray[np.bool_], rng: np.random.Generator
) -> Codes:
    drawn = space.sample(1, rng)[0]
    text = np.array([not _values(gene) for gene in space.genes], dtype=np.bool_)
    found: Codes = np.where(text & free, drawn, code)
    return found


def _place(gene: Gene, sign: float) -> int:
    values = [sign * value for value in _values(gene)]
    return values.index(max(values)) if values else 0


def _values(gene: Gene) -> list[float]:
    """What the choices of a gene are ordered by, a resolution by its area; none for names."""
    if gene.key == "resolution":
        return [float(math.prod(image_size(choice))) for choice in gene.choices]
    if isinstance(gene.choices[0], str):
        return []
    return [float(choice) for choice in gene.choices]
