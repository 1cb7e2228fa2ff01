"""A small space in which everything that can vary varies, and a supernet of it."""

from __future__ import annotations

import pytest

from palmette.space import SearchSpace
from palmette.train.datasets import Data, procedural

TOML = """
format = "palmette/space@1"
[network]
resolution = [32, 48]
activation = ["relu", "hswish"]
se = [0.0, 0.25]
se_act = "relu"
gate = "sigmoid"
[stem]
channels = [8, 12]
[[stages]]
stride = 1
channels = [8, 12]
kernel = [3, 5]
expansion = 1
depth = 1
[[stages]]
stride = 2
channels = [12, 16]
kernel = [3, 5, 7]
expansion = [1, 2, 3]
depth = [1, 2, 3]
[[stages]]
stride = 2
channels = [16, 24]
kernel = [7, 3]
expansion = [4, 2]
depth = [2, 1]
se = [0.25, 0.5]
[head]
channels = [24, 32]
classes = 20
"""


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    """All keys vary, in no particular order."""
    return SearchSpace.from_toml(TOML, "small")


@pytest.fixture(scope="session")
def data() -> Data:
    """120 procedural images of 48 px, and 60 to validate."""
    return Data("procedural:120", procedural(120, 48), procedural(60, 48, first=120))


FEW = """
format = "palmette/space@1"
[network]
resolution = 32
activation = "relu"
[stem]
channels = 8
[[stages]]
stride = 2
channels = [8, 12]
kernel = [3, 5]
expansion = 2
depth = [1, 2]
se = 0
[head]
channels = 16
"""


@pytest.fixture(scope="session")
def few() -> SearchSpace:
    """Eight networks that train in moments."""
    return SearchSpace.from_toml(FEW, "few")
