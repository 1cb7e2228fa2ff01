"""A small space, and what its networks need of two targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from palmette.latency.planning.needs import Needs, find_needs
from palmette.latency.planning.space_plan import sample_architectures
from palmette.latency.targets import parse_target
from palmette.space import Architecture, SearchSpace

SMALL = """
format = "palmette/space@1"
[network]
resolution = [32, 64]
activation = ["relu", "hswish"]
se = [0.0, 0.25]
[stem]
channels = [8, 16]
[[stages]]
stride = 2
channels = [16, 24]
kernel = [3, 5]
expansion = [3, 6]
depth = [1, 3]
[[stages]]
stride = 2
channels = [32, 48]
kernel = 3
expansion = 6
depth = [1, 3]
[head]
channels = 64
classes = 10
"""


@pytest.fixture(scope="package")
def space() -> SearchSpace:
    return SearchSpace.from_toml(SMALL, "small")


@pytest.fixture(scope="package")
def space_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "small.toml"
    path.write_text(SMALL, "utf-8")
    return path


@pytest.fixture(scope="package")
def drawn(space: SearchSpace) -> list[Architecture]:
    return sample_architectures(space, 24, np.random.default_rng(0), broad=False)


@pytest.fixture(scope="package")
def phone_needs(drawn: list[Architecture]) -> Needs:
    """Of a phone without a predictor; two well-known networks may calibrate."""
    target = parse_target("iphone-99/cpu@coreml-ios30")
    return find_needs(drawn, target, known=["mobilenet_v3_small", "mobilenet_v2"])


@pytest.fixture(scope="package")
def host_needs(drawn: list[Architecture]) -> Needs:
    return find_needs(drawn, parse_target("host/cpu@torch-eager"))
