"""A plan for a search space: what to time first, so that its networks can soon be predicted.

    calibration networks    without whole networks the sum of kernels says little
    anchors                 on a phone: timed again and again, so that drift shows
    ops, chains by turns    by what they add for the space, from time to time one more network
    probes                  on a Neural Engine, behind the first chains: what changing units costs

Ops and chains come in the order of `palmette.latency.planning.herding`. An op that takes less than
half of what a call of anything costs is not timed by itself: that would measure the call. Chains
show its cost, as the slope between two depths.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palmette.latency.chains import Chain
from palmette.latency.per_op.op_timings import LEAST_FAMILIES, LEAST_OVER_CALL
from palmette.latency.planning.calibration import choose_networks
from palmette.latency.planning.herding import (
    WEIGHT_POWER,
    choose_kernels,
    covered,
    herd,
    kernel_likeness,
    likeness,
)
from palmette.latency.planning.minutes import expect_minutes
from palmette.latency.planning.needs import Kernels, Needs, Networks
from palmette.latency.planning.plan import Plan, Planned
from palmette.latency.planning.seconds import HOST, timing_seconds
from palmette.latency.suite.order import ANCHOR, rounds
from palmette.latency.suite.probes import series
from palmette.latency.synthetic import LABEL
from palmette.latency.targets import Target
from palmette.space.errors import expect

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NETWORKS, MORE_NETWORKS = 5, 7
"""Calibration networks at the beginning, and later at most."""
STEPS_PER_NETWORK = 50
"""Ops and chains between two later ones."""
OPS_PER_CHAIN, HOST_OPS_PER_CHAIN = 2, 24
"""Ops before each block that is timed as chains. On this machine an op is timed well by itself."""
DEPTHS = ((2, 6), (4, 16), (8, 32))
"""Depths of the two chains of a block, the first pair whose difference is long enough."""
CALL_MS = {"ane": 0.15, "gpu": 0.15, "cpu": 0.03}
"""What a call of anything may cost."""
CALLED = ("coreml", LABEL)
"""How runtimes begin in which an op alone is a call; others are timed op by op from inside."""
OP_OVER_CALL, SLOPE_OVER_CALL = LEAST_OVER_CALL - 1, 2.0
"""Calls of nothing that an op, and the difference of two chains, must take to be seen.

A fit leaves out timings of ops that are mostly the call that they contain; see `LEAST_OVER_CALL`.
"""
EXTRA_EVERY = 10
"""Ops of the space for one that it does not need."""
ANCHORS = 2
"""Networks that are anchors, beside a chain."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is timed together or not at all: `rows`, and indices of the kernels that they show.

    `what` names its like in a few words; `share` is its own part of the networks' time.
    """

    rows: tuple[Planned, ...]
    what: str
    shows: tuple[int, ...] = ()
    share: float = 0.0

    @property
    def seconds(self) -> float:
        """Of its rows."""
        return sum(row.seconds for row in self.rows)


@dataclass(frozen=True, slots=True)
class More:
    """What further minutes would add."""

    minutes: float
    ops: int
    blocks: int
    networks: int
    covered: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan, and what it stands for.

    `covered` is the share of the networks' time in kernels that are timed, or like one that is: see
    `palmette.latency.planning.herding.covered`.
    """

    plan: Plan
    steps: tuple[Step, ...]
    covered: float
    more: tuple[More, ...]
    guessed: bool
    """Whether no predictor said what things take."""
    untimed: float
    """Share of the networks' time in kernels that no plan has: too short alone, and in no chain."""


def propose(needs: Needs, target: Target, minutes: float, extras: Sequence[str] = ()) -> Proposal:
    """What to time in some minutes on a target.

    Args:
        needs: of the space.
        target: what is timed.
        minutes: all that the device is to spend.
        extras: texts of ops that no network of the space needs, mixed in.

    Raises:
        InputError: too few minutes for the calibration networks and anchors; says how many.
    """
    expect_minutes(minutes)
    steps = list(_steps(needs, target, 2 * 60 * minutes, extras))
    first = min(NETWORKS, sum(step.rows[0].kind == "network" for step in steps))
    anchors = _anchors(steps, first, target)
    cost = _cost(steps, anchors)
    least = cost[first - 1] / 60
    expect(
        minutes >= least,
        f"{minutes:g} minutes are too few: the {first} calibration networks and the anchors of"
        f" '{target}' take {least:.1f}",
    )
    alike = kernel_likeness(needs.kernels.table)
    ends = [int((cost <= 60 * limit).sum()) for limit in (minutes, 1.5 * minutes, 2 * minutes)]
    chosen = steps[: ends[0]]
    shares = [covered(alike, needs.kernels.total_ms, _shown(steps[:end])) for end in ends]
    more = tuple(
        _more(steps[ends[0] : end], factor * minutes, share)
        for before, end, factor, share in zip(ends, ends[1:], (0.5, 1.0), shares[1:], strict=False)
        if end > before
    )
    rows = [row for step in chosen[:first] for row in step.rows]
    rows += anchors.rows(chosen)
    rows += [row for step in chosen[first:] for row in step.rows]
    return Proposal(
        Plan(tuple(rows)), tuple(chosen), shares[0], more, needs.guessed, _untimed(needs, target)
    )


def _untimed(needs: Needs, target: Target) -> float:
    """Share of the time in kernels that are neither long enough by themselves nor in a chain."""
    kernels = needs.kernels
    never = ~_long(kernels, target)
    for inside in needs.blocks.kernels:
        never[inside] = False
    return float(kernels.total_ms[never].sum() / kernels.total_ms.sum())


def _long(kernels: Kernels, target: Target) -> NDArray[np.bool_]:
    """Which kernels take long enough to be timed by themselves."""
    return kernels.ms >= OP_OVER_CALL * call_ms(target)


def _steps(needs: Needs, target: Target, seconds: float, extras: Sequence[str]) -> Iterator[Step]:
    """Calibration networks, then ops and chains by turns, for so many seconds."""
    networks = _network_steps(needs, target)
    yield from networks[:NETWORKS]
    later, spent, count = iter(networks[NETWORKS:]), 0.0, 0
    for step in _by_turns(needs, target, seconds, extras):
        if spent > seconds:
            return
        yield step
        count, spent = count + 1, spent + step.seconds
        if count % STEPS_PER_NETWORK == 0:
            yield from [one for one in [next(later, None)] if one is not None]


def _network_steps(needs: Needs, target: Target) -> list[Step]:
    """Calibration networks in the order of their use."""
    found = needs.networks
    order = choose_networks(found.described, NETWORKS, found.known, found.kin).tolist()
    left = np.flatnonzero(~np.isin(found.kin, found.kin[order]))
    if (~found.known[left]).any():
        more = choose_networks(
            found.described[left], MORE_NETWORKS, found.known[left], found.kin[left]
        )
        order += left[more].tolist()
    order += _fill(found, order)
    return [
        Step(
            (_row("network", found.texts[at], "calibration", target, float(found.ms[at])),),
            "network",
        )
        for at in order
    ]


def _fill(found: Networks, order: Sequence[int]) -> list[int]:
    """More networks where those chosen have too few designs for a fit: of like work, own first."""
    off = np.abs(np.log(found.ms) - np.log(found.ms[~found.known]).mean())
    more: list[int] = []
    for at in np.lexsort((off, found.known)).tolist():
        enough = len(order) + len(more) >= LEAST_FAMILIES
        if not enough and found.kin[at] not in found.kin[[*order, *more]]:
            more.append(at)
    return more


def _by_turns(
    needs: Needs, target: Target, seconds: float, extras: Sequence[str]
) -> Iterator[Step]:
    """Ops, after every few of them a block as chains, until both are used up."""
    every = HOST_OPS_PER_CHAIN if target.device == HOST else OPS_PER_CHAIN
    ops, blocks = _op_steps(needs, target, seconds, extras), _block_steps(needs, target, seconds)
    while True:
        turn = [step for step in (next(ops, None) for _ in range(every)) if step is not None]
        turn += [step for step in [next(blocks, None)] if step is not None]
        if not turn:
            return
        yield from turn


def _op_steps(
    needs: Needs, target: Target, seconds: float, extras: Sequence[str]
) -> Iterator[Step]:
    """Ops that take long enough to be timed by themselves, every tenth one of the extras."""
    kernels = needs.kernels
    long = np.flatnonzero(_long(kernels, target))
    rest = iter(extras)
    if not len(long):
        return
    count = int(seconds / timing_seconds(target, "op", float(kernels.ms[long].min()))) + 1
    order = long[choose_kernels(kernels.table.take(long), kernels.total_ms[long], count)]
    share = kernels.total_ms / kernels.total_ms.sum()
    for number, at in enumerate(order.tolist()):
        row = _row("op", kernels.texts[at], "op", target, float(kernels.ms[at]))
        yield Step((row,), kernels.label(at), (at,), float(share[at]))
        extra = next(rest, None) if number % EXTRA_EVERY == EXTRA_EVERY - 1 else None
        if extra is not None:
            row = _row("op", extra, "op", target, float(kernels.ms[at]))
            yield Step((row,), "ops that no block has")


def _block_steps(needs: Needs, target: Target, seconds: float) -> Iterator[Step]:
    """Blocks as chains at two depths."""
    blocks = needs.blocks
    if not blocks.chains:
        return
    count = int(seconds / (2 * timing_seconds(target, "chain", float(blocks.ms.min())))) + 1
    order = herd(likeness(blocks.points, blocks.traits), blocks.total_ms**WEIGHT_POWER, count)
    share = (blocks.total_ms / needs.kernels.total_ms.sum()).tolist()
    for at in order.tolist():
        ms = float(blocks.ms[at])
        rows = [
            _row("chain", replace(blocks.chains[at], depth=depth).to_text(), "chain", target, d_ms)
            for depth in depths(ms, call_ms(target))
            for d_ms in [depth * ms + call_ms(target)]
        ]
        shows = tuple(blocks.kernels[at].tolist())
        yield Step(
            tuple(rows), f"blocks {blocks.chains[at].block.kind}, as chains", shows, share[at]
        )
        if at == order[0] and target.unit == "ane" and call_ms(target):
            yield _probes(Chain.from_text(rows[-1].subject), target, rows[-1].seconds)


def _probes(chain: Chain, target: Target, seconds: float) -> Step:
    """Transfer probes of a chain, each for about as long as the chain."""
    rows = [Planned("probe", one.to_text(), "probe", str(target), seconds) for one in series(chain)]
    return Step(tuple(rows), "changes of unit")


def depths(block_ms: float, of_call_ms: float) -> tuple[int, int]:
    """Depths of a block's two chains: the least whose difference a call does not drown."""
    long = (
        pair for pair in DEPTHS if (pair[1] - pair[0]) * block_ms >= SLOPE_OVER_CALL * of_call_ms
    )
    return next(long, DEPTHS[-1])


def call_ms(target: Target) -> float:
    """What a call of anything may cost on a target; 0 where ops are timed from inside."""
    return CALL_MS[target.unit] if target.runtime.startswith(CALLED) else 0.0


def _row(kind: str, subject: str, role: str, target: Target, ms: float) -> Planned:
    return Planned(kind, subject, role, str(target), timing_seconds(target, kind, ms))


def _cost(steps: Sequence[Step], anchors: _Anchors) -> Floats:
    """Seconds of each prefix of steps with the anchors' repeats, (steps,)."""
    rows = np.cumsum([len(step.rows) for step in steps])
    own = np.cumsum([step.seconds for step in steps])
    chained = np.arange(len(steps)) >= anchors.chained_from
    each = sum(row.seconds for row in anchors.networks) + chained * anchors.chain_seconds
    others = rows - len(anchors.networks) - chained
    found: Floats = own + each * rounds(others)
    return found


@dataclass(frozen=True, slots=True)
class _Anchors:
    """What is timed again and again: cheap networks, and the first deep chain of the steps."""

    networks: tuple[Planned, ...]
    chain: tuple[Planned, ...]
    chained_from: int
    """Index of the step that has the chain."""

    @property
    def chain_seconds(self) -> float:
        """Of one timing."""
        return sum(row.seconds for row in self.chain)

    def rows(self, steps: Sequence[Step]) -> list[Planned]:
        """Rows of a plan of these steps, with the seconds of all repeats."""
        some = self.networks + (self.chain if self.chained_from < len(steps) else ())
        others = sum(len(step.rows) for step in steps) - len(some)
        times = int(rounds(np.array(others)))
        return [replace(row, role=ANCHOR, seconds=times * row.seconds) for row in some]


def _anchors(steps: Sequence[Step], first: int, target: Target) -> _Anchors:
    if target.device == HOST:
        return _Anchors((), (), len(steps))  # everything is timed in interleaved rounds
    networks = sorted((step.rows[0] for step in steps[:first]), key=lambda row: row.seconds)
    place = next((at for at, step in enumerate(steps) if step.rows[0].kind == "chain"), len(steps))
    return _Anchors(
        tuple(networks[:ANCHORS]), steps[place].rows[-1:] if place < len(steps) else (), place
    )


def _shown(steps: Iterable[Step]) -> list[int]:
    """Kernels that steps show."""
    return sorted({at for step in steps for at in step.shows})


def _more(steps: Sequence[Step], minutes: float, covered: float) -> More:
    kinds = [step.rows[0].kind for step in steps]
    ops, blocks, networks = (kinds.count(kind) for kind in ("op", "chain", "network"))
    return More(minutes, ops, blocks, networks, covered)
