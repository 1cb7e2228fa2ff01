"""`LatencyPredictor`: the scikit-learn style estimator that the rest of palmette asks for ms."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from palmette.latency import uncertainty as spreads
from palmette.latency.effects import Effect, Support, effects, support
from palmette.latency.forms import FAMILIES
from palmette.latency.model import Measured, TargetModel, fit_family
from palmette.latency.op_lists import network_ops
from palmette.latency.targets import TARGETS, Target, find_target
from palmette.latency.timings import read_timings
from palmette.latency.uncertainty import DEFAULT_CONFIDENCE, Uncertainty, hull_channels
from palmette.space import Architecture, CompiledSpace, InputError, Op, OpTable
from palmette.space.compiled import SpaceTable
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.search_space import Codes

if TYPE_CHECKING:
    from torch import nn

FORMAT = "palmette/predictor@1"
FEATURES_VERSION = 1
DATA = files("palmette.latency") / "data"
Floats = NDArray[np.float64]
Subject = Union[Architecture, str, tuple[Op, ...], "nn.Module"]


@dataclass(frozen=True, slots=True)
class Interval:
    """Predictions of networks: milliseconds and their interval, each of shape (networks,)."""

    ms: Floats
    lower_ms: Floats
    upper_ms: Floats


class LatencyPredictor(BaseEstimator):
    """Milliseconds of a network on one target, fitted to whole-network timings.

    Args:
        target: full name or alias; see `palmette.latency.TARGETS`.

    Attributes:
        model_: `TargetModel`, prices and states.
        uncertainty_: `Uncertainty`, spread and hull.
        support_: `Support`, the choices that the timings identify.
        effects_: predicted effect of one-change steps, with intervals.
        held_out_errors_: log of predicted over measured of each timed network, itself held out.
        timings_hash_: of the timings of the target's family and of those it falls back to.
    """

    def __init__(self, target: str) -> None:
        self.target = target

    def fit(self, timings: pd.DataFrame, y: None = None) -> LatencyPredictor:
        """Fit to a timing table (see `read_timings`), with the target's relatives.

        Raises:
            InputError: unknown target, or fewer than four networks timed on it.
        """
        target = find_target(self.target)
        _, fitted = fit_predictors(timings, target.family)
        expect(str(target) in fitted, f"target '{target}': the table has no timings of it")
        self.__dict__.update(fitted[str(target)].__dict__ | {"target": self.target})
        return self

    def predict(self, subjects: Sequence[Subject]) -> Floats:
        """Milliseconds of networks, shape (networks,).

        Args:
            subjects: architectures, zoo names, op lists, or any torch modules that take an image of
                224 px (trace others with `palmette.space.trace.trace_ops` and pass the ops).
        """
        ms: Floats = self.model_.predict([OpTable.of(ops_of(subject)) for subject in subjects])
        return ms

    def predict_interval(
        self,
        subjects: Sequence[Subject],
        confidence: float = DEFAULT_CONFIDENCE,
        two_sided: bool = True,
    ) -> Interval:
        """Milliseconds with their interval at a confidence.

        Two-sided: the share of networks whose time lies inside; otherwise the share below
        `upper_ms`, and the share above `lower_ms`.
        """
        tables = [OpTable.of(ops_of(subject)) for subject in subjects]
        ms = self.model_.predict(tables)
        sums = np.array([hull_channels(ops).sum(axis=0) for ops in tables])
        factor = self.uncertainty_.factor(sums, confidence, two_sided)
        return Interval(ms, ms / factor, ms * factor)

    def state_of(self, subject: Subject) -> str:
        """What a network is assumed to run on: `native`, or `fallback: ...` to another unit."""
        feature = self.model_.state_of(OpTable.of(ops_of(subject)))
        if not feature:
            return "native"
        state = next(s for s in self.model_.states if s.feature == feature)
        return f"fallback: {feature} put it on {state.components[0].target.alias}"

    def class_of(self, subject: Subject) -> str:
        """Class of networks whose spread the interval takes: `mobile` or `other`."""
        sums = hull_channels(OpTable.of(ops_of(subject))).sum(axis=0)
        return spreads.CLASSES[int(spreads.class_index(sums))]

    def outside(self, subject: Subject) -> bool:
        """Whether a network's work lies outside that of all timed networks."""
        sums = hull_channels(OpTable.of(ops_of(subject))).sum(axis=0)
        return bool(self.uncertainty_.outside(sums))

    def breakdown(self, subject: Subject) -> pd.DataFrame:
        """Milliseconds per op: columns op, ms, share; their sum is `predict` without the constant.

        With blended forms the parts are the geometric blend's tangent: each form's ops scaled by
        total over its own sum, averaged.
        """
        ops = ops_of(subject)
        table = OpTable.of(ops)
        name = self.model_.state_of(table)
        state = next(s for s in self.model_.states if s.feature == name)
        total = float(self.model_.predict([table])[0])
        parts = np.zeros(len(ops))
        for component in state.components:
            own = component.op_ms(table)
            parts += own * total / (own.sum() + component.constant_ms) / len(state.components)
        texts = [op.to_text() for op in ops]
        return pd.DataFrame({"op": texts, "ms": parts, "share": parts / total})

    def compile(self, space: CompiledSpace) -> CompiledLatency:
        """The predictor as lookup tables over a search space."""
        width = len(self.model_.channels(OpTable.of(())).T)

        def op_values(ops: OpTable) -> Floats:
            return np.concatenate([self.model_.channels(ops), hull_channels(ops)], axis=1)

        return CompiledLatency(self, space.cost_table(op_values), width)

    # Storage

    def to_dict(self) -> dict[str, Any]:
        """Plain values of the fitted predictor."""
        return {
            "format": FORMAT,
            "features_version": FEATURES_VERSION,
            "timings_hash": self.timings_hash_,
            "model": self.model_.to_dict(),
            "uncertainty": self.uncertainty_.to_dict(),
            "support": self.support_.to_dict(),
            "effects": [asdict(effect) for effect in self.effects_],
            "held_out_errors": self.held_out_errors_,
        }

    def write(self, path: Path) -> None:
        """Write the fitted predictor as JSON, atomically."""
        write_text(path, json.dumps(self.to_dict(), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> LatencyPredictor:
        """Predictor from JSON.

        Raises:
            InputError: unreadable, not JSON, another format version, or a malformed value.
        """
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        return cls.from_json(text, str(path))

    @classmethod
    def from_json(cls, text: str, where: str) -> LatencyPredictor:
        """Predictor from JSON text; raises as `read`, naming `where`."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"{where}: not valid JSON ({error})") from None
        expect(
            isinstance(data, dict)
            and data.get("format") == FORMAT
            and data.get("features_version") == FEATURES_VERSION,
            f"{where}: expected 'format' \"{FORMAT}\" and 'features_version' {FEATURES_VERSION};"
            " fit it again with this version of palmette",
        )
        try:
            model = TargetModel.from_dict(data["model"])
            predictor = cls(str(model.target))
            predictor.model_ = model
            predictor.uncertainty_ = Uncertainty.from_dict(data["uncertainty"])
            predictor.support_ = Support.from_dict(data["support"])
            predictor.effects_ = tuple(Effect(**effect) for effect in data["effects"])
            predictor.held_out_errors_ = {
                str(name): float(error) for name, error in data["held_out_errors"].items()
            }
            predictor.timings_hash_ = str(data["timings_hash"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{where}: malformed predictor ({type(error).__name__}: {error}); fit it again"
            ) from None
        return predictor

    @property
    def mape(self) -> float:
        """Mean absolute error over the timed networks, each held out, in percent."""
        return 100 * float(np.mean([abs(np.expm1(e)) for e in self.held_out_errors_.values()]))


@dataclass(frozen=True, slots=True)
class CompiledLatency:
    """A predictor over a search space: vectorised, equal to the traced path."""

    predictor: LatencyPredictor
    table: SpaceTable
    width: int
    """Number of the model's channels; the hull's follow."""

    def ms(self, codes: Codes) -> Floats:
        """Milliseconds of codes (n, genes), shape (n,)."""
        ms: Floats = self.predictor.model_.combine(self.table.sums(codes)[:, : self.width])
        return ms

    def interval(
        self, codes: Codes, confidence: float = DEFAULT_CONFIDENCE, two_sided: bool = True
    ) -> Interval:
        """Milliseconds of codes with their interval; one-sided: upper_ms holds alone."""
        sums = self.table.sums(codes)
        ms = self.predictor.model_.combine(sums[:, : self.width])
        uncertainty = self.predictor.uncertainty_
        factor = uncertainty.factor(sums[:, self.width :], confidence, two_sided)
        return Interval(ms, ms / factor, ms * factor)

    def outside(self, codes: Codes) -> NDArray[np.bool_]:
        """Whether the work of codes lies outside that of the timed networks."""
        sums = self.table.sums(codes)[:, self.width :]
        outside: NDArray[np.bool_] = self.predictor.uncertainty_.outside(sums)
        return outside


def ops_of(subject: Subject) -> tuple[Op, ...]:
    """Ops of an architecture, a network's name or text, a tuple of ops, or a torch module."""
    if isinstance(subject, Architecture):
        return subject.ops()
    if isinstance(subject, str):
        return network_ops(subject)
    if isinstance(subject, tuple):
        return subject
    from palmette.space.trace import trace_ops

    return trace_ops(subject, (3, 224, 224))


def measured_networks(timings: pd.DataFrame, family: str) -> Measured:
    """Whole-network timings of a family and of those it falls back to; duplicates are averaged."""
    wanted = {family, *(other for _, other in FAMILIES[family].fallback)}
    latency_ms: dict[str, dict[str, float]] = {}
    networks = timings[timings["subject_kind"] == "network"]
    for (target, subject), rows in networks.groupby(["target", "subject"], sort=True):
        if TARGETS[str(target)].family in wanted:
            value = float(np.exp(np.log(rows["latency_ms"].astype(float)).mean()))
            latency_ms.setdefault(str(target), {})[str(subject)] = value
    names = sorted({name for rows in latency_ms.values() for name in rows})
    return Measured(latency_ms, {name: OpTable.of(network_ops(name)) for name in names})


def fit_predictors(
    timings: pd.DataFrame, family: str
) -> tuple[Measured, dict[str, LatencyPredictor]]:
    """Predictors of all targets of a family that have timings, fitted together."""
    measured = measured_networks(timings, family)
    targets = [name for name in measured.latency_ms if TARGETS[name].family == family]
    for name in targets:
        count = len(measured.latency_ms[name])
        expect(count >= 4, f"target '{name}': {count} networks timed; at least 4 are needed")
    if not targets:
        return measured, {}
    fits = spreads.held_out_fits(family, measured)
    errors = spreads.held_out_errors(targets, measured, fits)
    digest = hashlib.sha256(repr(sorted(measured.latency_ms.items())).encode()).hexdigest()[:16]
    predictors = {}
    for name, model in fit_family(family, measured).items():
        predictor = LatencyPredictor(name)
        predictor.model_ = model
        predictor.held_out_errors_ = errors[name]
        predictor.uncertainty_ = spreads.estimate(measured, errors[name])
        predictor.support_ = support(name, model, measured)
        members = [fit[name] for fit in fits.values() if name in fit]
        predictor.effects_ = effects(model, members, predictor.support_)
        predictor.timings_hash_ = digest
        predictors[name] = predictor
    return measured, predictors


def fit_all(timings: pd.DataFrame) -> dict[str, LatencyPredictor]:
    """Predictors of every target that a timing table has rows of.

    Raises:
        InputError: no whole network in the table, or fewer than four on a target.
    """
    found = {
        name: predictor
        for family in FAMILIES
        for name, predictor in fit_predictors(timings, family)[1].items()
    }
    expect(bool(found), "the table has no timing of a whole network")
    return found


@functools.cache
def load_predictor(target: str) -> LatencyPredictor:
    """Predictor shipped for a target (full name or alias).

    Raises:
        InputError: unknown target.
    """
    found = find_target(target)
    path = DATA / "predictors" / file_name(found)
    return LatencyPredictor.from_json(path.read_text("utf-8"), path.name)


def file_name(target: Target) -> str:
    """Name of a target's predictor file: its full name without slashes."""
    return f"{target}.json".replace("/", "-").replace("@", "-")


def published_timings() -> pd.DataFrame:
    """The shipped table of published timings."""
    return read_timings(Path(str(DATA / "timings.csv")))
