"""True milliseconds of the synthetic phone: exact, without noise, for any ops.

    call = floor + sum of kernels + transfer x changes of unit

A kernel costs a start, and then whichever takes longer: its multiplications on whole lanes of
channels, rows and steps of windows, or what it reads and writes. An addition behind an op of its
shape is part of that op's kernel and costs only what it reads besides.

    burst      a phone that is cool
    sustained  calls without a pause, for good
    paced      `PACED_HZ` calls a second, for good: each wakes the unit
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.latency.suite.results import MODES, PACED_HZ
from palmette.latency.synthetic.units import BYTES, FALLBACK, HEAT, TRANSFER_MS, UNITS, Unit
from palmette.space import CompiledSpace, Op, OpTable
from palmette.space.errors import expect
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SORTS = ("depthwise", "grouped", "linear", "pointwise", "dense")
"""Of ops that multiply, each with a rate of its own: the first that an op is."""
_SETTLED = 200


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call of some ops costs in truth."""

    units: tuple[str, ...]
    """That each op runs on."""
    op_ms: Floats
    """Of each op, shape (ops,)."""
    idle_ms: float
    """The floor and the transfers: time in which nothing heats."""
    wake_ms: float
    changes: int
    """Of unit, between two ops."""

    @property
    def busy_ms(self) -> float:
        """Time in which a unit works, while it is cool."""
        return float(self.op_ms.sum())

    def ms(self, mode: str = "burst") -> float:
        """Milliseconds of a call in one of `MODES`."""
        found = settled_ms(np.array(self.idle_ms), np.array(self.busy_ms), self.wake_ms, mode)
        return float(found)


def truth(ops: Sequence[Op], unit: str = "ane", forced: Collection[int] = ()) -> Cost:
    """What a call costs.

    Args:
        ops: in the order in which they run.
        unit: that was asked for: `cpu`, `gpu` or `ane`; ops that it refuses run on the CPU.
        forced: indices of ops that are kept off it whatever they are.

    Raises:
        InputError: an unknown unit, or no ops.
    """
    expect(unit in UNITS, f"unit must be one of {', '.join(UNITS)}, got '{unit}'")
    expect(len(ops) > 0, "there are no ops to run")
    table = OpTable.of(ops)
    off = refused(table, UNITS[unit])
    off[list(forced)] = True
    units = np.where(off, FALLBACK.get(unit, unit), unit)
    begins = np.flatnonzero(np.append(True, units[1:] != units[:-1]))
    op_ms = np.zeros(len(ops))
    for name in dict.fromkeys(units.tolist()):
        op_ms = np.where(units == name, kernel_ms(table, begins, UNITS[name]), op_ms)
    used = [UNITS[name] for name in dict.fromkeys(units.tolist())]
    changes = len(begins) - 1
    floor_ms = max(one.floor_ms for one in used)
    wake_ms = max(one.wake_ms for one in used)
    idle_ms = floor_ms + TRANSFER_MS * changes
    return Cost(tuple(units.tolist()), op_ms, idle_ms, wake_ms, changes)


def truth_ms(ops: Sequence[Op], unit: str = "ane", mode: str = "burst") -> float:
    """True milliseconds of a call; see `truth` and `Cost.ms`."""
    return truth(ops, unit).ms(mode)


def truth_of_codes(
    compiled: CompiledSpace, codes: Codes, unit: str = "ane", mode: str = "burst"
) -> Floats:
    """True milliseconds of codes (n, genes) of a space, shape (n,).

    Raises:
        InputError: the space has ops that the unit refuses.
    """
    chip = UNITS[unit]
    expect(
        not refused(compiled.ops, chip).any(),
        f"space '{compiled.space.name}': some of its ops leave the {unit}; ask for networks one by"
        " one",
    )
    costs = compiled.sequence_table(lambda ops, first: kernel_ms(ops, first, chip)[:, None])
    busy_ms = costs.sums(codes)[:, 0]
    return settled_ms(np.full(len(codes), chip.floor_ms), busy_ms, chip.wake_ms, mode)


def refused(ops: OpTable, unit: Unit) -> Mask:
    """Ops that a unit does not run, shape (ops,)."""
    return (
        ops.is_kind(*unit.refused_kinds)
        | ops.has_act(*unit.refused_acts)
        | (ops.kernel > unit.widest)
    )


def kernel_ms(ops: OpTable, first: Ints, unit: Unit) -> Floats:
    """Milliseconds of ops that run one after the other on one unit while it is cool, shape (ops,).

    Args:
        ops: in their order.
        first: ops that are never part of the kernel of the one before.
        unit: that they run on.
    """
    filled = _fill(ops.out_channels, unit.lanes) / ops.out_channels
    rows = _fill(ops.out_width, unit.row) / ops.out_width
    rows = np.where(ops.out_height * ops.out_width > 1, rows, 1.0)
    written = BYTES * ops.out_elements * filled * rows
    read = BYTES * (ops.in_elements * _read_filled(ops, unit) + ops.weights)
    moved = read + written
    moved = np.where(moved > unit.near_bytes, unit.spill * moved, moved)
    passes = np.zeros(len(ops))
    for act, count in unit.act_passes.items():
        passes[ops.has_act(act)] = count
    rate = unit.gbytes * 1e6  # bytes a millisecond
    compute = _compute_ms(ops, filled * rows, unit)
    alone = unit.start_ms + np.maximum(compute, moved / rate) + passes * written / rate
    # the other input of an addition is as large as what it writes
    return np.where(_joined(ops, first), (1 + passes) * written / rate, alone)


def settled_ms(idle_ms: Floats, busy_ms: Floats, wake_ms: float, mode: str) -> Floats:
    """Milliseconds of calls in a mode once the heat no longer changes; arrays of one shape."""
    expect(mode in MODES, f"mode must be one of {', '.join(MODES)}, got '{mode}'")
    if mode == "burst":
        return np.asarray(idle_ms + busy_ms)
    awake_ms = idle_ms + (wake_ms if mode == "paced" else 0.0)
    least_ms = 1e3 / PACED_HZ if mode == "paced" else 0.0
    factor = np.ones_like(busy_ms)
    for _ in range(_SETTLED):
        call_ms = np.maximum(awake_ms + busy_ms * factor, least_ms)
        factor = slowed(busy_ms * factor / call_ms)
    return np.asarray(awake_ms + busy_ms * factor)


def slowed(heat: Floats) -> Floats:
    """Factor on busy time by heat."""
    return 1 + HEAT.slope * np.maximum(heat - HEAT.onset, 0.0)


def _joined(ops: OpTable, first: Ints) -> Mask:
    """Additions that are part of the kernel of the op before."""
    joined = ops.is_kind("add") & ~ops.broadcast
    for name in ("out_channels", "out_height", "out_width"):
        column = getattr(ops, name)
        joined[1:] &= column[1:] == column[:-1]
    joined[first] = False
    mask: Mask = joined
    return mask


def _compute_ms(ops: OpTable, filled: Floats, unit: Unit) -> Floats:
    """Milliseconds of the multiplications, on whole lanes and rows."""
    per_group = np.maximum(ops.in_channels // ops.groups, 1)
    depthwise = ops.depthwise
    inner = np.where(depthwise, 1.0, _fill(per_group, unit.lanes) / per_group)
    places = ops.area.astype(float)
    for side, count in reversed(unit.windows):
        places = np.where(ops.kernel <= side, count, places)
    macs = np.where(depthwise, ops.out_elements * places, ops.macs) * filled * inner
    conv = ops.is_kind("conv", "conv_transpose")
    sorts = (
        depthwise,
        conv & (ops.groups > 1),
        ops.is_kind("linear", "matmul"),
        conv & (ops.area == 1),
        conv,
    )
    rates = np.select(sorts, [unit.tmacs[sort] for sort in SORTS], 1.0)
    return np.asarray(macs / (rates * 1e9))


def _read_filled(ops: OpTable, unit: Unit) -> Floats:
    """How much more is read than there is: whole lanes and rows, maps taken for squares."""
    side = np.maximum(np.rint(np.sqrt(ops.in_area)), 1)
    rows = np.where(ops.in_area > 1, _fill(side, unit.row) / side, 1.0)
    return np.asarray(rows * _fill(ops.in_channels, unit.lanes) / ops.in_channels)


def _fill(sizes: NDArray[np.int64] | Floats, group: int) -> Floats:
    whole: Floats = np.ceil(np.asarray(sizes, dtype=float) / group) * group
    return whole
