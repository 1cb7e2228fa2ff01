"""What several tests of `latency` share: the published timings, what is fitted to them, ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from palmette.latency import TARGETS, LatencyPredictor, load_predictor, published_timings
from palmette.latency.model import Fits, Measured
from palmette.latency.op_lists import network_ops, shipped_names
from palmette.latency.predictor import fit_all
from palmette.latency.validate import Row, validate
from palmette.space import ZOO, Op, OpTable


@pytest.fixture(scope="session")
def timings() -> pd.DataFrame:
    """The shipped table of timings."""
    return published_timings()


@pytest.fixture(scope="session")
def fits() -> Fits:
    """Models of the shipped timings, fitted once for all tests."""
    return {}


@pytest.fixture(scope="session")
def refitted(timings: pd.DataFrame, fits: Fits) -> dict[str, LatencyPredictor]:
    """Predictors fitted to the shipped timings."""
    return fit_all(timings, fits)


@pytest.fixture(scope="session")
def validated(
    timings: pd.DataFrame, fits: Fits, refitted: dict[str, LatencyPredictor]
) -> tuple[list[Row], dict[str, Any]]:
    """Held-out rows and metrics of the shipped timings."""
    return validate(timings, fits)


@pytest.fixture(scope="session")
def shipped() -> dict[str, LatencyPredictor]:
    """The shipped predictors by the full name of their target."""
    return {name: load_predictor(name) for name in TARGETS}


@pytest.fixture(scope="session")
def all_networks() -> dict[str, tuple[Op, ...]]:
    """Ops of every network of the zoo and of every shipped op list."""
    return {name: network_ops(name) for name in (*ZOO, *shipped_names())}


@pytest.fixture
def ops_of_texts() -> Callable[..., OpTable]:
    """Columns of ops given as texts."""

    def build(*texts: str) -> OpTable:
        return OpTable.of([Op.from_text(text) for text in texts])

    return build


@pytest.fixture
def measured_of(ops_of_texts: Callable[..., OpTable]) -> Callable[..., Measured]:
    """Timings of made networks: target -> network -> ms, and network -> texts of ops."""

    def build(latency_ms: dict[str, dict[str, float]], ops: dict[str, list[str]]) -> Measured:
        return Measured(latency_ms, {name: ops_of_texts(*texts) for name, texts in ops.items()})

    return build


@pytest.fixture
def timing_table() -> Callable[..., pd.DataFrame]:
    """A table as `read_timings` gives it, of (network, target, ms)."""

    def build(*rows: tuple[str, str, float]) -> pd.DataFrame:
        return pd.DataFrame(
            [
                {"subject_kind": "network", "subject": n, "target": t, "latency_ms": ms}
                for n, t, ms in rows
            ],
            columns=["subject_kind", "subject", "target", "latency_ms"],
        )

    return build
