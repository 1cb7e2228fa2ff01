"""Packages of a suite, and a model that is loaded nowhere and answers at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types
from coremltools.models.ml_program.experimental.async_wrapper import MLModelAsyncWrapper

from palmette.latency.suite.manifest import Entry, hash_package, write_manifest

SHAPE = (1, 3, 8, 8)
TARGET = "iphone-13/ane@coreml-ios16"


class Wrapper(MLModelAsyncWrapper):  # type: ignore[misc]
    """Notes what it is asked; a call takes the next of `times_ns`, the last one for ever."""

    times_ns: tuple[int, ...] = (2_000_000,)
    log: list[tuple[str, Any]] = []  # noqa: RUF012
    failing: str = ""

    async def load(self) -> None:
        self.note("load", self.compute_units.name)
        if self.failing and self.failing in str(self.spec_or_path):
            raise RuntimeError("the model could not\nbe loaded")

    async def unload(self) -> None:
        self.note("unload", None)

    async def predict(self, inputs: dict[str, Any], state: Any) -> dict[str, Any]:
        self.note("predict", inputs)
        return {}

    async def retrieve_compute_plan(self) -> Any:
        raise NotImplementedError

    def make_state_if_needed(self) -> None:
        return None

    @property
    def load_duration_in_nano_seconds(self) -> int:
        return 5_000_000

    @property
    def last_predict_duration_in_nano_seconds(self) -> int:
        calls = sum(what == "predict" for what, _ in self.log)
        return self.times_ns[min(calls, len(self.times_ns)) - 1]

    def note(self, what: str, detail: Any) -> None:
        self.log.append((what, detail))


@pytest.fixture
def wrapper(monkeypatch: pytest.MonkeyPatch) -> type[Wrapper]:
    """Stands where coremltools makes its wrapper; held to the real function's signature."""
    from unittest import mock

    monkeypatch.setattr(Wrapper, "log", [])

    def made(spec_or_path: Any, weights_dir: str, **rest: Any) -> Wrapper:
        rest.pop("device", None)
        return Wrapper(spec_or_path, weights_dir, **rest)

    with mock.patch.object(
        MLModelAsyncWrapper, "from_spec_or_path", autospec=True, side_effect=made
    ):
        yield Wrapper


def _program(name: str) -> Any:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(4, 3, 1, 1)).astype(np.float16)

    @mb.program(input_specs=[mb.TensorSpec(SHAPE, types.fp16)], opset_version=ct.target.iOS16)  # type: ignore[misc]
    def with_weights(x: Any) -> Any:
        return mb.relu(x=mb.conv(x=x, weight=weights))

    @mb.program(
        input_specs=[mb.TensorSpec(SHAPE, types.fp16), mb.TensorSpec(SHAPE, types.fp16)],
        opset_version=ct.target.iOS16,
    )  # type: ignore[misc]
    def without(x: Any, y: Any) -> Any:
        return mb.add(x=x, y=y)

    return {"conv": with_weights, "add": without}[name]


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with two packages: one with weights, one without."""
    folder = tmp_path_factory.mktemp("packages")
    for name in ("conv", "add"):
        model = ct.convert(
            _program(name),
            minimum_deployment_target=ct.target.iOS16,
            skip_model_load=True,
            outputs=None,
        )
        model.save(str(folder / f"{name}.mlpackage"))
    return folder


@pytest.fixture
def suite_of(packages: Path, tmp_path: Path) -> Callable[..., Path]:
    """A suite of these packages, in this order, written as the real one is."""

    def write(*names: str) -> Path:
        suite = tmp_path / "suite"
        suite.mkdir()
        entries = []
        for at, name in enumerate(names, start=1):
            file = f"{name}.mlpackage"
            if not (suite / file).exists():
                shutil.copytree(packages / file, suite / file)
            digest = hash_package(suite / file)
            what = ("network" if name == "add" else "op", f"the {name}", "anchor", TARGET)
            entries.append(Entry(at, file, digest, *what, "x", "1x3x8x8", "mlprogram", "iOS16"))
        write_manifest(suite, entries)
        return suite

    return write
