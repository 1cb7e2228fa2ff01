"""What a table of timings can be fitted to, target by target."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from palmette.latency.per_op.op_cost import STRICT_MODELS
from palmette.latency.per_op.op_fit import fit_op_target
from palmette.latency.targets import TARGETS, Target, parse_target
from palmette.latency.whole.few_shot import adapt
from palmette.latency.whole.fitted import Fitted, fit_parts, measured_networks
from palmette.latency.whole.forms import FAMILIES, family_of
from palmette.latency.whole.model import Fits
from palmette.space.errors import expect


def timed_per_op(rows: pd.DataFrame, target: str) -> bool:
    """Whether a table has timings of ops or chains of a target: then these are fitted."""
    own = rows[rows["target"] == target]
    return bool(own["subject_kind"].isin(["op", "chain"]).any())


def fit_target(
    rows: pd.DataFrame,
    target: Target,
    op_models: Sequence[str] = STRICT_MODELS,
    fits: Fits | None = None,
) -> Fitted:
    """Everything that is fitted to the timings of one target.

    With timings of ops or chains: an op model, calibrated on the whole networks. Else the whole
    networks, with the target that this one is like as the prior if the table has timings of that,
    and otherwise together with those of the target's relatives.

    Args:
        rows: as `read_timings` gives them.
        target: one of `TARGETS`, or any other that the table has.
        op_models: names of op models to choose from, for timings per op.
        fits: models of the same table that were fitted before.

    Raises:
        InputError: no timings of the target, or too few; says what is missing.
    """
    timed = sorted(set(rows["target"]))
    expect(
        str(target) in timed,
        f"target '{target}': the table has no timings of it; it has those of {', '.join(timed)}",
    )
    if target.like in timed:
        return fit_like(rows, target, parse_target(target.like), rows, fits)
    if timed_per_op(rows, str(target)):
        return fit_op_target(rows, target, op_models).fitted
    family = family_of(target)
    # a relative with timings per op has networks that only its own ops make known
    pooled = rows[~rows["target"].isin([name for name in timed if timed_per_op(rows, name)])]
    measured = measured_networks(pooled, family, alone=None if target.family else target)
    return fit_parts(measured, family)[str(target)]


def fit_like(
    rows: pd.DataFrame,
    target: Target,
    like: Target,
    known: pd.DataFrame,
    fits: Fits | None = None,
) -> Fitted:
    """Everything that is fitted to a few whole networks of a target, with a known one as the prior.

    Args:
        rows: as `read_timings` gives them.
        target: whose few timings `rows` has.
        like: a related target of the same unit.
        known: rows with the timings of `like`, its relatives and the units that it falls back to.
        fits: models of `known` that were fitted before.

    Raises:
        InputError: targets of two units, no timings of one of them, or too few.
    """
    timed = measured_networks(rows, family_of(target), alone=target)
    alone = None if like.family else like
    return adapt(str(like), measured_networks(known, family_of(like), fits, alone), target, timed)


def fit_every(rows: pd.DataFrame, fits: Fits | None = None) -> dict[str, Fitted]:
    """Everything that is fitted to a table, of every target that it has timings of.

    Args:
        rows: as `read_timings` gives them.
        fits: models of the same table that were fitted before.

    Raises:
        InputError: too few timings of a target.
    """
    fits = {} if fits is None else fits
    timed = sorted(set(rows["target"]))
    alone = [n for n in timed if timed_per_op(rows, n) or not parse_target(n).family]
    pooled = rows[~rows["target"].isin(alone)]
    found = {
        name: parts
        for family in FAMILIES
        for name, parts in fit_parts(measured_networks(pooled, family, fits), family).items()
    }
    found |= {name: fit_target(rows, parse_target(name), fits=fits) for name in alone}
    order = [*TARGETS, *timed]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))
