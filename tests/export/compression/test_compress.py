"""A compressed package keeps its scheme's promise, says what it is, and is made whole or not."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from palmette.export import ExportError, ExportOptions, Suppression, export
from palmette.export.compression import compress
from palmette.export.compression.apply import decompressed
from palmette.export.compression.compress import content_hash, open_source, size_bytes
from palmette.export.compression.proof import compare_layers, compare_programs, compressed_layers
from palmette.export.compression.schemes import Quantise
from palmette.export.gates import verify
from palmette.export.package import model_file, network_of, read_spec
from palmette.export.weights import program_operations, stored_layers
from palmette.space import Architecture, InputError


def test_a_package_says_what_it_is_and_passes_the_gates_of_its_network(
    source: Path,
    least: int,
    network: Architecture,
    trained: Callable[..., nn.Module],
    tmp_path: Path,
) -> None:
    done = compress(source, tmp_path / "small", "sparse50_int8", least_values=least)
    verdict = verify(done.path, network, module=trained(network), images=1)
    assert [gate.passed for gate in verdict.gates] == [True] * 3
    assert done.path == tmp_path / "small.mlpackage" and done.bytes == size_bytes(done.path)
    assert done.table()["relative"].max() == done.worst.relative
    about = read_spec(done.path).description.metadata.userDefined
    assert about["compression"] == "sparse50_int8" and about["compression_bits"] == "8"
    assert about["compressed_from"] == content_hash(source)
    assert about["predicted_ms_uncompressed"] == "0.3" and "predicted_ms" not in about
    assert [path.name for path in tmp_path.iterdir()] == ["small.mlpackage"]


def test_errors_are_those_of_each_layer_by_its_name(
    source: Path, least: int, tmp_path: Path
) -> None:
    done = compress(source, tmp_path / "small", "sparse75", least_values=least)
    assert [layer.name for layer in done.layers][::5] == ["stem_conv", "head_fc"]
    left = [layer for layer in done.layers if not layer.compressed]
    # the depthwise layer of the first block has 9 weights for each of 32 channels
    assert all(layer.relative == layer.largest == 0 and layer.values <= least for layer in left)
    layers = stored_layers(source)
    stem = np.abs(layers[0].weight.astype(np.float64)).reshape(-1)
    dropped = np.sort(stem)[: int(0.75 * stem.size)]
    assert done.layers[0].largest == dropped[-1]
    relative = np.sqrt((dropped**2).sum() / (stem**2).sum())
    assert done.layers[0].relative == pytest.approx(relative, rel=1e-9)


@pytest.fixture(scope="module")
def int8(source: Path, least: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compress(source, tmp_path_factory.mktemp("int8") / "a", "int8", least_values=least).path


def test_eight_bits_are_the_nearest_multiples_of_each_channels_scale(
    source: Path, int8: Path, tmp_path: Path
) -> None:
    found = stored_layers(decompressed(int8, tmp_path / "dense.mlpackage"))
    compressed = compressed_layers(read_spec(int8))
    for before, after in zip(stored_layers(source), found, strict=True):
        if before.name not in compressed:
            continue
        weights = before.weight.astype(np.float64).reshape(len(before.weight), -1)
        scale = (np.abs(weights).max(1, keepdims=True) / 127).astype(np.float16).astype(np.float64)
        stored = after.weight.astype(np.float64).reshape(weights.shape)
        codes = (weights / scale).round().clip(-127, 127)
        # coremltools divides in half precision, so that a weight about halfway between two codes
        # may be either; the product of a code and its scale is rounded too
        halfway = np.abs(np.abs(weights / scale - codes) - 0.5) < 2**-5
        moved = np.abs(stored - codes * scale)
        assert (moved <= np.abs(stored) * 2**-11 + 2.0**-25 + halfway * scale).all()


def test_the_layer_that_reads_the_image_has_no_scale_of_its_own(
    source: Path, int8: Path, least: int
) -> None:
    """It holds the image's, 1 / 127.5: divided by 127 that is no normal number of 16 bits."""
    first, *others = stored_layers(source)
    compressed = compressed_layers(read_spec(int8))
    assert first.name not in compressed and first.weight.size > least
    assert compressed == {layer.name for layer in others if layer.weight.size > least}
    assert np.abs(first.weight).max() / 127 < np.finfo(np.float16).tiny


def test_equal_arguments_give_equal_bytes(
    source: Path,
    int8: Path,
    least: int,
    tmp_path: Path,
    contents: Callable[[Path], dict[str, bytes]],
) -> None:
    again = compress(source, tmp_path / "b", "int8", least_values=least).path
    assert contents(again) == contents(int8)


def test_fewer_bits_are_fewer_bytes_and_larger_errors(
    source: Path, least: int, tmp_path: Path
) -> None:
    done = [
        compress(source, tmp_path / name, name, least_values=least)
        for name in ("palette6", "palette2")
    ]
    assert done[0].bytes > done[1].bytes
    assert done[0].weight_error < done[1].weight_error < 1


def test_a_detector_keeps_its_anchors_and_its_second_stage(
    detector: Architecture, tmp_path: Path
) -> None:
    options = ExportOptions(suppression=Suppression(iou=0.6))
    package = export(detector, tmp_path / "detector", options=options)
    done = compress(package, tmp_path / "small", "int8", least_values=50)
    before, after = read_spec(package), read_spec(done.path)
    assert after.pipeline.models[1] == before.pipeline.models[1]
    assert after.description.output == before.description.output
    assert compressed_layers(network_of(after)) and not compressed_layers(network_of(before))


def test_a_package_for_an_older_system_is_refused_with_advice(
    small: Architecture, tmp_path: Path
) -> None:
    package = export(small, tmp_path / "old")
    with pytest.raises(InputError, match=r"'int4': needs iOS18, package .* is for iOS16; export"):
        compress(package, tmp_path / "x", "int4")
    with pytest.raises(InputError, match="no layer has more than 1000 weights that 'int8' could"):
        compress(package, tmp_path / "x", "int8", least_values=1000)
    assert [path.name for path in tmp_path.iterdir()] == ["old.mlpackage"]


def test_what_cannot_be_compressed_is_refused(
    source: Path, int8: Path, small: Architecture, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"is compressed already \(int8\); give the package"):
        compress(int8, tmp_path / "x", "palette4")
    with pytest.raises(InputError, match="is the package to compress"):
        compress(source, source, "int8")
    network = export(small, tmp_path / "n", options=ExportOptions("neuralnetwork"))
    with pytest.raises(InputError, match=r"holds a 'neuralNetwork'; only ML Programs"):
        compress(network, tmp_path / "x", "int8")
    with pytest.raises(InputError, match="does not exist"):
        compress(tmp_path / "none.mlpackage", tmp_path / "x", "int8")
    foreign = tmp_path / "foreign.mlpackage"
    shutil.copytree(source, foreign)
    spec = read_spec(foreign)
    del spec.description.metadata.userDefined["architecture"]
    model_file(foreign).write_bytes(spec.SerializeToString())
    with pytest.raises(InputError, match="name no architecture"):
        compress(foreign, tmp_path / "x", "int8")


def change_op(spec: Any) -> None:
    function = spec.mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    clip = next(op for op in operations if op.type == "clip")
    clip.type = "relu"


def change_constant(spec: Any) -> None:
    function = spec.mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    strides = next(op for op in operations if op.outputs[0].name.endswith("strides_0"))
    strides.attributes["val"].immediateValue.tensor.ints.values[0] = 3


@pytest.mark.parametrize(
    ("change", "message"),
    [(change_op, r"op '.*' \(relu\) is not that"), (change_constant, "constant '.*strides_0'")],
)
def test_a_program_that_is_another_is_found(
    change: Callable[[Any], None], message: str, source: Path
) -> None:
    spec, other = read_spec(source), read_spec(source)
    compare_programs(spec, other)
    change(other)
    with pytest.raises(ExportError, match=message):
        compare_programs(spec, other)


def test_a_changed_bias_or_weight_outside_of_the_scheme_is_found(source: Path) -> None:
    layers = open_source(source).layers
    step = Quantise(8)
    compare_layers(layers, layers, frozenset(), step)
    for key, message in (("weight", "is not compressed, but it changed"), ("bias", "the bias of")):
        others = open_source(source).layers
        values = getattr(others[0], key).copy()
        values.reshape(-1)[0] += 1
        changed = type(others[0])(
            **{
                name: values if name == key else getattr(others[0], name)
                for name in ("name", "weight", "bias")
            }
        )
        with pytest.raises(ExportError, match=message):
            compare_layers(layers, (changed, *others[1:]), frozenset(), step)


def test_every_compressed_weight_belongs_to_a_convolution_or_linear_layer(int8: Path) -> None:
    kinds = {op.outputs[0].name: op.type for op in program_operations(read_spec(int8))}
    assert {kinds[name] for name in compressed_layers(read_spec(int8))} == {"conv", "linear"}
