"""The proof accepts the right package and no other."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from palmette.export import ExportError, ExportOptions, verify_weights
from palmette.export.conversion import convert
from palmette.export.fold import fold_batch_norm
from palmette.export.package import model_file, write_package
from palmette.export.plan import plan_of
from palmette.export.proof import compare_structure, compare_weights, image_size
from palmette.export.weights import stored_layers
from palmette.space import Architecture, InputError


def test_the_right_module_is_equal_in_every_weight_of_the_traced_ops(
    package: Path, architecture: Architecture, module: nn.Module
) -> None:
    report = verify_weights(package, module)
    ops = architecture.ops()
    assert report.layers == sum(op.kind in ("conv", "linear") for op in ops)
    assert report.values == sum(op.weights for op in ops)
    compare_structure(package, ops)


def test_the_image_size_is_read_from_the_package(package: Path, architecture: Architecture) -> None:
    assert image_size(package) == architecture.resolution


def test_any_flipped_bit_of_a_weight_is_found(copied: Path, module: nn.Module) -> None:
    file = next(copied.rglob("weight.bin")) if copied.is_dir() else model_file(copied)
    good = file.read_bytes()
    expected = [layer.weight for layer in stored_layers(copied)]
    rng = random.Random(0)
    for weight in expected:
        start = good.index(weight.tobytes())
        bit = rng.randrange(8 * weight.nbytes)
        bad = bytearray(good)
        bad[start + bit // 8] ^= 1 << bit % 8
        file.write_bytes(bad)
        with pytest.raises(ExportError, match=r"weight: 1 of \d+ values differ"):
            verify_weights(copied, module)
    file.write_bytes(good)
    verify_weights(copied, module)


def test_a_module_with_one_other_bias_is_found(
    package: Path, architecture: Architecture, trained: Callable[..., nn.Module]
) -> None:
    other = trained(architecture)
    with torch.no_grad():
        other.get_parameter("head.fc.bias")[0] += 0.01
    with pytest.raises(ExportError, match=r"head.fc.bias: 1 of . values differ, the first at"):
        verify_weights(package, other)


def test_a_module_of_another_shape_is_found(package: Path, architecture: Architecture) -> None:
    fewer = Architecture(
        architecture.resolution, architecture.stem, architecture.stages[:1], architecture.head
    )
    with pytest.raises(ExportError, match=r"stores \d+ .* the module has \d+"):
        verify_weights(package, fewer.build().eval())


def test_a_layer_of_another_shape_is_found(
    package: Path, architecture: Architecture, module: nn.Module
) -> None:
    folded = fold_batch_norm(module, (3, *architecture.resolution))
    layers = [replace(folded.layers[0], weight=folded.layers[0].weight[:, :1]), *folded.layers[1:]]
    with pytest.raises(ExportError, match=r"stem.conv.weight has the shape .* the module's is"):
        compare_weights(stored_layers(package), layers)


def test_training_mode_is_refused(package: Path, architecture: Architecture) -> None:
    with pytest.raises(InputError, match="training mode"):
        verify_weights(package, architecture.build())


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_package_of_batch_statistics_is_found(
    small: Architecture, kind: str, tmp_path: Path
) -> None:
    module = small.build().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = part.running_var = None
    options = ExportOptions(kind)
    spec, weight_file = convert(module, plan_of(small, options), tmp_path)
    path = tmp_path / f"network{options.format.suffix}"
    write_package(spec, weight_file, path)
    with pytest.raises(ExportError, match=r"ops of the kind '(mean|training)'"):
        compare_structure(path, small.ops())
