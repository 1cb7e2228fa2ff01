"""How far a report may be believed: what stands behind each number, and what nobody knows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from palmette.latency import LatencyPredictor
from palmette.search.expensive.fresh import SEEDS, TOP1, confirmed_pick, lower
from palmette.search.report.baselines import WORDS, baselines_of
from palmette.search.report.opened import OpenedRun
from palmette.search.run import Run
from palmette.search.summary import guard_lines

Statement = tuple[str, str]
"""What it is about, and a sentence."""
_GUARDED = 80
"""Confidence, in %, of the interval whose coverage is told."""


def statements(opened: OpenedRun) -> list[Statement]:
    """Everything that bears on trust, in the order in which it matters."""
    found = list[Statement]()
    for latency in opened.problem.latencies:
        found += _of_predictor(latency.predictor)
    found += _of_accuracy(opened)
    if len(opened.front):
        run = Run(opened.config, opened.folder, opened.front, opened.problem)
        found += [("Guards and limits", _sentence(line)) for line in guard_lines(run, every=True)]
    return found


def _of_predictor(predictor: LatencyPredictor) -> Iterator[Statement]:
    target = predictor.model_.target.alias
    errors = {name: 100 * abs(math.expm1(e)) for name, e in predictor.held_out_errors_.items()}
    factor = predictor.usual_factor(_GUARDED / 100)
    if predictor.caution:
        yield f"Milliseconds on {target}", _sentence(predictor.caution)
    elif errors:
        worst = max(errors, key=errors.__getitem__)
        yield (
            f"Milliseconds on {target}",
            f"Predicted from {len(errors)} timed networks. With each of them held out in turn the"
            f" mean error is {predictor.mape:.1f} %, the worst {errors[worst]:.0f} % ({worst}).",
        )
        inside = np.mean([abs(e) <= math.log(factor) for e in predictor.held_out_errors_.values()])
        yield (
            "Coverage",
            f"The {_GUARDED} % interval of an ordinary mobile network is the prediction times or"
            f" divided by {factor:.2f}; {inside:.0%} of the networks held out lie within that"
            f" factor. Method: {predictor.uncertainty_.method}.",
        )
        simple = baselines_of(predictor)
        if simple:
            listed = ", ".join(f"{words} {simple[name]:.1f} %" for name, words in WORDS.items())
            yield (
                "Baselines",
                f"Mean errors of simple answers to the same networks, each held out: {listed}; this"
                f" predictor {simple['own']:.1f} %.",
            )
    unknown = [effect.name for effect in predictor.effects_ if not effect.identified]
    if unknown:
        yield (
            f"What {target} can't identify",
            f"Its timings don't tell what these changes cost: {', '.join(unknown)}.",
        )


def _of_accuracy(opened: OpenedRun) -> Iterator[Statement]:
    front, accuracy = opened.front, opened.problem.accuracy
    if not len(front):
        yield "Accuracy", _sentence(f"top-1 is {accuracy.words()}")
        return
    fresh = front[front[SEEDS] > 0] if SEEDS in front else front[:0]
    if len(fresh):
        yield (
            "Fresh seeds",
            f"{len(fresh)} networks were trained anew with seeds that nothing was selected by:"
            f" top-1 {lower((fresh['top1'] - fresh[TOP1]).mean())} than the values that won.",
        )
    count = int(front["tie"].sum())
    among, best = f"{len(front)} networks of the front", "score"
    if confirmed_pick(front):
        among, best = f"these {len(fresh)}", "fresh mean, which chooses the pick"
    yield "Ties", f"{count} of {among} tie with the best {best}."


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
