"""What to time on a host so that a predictor for a search space can be fitted: the default plan.

Ops come from architectures sampled from the space, half of them dressed in the kinds of blocks that
the zoo has and the space may lack. They are drawn with a chance that grows with the time they are
thought to take times how often they occur: some 200 ops chosen so are known to do as well as many
more at random. Some ops that no block has (pooling, concatenation, ...) come on top. Chains show
what joining ops costs, and a few whole networks calibrate the sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from palmette.latency.chains import Chain
from palmette.latency.tables import read_csv
from palmette.space import Architecture, Block, Op, SearchSpace
from palmette.space.blocks import (
    ConvBlock,
    DepthwiseSeparable,
    FusedInvertedResidual,
    Head,
    InvertedResidual,
)
from palmette.space.errors import expect

KINDS = ("op", "chain", "network")
SAMPLED = 120
"""Architectures whose ops are drawn from."""
DEPTHS = (2, 6)
"""Blocks in a row of the two chains of one block."""

_ACTS = ("relu", "relu6", "hswish", "swish")
_GATES = ("sigmoid", "hsigmoid")
_MACS_PER_MS = {True: 4e6, False: 4e7}
"""Rough rates of one core, depthwise or not; they decide only what is worth timing."""
_ELEMENTS_PER_MS = 1e6
_START_MS = 0.01


@dataclass(frozen=True, slots=True)
class HostPlan:
    """Texts of the ops, chains and calibration networks to time."""

    ops: tuple[str, ...]
    chains: tuple[str, ...]
    networks: tuple[str, ...]

    @property
    def subjects(self) -> list[tuple[str, str]]:
        """All of them as (kind, text)."""
        kinds = {"op": self.ops, "chain": self.chains, "network": self.networks}
        return [(kind, text) for kind, texts in kinds.items() for text in texts]


def host_plan(
    space: SearchSpace,
    *,
    ops: int = 320,
    others: int = 30,
    blocks: int = 12,
    networks: int = 8,
    seed: int = 0,
) -> HostPlan:
    """Default plan for a space.

    Args:
        ops: most ops to time, all distinct; all there are if the space has fewer.
        others: most ops beside them, of `_OTHERS`.
        blocks: blocks to time as chains, each at `DEPTHS`.
        networks: calibration networks, every second one dressed.
        seed: of all that is drawn.
    """
    rng = np.random.default_rng([seed, 0])
    sampled = sample_architectures(space, SAMPLED, rng)
    counts = Counter(op for architecture in sampled for op in architecture.ops())
    weights = [prior_ms(op) * count for op, count in counts.items()]
    drawn = _draw(list(counts), weights, ops, rng)
    calibration = sample_architectures(space, networks, np.random.default_rng([seed, 1]))
    drawn += [_OTHERS[at % len(_OTHERS)](*_size(rng)) for at in range(others)]
    return HostPlan(
        tuple(dict.fromkeys(op.to_text() for op in drawn)),
        tuple(chain.to_text() for chain in _chains(sampled, blocks, rng)),
        tuple(dict.fromkeys(architecture.to_text() for architecture in calibration)),
    )


def read_subjects(path: Path) -> list[tuple[str, str]]:
    """Subjects of a CSV file with the columns subject_kind and subject, a timing table's say.

    Raises:
        InputError: unreadable, a missing column, no rows, an unknown kind or an empty subject; the
            message names file and row.
    """
    table = read_csv(path)
    for column in ("subject_kind", "subject"):
        expect(column in table, f"{path}: column '{column}' is missing")
    expect(len(table) > 0, f"{path}: there are no rows")
    rows = zip(table.index, table["subject_kind"].tolist(), table["subject"].tolist(), strict=True)
    subjects = []
    for row, kind, text in rows:
        expect(
            kind in KINDS,
            f"{path}: row {row}: subject_kind must be one of {', '.join(KINDS)}, got '{kind}'",
        )
        expect(text.strip() != "", f"{path}: row {row}: subject is empty")
        subjects.append((kind, text.strip()))
    return subjects


def sample_architectures(
    space: SearchSpace, count: int, rng: np.random.Generator
) -> list[Architecture]:
    """Uniform draws from a space; every second one is dressed in other kinds of blocks."""
    drawn = space.decode_batch(space.sample(count, rng))
    return [dressed(one, rng) if at % 2 else one for at, one in enumerate(drawn)]


def dressed(architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """The same widths, depths and strides with each stage's kind of block drawn anew.

    Stages become inverted residuals, depthwise separable, fused or plain convolutions, with an
    activation, squeeze-and-excitation and kernel of their own; the head may pool first.
    """
    stages, channels = [], architecture.stem.channels
    for stage in architecture.stages:
        kind = int(rng.choice(len(_DRESSES), p=_CHANCES))
        style = {
            "act": str(rng.choice(_ACTS)),
            "se": float(rng.choice([0, 0.25])) if rng.random() < 0.8 else 0.5,
            "gate": str(rng.choice(_GATES)),
            "kernel": int(rng.choice([3, 5])),
            "expansion": int(rng.choice([2, 3, 4, 6])),
        }
        blocks: list[Block] = []
        for block in stage:
            blocks.append(_DRESSES[kind](block, channels, style))
            channels = blocks[-1].out_channels
        stages.append(tuple(blocks))
    stem = replace(architecture.stem, act=str(rng.choice(_ACTS)))
    head = architecture.head
    if isinstance(head, Head) and head.channels and rng.random() < 0.3:
        head = Head(head.channels, str(rng.choice(_ACTS)), head.classes, pool_first=True)
    return Architecture(architecture.resolution, stem, tuple(stages), head)


def _gated(style: dict[str, Any], channels: int) -> dict[str, Any]:
    if not style["se"]:
        return {}
    return {"se": max(1, round(style["se"] * channels)), "gate": style["gate"]}


def _inverted(block: Any, channels: int, style: dict[str, Any]) -> Block:
    return InvertedResidual(
        style["kernel"],
        block.stride,
        style["expansion"] * channels,
        block.channels,
        style["act"],
        **_gated(style, channels),
    )


def _separable(block: Any, channels: int, style: dict[str, Any]) -> Block:
    return DepthwiseSeparable(
        style["kernel"], block.stride, block.channels, style["act"], **_gated(style, channels)
    )


def _fused(block: Any, channels: int, style: dict[str, Any]) -> Block:
    expanded = min(style["expansion"], 4) * channels
    return FusedInvertedResidual(3, block.stride, expanded, block.channels, style["act"])


def _plain(block: Any, channels: int, style: dict[str, Any]) -> Block:
    return ConvBlock(3, block.stride, block.channels, style["act"])


_DRESSES = (_inverted, _separable, _fused, _plain)
_CHANCES = (0.55, 0.2, 0.1, 0.15)


_OTHERS: tuple[Callable[[int, int], Op], ...] = (
    lambda c, px: Op("pool", ((c, 2 * px, 2 * px),), (c, px, px), (3, 3), (2, 2)),
    lambda c, px: Op("concat", ((c, px, px),) * 2, (2 * c, px, px)),
    lambda c, px: Op("permute", ((2, c, px, px),), (c, 2, px, px)),
    lambda c, px: Op("slice", ((2 * c, px, px),), (c, px, px)),
    lambda c, px: Op("add", ((c, px, px),) * 2, (c, px, px), act="relu"),
)
"""Ops that no block has, by channels and side."""


def _size(rng: np.random.Generator) -> tuple[int, int]:
    """Channels and side of a map; larger maps have fewer channels."""
    px = int(rng.choice([7, 14, 28, 56]))
    return int(rng.integers(1, 5)) * 8 * (112 // px), px


def prior_ms(op: Op) -> float:
    """Milliseconds that an op might take on one core; a guess from its counts."""
    moved = op.in_elements + op.out_elements * (1 if op.act == "none" else 2) + op.weights
    return _START_MS + op.macs / _MACS_PER_MS[op.depthwise] + moved / _ELEMENTS_PER_MS


def _draw(
    ops: list[Op], weights: Iterable[float], count: int, rng: np.random.Generator
) -> list[Op]:
    """Ops without replacement, each with a chance by its weight; in order of first appearance."""
    # the largest of log weight + Gumbel noise (Efraimidis and Spirakis, 2006)
    keys = np.log(np.fromiter(weights, float)) + rng.gumbel(size=len(ops))
    return [ops[at] for at in sorted(np.argsort(-keys)[:count])]


def _chains(
    architectures: Iterable[Architecture], count: int, rng: np.random.Generator
) -> list[Chain]:
    """Chains of distinct blocks that give back the shape of their input, at both depths."""
    found = {
        (part.block, (part.in_channels, part.height, part.width))
        for architecture in architectures
        for part in architecture.parts()
        if 0 <= part.stage < len(architecture.stages)
        and part.block.downsampling == 1
        and part.block.out_channels == part.in_channels
    }
    blocks = sorted(found, key=repr)
    picked = rng.choice(len(blocks), min(count, len(blocks)), replace=False)
    return [Chain(depth, *blocks[at]) for at in sorted(picked) for depth in DEPTHS]
