"""What a package takes: images scaled without loss at the borders, tensors, batches, sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from palmette.export import ExportError, ExportOptions, export, verify_weights
from palmette.export.conversion import check_sizes
from palmette.export.fold import fold_batch_norm
from palmette.export.input_proof import compare_input
from palmette.export.package import read_spec, write_package
from palmette.export.plan import Plan, plan_of
from palmette.export.proof import op_kinds
from palmette.export.scaling import Scaling, split, stored_scaling
from palmette.export.sizes import SizeRange, Sizes
from palmette.export.weights import constants_in, program_operations, stored_layers
from palmette.space import Architecture, InputError
from tests.sweep import sweep

IMAGE = (3, 32, 48)
SCALE, BIAS = 1 / 64, (-1.0, -2.0, 0.5)
SCALES = (1 / 58.395, 1 / 57.12, 1 / 57.375)
"""Of ImageNet's deviations."""


def convolved(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """3x3 convolution of (channels, height, width), padded with zeros, one output."""
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    height, width = image.shape[1:]
    return np.array(
        [
            [float((padded[:, r : r + 3, c : c + 3] * kernel).sum()) for c in range(width)]
            for r in range(height)
        ]
    )


def test_a_scale_in_the_weights_is_exact_at_padded_borders_and_a_bias_would_not_be() -> None:
    """With powers of two every product is exact, so that equal means equal."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (3, 5, 6)).astype(float)
    kernel = random.integers(-8, 9, (3, 3, 3)).astype(float)
    seen = pixels * SCALE + np.reshape(BIAS, (3, 1, 1))
    wanted = convolved(seen, kernel)
    scaling = split(SCALE, BIAS)
    assert scaling == Scaling((-64.0, -128.0, 32.0), folded=SCALE)
    added = pixels + np.reshape(scaling.added, (3, 1, 1))
    np.testing.assert_array_equal(convolved(added, kernel * SCALE), wanted)
    # the bias summed into the convolution's own: right inside, wrong where zeros are padded
    summed = convolved(pixels, kernel * SCALE) + (kernel.sum((1, 2)) * BIAS).sum()
    np.testing.assert_allclose(summed[1:-1, 1:-1], wanted[1:-1, 1:-1])
    assert np.abs(summed - wanted)[0].max() > 1


def test_pixels_less_127_5_are_exact_in_half_precision() -> None:
    added = np.float32(split(1 / 127.5, (-1.0, -1.0, -1.0)).added[0])
    values = np.arange(256, dtype=np.float32) + added
    np.testing.assert_array_equal(values.astype(np.float16).astype(np.float32), values)


def test_a_folded_scale_is_multiplied_before_rounding(
    small: Architecture, trained: Callable[..., nn.Module]
) -> None:
    module = trained(small)
    plain, folded = (fold_batch_norm(module, IMAGE, scale) for scale in (1.0, 1 / 100))
    assert (plain.scale, folded.scale) == (1.0, 1 / 100)
    wanted = plain.module.state_dict()["stem.conv.weight"].double() / 100
    np.testing.assert_allclose(folded.layers[0].weight, wanted, rtol=2**-11, atol=2**-25)
    assert folded.layers[0].bias.tobytes() == plain.layers[0].bias.tobytes()
    assert folded.layers[1].weight.tobytes() == plain.layers[1].weight.tobytes()
    pixels = torch.rand((1, *IMAGE)) * 255
    seen = pixels / 100 + torch.tensor(BIAS).reshape(3, 1, 1)
    added = pixels + 100 * torch.tensor(BIAS).reshape(3, 1, 1)
    torch.testing.assert_close(folded.module(added), module(seen), rtol=1e-4, atol=1e-4)


class BesideItself(nn.Module):
    """Adds to its image a convolution of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x).relu() + x
        return y


def test_a_scale_is_not_folded_where_more_than_layers_read_the_image() -> None:
    module = BesideItself().eval()
    folded = fold_batch_norm(module, IMAGE, 0.01)
    assert folded.scale == 1
    wanted = module.conv.weight.detach().numpy().astype(np.float16)
    np.testing.assert_array_equal(folded.layers[0].weight, wanted)
    assert split(0.01, (1.0, 1.0, 1.0)).without_fold().factors == (0.01, 0.01, 0.01)


CASES: dict[str, dict[str, Any]] = {
    "weights": {"scale": SCALE, "bias": BIAS},
    "op": {"scale": SCALES, "bias": BIAS},
    "no bias": {"bias": (0.0, 0.0, 0.0)},
    "batch": {"input": "tensor", "batch": 3, "outputs": ("answer",)},
    "sizes": {"sizes": Sizes(((32, 48), (64, 40)))},
    "range": {"sizes": SizeRange((32, 32), (32, 96)), "scale": SCALES},
    "tensor range": {"sizes": SizeRange((24, 48), (40, 48)), "input": "tensor"},
}


OFTEN = ("op", "batch", "range")
"""A scale that takes an op, a tensor in batches, sizes in a range; the others mix such parts."""


@pytest.fixture(scope="module", params=sweep(CASES, OFTEN))
def made(
    request: pytest.FixtureRequest,
    kind: str,
    small: Architecture,
    trained: Callable[..., nn.Module],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Plan]:
    options, module = ExportOptions(kind, **CASES[request.param]), trained(small)
    path = export(small, tmp_path_factory.mktemp("made") / "x", options=options, module=module)
    return path, plan_of(small, options, module)


def test_a_package_of_every_kind_of_input_is_proven(
    made: tuple[Path, Plan], small: Architecture, trained: Callable[..., nn.Module]
) -> None:
    path, plan = made
    assert verify_weights(path, trained(small)).layers == 3
    compare_input(path, plan)
    metadata = read_spec(path).description.metadata.userDefined
    assert stored_scaling(metadata, "x") == plan.scaling
    with pytest.raises(ExportError, match="stem"):
        verify_weights(path, trained(small, seed=2))


def test_what_is_added_or_multiplied_or_taken_cannot_change_unseen(
    made: tuple[Path, Plan], tmp_path: Path
) -> None:
    path, plan = made
    for number, change in enumerate((_other_sum, _other_factor, _other_size)):
        spec = read_spec(path)
        if not change(spec, plan):
            continue
        changed = tmp_path / f"{number}{path.suffix}"
        write_package(
            spec, next(path.rglob("weight.bin"), None) if path.is_dir() else None, changed
        )
        with pytest.raises(ExportError, match="input: |a constant of shape|could not be checked"):
            compare_input(changed, plan)
            stored_layers(changed, plan.constants)


def _other_sum(spec: Any, plan: Plan) -> bool:
    if not any(plan.scaling.added):
        return False
    if plan.options.kind == "neuralnetwork":
        spec.neuralNetwork.preprocessing[0].scaler.greenBias += 1
        return True
    (op,) = [op for op in program_operations(spec) if op.type == "add"]
    value = constants_in(spec)[op.inputs["y"].arguments[0].name]
    value.immediateValue.tensor.floats.values[1] += 1
    return True


def _other_factor(spec: Any, plan: Plan) -> bool:
    factors = plan.scaling.half_factors()
    if factors is None:
        return False
    stored = factors.tobytes()
    other = (factors * 2).tobytes()
    data = spec.SerializeToString()
    assert data.count(stored) == 1
    spec.ParseFromString(data.replace(stored, other))
    return True


def _other_size(spec: Any, plan: Plan) -> bool:
    given = spec.description.input[0].type
    if plan.options.input == "tensor":
        given.multiArrayType.shape[2] += 1
    else:
        given.imageType.height += 1
    return True


def test_a_scale_for_each_channel_is_one_op_and_one_scale_is_none(
    small: Architecture, tmp_path: Path
) -> None:
    kinds = []
    for number, scale in enumerate((SCALE, SCALES)):
        options = ExportOptions(scale=scale, bias=BIAS)
        path = export(small, tmp_path / str(number), options=options)
        kinds.append(op_kinds(read_spec(path)))
    assert kinds[0]["mul"] == 0 and kinds[1] - kinds[0] == {"mul": 1}


class OneSize(nn.Module):
    """Folds its image by numbers that a trace keeps."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = (int(size) for size in x.shape)
        return x.reshape(n, c * h, w).mean(1)


def test_a_network_that_holds_a_size_is_refused_for_several() -> None:
    from palmette.export._coremltools import without_jit_notes

    module = OneSize().eval()
    with without_jit_notes():
        traced = torch.jit.trace(module, torch.zeros((1, *IMAGE)))
    with pytest.raises(InputError, match="constants of one size, so that its trace fails at 64x48"):
        check_sizes(traced, module, Sizes(((32, 48), (64, 48))))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input": "video"}, "unknown kind 'video'; known kinds are image, tensor"),
        ({"batch": 2}, "an image input is one image, got 2; Core ML predicts many by"),
        ({"batch": 0, "input": "tensor"}, "whole number from 1"),
        ({"input": "tensor", "system": "iOS15"}, "Core ML takes since iOS16; got iOS15"),
        ({"system": "iOS14"}, "'mlprogram' is written for iOS15, .*; 'neuralnetwork' is"),
        ({"system": "iOS17", "kind": "neuralnetwork"}, "read by every later one; got 'iOS17'; 'ml"),
        ({"system": "iOS27"}, "got 'iOS27'"),
        ({"scale": (0.1, 0.1)}, "or three"),
        ({"scale": (0.1, 0.1, 0.0)}, "or three"),
        ({"outputs": ("a b",)}, "letters, digits"),
        ({"outputs": ("a", "a")}, "'a' comes twice"),
        ({"outputs": ("tensor",)}, "'tensor' is a word of ML Programs"),
        ({"metadata": {"image_scale": "1"}}, "written by the export itself"),
    ],
)
def test_a_bad_option_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ExportOptions(**values)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("head_n4", {"outputs": ("a", "b")}, r"has 1 \(logits\), but 2 names are given"),
        ("head_n4", {"outputs": ("image",)}, "'image' is the name of the input"),
        ("head_n2", {"outputs": ("a",), "labels": ("x", "y")}, "names that Vision knows"),
        ("head_n2", {"batch": 2, "input": "tensor", "labels": ("x", "y")}, "leave the labels out"),
        ("head_n2", {"scale": (1e-9, 1.0, 1.0)}, "beyond half precision"),
    ],
)
def test_an_option_that_the_network_has_no_use_for_is_refused(
    text: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    network = Architecture.from_text(f"32x32 stem_k3_s2_c8_relu | cn_r1_k3_s1_c8_relu | {text}")
    with pytest.raises(InputError, match=message):
        export(network, tmp_path / "x", options=ExportOptions(**options))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("system", ["iOS15", "iOS26"])
def test_a_package_is_written_for_the_system_that_is_asked_for(
    system: str, small: Architecture, tmp_path: Path
) -> None:
    spec = read_spec(export(small, tmp_path / "x", options=ExportOptions(system=system)))
    assert spec.specificationVersion == {"iOS15": 6, "iOS26": 10}[system]
    array = spec.description.output[0].type.multiArrayType
    assert array.dataType == (array.FLOAT32 if system == "iOS15" else array.FLOAT16)


def test_taps_have_the_names_that_are_given(head_texts: dict[str, str], tmp_path: Path) -> None:
    network = Architecture.from_text(head_texts["taps"])
    options = ExportOptions(outputs=("low", "high"), sizes=SizeRange((64, 48), (96, 96)))
    spec = read_spec(export(network, tmp_path / "x", options=options))
    assert [output.name for output in spec.description.output] == ["low", "high"]


@pytest.mark.parametrize(
    "damage", [{"image_scale": "x"}, {"image_bias": "1 2"}, {"image_scale": ""}]
)
def test_a_damaged_normalisation_is_refused(damage: dict[str, str]) -> None:
    told = {"image_scale": "0.01", "image_bias": "0 0 0", "image_scaled_by": "first weights"}
    assert stored_scaling(told, "x").folded == 0.01
    with pytest.raises(InputError, match=r"(scale|bias)"):
        stored_scaling({**told, **damage}, "x")


def test_a_scale_too_small_for_half_precision_is_an_op() -> None:
    assert split(1 / 255, (0.0, 0.0, 0.0)).factors is None
    tiny = split(1e-5, (-1.0, 0.0, 0.0))
    assert (tiny.factors, tiny.folded) == ((1e-5,) * 3, 1.0)
    assert tiny.added == pytest.approx((-1e5, 0.0, 0.0))
