"""Our counts of the reference networks beside the published ones."""

from __future__ import annotations

from typing import Any

from palmette.space.zoo import FAMILY_OF, ZOO, load

PARAMS_WITHIN = 0.02
MACS_WITHIN = 0.03
"""Shares of the published counts; a network that is further off says why in its note."""


def check() -> dict[str, Any]:
    """Metrics of the zoo's counts.

    `networks`: how many; `share_params_ok`, `share_macs_ok_authors`: the fractions, of those with a
    published figure, that are within `PARAMS_WITHIN` and `MACS_WITHIN` of it; `share_macs_ok`: the
    same, a network also counted in whose layout others count as we do where its note says why the
    authors' figure is another; `rows`: `compared` of every network.
    """
    rows = [compared(name) for name in ZOO]
    authors = [row["macs_difference"] for row in rows]
    return {
        "networks": len(rows),
        "share_params_ok": _share([row["params_difference"] for row in rows], PARAMS_WITHIN),
        "share_macs_ok": _share([_nearer(row) for row in rows], MACS_WITHIN),
        "share_macs_ok_authors": _share(authors, MACS_WITHIN),
        "rows": rows,
    }


def compared(name: str) -> dict[str, Any]:
    """A network's parameters and MACs in millions, the published ones, and ours over them less 1.

    Published figures and differences are None where nobody printed one. A recount is compared at
    the resolution that it was made at.
    """
    reference, network = ZOO[name], load(name)
    params_m, macs_m = network.params() / 1e6, network.macs() / 1e6
    at = network if reference.recount_px is None else network.with_resolution(reference.recount_px)
    return {
        "name": name,
        "family": FAMILY_OF[name],
        "params_m": round(params_m, 3),
        "published_params_m": reference.params_m,
        "params_difference": _difference(params_m, reference.params_m),
        "macs_m": round(macs_m, 1),
        "published_macs_m": reference.macs_m,
        "macs_difference": _difference(macs_m, reference.macs_m),
        "recounted_macs_m": reference.recounted_macs_m,
        "recount_difference": _difference(at.macs() / 1e6, reference.recounted_macs_m),
        "recount_px": at.resolution[0],
        "recount_source": reference.recount_source,
        "note": reference.note,
        "source": reference.source,
    }


def is_apart(row: dict[str, Any]) -> bool:
    """Whether a row of `compared` is beyond what needs no word."""
    params, macs = row["params_difference"] or 0.0, row["macs_difference"] or 0.0
    return bool(abs(params) > PARAMS_WITHIN or abs(macs) > MACS_WITHIN)


def _nearer(row: dict[str, Any]) -> float | None:
    """A row's difference from the authors' MACs, or from a recount where its note sets it apart."""
    authors: float | None = row["macs_difference"]
    others: float | None = row["recount_difference"]
    if authors is None or others is None or not row["note"]:
        return authors
    return min(authors, others, key=abs)


def _difference(ours: float, published: float | None) -> float | None:
    return None if published is None else round(ours / published - 1, 4)


def _share(differences: list[float | None], within: float) -> float:
    known = [abs(value) for value in differences if value is not None]
    return round(sum(value <= within for value in known) / len(known), 4)
