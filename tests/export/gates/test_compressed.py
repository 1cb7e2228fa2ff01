"""A compressed package passes with the loss that it has, and not as another network's."""

import shutil
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from palmette.export._coremltools import coremltools, without_bars
from palmette.export.compression import compress
from palmette.export.gates import verify
from palmette.space import Architecture


@pytest.fixture(scope="module")
def compressed(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With 16 values a layer, by coremltools alone."""
    ct = coremltools()
    settings = ct.optimize.coreml.OpPalettizerConfig(nbits=4, weight_threshold=100)
    config = ct.optimize.coreml.OptimizationConfig(global_config=settings)
    path = tmp_path_factory.mktemp("compressed") / "net.mlpackage"
    with without_bars(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ct.models.MLModel(str(good), skip_model_load=True)
        ct.optimize.coreml.palettize_weights(model, config).save(str(path))
    return path


def test_a_compressed_package_passes_and_its_loss_is_reported(
    compressed: Path, net: Architecture, weights: nn.Module
) -> None:
    verdict = verify(compressed, net, module=weights, images=1)
    assert verdict.passed, [gate.reason for gate in verdict.gates]
    stored, half = (verdict.gates[at].figures for at in (1, 2))
    assert stored["compressed"] >= 216 + 2 * 576 and 0.05 < stored["weights_lost"] < 0.2
    assert stored["error"] < 1e-3 < half["error_to_original"]
    assert any("those that the scheme chose" in line for line in verdict.unproven)


def test_a_compressed_package_of_other_weights_fails(
    compressed: Path, net: Architecture, trained: Callable[..., nn.Module]
) -> None:
    verdict = verify(compressed, net, module=trained(net, 2), images=1)
    assert [gate.name for gate in verdict.gates if gate.passed is False] == ["weights"]


def test_codes_that_were_moved_fail_by_the_promise_of_their_scheme(
    good: Path, net: Architecture, weights: nn.Module, tmp_path: Path
) -> None:
    small = compress(good, tmp_path / "small", "int8", least_values=100).path
    assert verify(small, net, module=weights, images=1).passed
    where = weight_blobs(small)
    moved = Path(shutil.copytree(small, tmp_path / "moved.mlpackage"))
    file = moved / "Data/com.apple.CoreML/weights/weight.bin"
    data = bytearray(file.read_bytes())
    for begin, end in where:
        codes = np.frombuffer(bytes(data[begin:end]), np.int8)
        data[begin:end] = np.where(codes > 0, codes - 40, codes + 40).astype(np.int8).tobytes()
    file.write_bytes(bytes(data))
    verdict = verify(moved, net, module=weights, images=1)
    (stored,) = (gate for gate in verdict.gates if gate.name == "weights")
    assert stored.passed is False and "more than half a scale from its place" in stored.reason


def weight_blobs(package: Path) -> list[tuple[int, int]]:
    """Begin and end of each blob of 8-bit codes in the weight file."""
    data = (package / "Data/com.apple.CoreML/weights/weight.bin").read_bytes()
    found = []
    for at in range(64, len(data) - 64, 64):
        mark, kind, size, begin, _ = struct.unpack_from("<IIQQQ", data, at)
        if mark == 0xDEADBEEF and kind == 4:
            found.append((begin, begin + size))
    assert found
    return found
