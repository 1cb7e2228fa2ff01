"""Two small networks that hold every block kind and activation, with weights as after training."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from palmette.export import FORMATS, ExportOptions, export
from palmette.space import Architecture

TEXTS = {
    "odd": "45x70 stem_k3_s2_c8_hswish | ds_r1_k3_s1_c8_relu6_se0.25_gatehsigmoid_pointact"
    " | ir_r2_k5_s2_e3_c12_swish_se4_inswish | er_r1_k3_s1_e2_c12_relu_g2 cn_r1_k7_s2_c16_gelu_g4"
    " | head_c24_hswish_n5_poolfirst",
    "plain": "64x64 stem_k5_s2_c8_lrelu | ir_r1_k7_s2_x20_c8_sigmoid_g4 | cn_r1_k1_s2_c16_hsigmoid"
    " | ds_r2_k3_s2_c16_relu_noskip er_r2_k3_s2_e2_c16_relu6_se0.5 | head_c32_relu_n7",
}
"""Height and width differ and are odd in one; the other ends in a map of 2 x 2."""

BACKBONE = "stem_k3_s2_c8_relu | cn_r1_k3_s2_c8_relu | cn_r1_k3_s2_c12_relu"
HEADS = {
    "taps": f"64x48 {BACKBONE} | taps_t4.8",
    "ssd": f"48x64 {BACKBONE} | ssd_t8_x8.8_n5_relu6",
    "ssdlite": f"48x65 {BACKBONE} | ssdlite_t4.8_x8_n3_relu6_fullfirst",
    "deeplab": f"65x49 {BACKBONE} | deeplab_t4.8_c8_relu_n5_a2.3",
    "lraspp": f"48x64 {BACKBONE} | lraspp_t4.8_c8_hswish_n4",
}
"""Every kind of head but the classifier, by its name."""


def _trained(architecture: Architecture, seed: int = 1) -> nn.Module:
    """Network in evaluation mode whose biases, BatchNorm statistics and gains are not trivial."""
    module = architecture.build(seed).eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if value.dim() == 1 and value.is_floating_point():
                positive = name.endswith("running_var")
                value.copy_(torch.rand(value.shape, generator=random) + (0.5 if positive else -0.4))
    return module


def _contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.fixture(scope="session")
def texts() -> tuple[str, ...]:
    return tuple(TEXTS.values())


@pytest.fixture(scope="session")
def trained() -> Callable[..., nn.Module]:
    return _trained


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Bytes of every file of a package by its place in it."""
    return _contents


@pytest.fixture(scope="session", params=TEXTS)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return Architecture.from_text(TEXTS[request.param])


@pytest.fixture(scope="session")
def module(architecture: Architecture) -> nn.Module:
    return _trained(architecture)


@pytest.fixture(scope="session")
def small() -> Architecture:
    """The quickest to export."""
    return Architecture.from_text("32x48 stem_k3_s2_c8_relu | cn_r1_k3_s1_c8_relu6 | head_n4")


@pytest.fixture(scope="session", params=HEADS)
def headed(request: pytest.FixtureRequest) -> Architecture:
    """A small network of each head but the classifier."""
    return Architecture.from_text(HEADS[request.param])


@pytest.fixture(scope="session")
def detector() -> Architecture:
    """The quickest detector to export: 3 classes."""
    return Architecture.from_text(HEADS["ssdlite"])


@pytest.fixture(scope="session")
def head_texts() -> dict[str, str]:
    return HEADS


@pytest.fixture(scope="session")
def segmenter() -> Architecture:
    return Architecture.from_text(HEADS["lraspp"])


@pytest.fixture(scope="session", params=FORMATS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def package(
    architecture: Architecture,
    module: nn.Module,
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """An export of each small network in each format; not to be changed (see `copied`)."""
    path = tmp_path_factory.mktemp("package") / "network"
    options = ExportOptions(kind, metadata={"b": "2", "a": "1"})
    return export(architecture, path, options=options, module=module)


@pytest.fixture
def copied(package: Path, tmp_path: Path) -> Path:
    """A copy of the package, to damage."""
    copy = tmp_path / package.name
    return Path((shutil.copytree if package.is_dir() else shutil.copyfile)(package, copy))
