"""A plan in words: a table of what is timed, for how long, and why."""

from __future__ import annotations

from collections.abc import Iterable

from palmette.latency.planning.choose import Proposal, Step
from palmette.latency.planning.plan import Planned
from palmette.space import Architecture

LONGEST = 34
"""Characters of a chain's text that are shown."""
ID = 8
"""Characters of a network's id that are shown, as in other tables."""
AGAIN = ", again"
"""Of anchors, which have another row."""
WHY = {
    "calibration": "scales the sum",
    "anchor": "shows drift",
    "op": "price of kernels",
    "chain": "price of blocks",
    "probe": "price of a change",
}
"""Role -> what it is for, in as few words as a column takes; in full: `ROLES`."""


def explain(proposal: Proposal) -> list[list[str]]:
    """Cells of a table: what, how many things, minutes, share of the space's time in %, why.

    Networks and anchors have a row each; ops are summed up by sort and window, chains by kind of
    block. Shares are of exactly what is timed, without what is like it.
    """
    networks = [row for row in proposal.plan.rows if row.role in ("calibration", "anchor")]
    cells = [_line(_named(row), [row], 1, None) for row in networks]
    groups: dict[tuple[str, str], list[Step]] = {}
    for step in proposal.steps:
        if step.rows[0].kind != "network":
            groups.setdefault((step.rows[0].kind, step.what), []).append(step)
    # the ops first, each kind by its time
    order = sorted(groups, key=lambda key: (key[0] != "op", -sum(s.share for s in groups[key])))
    for key in order:
        steps = groups[key]
        rows = [row for step in steps for row in step.rows]
        cells.append(_line(key[1], rows, len(steps), sum(step.share for step in steps)))
    return cells


def _line(what: str, rows: Iterable[Planned], things: int, share: float | None) -> list[str]:
    rows = list(rows)
    minutes = sum(row.seconds for row in rows) / 60
    part = "" if share is None else f"{100 * share:.1f}"
    return [what, str(things), f"{minutes:.2f}", part, WHY[rows[0].role]]


def shown_by_id(proposal: Proposal) -> bool:
    """Whether the table has networks that have no name."""
    return any(_has_text(row) for row in proposal.plan.rows)


def _has_text(row: Planned) -> bool:
    return row.kind == "network" and "|" in row.subject


def _named(row: Planned) -> str:
    """A network, or an anchor, which another row has already.

    Texts of networks of one space begin alike, so an id stands for a text.
    """
    again = AGAIN if row.role == "anchor" else ""
    if _has_text(row):
        network = Architecture.from_text(row.subject)
        height, width = network.resolution
        return f"{height}x{width} {network.id[:ID]}{again}"
    return _short(row.subject, LONGEST - len(again)) + again


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
