"""What a timing table holds of one target, ready to fit: kernels, and networks made of kernels.

Kernels with their milliseconds are rows of ops, less what a call of anything costs, and the blocks
of chains. A chain's slope over its depth is the time of a block. It is shared among the block's
kernels in proportion to what a model of the other kernels predicts (without any, prices fitted to
the blocks), and the model fitted again with these shares. Networks have the kernels that were timed
inside them (`part_of`), else their own ops, joined as the target's runtime joins them.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from palmette.latency.chains import Chain
from palmette.latency.op_lists import network_ops
from palmette.latency.passports import typical_ms
from palmette.latency.per_op.fusion import Fusion, fusion_of
from palmette.latency.per_op.kernels import KernelTable, kernel_from_text
from palmette.latency.per_op.network_cost import TimedKernels, TimedNetworks
from palmette.latency.per_op.op_cost import ParametricOps, PowerOps
from palmette.latency.per_op.power_law import LEAST_ROWS
from palmette.latency.targets import Target
from palmette.latency.timings import INCOMPLETE
from palmette.latency.uncertainty import design, hull_channels
from palmette.space import OpTable
from palmette.space.errors import expect

Floats = NDArray[np.float64]

LEAST_KERNELS, LEAST_FAMILIES = LEAST_ROWS, 4
MOST_OFF = 30.0
"""Factor between a kernel's time and that of its like from which on it is taken for a mistake."""
LEAST_OVER_CALL = 1.5
"""Ops below so many calls of nothing say more about the call than about the op."""
CHAIN_ROUNDS = 3
_START = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class OpTimings:
    """Timings of a target as kernels and networks.

    `names` and `sums` follow the networks: names, and the hull's `CHANNELS`. `apart` are kernels
    timed in none of them. `call_ms` is what a call costs whatever it runs, taken off the ops.
    `left_out` says what was not used, and why.
    """

    target: Target
    networks: TimedNetworks
    names: tuple[str, ...]
    sums: Floats
    apart: TimedKernels | None
    call_ms: float
    left_out: tuple[str, ...]

    @property
    def kernels(self) -> TimedKernels:
        """All timed kernels."""
        inside = self.networks.timed(np.ones(len(self.names), dtype=np.bool_))
        return inside if self.apart is None else inside.join(self.apart)


def gather(rows: pd.DataFrame, target: Target) -> OpTimings:
    """Timings of one target from the rows of a timing table (see `read_timing_tables`).

    Raises:
        InputError: too few kernels, or families of networks; says what is missing.
    """
    own = rows[rows["target"] == str(target)]
    left_out: list[str] = []
    blocks, call_ms = _blocks(own[own["subject_kind"] == "chain"], left_out)
    every = own[own["subject_kind"] == "op"]
    call = np.where(every["part_of"] == "", call_ms, 0.0)  # inside a network, kernels share one
    ops = _believed(every.assign(call=call, ms=every["latency_ms"] - call), left_out)
    hurt = set(every.loc[every.index.difference(ops.index), "part_of"])
    timed = list(_timed_networks(_whole(own, hurt, left_out), ops, fusion_of(target.runtime)))
    families = len({network.family for network in timed})
    count = len(ops) + sum(len(block.ops) for block in blocks)
    expect(
        count >= LEAST_KERNELS and families >= LEAST_FAMILIES,
        f"target '{target}': {count} timed ops and networks of {families} families can be used;"
        f" what an op costs needs at least {LEAST_KERNELS} ops, and how their sum becomes a"
        f" network's time at least {LEAST_FAMILIES} families"
        + (f"; left out: {left_out[0]} (and {len(left_out) - 1} more)" if left_out else ""),
    )
    networks = TimedNetworks(
        KernelTable.concatenate([network.kernels for network in timed]),
        np.concatenate([network.kernel_ms for network in timed]),
        np.repeat(np.arange(len(timed)), [len(network.kernels) for network in timed]),
        np.array([network.ms for network in timed]),
        tuple(network.family for network in timed),
    )
    names = tuple(network.name for network in timed)
    apart = _kernels(ops[~ops["part_of"].isin(names)])
    if blocks:
        apart = _with_blocks(apart, networks, blocks, fusion_of(target.runtime))
    sums = np.array([network.sums for network in timed])
    return OpTimings(target, networks, names, sums, apart, call_ms, tuple(left_out))


def _believed(ops: pd.DataFrame, left_out: list[str]) -> pd.DataFrame:
    """Rows of ops without those that are mostly call, and those unlike all of their like."""
    little = ops[ops["latency_ms"] < LEAST_OVER_CALL * ops["call"]]
    left_out += [
        f"{row.subject}: {row.latency_ms:g} ms is mostly the {row.call:.3g} ms that a call of"
        " anything costs; time a chain of it"
        for row in little.itertuples()
    ]
    ops = ops.drop(index=little.index)
    if len(ops) < LEAST_KERNELS:
        return ops
    kernels, ms = KernelTable.of(list(map(kernel_from_text, ops["subject"]))), ops["ms"].to_numpy()
    off = ms / ParametricOps().fit(kernels, ms).op_ms(kernels)
    odd = np.abs(np.log(off)) > math.log(MOST_OFF)
    left_out += [
        f"{subject}: {took:g} ms is {ratio:.3g} times what its like take; in another unit?"
        for subject, took, ratio in zip(ops["subject"][odd], ms[odd], off[odd], strict=True)
    ]
    return ops[~odd]


@dataclass(frozen=True, slots=True)
class _Network:
    """A timed network: its kernels with their ms (NaN: not timed), and its `CHANNELS` sums."""

    name: str
    family: str
    ms: float
    kernels: KernelTable
    kernel_ms: Floats
    sums: Floats


def _timed_networks(rows: pd.DataFrame, ops: pd.DataFrame, fusion: Fusion) -> Iterator[_Network]:
    """Networks by name; several timings of one are averaged."""
    inside = {str(name): part for name, part in ops.groupby("part_of", sort=False) if name}
    for subject, timed in rows.groupby("subject", sort=True):
        name = str(subject)
        if name in inside:
            parts = [kernel_from_text(text) for text in inside[name]["subject"]]
            flat = OpTable.of([op for kernel in parts for op in kernel])
            kernels, kernel_ms = KernelTable.of(parts), inside[name]["ms"].to_numpy(dtype=float)
        else:
            flat = OpTable.of(network_ops(name))
            kernels = fusion.kernels(flat, _START)[0]
            kernel_ms = np.full(len(kernels), math.nan)
        yield _Network(
            name,
            next(filter(None, timed["family"]), "") or design(name),
            typical_ms(timed),
            kernels,
            kernel_ms,
            hull_channels(flat).sum(axis=0),
        )


def _whole(own: pd.DataFrame, hurt: set[str], left_out: list[str]) -> pd.DataFrame:
    """Rows of networks of which no kernel that was timed inside them is missing."""
    rows = own[own["subject_kind"] == "network"]
    broken = rows["subject"].isin(hurt) | rows["flags"].str.contains(INCOMPLETE)
    names = sorted(set(rows["subject"][broken]))
    left_out += [f"network {name}: one of its timed ops is missing" for name in names]
    return rows[~rows["subject"].isin(names)]


def _kernels(ops: pd.DataFrame) -> TimedKernels | None:
    """Kernels of rows of ops, with the family of what they were timed in, if in anything."""
    if not len(ops):
        return None
    parts = zip(ops["part_of"], ops["family"], strict=True)
    families = [family or (design(part) if part else "") for part, family in parts]
    kernels = KernelTable.of([kernel_from_text(text) for text in ops["subject"]])
    return TimedKernels(kernels, ops["ms"].to_numpy(dtype=float), np.array(families, dtype=str))


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of a chain: its ops and milliseconds."""

    ops: OpTable
    ms: float


def _blocks(rows: pd.DataFrame, left_out: list[str]) -> tuple[list[_Block], float]:
    """Blocks from the slopes of chains, and what a call costs from their intercepts."""
    depths: defaultdict[Chain, dict[int, float]] = defaultdict(dict)
    for subject, timed in rows.groupby("subject", sort=True):
        chain = Chain.from_text(str(subject))
        ms = typical_ms(timed)
        depths[replace(chain, depth=1)][chain.depth] = ms
    slopes = {one: _slope(ms_of) for one, ms_of in depths.items() if len(ms_of) > 1}
    lowest = {one: min(depths[one]) for one, slope in slopes.items() if slope > 0}
    calls = [depths[one][low] - low * slopes[one] for one, low in lowest.items()]
    call_ms = max(statistics.median(calls), 0.0) if calls else 0.0
    blocks = []
    for one, ms_of in depths.items():
        low, high = min(ms_of), max(ms_of)
        slope = slopes.get(one, (ms_of[low] - call_ms) / low)
        if slope > 0:
            blocks.append(_Block(OpTable.of(one.ops()), slope))
            continue
        other = f"{low}; time both again" if high > low else "a call of anything; time more of them"
        left_out.append(f"{one.to_text()}: {high} blocks took no longer than {other}")
    return blocks, call_ms


def _slope(ms_of: dict[int, float]) -> float:
    """Milliseconds of one more block, from a chain's least and greatest depth."""
    low, high = min(ms_of), max(ms_of)
    return (ms_of[high] - ms_of[low]) / (high - low)


def _with_blocks(
    apart: TimedKernels | None, networks: TimedNetworks, blocks: Sequence[_Block], fusion: Fusion
) -> TimedKernels:
    """Timed kernels with those of blocks, each with its share of the block's milliseconds."""
    tables = [fusion.kernels(block.ops, _START)[0] for block in blocks]
    index = np.repeat(np.arange(len(blocks)), [len(table) for table in tables])
    block_ms = np.array([block.ms for block in blocks])
    kernels = KernelTable.concatenate(tables)

    def shared(like: Floats) -> TimedKernels:
        ms = (block_ms / np.bincount(index, like))[index] * like
        return TimedKernels(kernels, ms, np.full(len(index), ""))

    alone = networks.timed(np.ones(len(networks.ms), dtype=np.bool_))
    alone = alone if apart is None else alone.join(apart)
    found = shared(ParametricOps().fit_sums(kernels, index, block_ms).op_ms(kernels))
    known = alone if len(alone) >= LEAST_KERNELS else alone.join(found)
    for _ in range(CHAIN_ROUNDS):
        found = shared(PowerOps().fit(known.kernels, known.ms).op_ms(kernels))
        known = alone.join(found)
    return found if apart is None else apart.join(found)
