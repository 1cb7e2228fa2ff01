"""One small network, exported for iOS 18, whose layers are compressed from 100 weights on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from palmette.export import ExportOptions, export
from palmette.space import Architecture

LEAST = 100
TEXT = "32x32 stem_k3_s2_c16_relu6 | ir_r1_k3_s2_e2_c32_relu6 | head_c40_relu6_n5"
"""The classifier's 200 weights come last; depthwise and pointwise layers lie between."""


@pytest.fixture(scope="session")
def network() -> Architecture:
    return Architecture.from_text(TEXT)


@pytest.fixture(scope="session")
def source(
    network: Architecture,
    trained: Callable[..., nn.Module],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp("source") / "network"
    figures = {"predicted_ms": "0.3", "target": "iphone-13/ane@coreml-ios16"}
    options = ExportOptions(system="iOS18", metadata=figures)
    return export(network, path, options=options, module=trained(network))


@pytest.fixture(scope="session")
def least() -> int:
    return LEAST
