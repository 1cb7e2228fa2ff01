"""Which milliseconds of a timing are meant: those of a phone at rest, or those of a warm one.

`latency_ms` is what a call takes on a phone that was idle; `sustained_ms` what it takes once the
phone has got warm and slowed down. They are different quantities, each with predictors and budgets
of its own: a phone that took 0.5 ms for some tens of calls took 1.2 ms after them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from palmette.space.errors import expect

if TYPE_CHECKING:
    import pandas as pd

LATENCY = "latency"
"""Milliseconds of a call on a phone that was idle."""
SUSTAINED = "sustained"
"""Milliseconds of a call on a phone that has got warm."""
QUANTITIES = {LATENCY: "latency_ms", SUSTAINED: "sustained_ms"}
"""Name of a quantity -> its column of the timing table."""
NAMES = " or ".join(QUANTITIES)


def timings_of(rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Rows that have a quantity, which stands in `latency_ms`.

    A network that was timed by its kernels is flagged `INCOMPLETE` if one of them lacks it. Columns
    of the other quantities' spread are blank.

    Args:
        rows: as `read_timings` gives them.
        quantity: of `QUANTITIES`.

    Raises:
        InputError: an unknown quantity, or no row that has it.
    """
    import pandas as pd  # late, for the names above are asked for before anything slow is opened

    from palmette.latency.timings import INCOMPLETE

    expect(quantity in QUANTITIES, f"quantity: must be {NAMES}, got '{quantity}'")
    if quantity == LATENCY:
        return rows
    column = QUANTITIES[quantity]
    has = rows[column].notna() if column in rows else pd.Series(False, index=rows.index)
    expect(
        bool(has.any()),
        f"no row has {column}: only timings of a phone that was kept busy until it was warm tell"
        f" {quantity} milliseconds, and no published table has them; time your own",
    )
    lacking = rows[~has & (rows["part_of"] != "")]
    hurt = set(zip(lacking["target"], lacking["part_of"], strict=True))
    blank = dict.fromkeys(("p10_ms", "p90_ms", "burst_ms"), float("nan"))
    found = rows[has].assign(latency_ms=rows.loc[has, column], **blank)
    names = zip(
        found.index, *(found[c] for c in ("subject_kind", "target", "subject")), strict=True
    )
    broken = [at for at, kind, *name in names if kind == "network" and tuple(name) in hurt]
    found.loc[broken, "flags"] = (found.loc[broken, "flags"] + " " + INCOMPLETE).str.strip()
    return found
