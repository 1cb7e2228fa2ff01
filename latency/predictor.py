"""`LatencyPredictor`: the scikit-learn style estimator that the rest of palmette asks for ms."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from palmette.latency import uncertainty as spreads
from palmette.latency.doubts import far_from_others
from palmette.latency.effects import Effect, Support
from palmette.latency.fit_targets import fit_every, fit_like, fit_target
from palmette.latency.op_lists import network_ops
from palmette.latency.per_op.op_cost import OP_MODELS, STRICT_MODELS
from palmette.latency.per_op.op_timed import OpTimedModel
from palmette.latency.quantity import LATENCY, NAMES, QUANTITIES, timings_of
from palmette.latency.stored import listed, number, text
from palmette.latency.synthetic import is_synthetic
from palmette.latency.targets import Target, find_target, parse_target
from palmette.latency.timings import read_timings
from palmette.latency.uncertainty import DEFAULT_CONFIDENCE, Uncertainty, hull_channels
from palmette.latency.whole.fitted import Fitted
from palmette.latency.whole.model import Fits, TargetModel
from palmette.space import Architecture, CompiledSpace, InputError, Op, OpTable
from palmette.space.compiled import SpaceTable
from palmette.space.errors import expect
from palmette.space.files import read_text, write_text
from palmette.space.search_space import Codes

if TYPE_CHECKING:
    from torch import nn

FORMAT = "palmette/predictor@1"
FEATURES_VERSION = 1
LONG_JSON = 100_000
LEAST_MS = 1e-9
MODELS: dict[str, type[TargetModel] | type[OpTimedModel]] = {"": TargetModel, "ops": OpTimedModel}
"""Kind of a stored model -> its class."""
DATA = files("palmette.latency") / "data"
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Subject = Union[Architecture, str, tuple[Op, ...], "nn.Module"]


@dataclass(frozen=True, slots=True)
class Interval:
    """Predictions of networks: milliseconds and their interval, each of shape (networks,)."""

    ms: Floats
    lower_ms: Floats
    upper_ms: Floats


class UnfittedError(InputError, NotFittedError):
    """A predictor was asked before it was fitted."""


class LatencyPredictor(BaseEstimator):
    """Milliseconds of a network on one target, fitted to timings of ops or of whole networks.

    Args:
        target: full name or alias of `palmette.latency.TARGETS`, or any `device/unit@runtime`.
        op_models: names of op models to choose from if ops were timed; see `OP_MODELS`.
        quantity: which milliseconds: `latency`, or `sustained`, of a phone that has got warm.

    Attributes:
        model_: `TargetModel`, prices and states.
        uncertainty_: `Uncertainty`, spread and hull.
        support_: `Support`, the choices that the timings identify.
        effects_: predicted effect of one-change steps, with intervals.
        held_out_errors_: log of predicted over measured of each timed network, itself held out.
        timed_: hash of each of these networks' milliseconds; see `palmette.latency.whole.fitted`.
        timed_ms_: milliseconds of every network that was timed on the target, by name; empty for a
            predictor that was read from a file without them, as the shipped ones are.
        timings_hash_: of the timings of the target's family and of those it falls back to.
        compared_: held-out error in % of each op model that was compared, if ops were timed.
        left_out_: what the fit did not use, and why; empty for one that was read.
        doubts_: timings that can hardly be milliseconds of the target; see
            `palmette.latency.doubts`. What its prior says is unknown of one that was read.
        prior_: full name of the target whose prices were carried over to this one's few timings,
            its anchors; blank if it was fitted by itself.
        quantity_: which milliseconds it predicts.
    """

    def __init__(
        self, target: str, op_models: Sequence[str] = STRICT_MODELS, quantity: str = LATENCY
    ) -> None:
        self.target = target
        self.op_models = op_models
        self.quantity = quantity

    def fit(self, timings: pd.DataFrame, y: None = None) -> LatencyPredictor:
        """Fit to a timing table (see `read_timings`); see `fit_target` for what is taken of it.

        Raises:
            InputError: malformed target, or too few timings of it; says what is missing.
        """
        rows = timings_of(timings, self.quantity)
        fitted = fit_target(rows, parse_target(self.target), self.op_models)
        return self._take(replace(fitted, quantity=self.quantity))

    def predict(self, subjects: Sequence[Subject]) -> Floats:
        """Milliseconds of networks, shape (networks,).

        Args:
            subjects: architectures, zoo names, op lists, or any torch modules that take an image of
                224 px (trace others with `palmette.space.trace.trace_ops` and pass the ops).
        """
        self._expect_fitted()
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
        self._expect_fitted()
        tables = [OpTable.of(ops_of(subject)) for subject in subjects]
        ms = self.model_.predict(tables)
        sums = np.array([hull_channels(ops).sum(axis=0) for ops in tables])
        sums = sums.reshape(len(tables), len(spreads.CHANNELS))
        factor = self.uncertainty_.factor(sums, confidence, two_sided)
        return Interval(ms, ms / factor, ms * factor)

    def state_of(self, subject: Subject) -> str:
        """What a network is assumed to run on: `native`, or `fallback: ...` to another unit."""
        self._expect_fitted()
        return self.model_.placement_of(OpTable.of(ops_of(subject)))

    def class_of(self, subject: Subject) -> str:
        """Class of networks whose spread the interval takes: `mobile` or `other`."""
        self._expect_fitted()
        sums = hull_channels(OpTable.of(ops_of(subject))).sum(axis=0)
        return spreads.CLASSES[int(spreads.class_index(sums))]

    def outside(self, subject: Subject) -> bool:
        """Whether a network's work lies outside that of all timed networks, or its ops' do."""
        self._expect_fitted()
        ops = OpTable.of(ops_of(subject))
        sums = hull_channels(ops).sum(axis=0)
        strays = self.model_.strays(self.model_.channels(ops).sum(axis=0))
        return bool(self.uncertainty_.outside(sums) | strays)

    def breakdown(self, subject: Subject) -> pd.DataFrame:
        """Milliseconds per op: columns op, ms, share of the network's milliseconds.

        They add up to `predict` less the constant; see `TargetModel.split` for blends of forms, and
        `OpTimedModel.split` for ops that are started together.
        """
        self._expect_fitted()
        ops = ops_of(subject)
        parts, total = self.model_.split(OpTable.of(ops))
        texts = [op.to_text() for op in ops]
        return pd.DataFrame({"op": texts, "ms": parts, "share": parts / total})

    def compile(self, space: CompiledSpace) -> CompiledLatency:
        """The predictor as lookup tables over a search space.

        Raises:
            InputError: not fitted, or by an op model under which more work can be cheaper.
        """
        self._expect_fitted()
        expect(
            self.model_.strict,
            f"the predictor of '{self.target}' looks kernels up: more work can be cheaper under it,"
            " which a search would exploit; fit it again without --lookup",
        )
        width = len(self.model_.channels(OpTable.of(())).T)

        def op_values(ops: OpTable, first: Ints) -> Floats:
            return np.concatenate([self.model_.channels(ops, first), hull_channels(ops)], axis=1)

        return CompiledLatency(self, space.sequence_table(op_values), width)

    # Storage

    def to_dict(self, timings: bool = True) -> dict[str, Any]:
        """Plain values of the fitted predictor; `timings`: with the milliseconds of networks."""
        self._expect_fitted()
        return {
            "format": FORMAT,
            "features_version": FEATURES_VERSION,
            "timings_hash": self.timings_hash_,
            "model": self.model_.to_dict(),
            "uncertainty": self.uncertainty_.to_dict(),
            "support": self.support_.to_dict(),
            "effects": [asdict(effect) for effect in self.effects_],
            "held_out_errors": dict(self.held_out_errors_),
            "timed": dict(self.timed_),
            **({"timed_ms": dict(self.timed_ms_)} if timings and self.timed_ms_ else {}),
            **({"compared": dict(self.compared_)} if self.compared_ else {}),
            **({"anchors": self.anchors, "prior": self.prior_} if self.prior_ else {}),
            **({} if self.quantity_ == LATENCY else {"quantity": self.quantity_}),
        }

    def write(self, path: Path, timings: bool = True) -> None:
        """Write the fitted predictor as JSON, atomically.

        Args:
            path: of the file.
            timings: with the milliseconds of the networks that were timed, which a search shows
                beside its predictions; a file that others get need not have them.
        """
        data = self.to_dict(timings)
        # thousands of numbers of trees are not read by eye: a line for each entry will do
        lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in data.items())
        long = "{\n" + ",\n".join(lines) + "\n}"
        short = json.dumps(data, indent=1)
        write_text(path, (long if len(short) > LONG_JSON else short) + "\n")

    @classmethod
    def read(cls, path: Path) -> LatencyPredictor:
        """Predictor from JSON.

        Raises:
            InputError: unreadable, not JSON, another format version, or a malformed value.
        """
        return cls.from_json(read_text(path), str(path))

    @classmethod
    def from_json(cls, content: str, where: str) -> LatencyPredictor:
        """Predictor from JSON text; raises as `read`, naming `where`."""
        try:
            data = json.loads(content)
        except (ValueError, RecursionError) as error:  # also a number or a nesting without end
            raise InputError(f"{where}: not valid JSON ({error})") from None
        expect(
            isinstance(data, dict)
            and data.get("format") == FORMAT
            and type(data.get("features_version")) is int  # true equals 1
            and data["features_version"] == FEATURES_VERSION,
            f"{where}: expected 'format' \"{FORMAT}\" and 'features_version' {FEATURES_VERSION};"
            " fit it again with this version of palmette",
        )
        try:
            kind = text(data["model"].get("kind", ""))
            model = MODELS[kind].from_dict(data["model"])
            fitted = Fitted(
                model,
                Uncertainty.from_dict(data["uncertainty"]),
                Support.from_dict(data["support"]),
                tuple(Effect.from_dict(effect) for effect in listed(data["effects"])),
                {name: number(error) for name, error in data["held_out_errors"].items()},
                text(data["timings_hash"]),
                {name: number(mape) for name, mape in data.get("compared", {}).items()},
                prior=text(data.get("prior", "")),
                quantity=_quantity(data.get("quantity", LATENCY)),
                timed={name: text(mark) for name, mark in data.get("timed", {}).items()},
                timed_ms={n: number(ms, LEAST_MS) for n, ms in data.get("timed_ms", {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(
                f"{where}: malformed predictor ({type(error).__name__}: {error}); fit it again"
            ) from None
        return cls(str(model.target), quantity=fitted.quantity)._take(fitted)

    @property
    def held_out_errors(self) -> pd.Series:
        """Error in % of each timed network, itself held out, by name; above 0: too slow."""
        self._expect_fitted()
        errors = {name: 100 * float(np.expm1(e)) for name, e in self.held_out_errors_.items()}
        return pd.Series(errors, dtype=np.float64, name="error")

    @property
    def mape(self) -> float:
        """Mean absolute error over the timed networks, each held out, in percent."""
        self._expect_fitted()
        return 100 * float(np.mean([abs(np.expm1(e)) for e in self.held_out_errors_.values()]))

    @property
    def anchors(self) -> int:
        """Networks timed on a target that takes another's prices, whatever width; else 0."""
        self._expect_fitted()
        return len({spreads.design(n) for n in self.held_out_errors_}) if self.prior_ else 0

    @property
    def caution(self) -> str:
        """What to know of a target with anchors alone, in a sentence; blank for others."""
        return (
            f"{self.anchors} anchors: few networks were timed on it, and the prices are those of"
            f" {self.prior_}, moved; with each left out in turn these are missed by"
            f" {self.mape:.1f} %, which of so few says little, so its interval is reckoned"
            if self.anchors
            else ""
        )

    def usual_factor(self, confidence: float = DEFAULT_CONFIDENCE) -> float:
        """Factor of the two-sided interval of a mobile network of ordinary size."""
        self._expect_fitted()
        low, high = np.array(self.uncertainty_.hull).T
        sums = np.array([0.0, 1.0, 0.0, *np.exp((low + high) / 2)])
        return float(self.uncertainty_.factor(sums, confidence))

    @property
    def model_name(self) -> str:
        """What was fitted, in words."""
        self._expect_fitted()
        return self.model_.name

    @property
    def file_name(self) -> str:
        """Name of the predictor's file: its target's full name without slashes, its quantity."""
        self._expect_fitted()
        return file_name(self.model_.target, self.quantity_)

    def _html_repr(self) -> str:
        """What notebooks show, in place of scikit-learn's list of parameters."""
        from palmette.latency.shown import predictor_html

        return predictor_html(self)

    def _take(self, fitted: Fitted) -> LatencyPredictor:
        self.model_ = fitted.model
        self.uncertainty_ = fitted.uncertainty
        self.support_ = fitted.support
        self.effects_ = fitted.effects
        self.held_out_errors_ = fitted.held_out_errors
        self.timed_ = fitted.timed
        self.timed_ms_ = fitted.timed_ms
        self.timings_hash_ = fitted.timings_hash
        self.compared_ = fitted.compared
        self.left_out_ = fitted.left_out
        others = far_from_others(fitted.timed_ms, fitted.held_out_errors)
        self.doubts_ = (*fitted.far_off, *others)
        self.prior_ = fitted.prior
        self.quantity_ = fitted.quantity
        return self

    def _expect_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise UnfittedError(
                f"the predictor of '{self.target}' is not fitted; call `fit`, or get a fitted one"
                " from `load_predictor` or `LatencyPredictor.read`"
            )


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
        """Whether the work of codes lies outside that of the timed networks, or their ops' does."""
        sums = self.table.sums(codes)
        strays = self.predictor.model_.strays(sums[:, : self.width])
        outside: NDArray[np.bool_] = self.predictor.uncertainty_.outside(sums[:, self.width :])
        return outside | strays


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


def _quantity(value: object) -> str:
    if value not in QUANTITIES:
        raise ValueError(f"quantity must be {NAMES}, got {value!r}")
    return str(value)


def fit_all(
    timings: pd.DataFrame, fits: Fits | None = None, quantity: str = LATENCY
) -> dict[str, LatencyPredictor]:
    """Predictors of every target that a timing table has rows of.

    Args:
        timings: as `read_timings` gives them.
        fits: models of the same table and quantity that were fitted before.
        quantity: which milliseconds; targets without a row that has them are left out.

    Raises:
        InputError: too few timings of a target, or none of the quantity.
    """
    parts = fit_every(timings_of(timings, quantity), fits)
    return {
        name: LatencyPredictor(name, quantity=quantity)._take(replace(fitted, quantity=quantity))
        for name, fitted in parts.items()
    }


def fit(
    timings: pd.DataFrame,
    target: str | None = None,
    like: str | None = None,
    lookup: bool = False,
    quantity: str = LATENCY,
) -> dict[str, LatencyPredictor]:
    """Predictors of a timing table by target.

    Args:
        timings: as `read_timings` gives them.
        target: this one alone; by default every target that the table has rows of.
        like: a related target that serves as the prior where `target` has few timings of whole
            networks; its own are taken from the table, else from the published ones.
        lookup: let look-up compete with the op models that a search can use.
        quantity: which milliseconds: `latency` or `sustained`.

    Raises:
        InputError: malformed target, timings of a real phone together with those of the synthetic
            one, or too few timings; says what is missing.
    """
    _expect_one_truth(timings["target"].tolist(), "the timings")
    if target is None:
        return fit_all(timings, quantity=quantity)
    name = str(parse_target(target))
    predictor = LatencyPredictor(name, OP_MODELS if lookup else STRICT_MODELS, quantity)
    if like is None:
        return {name: predictor.fit(timings)}
    _expect_one_truth([name, like], "--like")
    known, own = parse_target(like), timings_of(timings, quantity)
    rows = own if (own["target"] == str(known)).any() else published_timings()
    expect(
        rows is own or quantity == LATENCY,
        f"target '{known}': the table has no {quantity} timings of it to start from, and no"
        " published table has any",
    )
    fitted = fit_like(own, parse_target(target), known, rows)
    return {name: predictor._take(replace(fitted, quantity=quantity))}


def _expect_one_truth(targets: Sequence[str], where: str) -> None:
    """Refuse the synthetic phone beside a real one: nothing of it was measured."""
    apart = {is_synthetic(name): name for name in targets}
    expect(
        len(apart) < 2,
        f"{where}: {apart.get(True)} is made up and says nothing of {apart.get(False)}; fit each"
        " from its own timings",
    )


@functools.cache
def load_predictor(target: str) -> LatencyPredictor:
    """Predictor shipped for a target (full name or alias).

    Raises:
        InputError: unknown target.
    """
    found = find_target(target)
    path = DATA / "predictors" / file_name(found)
    return LatencyPredictor.from_json(path.read_text("utf-8"), path.name)


def expect_target(predictor: LatencyPredictor, target: str, where: Path) -> None:
    """Raise InputError unless the predictor of a file is of a target."""
    timed, wanted = str(predictor.model_.target), str(parse_target(target))
    expect(timed == wanted, f"{where}: is a predictor of {timed}, not of {wanted}")


def file_name(target: Target, quantity: str = LATENCY) -> str:
    """Name of a target's predictor file: its full name without slashes, and what is sustained."""
    of = "" if quantity == LATENCY else f"-{quantity}"
    return f"{target}{of}.json".replace("/", "-").replace("@", "-")


def published_timings() -> pd.DataFrame:
    """The shipped table of published timings."""
    return read_timings(Path(str(DATA / "timings.csv")))
