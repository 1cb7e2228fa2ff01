"""The loop on this machine, scored on a machine whose ops and networks add up by plan."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from palmette.latency.chains import Chain
from palmette.latency.host import runtimes as host_module
from palmette.latency.host.measure import Measured, measure
from palmette.latency.host.plan import host_plan
from palmette.latency.op_lists import network_ops
from palmette.latency.planning.space_plan import space_needs
from palmette.latency.targets import parse_target
from palmette.space import InputError, Op, SearchSpace


def op_ms(op: Op) -> float:
    """Planted: depthwise MACs cost ten times others, elements and a start cost too."""
    macs = op.macs * (10 if op.depthwise else 1)
    return 0.01 + 1e-8 * macs + 2e-7 * (op.in_elements + op.out_elements)


@dataclass(frozen=True)
class MadeHost:
    """Networks are 1.2 times the sum of their ops and 0.5 ms; timings scatter by 2 %."""

    target: str = "host/cpu@torch-eager"
    placement: str = "cpu, 1 thread"
    system: str = "made"

    def prepare(self, subject: tuple[str, str]) -> Callable[[], float]:
        kind, text = subject
        if kind == "op":
            ms = op_ms(Op.from_text(text))
        elif kind == "chain":
            ms = sum(map(op_ms, Chain.from_text(text).ops()))
        else:
            ms = 1.2 * sum(map(op_ms, network_ops(text))) + 0.5
        random = np.random.default_rng(len(text))
        return lambda: 1e-3 * ms * math.exp(0.02 * random.standard_normal())


Subjects = list[tuple[str, str]]
Made = tuple[Measured, Path, Subjects, Subjects, tuple[str, ...]]
"""A measurement of the made machine, its table, what was planned and not, and what is predicted."""


@pytest.fixture(scope="module")
def made(benchmark: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Made:
    @contextmanager
    def opened(target: str, threads: int) -> Iterator[MadeHost]:
        yield MadeHost()

    out = tmp_path_factory.mktemp("made") / "timings.csv"
    space = SearchSpace.preset(benchmark.SPACE)
    plan, tests = host_plan(space, minutes=0.8), benchmark.test_networks(space)
    needs = space_needs(space, parse_target(benchmark.TARGET), broad=True, known=False)
    others = benchmark.unplanned(needs, plan, times=2.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_module, "opened", opened)
        subjects = [*plan.subjects, *others, *(("network", name) for name in tests)]
        measured = measure(benchmark.TARGET, subjects, out, rounds=6)
    return measured, out, plan.subjects, others, tests


@pytest.fixture(scope="module")
def metrics(benchmark: ModuleType, made: Made) -> dict[str, Any]:
    found: dict[str, Any] = benchmark.score(*made)
    print({key: value for key, value in found.items() if key != "table"})
    return found


@pytest.mark.slow
def test_a_planted_machine_is_found(metrics: dict[str, Any], made: Made) -> None:
    assert metrics["mape"] < 6 and metrics["kendall_tau"] > 0.93
    assert metrics["mape_flops"] > 1.5 * metrics["mape"]
    assert 0 < metrics["spread"] < 3
    assert metrics["networks"] >= 36 and metrics["refused"] == 0
    assert metrics["calibration_networks"] >= 5
    assert set(metrics["table"]) <= set(made[4])
    json.dumps(metrics)


@pytest.mark.sweep
def test_the_fit_never_sees_what_it_predicts(
    benchmark: ModuleType, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def predict(rows: Any, subjects: list[str]) -> Any:
        seen.extend(rows["subject"])
        return np.ones(len(subjects))

    monkeypatch.setattr(benchmark, "predict", predict)
    metrics = benchmark.score(*made)
    _, _, planned, others, tests = made
    assert set(seen) == {text for _, text in (*planned, *others)}
    assert not set(seen) & set(metrics["table"]) and set(metrics["table"]) <= set(tests)


def test_there_are_enough_networks_of_both_kinds(benchmark: ModuleType, made: Made) -> None:
    assert sum(name in benchmark.PUBLISHED for name in made[4]) >= 12
    assert sum("|" in name for name in made[4]) == 20


def test_the_unplanned_table_takes_twice_as_long(
    benchmark: ModuleType, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, planned, others, _ = made
    # the times are of the tables, whatever is predicted from them
    monkeypatch.setattr(benchmark, "predict", lambda rows, subjects: np.ones(len(subjects)))
    assert 0.35 < benchmark.score(*made)["time_share"] < 0.65
    assert {kind for kind, _ in others} == {"op", "chain", "network"}
    assert len(set(planned) - set(others)) > 0.4 * len(planned)


def test_an_unknown_target_is_one_line_and_code_2(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["host_loop.py", "--target", "host/cpu@nothing"])
    assert benchmark.main() == 2
    said = capsys.readouterr().err
    assert said.startswith("error: target 'host/cpu@nothing'")
    assert said.count("\n") == 1


def test_macs_with_an_offset_are_found_exactly(benchmark: ModuleType) -> None:
    import pandas as pd

    names = ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "fbnet_c"]
    macs = np.array([sum(op.macs for op in network_ops(name)) for name in names])
    ms = 2 + 3e-8 * macs
    rows = pd.DataFrame({"subject_kind": "network", "subject": names, "latency_ms": ms})
    assert benchmark.predict_flops(rows[:3], names) == pytest.approx(ms)


def test_no_networks_to_calibrate_on_is_an_error(benchmark: ModuleType, made: Made) -> None:
    from palmette.latency.timings import read_timings

    rows = read_timings(made[1])
    with pytest.raises(InputError, match="families"):
        benchmark.predict(rows[rows["subject_kind"] == "op"], ["mobilenet_v1"])
