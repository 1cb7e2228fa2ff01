"""The reader returns what lies on disk, and refuses what it cannot vouch for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from palmette.export import ExportError, ExportOptions, export, verify_weights
from palmette.export.package import model_file, read_spec
from palmette.export.weights import (
    network_layers,
    program_operations,
    stored_layers,
    weight_params,
)
from palmette.space import Architecture, InputError


def change(path: Path, edit: Callable[[Any], None]) -> None:
    """Edit the protobuf of a package on disk."""
    spec = read_spec(path)
    edit(spec)
    model_file(path).write_bytes(spec.SerializeToString())


@pytest.fixture
def program(small: Architecture, tmp_path: Path) -> Path:
    """An ML Program, to damage."""
    return export(small, tmp_path / "x.mlpackage")


def test_every_convolution_and_linear_layer_is_read_in_half_precision(
    package: Path, architecture: Architecture
) -> None:
    layers = stored_layers(package)
    ops = [op for op in architecture.ops() if op.kind in ("conv", "linear")]
    assert [len(layer.weight) for layer in layers] == [op.output[0] for op in ops]
    assert all(layer.weight.dtype == np.float16 for layer in layers)
    assert all(layer.bias is not None and layer.bias.dtype == np.float16 for layer in layers)


def test_weights_outside_the_checked_layers_are_an_error(copied: Path) -> None:
    def edit(spec: Any) -> None:
        if copied.is_dir():
            operations = program_operations(spec)
            next(op for op in operations if op.type == "conv").type = "conv_transpose"
            function = spec.mlProgram.functions["main"]
            del function.block_specializations[function.opset].operations[:]
            function.block_specializations[function.opset].operations.extend(operations)
        else:
            layer = network_layers(spec)[0]
            weights = bytes(layer.convolution.weights.float16Value)
            layer.scale.scale.float16Value = weights

    change(copied, edit)
    with pytest.raises(ExportError, match="weight of no convolution|could not be checked"):
        stored_layers(copied)


GATHERED = "32x32 stem_k3_s2_c16_none_bare | prelu_c16 cd_k3_x32_c24_relu_g4 | head_n4_keep12"


@pytest.fixture
def gathered(kind: str, tmp_path: Path, trained: Callable[..., nn.Module]) -> Path:
    """A package of slopes, gathers and BatchNorms behind them, to damage."""
    network = Architecture.from_text(GATHERED)
    options = ExportOptions(kind)
    return export(network, tmp_path / "x", options=options, module=trained(network))


def test_slopes_indices_gains_and_shifts_are_read_in_order(gathered: Path) -> None:
    found = [(layer.weight.ndim, len(layer.weight)) for layer in stored_layers(gathered)]
    # stem, slopes, gather, BatchNorm, 1x1, BatchNorm, 3x3, gather, classifier
    vectors = [(1, 16), (1, 16), (1, 16), (4, 32), (1, 32), (4, 8), (1, 12)]
    assert found == [(4, 16), *vectors, (2, 4)]
    indices = [layer.weight for layer in stored_layers(gathered) if layer.weight.dtype == np.int32]
    assert [index.tolist() for index in indices] == [list(range(16)), list(range(0, 24, 2))]


def test_a_gain_that_is_another_is_an_error(
    gathered: Path, trained: Callable[..., nn.Module]
) -> None:
    module = trained(Architecture.from_text(GATHERED))
    assert verify_weights(gathered, module).vectors == 5
    norm = module.get_submodule("stages.0.1.body.1")
    with torch.no_grad():
        norm.weight[3] *= 1.01
    with pytest.raises(ExportError, match=r"^stages\.0\.1\.body\.1\.weight: 1 of 16 values differ"):
        verify_weights(gathered, module)


def test_a_batchnorm_with_statistics_of_its_own_is_an_error(gathered: Path) -> None:
    def edit(spec: Any) -> None:
        if gathered.is_dir():
            function = spec.mlProgram.functions["main"]
            operations = function.block_specializations[function.opset].operations
            norm = next(op for op in operations if op.type == "batch_norm")
            names = norm.inputs["mean"].arguments[0], norm.inputs["gamma"].arguments[0]
            names[0].name = names[1].name
        else:
            layer = next(x for x in network_layers(spec) if x.WhichOneof("layer") == "batchnorm")
            layer.batchnorm.epsilon = 0.5

    change(gathered, edit)
    with pytest.raises(ExportError, match="statistics that are not in its gain and shift"):
        stored_layers(gathered)


def test_single_precision_is_an_error(copied: Path) -> None:
    def edit(spec: Any) -> None:
        if copied.is_dir():
            function = spec.mlProgram.functions["main"]
            for op in function.block_specializations[function.opset].operations:
                kind = op.attributes["val"].type.tensorType if op.type == "const" else None
                if kind is not None and kind.dataType == FLOAT16:
                    kind.dataType = FLOAT32
        else:
            _, params = next(weight_params(network_layers(spec)[0]))
            params.floatValue.extend(np.frombuffer(params.float16Value, np.float16).tolist())
            params.ClearField("float16Value")

    change(copied, edit)
    with pytest.raises(ExportError, match="stored as FLOAT32|not stored in half precision"):
        stored_layers(copied)


FLOAT16, FLOAT32 = 10, 11  # of MIL.proto


def test_a_weight_of_another_length_than_its_shape_is_an_error(copied: Path) -> None:
    def edit(spec: Any) -> None:
        if copied.is_dir():
            function = spec.mlProgram.functions["main"]
            for op in function.block_specializations[function.opset].operations:
                if op.type == "const" and op.attributes["val"].HasField("blobFileValue"):
                    op.attributes["val"].type.tensorType.dimensions[0].constant.size += 1
        else:
            network_layers(spec)[0].convolution.outputChannels += 1

    change(copied, edit)
    with pytest.raises(ExportError, match="is stored in"):
        stored_layers(copied)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-64], "ends within the weights"),
        (lambda data: data[:64], "ends before byte"),
        (lambda data: b"\0" * len(data), "no weights at byte"),
    ],
)
def test_a_damaged_weight_file_is_refused(
    program: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    file = next(program.rglob("weight.bin"))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=message):
        stored_layers(program)


def test_a_weight_file_outside_the_package_is_refused(program: Path) -> None:
    (program.parent / "other.bin").write_bytes(b"")

    def edit(spec: Any) -> None:
        function = spec.mlProgram.functions["main"]
        for op in function.block_specializations[function.opset].operations:
            if op.type == "const" and op.attributes["val"].HasField("blobFileValue"):
                outside = "@model_path/../../../other.bin"
                op.attributes["val"].blobFileValue.fileName = outside

    change(program, edit)
    with pytest.raises(InputError, match="not in the package"):
        stored_layers(program)


def test_a_model_that_is_no_network_is_refused(tmp_path: Path, package: Path) -> None:
    spec = read_spec(package)
    spec.identity.SetInParent()
    path = tmp_path / "x.mlmodel"
    path.write_bytes(spec.SerializeToString())
    with pytest.raises(InputError, match="holds a 'identity'"):
        stored_layers(path)
