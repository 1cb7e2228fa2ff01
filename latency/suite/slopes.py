"""What the timings of a suite say: blocks, the dispatch floor, changes of unit, drift.

A call costs something before anything runs. Of a chain timed at several depths the slope is the
time of a block and the intercept is that floor. Of a transfer probe (`palmette.latency.suite.
probes`) the slope over the ops that are forced off the unit is a change of units there and back
plus the op; the control's slope is the op.

Lines are fitted by least squares with weights 1 / ms^2: the noise of timings is relative. How large
it is, timings of one thing that were repeated say, such as anchors; without any, the spread of the
calls within each row (p10 to p90), which is more than that of their median. The interval is
Student's t.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palmette.latency.chains import Chain
from palmette.latency.suite.order import MOST_DRIFT, off
from palmette.latency.suite.probes import SINGLE, Probe
from palmette.latency.targets import parse_target

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

CONFIDENCE = 0.8
_COUNTS = re.compile(r"\b(ane|gpu|cpu) ([0-9]+)\b")
"""Of ops by unit, in the placement of a timing."""
_P10_TO_P90 = 2.5631
"""Standard deviations of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Milliseconds with an interval; its ends are NaN where nothing tells the noise."""

    ms: float
    lower_ms: float = math.nan
    upper_ms: float = math.nan


@dataclass(frozen=True, slots=True)
class ChainCost:
    """What chains of one block took on one target."""

    target: str
    chain: Chain
    """Of depth 1."""
    depths: tuple[int, ...]
    """Those that were timed."""
    block: Figure
    """Slope: one block more."""
    floor: Figure
    """Intercept: a call of no block."""


@dataclass(frozen=True, slots=True)
class TransferCost:
    """What changes of unit in one chain took on one target."""

    target: str
    chain: Chain
    forced: Figure
    """An op more that is forced off the unit: there, the op, and back."""
    op: Figure | None
    """An op more of the control; None if that was not timed."""
    transfer: Figure | None
    """Their difference: there and back; None without a control.

    It includes by how much the op itself is slower on the other unit in single precision.
    """


@dataclass(frozen=True, slots=True)
class Drift:
    """Timings of one thing that was timed again and again."""

    target: str
    subject_kind: str
    subject: str
    times: int
    largest: float
    """Farthest timing from their median, as a ratio of 1 or more."""
    last_to_first: float
    """Of the first and the last timing in the table's order."""

    @property
    def flagged(self) -> bool:
        """Whether it moved by more than `MOST_DRIFT`."""
        return self.largest > MOST_DRIFT


def chain_costs(rows: pd.DataFrame, confidence: float = CONFIDENCE) -> list[ChainCost]:
    """Slope and intercept of every chain that was timed at two depths or more, by target.

    Args:
        rows: of a timing table (see `read_timing_tables`); other kinds than chains are passed over.
        confidence: of the intervals.
    """
    found = []
    for target, own in _by_target(rows):
        noise = _noise(own)
        chains = own[own["subject_kind"] == "chain"]
        texts = [Chain.from_text(text) for text in chains["subject"]]
        ms = chains["latency_ms"].to_numpy(dtype=float)
        for one in dict.fromkeys(replace(chain, depth=1) for chain in texts):
            places = [at for at, chain in enumerate(texts) if replace(chain, depth=1) == one]
            depths = np.array([texts[at].depth for at in places], dtype=float)
            columns = np.column_stack([np.ones_like(depths), depths])
            line = _line(columns, ms[places], noise)
            if line is not None:
                timed = tuple(sorted({int(depth) for depth in depths}))
                floor, block = (line.figure(way, confidence) for way in ((1, 0), (0, 1)))
                found.append(ChainCost(target, one, timed, block, floor))
    return found


def floors(costs: Sequence[ChainCost], confidence: float = CONFIDENCE) -> dict[str, Figure]:
    """Dispatch floor of each target: its chains' intercepts, those counting most that are surest.

    Where nothing tells the noise, their median.

    Args:
        costs: of `chain_costs`, with the same confidence.
        confidence: of the intervals.
    """
    found = {}
    for target in dict.fromkeys(cost.target for cost in costs):
        own = [cost.floor for cost in costs if cost.target == target]
        found[target] = _pooled(own, confidence)
    return found


def transfer_costs(rows: pd.DataFrame, confidence: float = CONFIDENCE) -> list[TransferCost]:
    """What a change of units costs by every chain that was probed, by target of a Neural Engine.

    The chain itself, where it was timed, is a probe of no ops. Timings of `unmoved` do not count.

    Args:
        rows: of a timing table (see `read_timing_tables`).
        confidence: of the intervals.
    """
    found = []
    for target, own in _by_target(rows):
        noise = _noise(own)
        taken = [one for one in _probed(own) if not one.reason]
        probes = [one.probe for one in taken]
        ms = np.array([one.ms for one in taken])
        probed = dict.fromkeys(
            probe.chain for probe in probes if probe.count and probe.precision == SINGLE
        )
        for chain in probed:
            places = [at for at, probe in enumerate(probes) if probe.chain == chain]
            cost = _transfer([probes[at] for at in places], ms[places], noise, confidence)
            if cost is not None:
                found.append(TransferCost(target, chain, *cost))
    return found


@dataclass(frozen=True, slots=True)
class Unmoved:
    """A timing of a probe, or of its chain, that says nothing of a change of units."""

    target: str
    subject: str
    reason: str


def unmoved(rows: pd.DataFrame) -> list[Unmoved]:
    """Timings of probes and their chains that say nothing of a change of units, each once, and why.

    Args:
        rows: of a timing table; rows without a `placement` of counts are believed.
    """
    found = []
    for target, own in _by_target(rows):
        taken = _probed(own)
        chains = {one.probe.chain for one in taken if one.probe.count}
        found += [
            Unmoved(target, one.text, one.reason)
            for one in taken
            if one.reason and one.probe.chain in chains
        ]
    return list(dict.fromkeys(found))


def drift(rows: pd.DataFrame) -> list[Drift]:
    """How steady things stayed that one source timed several times, the worst first.

    Args:
        rows: of a timing table, in the order in which they were timed.
    """
    found = []
    for (target, kind, subject, _), own in _things(rows):
        ms = own["latency_ms"].to_numpy(dtype=float)
        if len(ms) > 1:
            largest = max(off(float(one), float(np.median(ms))) for one in ms)
            found.append(Drift(target, kind, subject, len(ms), largest, float(ms[-1] / ms[0])))
    return sorted(found, key=lambda one: -one.largest)


def _by_target(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    return ((str(target), own) for target, own in rows.groupby("target", sort=True))


def _things(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str, str], pd.DataFrame]]:
    """Timings of one thing by one source and with one request for units, in the table's order."""
    keys = ["target", "subject_kind", "subject", "source"]
    requested = [name for name in ("requested_units",) if name in rows]
    for key, own in rows.groupby(keys + requested, sort=False, dropna=False):
        target, kind, subject, source = map(str, key[:4])
        yield (target, kind, subject, source), own


@dataclass(frozen=True, slots=True)
class _Probed:
    """A timing of a probe, or of a chain as a probe of no ops."""

    probe: Probe
    text: str
    ms: float
    reason: str
    """Why it says nothing of a change of units; blank if it does."""


def _probed(rows: pd.DataFrame) -> list[_Probed]:
    """Timings of chains and probes on one target."""
    taken = rows[rows["subject_kind"].isin(["chain", "probe"])]
    placements = taken["placement"] if "placement" in taken else [""] * len(taken)
    cells = (taken["subject_kind"], taken["subject"], taken["latency_ms"], placements)
    found = []
    for kind, text, ms, placement in zip(*cells, strict=True):
        is_probe = kind == "probe"
        probe = Probe.from_text(text) if is_probe else Probe(Chain.from_text(text), 0)
        unit = parse_target(rows["target"].iloc[0]).unit
        found.append(_Probed(probe, text, float(ms), _against(probe, unit, str(placement))))
    return found


def _against(probe: Probe, unit: str, placement: str) -> str:
    """Why a timing says nothing of a change of units; blank if it does."""
    if unit != "ane":
        return f"nothing changes units on the {unit}"
    counts = {name: int(count) for name, count in _COUNTS.findall(placement)}
    there, elsewhere = counts.get("ane", 0), sum(counts.values()) - counts.get("ane", 0)
    if not counts or (there > elsewhere >= probe.transfers):
        return ""
    wanted = f", {probe.transfers} or more elsewhere" if probe.transfers else ""
    return f"ran on {placement}; most of it must be on the ane{wanted}"


def _transfer(
    probes: Sequence[Probe], ms: Floats, noise: _Noise, confidence: float
) -> tuple[Figure, Figure | None, Figure | None] | None:
    """Cost of a forced op, of the control's, and their difference; None if nothing tells."""
    counts = np.array([probe.count for probe in probes], dtype=float)
    forced = np.array([probe.precision == SINGLE for probe in probes])
    columns = np.column_stack([np.ones_like(counts), counts * forced, counts * ~forced])
    line = _line(columns, ms, noise)
    if line is not None:
        ways = ((0, 1, 0), (0, 0, 1), (0, 1, -1))
        first, second, third = (line.figure(way, confidence) for way in ways)
        return first, second, third
    without = ~((counts > 0) & ~forced)  # no control, or none that tells
    line = _line(columns[without, :2], ms[without], noise)
    return None if line is None else (line.figure((0, 1), confidence), None, None)


# Noise and lines


@dataclass(frozen=True, slots=True)
class _Noise:
    """Relative spread of a timing, and from how many degrees of freedom it is known."""

    relative: float
    freedom: int


def _noise(rows: pd.DataFrame) -> _Noise:
    """Noise of one target's timings: of repeated ones, else of the calls within each."""
    squares, freedom = 0.0, 0
    for _, own in _things(rows):
        logs = np.log(own["latency_ms"].to_numpy(dtype=float))
        squares += float(((logs - logs.mean()) ** 2).sum())
        freedom += len(logs) - 1
    if freedom:
        return _Noise(math.sqrt(squares / freedom), freedom)
    if not {"p10_ms", "p90_ms"} <= set(rows.columns):
        return _Noise(math.nan, 0)
    spreads = np.log((rows["p90_ms"] / rows["p10_ms"]).dropna().to_numpy(dtype=float))
    if not len(spreads):
        return _Noise(math.nan, 0)
    return _Noise(float(np.median(spreads)) / _P10_TO_P90, len(spreads))


@dataclass(frozen=True, slots=True)
class _Line:
    """Coefficients (k,), their covariance (k, k) and its degrees of freedom, 0 if unknown."""

    coefficients: Floats
    covariance: Floats
    freedom: int

    def figure(self, way: Sequence[float], confidence: float) -> Figure:
        """A combination of the coefficients."""
        direction = np.array(way, dtype=float)
        ms = float(direction @ self.coefficients)
        if not self.freedom:
            return Figure(ms)
        from scipy.stats import t  # slow to import

        deviation = math.sqrt(float(direction @ self.covariance @ direction))
        reach = float(t.ppf((1 + confidence) / 2, self.freedom)) * deviation
        return Figure(ms, ms - reach, ms + reach)


def _line(columns: Floats, ms: Floats, noise: _Noise) -> _Line | None:
    """Least squares of relative errors; None if the columns (n, k) do not tell all coefficients."""
    if not len(ms) or np.linalg.matrix_rank(columns) < columns.shape[1]:
        return None
    scaled = columns / ms[:, None]
    inverse = np.linalg.inv(scaled.T @ scaled)
    coefficients = inverse @ scaled.T @ np.ones_like(ms)
    left = float(((scaled @ coefficients - 1) ** 2).sum())
    more = len(ms) - columns.shape[1]
    freedom = noise.freedom + more
    known = noise.freedom * noise.relative**2 if noise.freedom else 0.0
    variance = (known + left) / freedom if freedom else 0.0
    covariance = np.asarray(variance * inverse, dtype=np.float64)
    return _Line(coefficients, covariance, freedom)


def _pooled(figures: Sequence[Figure], confidence: float) -> Figure:
    """Mean of figures, weighted by their deviations; widened where they disagree by more."""
    ms = np.array([figure.ms for figure in figures])
    reach = NormalDist().inv_cdf((1 + confidence) / 2)
    deviations = np.array([(figure.upper_ms - figure.lower_ms) / 2 for figure in figures]) / reach
    if not (deviations > 0).all():  # nor for NaN
        return Figure(float(np.median(ms)))
    weights = 1 / deviations**2
    mean = float(weights @ ms / weights.sum())
    excess = float((weights * (ms - mean) ** 2).sum()) / max(len(ms) - 1, 1)
    half = reach * math.sqrt(max(excess, 1.0) / float(weights.sum()))
    return Figure(mean, mean - half, mean + half)
