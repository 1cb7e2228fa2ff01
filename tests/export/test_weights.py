"""The reader returns what lies on disk, and refuses what it cannot vouch for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palmette.export import ExportError, export
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
            layer.batchnorm.gamma.float16Value = weights

    change(copied, edit)
    with pytest.raises(ExportError, match="weight of no convolution|could not be checked"):
        stored_layers(copied)


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
