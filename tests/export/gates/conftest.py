"""A small network's package, and copies of it to damage."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from palmette.export import export
from palmette.export.package import model_file, read_spec
from palmette.space import Architecture

TEXT = "24x32 stem_k3_s2_c8_hswish | cn_r2_k3_s1_c8_relu6 | head_n4"
Edit = Callable[[Any], None]


@pytest.fixture(scope="session")
def net() -> Architecture:
    return Architecture.from_text(TEXT)


@pytest.fixture(scope="session")
def weights(net: Architecture, trained: Callable[..., nn.Module]) -> nn.Module:
    return trained(net)


@pytest.fixture(scope="session")
def good(net: Architecture, weights: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed (see `edited`)."""
    return export(net, tmp_path_factory.mktemp("good") / "net", module=weights)


def _edited(package: Path, folder: Path, edit: Edit) -> Path:
    copy = Path(shutil.copytree(package, folder / f"edited_{package.name}"))
    spec = read_spec(copy)
    edit(spec)
    model_file(copy).write_bytes(spec.SerializeToString(deterministic=True))
    return copy


@pytest.fixture(scope="session")
def edited() -> Callable[[Path, Path, Edit], Path]:
    """A copy of a package with its model changed."""
    return _edited
