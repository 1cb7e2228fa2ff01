"""What the networks of a space need of a target: kernels and blocks, with what each may take.

Architectures are drawn from the space and their ops joined to kernels as the target's runtime joins
them. Every kernel has the milliseconds that it is thought to take in all of them together: work
times occurrences. They come from the target's predictor where palmette ships one, or one is given,
else from `rough_ms`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from palmette.latency.chains import Chain
from palmette.latency.per_op.fusion import Fusion, fusion_of
from palmette.latency.per_op.kernels import (
    SORTS,
    Kernel,
    KernelTable,
    kernel_from_text,
    kernel_text,
)
from palmette.latency.per_op.op_timings import LEAST_FAMILIES
from palmette.latency.planning.calibration import describe
from palmette.latency.planning.rough import rough_ms
from palmette.latency.predictor import LatencyPredictor
from palmette.latency.targets import Target
from palmette.latency.uncertainty import design
from palmette.space import MOBILENET_LIKE, ZOO, Architecture, OpTable, load
from palmette.space.errors import expect

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WINDOWED = ("conv", "depthwise", "grouped", "conv_transpose", "pool")
START = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Kernels:
    """Kernels that differ: texts, columns, and ms in all networks together, once, (n,)."""

    texts: tuple[str, ...]
    table: KernelTable
    total_ms: Floats
    ms: Floats

    def label(self, at: int) -> str:
        """Sort and window of a kernel in a few words."""
        op = kernel_from_text(self.texts[at])[0]
        sort = SORTS[int(self.table.column("sort")[at])]
        high, wide = op.kernel
        return f"{sort} {high}x{wide}" if sort in WINDOWED else sort


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks that may be timed whole.

    `described` as `describe` says, `ms` (n,), `known` (n,) are those that everybody knows, and
    `kin` (n,) numbers their designs.
    """

    texts: tuple[str, ...]
    described: Floats
    ms: Floats
    known: NDArray[np.bool_]
    kin: Ints


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks that can be chained, at depth 1: `kernels` of each are indices into `Kernels`.

    `points` (n, columns) and `traits` (n, traits) tell them apart; `ms` and `total_ms` (n,) are of
    one block and of all its occurrences.
    """

    chains: tuple[Chain, ...]
    kernels: tuple[Ints, ...]
    points: Floats
    traits: Floats
    ms: Floats
    total_ms: Floats


@dataclass(frozen=True, slots=True)
class Needs:
    """All of it; `guessed` without a predictor."""

    kernels: Kernels
    networks: Networks
    blocks: Blocks
    guessed: bool


@dataclass(slots=True)
class _Met:
    """Kernels as they are met, with what they took."""

    fusion: Fusion
    kernels: dict[str, Kernel] = field(default_factory=dict)
    total_ms: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    counts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, kernels: Iterable[Kernel], ms: Floats) -> None:
        """Kernels of a network in order."""
        for kernel, took in zip(kernels, ms.tolist(), strict=True):
            text = kernel_text(kernel)
            self.kernels[text] = kernel
            self.total_ms[text] += took
            self.counts[text] += 1

    def all(self) -> Kernels:
        """Those whose main op can be timed by itself."""
        texts = tuple(text for text, kernel in self.kernels.items() if kernel[0].kind != "other")
        total = np.array([self.total_ms[text] for text in texts])
        count = np.array([self.counts[text] for text in texts])
        table = KernelTable.of([self.kernels[text] for text in texts])
        return Kernels(texts, table, total, total / count)


def find_needs(
    architectures: Sequence[Architecture],
    target: Target,
    predictor: LatencyPredictor | None = None,
    known: Iterable[str] = (),
) -> Needs:
    """What architectures of a space need.

    Args:
        architectures: drawn from the space; calibration networks come from them.
        target: whose runtime joins the ops.
        predictor: of the target, fitted; without one the milliseconds are rough guesses.
        known: names of well-known networks that may be timed besides.

    Raises:
        InputError: no architectures.
    """
    expect(len(architectures) > 0, "a plan needs architectures")
    met = _Met(fusion_of(target.runtime))
    rows = []
    for architecture in architectures:
        rows.append(_network(architecture.to_text(), architecture, target, predictor, met))
    seen = len(rows)
    others = _Met(met.fusion)  # what only they need is not needed
    rows += [_network(name, load(name), target, predictor, others) for name in known]
    ms, count, slow, px = np.array([row[1:] for row in rows]).T
    texts = tuple(str(row[0]) for row in rows)
    designs = [design(text) for text in texts]
    kin = np.unique(designs, return_inverse=True)[1].astype(np.int64)
    networks = Networks(texts, describe(ms, count, slow, px), ms, np.arange(len(rows)) >= seen, kin)
    kernels = met.all()
    return Needs(kernels, networks, _blocks(architectures, kernels, met.fusion), predictor is None)


def _network(
    text: str,
    architecture: Architecture,
    target: Target,
    predictor: LatencyPredictor | None,
    met: _Met,
) -> tuple[str, float, float, float, float]:
    """Text, ms, kernels, slow kernels and pixels of a network; notes its kernels."""
    ops = architecture.ops()
    table = OpTable.of(ops)
    kernels, main = met.fusion.kernels(table, START)
    if predictor is None:
        ms = rough_ms(kernels, target.unit)
        whole = float(ms.sum())
    else:
        parts, whole = predictor.model_.split(table)
        ms = np.maximum(parts[main], 1e-6)
    met.add(met.fusion.groups(ops), ms)
    height, width = architecture.resolution
    return text, whole, len(kernels), float((kernels.slow > 0).sum()), height * width


def fitting_zoo(architectures: Iterable[Architecture]) -> tuple[str, ...]:
    """Reference networks whose kinds of blocks, activations and gates all occur in some drawn ones.

    Of these the ones that everybody times (`MOBILENET_LIKE`), if there are any. Where these and the
    drawn ones are too few designs for a fit, all of those.
    """
    architectures = list(architectures)
    kinds: set[str] = set()
    for architecture in architectures:
        kinds |= _kinds(architecture)
    fitting = tuple(name for name in ZOO if _kinds(load(name)) <= kinds)
    fitting = tuple(name for name in fitting if name in MOBILENET_LIKE) or fitting
    designs = {design(one.to_text()) for one in architectures} | {design(name) for name in fitting}
    more = MOBILENET_LIKE if len(designs) < LEAST_FAMILIES else ()
    return tuple(dict.fromkeys((*fitting, *more)))


def _kinds(architecture: Architecture) -> set[str]:
    """Kinds of blocks, activations and gates, stem and head among them."""
    blocks = [part.block for part in architecture.parts()]
    acts = {str(getattr(block, "act", "")) for block in blocks}
    gates = {str(getattr(block, "gate", "")) for block in blocks if getattr(block, "se", 0)}
    kinds = {block.kind for block in blocks} | {f"act {act}" for act in acts}
    return kinds | {f"gate {gate}" for gate in gates}


def _blocks(architectures: Iterable[Architecture], kernels: Kernels, fusion: Fusion) -> Blocks:
    """Blocks that give back the shape of their input, by the time of all their occurrences."""
    counts: defaultdict[Chain, int] = defaultdict(int)
    for architecture in architectures:
        last = len(architecture.stages)
        for part in architecture.parts():
            same = part.block.downsampling == 1 and part.block.out_channels == part.in_channels
            if 0 <= part.stage < last and same:
                shape = (part.in_channels, part.height, part.width)
                counts[Chain(1, part.block, shape)] += 1
    place = {text: at for at, text in enumerate(kernels.texts)}
    kinds = sorted({chain.block.kind for chain in counts})
    chains, inside, points, traits = [], [], [], []
    for chain in counts:
        groups = fusion.groups(chain.ops())
        known = [place[text] for text in map(kernel_text, groups) if text in place]
        if not known:
            continue
        table = KernelTable.of(groups)
        chains.append(chain)
        inside.append(np.array(known, dtype=np.int64))
        points.append(np.log1p(table.work.sum(axis=0)))
        traits.append([kinds.index(chain.block.kind), len(groups), table.column("window").max()])
    ms = np.array([kernels.ms[known].sum() for known in inside])
    total_ms = ms * np.array([counts[chain] for chain in chains])
    return Blocks(tuple(chains), tuple(inside), np.array(points), np.array(traits), ms, total_ms)
