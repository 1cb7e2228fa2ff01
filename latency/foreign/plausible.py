"""What cannot be the time of one call: figures that contradict each other, their like, or physics.

Core ML's clocks give seconds, apps write milliseconds; a column in the wrong unit is off by 1000.
Within a row the figures tell; a whole row tells against its like, and against the fastest that the
chip could be.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from palmette.latency.op_lists import network_ops
from palmette.latency.per_op.kernels import kernel_from_text
from palmette.latency.quarantine import MOST_SPREAD
from palmette.latency.suite.answers import Result
from palmette.latency.targets import ELEMENT_FLOOR_MS, Target, parse_target
from palmette.space import Op
from palmette.space.errors import InputError, expect

LEAST_CALL_MS = 0.005
"""No call of Core ML takes less, whatever it runs; that of a Neural Engine takes 20 times this."""
CALL_MS = 0.1
"""About what a call takes, so that small things are like each other."""
AT_PEAK = 0.5
"""Share of the least time of its work below which a timing cannot be; the peaks are estimates."""
OTHER_UNIT = 100.0
"""Times from what is expected from which on a figure is taken for one in another unit."""
SLOWEST = 500.0
"""Times a call and the least of its work from which on the middle of a kind is doubted: published
networks take 2 to 55 in the middle, those of an unknown old phone up to 300, in microseconds from
1000 on."""
LEAST_LIKE = 5
"""Timings of a kind from which on one can be unlike the others."""
ROUNDING = 1e-3
"""Share by which figures that were printed may be out of order."""
HOT = ("serious", "critical")
"""Thermal states in which the phone slows down."""

Thing = tuple[str, str, str, float]
"""Kind of a subject, the subject, full name of the target, milliseconds."""


def expect_plausible(result: Result) -> None:
    """Raise InputError unless one result can be believed by itself."""
    ms = result.median_ms
    expect(
        ms >= LEAST_CALL_MS,
        f"median_ms must be at least {LEAST_CALL_MS} ms, what any call takes, got {ms:g};"
        " in seconds?",
    )
    _expect_order(result)
    if result.p10_ms and result.p90_ms:
        expect(
            result.p90_ms < MOST_SPREAD * result.p10_ms,
            f"p90_ms must be less than {MOST_SPREAD:g} times p10_ms, got {result.p90_ms:g} and"
            f" {result.p10_ms:g}",
        )
    if result.mode == "burst":
        expect(
            result.thermal_start not in HOT,
            f"thermal_start of a burst must not be {' or '.join(HOT)}, got"
            f" '{result.thermal_start}'",
        )


def _expect_order(result: Result) -> None:
    """Least, quantiles and mean are in the order that they must have."""
    names = ("min_ms", "p10_ms", "median_ms", "p90_ms")
    known = [(name, float(value)) for name in names if (value := getattr(result, name))]
    pairs = list(zip(known, known[1:], strict=False))
    if result.mean_ms:
        pairs += [(known[0], ("mean_ms", result.mean_ms))] if result.min_ms else []
    for (low, small), (high, large) in pairs:
        expect(
            small <= large * (1 + ROUNDING),
            f"{low} must not be above {high}, got {small:g} and {large:g}"
            + ("; in another unit?" if small > OTHER_UNIT * large else ""),
        )
    for name, value in (*known, ("mean_ms", result.mean_ms or result.median_ms)):
        expect(
            result.median_ms / OTHER_UNIT < value < result.median_ms * OTHER_UNIT,
            f"{name} must be within {OTHER_UNIT:g} times median_ms {result.median_ms:g},"
            f" got {value:g}; in another unit?",
        )


def implausible(things: Sequence[Thing]) -> dict[int, str]:
    """Places of timings that are faster than the chip or far from all of their like, with reasons.

    Their like are those of the same kind on the same target; what is expected of each is a call
    and the least that its work can take.
    """
    found: dict[int, str] = {}
    possible = []
    for place, (_, _, _, ms), least in _with_least(things):
        if ms < AT_PEAK * least:
            found[place] = (
                f"{ms:g} ms is less than {AT_PEAK:g} times the {least:.3g} ms that its work takes"
                " at the unit's peak; in seconds?"
            )
        else:
            possible.append((place, things[place], least))
    for (kind, name), group in _by_kind(possible).items():
        if len(group) < LEAST_LIKE:
            continue
        middle = statistics.median(log for *_, log in group)
        for place, ms, log in group:
            times = math.exp(log - middle)
            if abs(log - middle) > math.log(OTHER_UNIT):
                found[place] = (
                    f"{ms:g} ms is {times:.3g} times what {kind}s like it take on {name};"
                    " in another unit?"
                )
    return found


def too_slow(things: Sequence[Thing]) -> list[str]:
    """Lines on kinds that are all so slow that the whole file may be in another unit."""
    lines = []
    for (kind, name), group in _by_kind(_with_least(things)).items():
        times = math.exp(statistics.median(log for *_, log in group))
        if times > SLOWEST:
            lines.append(
                f"{kind}s on {name} take {times:.3g} times a call and the least that their work can"
                f" take, in the middle of {len(group)}; is the file in milliseconds?"
            )
    return lines


def _with_least(things: Sequence[Thing]) -> list[tuple[int, Thing, float]]:
    """Places, timings, and the least that the work of each can take; without those unknown."""
    found = []
    for place, thing in enumerate(things):
        kind, subject, name, _ = thing
        if (least := _least_ms(kind, subject, parse_target(name))) is not None:
            found.append((place, thing, least))
    return found


def _by_kind(
    timed: Iterable[tuple[int, Thing, float]],
) -> dict[tuple[str, str], list[tuple[int, float, float]]]:
    """Place, milliseconds and logarithm over what is expected, by kind and target."""
    groups: defaultdict[tuple[str, str], list[tuple[int, float, float]]] = defaultdict(list)
    for place, (kind, _, name, ms), least in timed:
        groups[kind, name].append((place, ms, math.log(ms / (least + CALL_MS))))
    return groups


def _chain_ops(text: str) -> tuple[Op, ...]:
    from palmette.latency.chains import Chain  # brings torch in when its ops are asked for

    return Chain.from_text(text).ops()


def _probe_ops(text: str) -> tuple[Op, ...]:
    from palmette.latency.suite.probes import Probe

    return Probe.from_text(text).ops()


_OPS: dict[str, Callable[[str], Iterable[Op]]] = {
    "op": kernel_from_text,
    "chain": _chain_ops,
    "probe": _probe_ops,
    "network": network_ops,
}
"""Kind of a subject -> its ops."""


def _least_ms(kind: str, subject: str, target: Target) -> float | None:
    """The least that the work of a subject can take; None if it cannot be read."""
    try:
        ops = list(_OPS[kind](subject))
    except InputError:  # said elsewhere
        return None
    macs = sum(op.macs for op in ops)
    moved = sum(op.in_elements + op.out_elements + op.weights for op in ops)
    return (macs * target.mac_floor_ms + moved * ELEMENT_FLOOR_MS) / 1e6
