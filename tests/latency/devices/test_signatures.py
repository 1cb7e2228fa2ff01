"""What coremltools offers is what is called here, name by name. Its part is experimental."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import coremltools as ct
import pytest
from coremltools.models import MLModel, utils
from coremltools.models.ml_program.experimental import compute_plan_utils, remote_device
from coremltools.models.ml_program.experimental.async_wrapper import MLModelAsyncWrapper
from coremltools.models.ml_program.experimental.perf_utils import MLModelBenchmarker

from palmette.latency.devices.calls import COMPUTE_UNITS, Calls
from palmette.latency.suite.results import REQUESTED_UNITS


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (MLModelBenchmarker.__init__, ["self", "model", "device"]),
        (MLModelBenchmarker.benchmark_load, ["self", "iterations"]),
        (MLModelBenchmarker.benchmark_predict, ["self", "inputs", "iterations", "warmup"]),
        (MLModelAsyncWrapper.unload, ["self"]),
        (
            compute_plan_utils.load_compute_plan_from_path_on_device,
            ["path", "compute_units", "device"],
        ),
        (utils.compile_model, ["model", "destination_path"]),
        (remote_device.Device.get_devices, []),
        (
            remote_device.Device.prepare_for_model_debugging,
            ["self", "credentials", "working_directory", "clean"],
        ),
        (remote_device._AppSession.is_alive, ["self"]),
        (remote_device._AppSession.stop, ["self"]),
    ],
)
def test_functions_take_what_they_are_given(function: Any, parameters: list[str]) -> None:
    assert list(inspect.signature(function).parameters) == parameters


def test_what_is_awaited_can_be() -> None:
    awaited = (
        MLModelBenchmarker.benchmark_load,
        MLModelBenchmarker.benchmark_predict,
        MLModelAsyncWrapper.unload,
        compute_plan_utils.load_compute_plan_from_path_on_device,
        remote_device.Device.prepare_for_model_debugging,
    )
    assert all(inspect.iscoroutinefunction(function) for function in awaited)


def test_models_are_read_without_being_loaded() -> None:
    assert {"compute_units", "skip_model_load"} <= set(inspect.signature(MLModel).parameters)
    assert isinstance(MLModel.weights_dir, property)


def test_our_calls_shadow_nothing_of_the_benchmarker() -> None:
    own = {name for name in vars(Calls) if not name.startswith("__")}
    assert own and not own & set(dir(MLModelBenchmarker))


def test_devices_and_credentials_have_the_fields_that_are_read() -> None:
    fields = {field.name for field in dataclasses.fields(remote_device.Device)}
    assert {"name", "identifier", "udid", "os_version", "os_build_number", "state"} <= fields
    assert "session" in fields and remote_device.DeviceState.CONNECTED.value == "connected"
    assert "development_team" in inspect.signature(remote_device.AppSigningCredentials).parameters


def test_every_unit_that_one_may_request_has_coremltools_name() -> None:
    assert tuple(COMPUTE_UNITS) == REQUESTED_UNITS
    assert set(COMPUTE_UNITS.values()) == set(ct.ComputeUnit)
