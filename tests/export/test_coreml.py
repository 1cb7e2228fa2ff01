"""An export holds what its architecture and options say, or does not exist."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import palmette
from palmette.export import (
    FORMATS,
    ExportError,
    ExportOptions,
    export,
    export_for_runtime,
    verify_weights,
)
from palmette.export import coreml as coreml_module
from palmette.export.package import read_spec, write_package
from palmette.export.proof import image_size, op_kinds
from palmette.export.weights import network_layers, program_operations, stored_layers
from palmette.space import ACTIVATIONS, MOBILENET_LIKE, Architecture, InputError, load
from palmette.space.blocks import mobile

SPECIFICATION = {"mlprogram": 7, "neuralnetwork": 4}
"""Core ML's numbers of iOS 16 and iOS 13."""


def test_the_small_networks_hold_every_block_and_activation(texts: tuple[str, ...]) -> None:
    blocks = [part.block for text in texts for part in Architecture.from_text(text).parts()]
    assert {block.kind for block in blocks} >= {block.kind for block in mobile.BLOCKS}
    acts = {value for block in blocks for value in vars_of(block) if isinstance(value, str)}
    assert acts >= set(ACTIVATIONS) - {"none"}


def vars_of(block: Any) -> list[Any]:
    return [getattr(block, name) for name in block.__dataclass_fields__]


def test_the_input_is_one_rgb_image_of_the_right_size(
    package: Path, architecture: Architecture
) -> None:
    (image,) = read_spec(package).description.input
    height, width = architecture.resolution
    assert image.name == "image"
    assert (image.type.imageType.height, image.type.imageType.width) == (height, width)
    assert image.type.imageType.colorSpace == image.type.imageType.RGB


def test_the_output_is_named_and_the_oldest_system_is_the_formats(package: Path, kind: str) -> None:
    spec = read_spec(package)
    assert [output.name for output in spec.description.output] == ["logits"]
    assert spec.specificationVersion == SPECIFICATION[kind]


def test_the_metadata_say_what_it_is(package: Path, architecture: Architecture, kind: str) -> None:
    metadata = read_spec(package).description.metadata
    assert metadata.author == "palmette"
    assert metadata.versionString == palmette.__version__
    assert architecture.id in metadata.shortDescription
    own = {k: v for k, v in metadata.userDefined.items() if not k.startswith("com.")}
    assert own == {
        "architecture": architecture.to_text(),
        "architecture_id": architecture.id,
        "weights": "given",
        "palmette_version": palmette.__version__,
        "system": FORMATS[kind].minimum_target,
        "image_scale": repr(1 / 127.5),
        "image_bias": "-1.0 -1.0 -1.0",
        "image_scaled_by": "first weights",
        "a": "1",
        "b": "2",
    }
    assert Architecture.from_text(own["architecture"]) == architecture


def test_no_batch_norm_is_left(package: Path) -> None:
    kinds = op_kinds(read_spec(package))
    assert kinds["conv"] + kinds["convolution"] > 10
    assert not {"batch_norm", "batchnorm", "real_div", "sqrt"} & set(kinds)


def test_the_image_is_scaled_as_the_options_say(
    small: Architecture, kind: str, tmp_path: Path
) -> None:
    options = ExportOptions(kind, scale=0.25, bias=(-1.0, -2.0, -3.0))
    spec = read_spec(export(small, tmp_path / "x", options=options))
    assert spec.description.metadata.userDefined["weights"] == "untrained"
    if kind == "neuralnetwork":
        (step,) = spec.neuralNetwork.preprocessing
        scaler = step.scaler
        found = [scaler.channelScale, scaler.redBias, scaler.greenBias, scaler.blueBias]
        assert found == [1.0, -4.0, -8.0, -12.0]  # the scale is in the first weights
    else:
        (first,) = [op for op in program_operations(spec) if op.type in ("mul", "add")]
        assert constant(spec, first) == [-4.0, -8.0, -12.0]


def constant(spec: Any, op: Any) -> list[float]:
    """Numbers of the constant second input of an op."""
    name = op.inputs["y"].arguments[0].name
    (found,) = [o for o in program_operations(spec) if o.outputs[0].name == name]
    return list(found.attributes["val"].immediateValue.tensor.floats.values)


def test_labels_make_a_classifier(
    small: Architecture, trained: Callable[..., nn.Module], kind: str, tmp_path: Path
) -> None:
    module = trained(small)
    labels = tuple(f"class {number}" for number in range(small.head.classes))
    options = ExportOptions(kind, labels)
    path = export(small, tmp_path / "x", options=options, module=module)
    spec = read_spec(path)
    names = {output.name: output.type.WhichOneof("Type") for output in spec.description.output}
    assert names == {"classLabel": "stringType", "classLabel_probs": "dictionaryType"}
    assert spec.description.predictedFeatureName == "classLabel"
    assert spec.description.predictedProbabilitiesName == "classLabel_probs"
    if kind == "mlprogram":
        ops = [op for op in program_operations(spec) if op.type != "const"]
        assert [op.type for op in ops[-3:]] == ["softmax", "cast", "classify"]
        values = ops[-1].inputs["classes"].arguments[0].value.immediateValue.list.values
        assert tuple(v.immediateValue.tensor.strings.values[0] for v in values) == labels
    else:
        assert network_layers(spec)[-1].WhichOneof("layer") == "softmaxND"
        assert tuple(spec.neuralNetworkClassifier.stringClassLabels.vector) == labels
    assert verify_weights(path, module).layers == 3


def test_the_wrong_number_of_labels_is_refused(small: Architecture, tmp_path: Path) -> None:
    classes = small.head.classes
    options = ExportOptions(labels=("cat", "dog"))
    with pytest.raises(InputError, match=f"network has {classes} classes, but 2 labels"):
        export(small, tmp_path / "x", options=options)
    assert not list(tmp_path.iterdir())


def test_a_head_without_classes_gives_features(kind: str, tmp_path: Path) -> None:
    network = Architecture.from_text("32x32 stem_k3_s2_c8_relu | cn_r1_k3_s1_c8_relu | head_n0")
    path = export(network, tmp_path / "x", options=ExportOptions(kind))
    assert [output.name for output in read_spec(path).description.output] == ["features"]


def test_a_network_of_a_few_weights_needs_no_weight_file(tmp_path: Path) -> None:
    network = Architecture.from_text("9x8 stem_k1_s1_c1_relu | cn_r1_k1_s1_c2_none | head_n2")
    module = network.build().eval()
    path = export(network, tmp_path / "x", module=module)
    assert not list(path.rglob("weight.bin"))
    assert verify_weights(path, module).values == 3 + 1 + 2 + 2 + 4 + 2


def test_equal_exports_are_equal_byte_for_byte(
    package: Path,
    architecture: Architecture,
    module: nn.Module,
    kind: str,
    tmp_path: Path,
    contents: Callable[[Path], dict[str, bytes]],
) -> None:
    options = ExportOptions(kind, metadata={"a": "1", "b": "2"})
    again = export(architecture, tmp_path / "again", options=options, module=module)
    assert contents(again) == contents(package)


def test_an_export_is_silent_and_leaves_the_module_as_it_was(
    small: Architecture,
    trained: Callable[..., nn.Module],
    kind: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    module = trained(small)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    export(small, tmp_path / "x", options=ExportOptions(kind), module=module)
    assert capfd.readouterr() == ("", "")
    assert all(value.equal(before[name]) for name, value in module.state_dict().items())


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder, to look into."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_only_the_package_is_left(
    small: Architecture, kind: str, tmp_path: Path, temporary: Path
) -> None:
    path = export(small, tmp_path / "x", options=ExportOptions(kind))
    assert sorted(tmp_path.iterdir()) == sorted([path, temporary])
    assert not list(temporary.iterdir())


def test_a_package_that_differs_never_appears(
    small: Architecture,
    kind: str,
    tmp_path: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write_a_bad_one(spec: Any, weight_file: Path | None, path: Path) -> None:
        write_package(spec, weight_file, path)
        file = next(path.rglob("weight.bin")) if path.is_dir() else path
        data = bytearray(file.read_bytes())
        data[data.index(stored_layers(path)[0].weight.tobytes())] ^= 1
        file.write_bytes(data)

    monkeypatch.setattr(coreml_module, "write_package", write_a_bad_one)
    with pytest.raises(ExportError, match="values differ"):
        export(small, tmp_path / "x", options=ExportOptions(kind))
    assert list(tmp_path.iterdir()) == [temporary]
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    "broken",
    ["coremltools.converters.mil.frontend.torch.load.load", "coremltools.models.MLModel.__init__"],
)
def test_a_failed_conversion_leaves_nothing_and_gives_the_converters_reason(
    small: Architecture,
    kind: str,
    broken: str,
    tmp_path: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyError("no such\nop")

    monkeypatch.setattr(broken, fail)
    with pytest.raises(ExportError, match=r"could not convert the module \(KeyError.*no such"):
        export(small, tmp_path / "x", options=ExportOptions(kind))
    assert list(tmp_path.iterdir()) == [temporary]
    assert not list(temporary.iterdir())


def test_an_earlier_package_is_replaced_by_a_good_one_and_kept_by_a_bad_one(
    copied: Path,
    small: Architecture,
    kind: str,
    contents: Callable[[Path], dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options, before = ExportOptions(kind), contents(copied)

    def refuse(*_: Any) -> None:
        raise ExportError("differs")

    with monkeypatch.context() as patch:
        patch.setattr(coreml_module, "compare_weights", refuse)
        with pytest.raises(ExportError, match="differs"):
            export(small, copied, options=options)
    assert contents(copied) == before
    export(small, copied, options=options)
    assert image_size(copied) == small.resolution
    assert list(copied.parent.iterdir()) == [copied]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x.onnx", "ends in '.mlpackage'"),
        ("x.mlmodel", "ends in '.mlpackage'"),
        ("none/x.mlpackage", "folder does not exist"),
        ("folder.mlpackage", "is something else"),
        ("file.mlpackage", "is something else"),
    ],
)
def test_a_bad_destination_is_refused_and_left_as_it_is(
    small: Architecture, tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "folder.mlpackage").mkdir()
    (tmp_path / "file.mlpackage").write_text("mine", "utf-8")
    with pytest.raises(InputError, match=message):
        export(small, tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 2
    assert (tmp_path / "file.mlpackage").read_text("utf-8") == "mine"


def test_training_mode_is_refused(small: Architecture, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is in training mode"):
        export(small, tmp_path / "x", module=small.build())
    assert not list(tmp_path.iterdir())


def test_a_module_of_another_architecture_is_refused(small: Architecture, tmp_path: Path) -> None:
    other = load("mobilenet_v3_small").build().eval()
    with pytest.raises(InputError, match="its ops are not those of the architecture"):
        export(small, tmp_path / "x", module=other)
    assert not list(tmp_path.iterdir())


def test_plain_values_are_enough_for_a_targets_package(small: Architecture, tmp_path: Path) -> None:
    labels = tuple(f"c{n}" for n in range(small.head.classes))
    path = export_for_runtime(
        small,
        tmp_path / "x",
        runtime="coreml-ios13",
        labels=labels,
        predicted_ms=5.5,
        metadata={"target": "iphone-11/ane@coreml-ios13"},
    )
    spec = read_spec(path)
    metadata = spec.description.metadata.userDefined
    assert path == tmp_path / "x.mlmodel"
    assert metadata["predicted_ms"] == "5.5"
    assert metadata["target"] == "iphone-11/ane@coreml-ios13"
    assert spec.neuralNetworkClassifier.stringClassLabels.vector[0] == "c0"


def test_a_prediction_for_another_format_is_not_the_packages_own(
    small: Architecture, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = export_for_runtime(
        small,
        tmp_path / "x",
        runtime="coreml-ios13",
        kind="mlprogram",
        predicted_ms=5.5,
    )
    metadata = read_spec(path).description.metadata.userDefined
    assert path.suffix == ".mlpackage"
    assert "predicted_ms" not in metadata
    assert metadata["predicted_ms_on_coreml-ios13"] == "5.5"
    assert "did not time" in caplog.text


def test_the_folder_imports_without_torch_and_the_converter() -> None:
    code = "import sys, palmette.export; print({'torch', 'coremltools'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.sweep
def test_mobilenet_v3_small_is_exported_and_proven(
    kind: str, tmp_path: Path, trained: Callable[..., nn.Module]
) -> None:
    network = load("mobilenet_v3_small")
    module = trained(network)
    path = export(network, tmp_path / "x", options=ExportOptions(kind), module=module)
    report = verify_weights(path, module)
    assert (report.layers, report.values) == (54, sum(op.weights for op in network.ops()))


@pytest.mark.slow
@pytest.mark.parametrize("name", MOBILENET_LIKE)
def test_every_mobilenet_like_network_is_exported_and_proven(
    name: str, kind: str, tmp_path: Path, trained: Callable[..., nn.Module]
) -> None:
    network = load(name)
    module = trained(network)
    path = export(network, tmp_path / "x", options=ExportOptions(kind), module=module)
    assert verify_weights(path, module).values == sum(op.weights for op in network.ops())


@pytest.mark.slow
def test_exports_of_two_processes_are_equal_byte_for_byte(
    kind: str, tmp_path: Path, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    code = (
        "from pathlib import Path\n"
        "from palmette.export import ExportOptions, export\n"
        "from palmette.space import load\n"
        f"export(load('mobilenet_v3_small'), Path('x'), options=ExportOptions('{kind}'))\n"
    )
    found = []
    for seed in "12":
        folder = tmp_path / seed
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
        found.append(contents(folder / f"x{FORMATS[kind].suffix}"))
    assert found[0] == found[1]
