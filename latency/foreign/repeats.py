"""A timing that came twice: a copy is no second timing, and must not narrow an interval."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from palmette.latency.quarantine import BadRow
from palmette.latency.suite.answers import Result


@dataclass(slots=True)
class Seen:
    """Results of an import's files so far."""

    first: dict[Hashable, Result] = field(default_factory=dict)

    def fresh(self, results: Sequence[Result]) -> tuple[list[Result], list[BadRow]]:
        """Results that did not come before, and the others with their reasons."""
        new, bad = [], []
        for result in results:
            before = self.first.setdefault(_key(result), result)
            if before is result:
                new.append(result)
                continue
            reason = f"it is the timing in row {before.row} of {before.file} again"
            bad.append(BadRow(result.file, result.row, result.package, reason))
        return new, bad


def _key(result: Result) -> Hashable:
    """What two timings cannot share: package, machine and start, and every figure."""
    what = (result.machine, result.os_build, result.package, result.sha256, result.position)
    how = (result.units, result.mode, result.started_at, result.n)
    return (*what, *how, result.median_ms, result.p10_ms, result.p90_ms, result.mean_ms)
