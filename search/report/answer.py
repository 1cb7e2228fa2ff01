"""The answer of a run: its pick, in figures and in a sentence on how sure they are."""

from __future__ import annotations

from html import escape
from typing import Any

from palmette.search.expensive.fresh import TOP1, basis, is_confirmed
from palmette.search.report.baselines import WORDS, baselines_of
from palmette.search.report.opened import OpenedRun


def answer(opened: OpenedRun) -> str:
    """HTML of the section; where there is no pick yet, a sentence that says why."""
    if not len(opened.front):
        return f"<p>{escape(_nothing(opened))}</p>"
    row = opened.front.loc[opened.front["pick"]].iloc[0].to_dict()
    cards = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}"
        + (f"<small>{escape(more)}</small>" if more else "")
        + "</dd></div>"
        for name, value, more in _cards(opened, row)
    )
    return (
        f"<p>Take <strong>{escape(str(row['id'])[:8])}</strong>: {escape(_why(opened, row))}</p>"
        f'<dl class="cards">{cards}</dl>'
        f"<p><code>{escape(str(row['architecture']))}</code></p><p>{escape(_sure(opened, row))}</p>"
    )


def _nothing(opened: OpenedRun) -> str:
    if not opened.complete and opened.failures:
        return f"There is none: {opened.failures.words}."
    if not opened.complete:
        return "There is none yet: no trial is finished."
    return (
        f"There is none: of {len(opened.complete):,} finished trials none keeps all limits. Raise"
        " the budget, or lower the confidence."
    )


def _cards(opened: OpenedRun, row: dict[Any, Any]) -> list[tuple[str, str, str]]:
    """Name, value, and what stands below it."""
    return [
        *_times(opened, row),
        _accuracy(row),
        ("parameters", f"{row['params_m']:.2f} M", f"{row['macs_m']:.0f} M MACs"),
        ("package", f"{row['package_mb']:.1f} MB", f"{row['precision']} weights"),
    ]


def _accuracy(row: dict[Any, Any]) -> tuple[str, str, str]:
    if is_confirmed(row):
        more = f"{basis(row)}; it won by {row['top1']:.1f} %"
        return "top-1 of fresh seeds", f"{row[TOP1]:.1f} %", more
    more = f"80 % interval {row['top1_low']:.1f} to {row['top1_high']:.1f}"
    return "top-1", f"{row['top1']:.1f} %", more


def _times(opened: OpenedRun, row: dict[Any, Any]) -> list[tuple[str, str, str]]:
    config, times = opened.config, opened.problem.joined
    at = f"at confidence {config.confidence:g}"
    if times is None:
        limit = "budget" if opened.problem.reward is None else "time of the reward"
        more = f"predicted {row['ms']:.3g} ms; {limit} {config.budget_ms:g} ms"
        return [(f"time {at}", f"{row['ms_at_confidence']:.3g} ms", more)]
    found = [
        (
            f"{goal.alias} {at}",
            f"{row[f'ms_at_confidence_{goal.slug}']:.3g} ms",
            f"predicted {row[f'ms_{goal.slug}']:.3g} ms; budget {goal.budget_ms:g} ms",
        )
        for goal in times.goals
    ]
    runs_on = f"runs on {row['unit']}" if "unit" in row else f"joined by {times.join}"
    return [*found, (f"load {at}", f"{row['load_at_confidence']:.3g}", runs_on)]


def _why(opened: OpenedRun, row: dict[Any, Any]) -> str:
    reward, fresh = opened.config.reward, "of the networks trained anew with fresh seeds, the "
    if is_confirmed(row):
        most = "fastest of those that tie with the best mean"
        return fresh + (most if reward is None else f"one of the largest reward ({reward})") + "."
    if reward is not None:
        return f"the network of the largest reward ({reward}) on the front."
    return "the fastest network of the front among those that tie with the best score."


def _sure(opened: OpenedRun, row: dict[Any, Any]) -> str:
    ties = int(opened.front["tie"].sum()) - int(bool(row["tie"]))
    accuracy, best = opened.problem.accuracy, "fresh mean" if is_confirmed(row) else "score"
    tied = "No other network ties" if ties == 0 else f"{ties} other networks tie"
    tied = "One other network ties" if ties == 1 else tied
    outside = (
        " It has less or more work than any network that was timed, so its time is less sure."
        if row["outside_timed"]
        else ""
    )
    return (
        f"How sure: {tied} with the best {best}, within {accuracy.tie_points:.2g} points. Top-1 is"
        f" {accuracy.words()}.{outside}{_beaten(opened)}"
    )


def _beaten(opened: OpenedRun) -> str:
    """Where a simple rule predicts a target's timings better than its predictor."""
    words = ""
    for latency in opened.problem.latencies:
        errors = baselines_of(latency.predictor)
        better = [name for name in WORDS if errors and errors[name] < errors["own"]]
        if better:
            best = min(better, key=errors.__getitem__)
            words += (
                f" On {latency.predictor.model_.target.alias} {WORDS[best]} alone predicted"
                f" held-out networks better ({errors[best]:.1f} %) than this predictor"
                f" ({errors['own']:.1f} %): take its milliseconds as a rough guide."
            )
    return words
