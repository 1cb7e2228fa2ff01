"""What stands beside a shared table: what it is, its columns, counts, licence, hash."""

from __future__ import annotations

import pandas as pd

LICENCES = {
    "CC0-1.0": "no rights reserved",
    "CC-BY-4.0": "use it and name who made it",
    "MIT": "use it and keep this line",
}
"""SPDX name -> what it asks."""
NAMED = ("CC-BY-4.0", "MIT")
"""Licences that need somebody to be named."""
TABLE, NOTE, SUMS = "timings.csv", "README.md", "SHA256SUMS"

MEANING = {
    "subject_kind": "op, chain, network, or probe of a change of units",
    "subject": "what was timed; text of an op, a chain or an architecture, or a name",
    "target": "device/unit@runtime",
    "latency_ms": "milliseconds of one call, batch 1; the median unless flags say otherwise",
    "source": "who gave it, and the tool",
    "input_kind": "tensor or image",
    "requested_units": "compute units that were asked for",
    "placement": "where the ops ran, by a compute plan",
    "precision": "of weights and arithmetic",
    "warmup": "calls before the timing",
    "repeats": "calls of the timing",
    "p10_ms": "first decile of the calls",
    "p90_ms": "last decile of the calls",
    "burst_ms": "of the first calls",
    "sustained_ms": "of a phone that has got warm",
    "paced_ms": "of calls thirty times a second",
    "thermal_before": "thermal state before the timing",
    "thermal_after": "thermal state after it",
    "power_mode": "normal or low",
    "os_build": "system version or build",
    "flags": "remarks",
    "part_of": "network inside which an op was timed",
    "family": "networks of one family are held out together",
}
"""Column -> what it means to a reader."""


def readme(rows: pd.DataFrame, command: str, licence: str, by: str, digest: str) -> str:
    """The note beside a table.

    Args:
        rows: the table, with the columns that it has.
        command: that made it, without the place of anything.
        licence: of `LICENCES`.
        by: who gave it; may be blank.
        digest: SHA-256 of the table's file.
    """
    counts = rows.groupby("target")["subject_kind"].value_counts().unstack(fill_value=0)
    kinds = ("op", "chain", "network", "probe")
    targets = [
        f"| {target} | " + " | ".join(str(int(row.get(kind, 0))) for kind in kinds) + " |"
        for target, row in counts.iterrows()
    ]
    columns = [f"| `{name}` | {MEANING[name]} |" for name in rows.columns]
    lines = [
        "# Timings of neural networks on phones",
        "",
        f"`{TABLE}`: {len(rows)} timings in palmette's table of timings, one a row, scrubbed of"
        " everything that names a person or a device.",
        "",
        f"Licence: {licence} ({LICENCES[licence]})" + (f". By {by}." if by else "."),
        "",
        f"SHA-256 of `{TABLE}`: `{digest}` (also in `{SUMS}`: `shasum -a 256 -c {SUMS}`).",
        "",
        "| target | ops | chains | networks | probes |",
        "|---|---|---|---|---|",
        *targets,
        "",
        "| column | meaning |",
        "|---|---|",
        *columns,
        "",
        "Made with:",
        "",
        f"    {command}",
        "",
        "Used with:",
        "",
        f"    palmette latency fit {TABLE} --out predictors",
        "",
    ]
    return "\n".join(lines)
