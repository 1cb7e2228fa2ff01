"""A compressed package passes with the loss that it has, and not as another network's."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from palmette.export._coremltools import coremltools, without_bars
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
