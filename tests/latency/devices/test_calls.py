"""Calls through coremltools' real benchmarker, with a model that is loaded nowhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.proto import Model_pb2

from palmette.latency.devices.calls import Calls, inputs_of, timed_calls
from palmette.latency.suite.settings import Settings
from palmette.space.errors import InputError

QUICK = Settings(warmup_calls=3, warmup_s=0, least_calls=4, most_calls=25, timed_s=0)


async def guard(awaited: Awaitable[Any]) -> Any:
    return await awaited


def open_calls(packages: Path, tmp_path: Path, name: str = "conv") -> Calls:
    return Calls(packages / f"{name}.mlpackage", "cpuAndNeuralEngine", tmp_path)


def times(calls: Calls, mode: str, settings: Settings) -> list[float]:
    return asyncio.run(timed_calls(calls, mode, settings, guard))


def test_warm_up_calls_are_dropped_and_nanoseconds_become_milliseconds(
    packages: Path, tmp_path: Path, wrapper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrapper, "times_ns", tuple(1_000_000 * at for at in range(1, 100)))
    calls = open_calls(packages, tmp_path)
    assert asyncio.run(calls.load_ms()) == 5.0
    assert times(calls, "burst", QUICK) == [4.0, 5.0, 6.0, 7.0]
    assert wrapper.log[0] == ("load", "CPU_AND_NE")
    assert [what for what, _ in wrapper.log[1:]] == ["predict"] * 7


def test_a_burst_goes_on_until_its_time_is_over_or_it_has_most_calls(
    packages: Path, tmp_path: Path, wrapper: Any
) -> None:
    calls = open_calls(packages, tmp_path)
    long = Settings(warmup_calls=0, warmup_s=0, least_calls=4, most_calls=25, timed_s=60)
    assert len(times(calls, "burst", long)) == 25


def test_warming_up_takes_its_time_too(packages: Path, tmp_path: Path, wrapper: Any) -> None:
    settings = Settings(warmup_calls=1, warmup_s=0.1, least_calls=1, most_calls=1, timed_s=0)
    start = time.monotonic()
    times(open_calls(packages, tmp_path), "burst", settings)
    assert time.monotonic() - start >= 0.1
    assert len(wrapper.log) > 10


def test_of_a_sustained_run_only_the_end_counts(
    packages: Path, tmp_path: Path, wrapper: Any
) -> None:
    settings = Settings(warmup_calls=0, warmup_s=0, sustained_s=0.2)
    found = times(open_calls(packages, tmp_path), "sustained", settings)
    calls = sum(what == "predict" for what, _ in wrapper.log)
    assert 0 < len(found) < calls / 2


def test_paced_calls_stand_a_thirtieth_of_a_second_apart(
    packages: Path, tmp_path: Path, wrapper: Any
) -> None:
    settings = Settings(warmup_calls=0, warmup_s=0, paced_s=0.2)
    start = time.monotonic()
    found = times(open_calls(packages, tmp_path), "paced", settings)
    took = time.monotonic() - start
    calls = sum(what == "predict" for what, _ in wrapper.log)
    assert calls <= 30 * took + 1  # never faster; a busy machine may skip turns
    assert 0 < len(found) < calls and took >= 1.2


def test_inputs_are_of_half_precision_where_the_model_wants_that(
    packages: Path, tmp_path: Path, wrapper: Any
) -> None:
    times(open_calls(packages, tmp_path, "add"), "burst", QUICK)
    given = [detail for what, detail in wrapper.log if what == "predict"]
    assert {name: array.dtype for name, array in given[0].items()} == {
        "x": np.float16,
        "y": np.float16,
    }
    assert all(array.shape == (1, 3, 8, 8) for array in given[0].values())
    assert np.abs(given[0]["x"]).max() <= 1 and np.ptp(given[0]["x"]) > 1
    assert all((given[0]["x"] == other["x"]).all() for other in given)


def test_a_package_of_the_older_format_is_called_too(tmp_path: Path, wrapper: Any) -> None:
    spec = Model_pb2.Model(specificationVersion=4)
    for item in (spec.description.input.add(name="x"), spec.description.output.add(name="y")):
        item.type.multiArrayType.dataType = item.type.multiArrayType.ArrayDataType.FLOAT32
        item.type.multiArrayType.shape.extend([3, 8, 8])
    layer = spec.neuralNetwork.layers.add(name="act", input=["x"], output=["y"])
    layer.activation.ReLU.SetInParent()
    (tmp_path / "old.mlmodel").write_bytes(spec.SerializeToString())
    calls = Calls(tmp_path / "old.mlmodel", "cpuOnly", tmp_path)
    assert calls.model.weights_dir == str(tmp_path)  # of these it has none
    assert len(times(calls, "burst", QUICK)) == 4
    assert calls.inputs["x"].dtype == np.float32 and calls.inputs["x"].shape == (3, 8, 8)


def test_a_model_is_given_back(packages: Path, tmp_path: Path, wrapper: Any) -> None:
    calls = open_calls(packages, tmp_path)
    asyncio.run(calls.close())  # nothing yet
    asyncio.run(calls.load_ms())
    asyncio.run(calls.close())
    assert [what for what, _ in wrapper.log] == ["load", "unload"]


@pytest.mark.parametrize("kind", ["imageType", "int64Type"])
def test_inputs_that_are_no_arrays_are_refused(kind: str) -> None:
    spec = Model_pb2.Model()
    item = spec.description.input.add(name="photo")
    getattr(item.type, kind).SetInParent()
    with pytest.raises(InputError, match="input 'photo' is no array"):
        inputs_of(spec)


def test_inputs_without_a_fixed_shape_are_refused() -> None:
    spec = Model_pb2.Model()
    item = spec.description.input.add(name="x")
    item.type.multiArrayType.dataType = item.type.multiArrayType.ArrayDataType.FLOAT16
    with pytest.raises(InputError, match="fixed shape"):
        inputs_of(spec)
