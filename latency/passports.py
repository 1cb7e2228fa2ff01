"""Passports: whether a timing says how it was taken, and what it counts for if it does not.

A timing has a passport if it names the system's build, the number of calls, the thermal state, the
power mode and where the ops ran. The same network on the same phone differs by several times
between systems and units, and by a third with heat, so a figure without these may be of another
thing than its target says.

The rule: one timing with a passport and without a doubt about the phone's state counts as
`FULL_COUNT` of one that is without. So it does in the geometric mean of several timings of one
thing; and where prices are fitted to whole networks, the loss of a network that has only such
timings counts `DOUBTFUL_COUNT`. Where all timings of a target are alike, as in a table that has no
passports at all, nothing changes.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("os_build", "repeats", "thermal_before", "power_mode", "placement")
"""What a passport holds, columns of the timing table."""
NO_PASSPORT = "no passport"
"""Flag of an imported timing that lacks one of them."""
DRIFT, LOW_POWER = "drift", "low power"
DOUBTS = (DRIFT, LOW_POWER)
"""Flags that say the phone was not itself."""
FULL_COUNT = 2
DOUBTFUL_COUNT = 1 / FULL_COUNT


def lacking(rows: pd.DataFrame) -> pd.Series[bool]:
    """Rows of a timing table without a whole passport, as a mask."""
    cells = rows.reindex(columns=list(COLUMNS))
    blank = cells.isna() | cells.apply(lambda column: column.astype(str).str.strip() == "")
    found: pd.Series[bool] = blank.any(axis=1)
    return found


def marked_down(rows: pd.DataFrame) -> pd.Series[bool]:
    """Rows without a passport or with a doubt about the phone's state, as a mask."""
    found = lacking(rows)
    for doubt in DOUBTS if "flags" in rows else ():
        found |= rows["flags"].astype(str).str.contains(doubt, regex=False)
    return found


def typical_ms(rows: pd.DataFrame) -> float:
    """Milliseconds of one thing from all its timings: the geometric mean, by the module's rule."""
    return counted_mean(rows["latency_ms"].astype(float).tolist(), marked_down(rows).tolist())


def counted_mean(times: Sequence[float], down: Sequence[bool]) -> float:
    """As `typical_ms`, of plain milliseconds and whether each is marked down, both (n,)."""
    if len(times) == 1:  # it stays as it is: a logarithm and back costs its last digit
        return times[0]
    return statistics.geometric_mean(_counted(times, down))


def doubtful_subjects(rows: pd.DataFrame) -> frozenset[str]:
    """Subjects of one target that have only timings that are marked down; none if all have."""
    down = marked_down(rows)
    sure = set(rows.loc[~down, "subject"])
    return frozenset(set(rows["subject"]) - sure) if sure else frozenset()


def _counted(times: Sequence[float], down: Sequence[bool]) -> list[float]:
    if all(down) or not any(down):
        return list(times)
    pairs = zip(times, down, strict=True)
    return [ms for ms, doubtful in pairs for _ in range(1 if doubtful else FULL_COUNT)]
