"""Tables of a page: what its figures show, for those who read rather than look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

from palmette.search.expensive.fresh import SEEDS, fresh_words, is_confirmed
from palmette.search.report.history import History
from palmette.search.report.opened import OpenedRun
from palmette.search.trials.failures import Failures

_ROWS = 40
"""Of the history, evenly spaced."""
_REASONS = 20
"""Different ones that are shown."""
_FIRST = 12
"""Choices that are shown unfolded."""


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """HTML table; the first cell of a row is its heading, columns of figures stand right."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<table><caption class="quiet">{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def front_table(opened: OpenedRun) -> str:
    """Every network of the front."""
    fresh = SEEDS in opened.front
    time, at_confidence = opened.problem.time_columns
    columns = [
        "network",
        time,
        "at conf.",
        "top-1",
        "80 % interval",
        *(["fresh seeds"] if fresh else []),
        "M par.",
        "M MACs",
        "resolution",
        "architecture",
    ]
    rows = [
        [
            f"{row['id'][:8]}{' (pick)' if row['pick'] else ' (tie)' if row['tie'] else ''}",
            f"{row[time]:.3g}",
            f"{row[at_confidence]:.3g}",
            f"{row['top1']:.1f}",
            f"{row['top1_low']:.1f} to {row['top1_high']:.1f}",
            *([fresh_words(row) if is_confirmed(row) else "-"] if fresh else []),
            f"{row['params_m']:.2f}",
            f"{row['macs_m']:.0f}",
            str(row["resolution"]),
            str(row["architecture"]),
        ]
        for row in opened.front.to_dict("records")
    ]
    return table("The front, fastest first", columns, rows)


def references_table(data: dict[str, Any]) -> str:
    """Networks that the front is compared with; nothing where their accuracies aren't known."""
    rows = [[one["name"], f"{one['time']:.3g}", f"{one['top1']:.1f}"] for one in data["references"]]
    caption = "Reference networks under the same predictors"
    return table(caption, ["network", data["unit"], "top-1"], rows) if rows else ""


def history_table(told: History) -> str:
    """Trials and hypervolume."""
    step = -(-len(told.trials) // _ROWS)
    pairs = list(zip(told.trials, told.hypervolume, strict=True))
    rows = [[f"{n:,}", f"{volume:.4g}"] for n, volume in [*pairs[:-1:step], pairs[-1]]]
    return table("Hypervolume after trials", ["trials", "hypervolume"], rows)


def failures_table(failures: Failures) -> str:
    """Why trials failed, the usual reasons first; nothing where none did."""
    if not failures:
        return ""
    counts = Counter(trial.reason for trial in failures.trials)
    last = {trial.reason: trial for trial in failures.trials}
    rows = [
        [reason, f"{count:,}", f"{last[reason].trial:,}", last[reason].architecture]
        for reason, count in counts.most_common(_REASONS)
    ]
    left = len(counts) - len(rows)
    caption = "Reasons, the usual ones first" + (f"; {left:,} rarer ones left out" if left else "")
    found = table(caption, ["reason", "trials", "the last", "its network"], rows)
    return (
        f"<h3>Trials that failed</h3><p>{escape(failures.words)}</p><div class='wide'>{found}</div>"
    )


def importance_table(opened: OpenedRun) -> str:
    """Shares of the choices as bars, or why there are none."""
    found = opened.importance
    if not found.shares:
        return f"<p>{escape(found.reason)}</p>"
    most = max(share for _, share in found.shares) or 1.0
    rows = [
        f'<tr><th scope="row">{escape(gene)}</th><td class="number">{share:.1%}</td>'
        f'<td><div class="meter" aria-hidden="true"><i style="width:{100 * share / most:.1f}%"></i>'
        "</div></td></tr>"
        for gene, share in found.shares
    ]
    note = (
        f"PED-ANOVA over {found.trials:,} trials: how much each choice tells the best tenth, by"
        " rank of non-domination, from the rest. It tells of these trials alone: where they are a"
        " shortlist, all of them were good."
    )
    head = (
        '<thead><tr><th scope="col">choice</th><th scope="col" class="number">share</th>'
        '<th scope="col">bar</th></tr></thead>'
    )
    first, rest = (
        f"<div class='wide'><table class='importance'>{head}<tbody>{''.join(part)}</tbody></table>"
        "</div>"
        for part in (rows[:_FIRST], rows[_FIRST:])
    )
    more = f"<details><summary>The other choices</summary>{rest}</details>"
    return f"<p>{escape(note)}</p>{first}{more if rows[_FIRST:] else ''}"
