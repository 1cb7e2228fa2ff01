"""Calls of one package through coremltools' `MLModelBenchmarker`, timed where they run.

What coremltools 9.0 needs to be helped with: random inputs are of single precision whatever the
model wants, so ours are given; its warm-up is one call, so ours is longer; a package of the older
format must be given a folder of weights all the same; a model stays loaded until it is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from coremltools import ComputeUnit
from coremltools.models import MLModel
from coremltools.models.ml_program.experimental.perf_utils import MLModelBenchmarker
from numpy.typing import NDArray

from palmette.latency.suite.results import PACED_HZ
from palmette.latency.suite.settings import Settings
from palmette.space.errors import expect

COMPUTE_UNITS = {
    "cpuOnly": ComputeUnit.CPU_ONLY,
    "cpuAndGPU": ComputeUnit.CPU_AND_GPU,
    "cpuAndNeuralEngine": ComputeUnit.CPU_AND_NE,
    "all": ComputeUnit.ALL,
}
SUSTAINED_SHARE = 0.25
"""Part of a sustained run that counts: its end."""
_TYPES = {"FLOAT16": np.float16, "FLOAT32": np.float32, "DOUBLE": np.float64}
"""Of arrays, as a specification names them."""
CALLS_AT_ONCE = 10
"""Calls of a burst between two looks at the clock."""

Inputs = Mapping[str, NDArray[Any]]


class _Package(MLModel):
    """A package that is not loaded here; without a folder of weights it has an empty one."""

    def __init__(self, path: Path, units: str, no_weights: Path) -> None:
        super().__init__(str(path), compute_units=COMPUTE_UNITS[units], skip_model_load=True)
        self._no_weights = str(no_weights)

    @property
    def weights_dir(self) -> str:
        return str(super().weights_dir or self._no_weights)


class Calls(MLModelBenchmarker):
    """A package on a device, or on this Mac."""

    _loaded_model: Any

    def __init__(self, path: Path, units: str, no_weights: Path, device: Any = None) -> None:
        """Read a package.

        Args:
            path: of the package.
            units: one of `COMPUTE_UNITS`.
            no_weights: an empty folder.
            device: coremltools' `Device` with a session, or None for this Mac.
        """
        super().__init__(_Package(path, units, no_weights), device)
        self.inputs = inputs_of(self.model_spec)

    async def load_ms(self) -> float:
        """Load it; milliseconds that it took there."""
        (ms,) = (await self.benchmark_load()).samples
        return float(ms)

    async def call_ms(self, count: int) -> list[float]:
        """Milliseconds of so many calls, one after the other."""
        measured = await self.benchmark_predict(inputs=dict(self.inputs), iterations=count)
        return [float(ms) for ms in measured.samples]

    async def close(self) -> None:
        """Give the model back, on the device too."""
        if self._loaded_model is not None:
            await self._loaded_model.unload()
            self._loaded_model = None


def inputs_of(spec: Any) -> dict[str, NDArray[Any]]:
    """Arrays for all inputs of a model's specification, from -1 to 1, always the same.

    Raises:
        InputError: an input is no array of fixed shape: a remote call takes nothing else.
    """
    rng = np.random.default_rng(0)
    arrays: dict[str, NDArray[Any]] = {}
    for item in spec.description.input:
        array = item.type.multiArrayType
        is_array = item.type.WhichOneof("Type") == "multiArrayType"
        name = array.ArrayDataType.Name(array.dataType) if is_array else ""
        expect(
            name in _TYPES and len(array.shape) > 0 and min(array.shape) > 0,
            f"input '{item.name}' is no array of floating-point numbers and fixed shape; build the"
            " suite's packages with arrays",
        )
        arrays[item.name] = rng.uniform(-1, 1, tuple(array.shape)).astype(_TYPES[name])
    return arrays


Guard = Callable[[Awaitable[Any]], Awaitable[Any]]
"""Awaits something, at most for as long as its machine may take."""


async def timed_calls(calls: Calls, mode: str, settings: Settings, guard: Guard) -> list[float]:
    """Milliseconds of the calls that count, after warming up."""
    start = time.monotonic()
    count = 0
    while count < settings.warmup_calls or _since(start) < settings.warmup_s:
        await guard(calls.call_ms(1))
        count += 1
    return await _MODES[mode](calls, settings, guard)


async def _burst(calls: Calls, settings: Settings, guard: Guard) -> list[float]:
    start = time.monotonic()
    found: list[float] = []
    while len(found) < settings.least_calls or (
        len(found) < settings.most_calls and _since(start) < settings.timed_s
    ):
        most = settings.least_calls if len(found) < settings.least_calls else settings.most_calls
        found += await guard(calls.call_ms(min(CALLS_AT_ONCE, max(1, most - len(found)))))
    return found


async def _sustained(calls: Calls, settings: Settings, guard: Guard) -> list[float]:
    start = time.monotonic()
    found: list[float] = []
    while _since(start) < settings.sustained_s or not found:
        counts = _since(start) >= (1 - SUSTAINED_SHARE) * settings.sustained_s
        ms = await guard(calls.call_ms(1))
        found += ms if counts else []
    return found


async def _paced(calls: Calls, settings: Settings, guard: Guard) -> list[float]:
    """The first second only finds the pace; a call that misses its turn waits for the next."""
    start = time.monotonic()
    found: list[float] = []
    turn = 0
    while _since(start) < 1 + settings.paced_s or not found:
        turn = max(turn + 1, int(np.ceil(_since(start) * PACED_HZ)))
        await asyncio.sleep(max(0.0, turn / PACED_HZ - _since(start)))
        ms = await guard(calls.call_ms(1))
        found += ms if turn >= PACED_HZ else []
    return found


_MODES = {"burst": _burst, "sustained": _sustained, "paced": _paced}


def _since(start: float) -> float:
    return time.monotonic() - start
