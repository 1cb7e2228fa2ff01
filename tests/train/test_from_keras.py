"""Keras' MobileNets compute the same with our modules, TensorFlow's padding included.

The reference below is written from the definition of Keras' layers: arrays in (height, width,
channels), kernels in Keras' order, and windows that are cut out one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from palmette.space import Architecture, InputError
from palmette.space.same_padding import same_padded
from palmette.train.from_keras import read_keras

V1 = (
    "{0}x{1} stem_k3_s2_c8_relu6 | ds_r1_k3_s1_c12_relu6_pointact_noskip"
    " | ds_r2_k3_s2_c12_relu6_pointact_noskip | head_n5"
)
V2 = (
    "{0}x{1} stem_k3_s2_c8_relu6 | ds_r1_k3_s1_c8_relu6 | ir_r2_k3_s2_e2_c12_relu6"
    " | head_c16_relu6_n5"
)
V3 = (
    "{0}x{1} stem_k3_s2_c8_hswish | ds_r1_k3_s2_c8_relu_se4_gatehsigmoid"
    " | ir_r1_k5_s2_e2_c12_hswish ir_r1_k5_s1_e2_c12_hswish_se8_gatehsigmoid"
    " | cn_r1_k1_s1_c16_hswish | head_c20_hswish_n5_poolfirst"
)
Arrays = dict[str, Any]


class Keras:
    """Layers of Keras on one image (height, width, channels), with random variables by name."""

    def __init__(self) -> None:
        self.arrays: Arrays = {}
        self.random = np.random.default_rng(0)

    def variable(self, name: str, *shape: int, low: float = -0.5) -> Any:
        made = self.random.uniform(low, low + 1, shape).astype(np.float32)
        return self.arrays.setdefault(name, made).astype(np.float64)

    def conv(self, x: Any, name: str, out: int, k: int = 1, s: int = 1, bias: bool = False) -> Any:
        kernel = self.variable(f"{name}/kernel", k, k, x.shape[2], out)
        y = windows(x, k, s, lambda part: np.einsum("hwi,hwio->o", part, kernel))
        return y + self.variable(f"{name}/bias", out) if bias else y

    def depthwise(self, x: Any, name: str, k: int, s: int, variable: str) -> Any:
        kernel = self.variable(f"{name}/{variable}", k, k, x.shape[2], 1)[..., 0]
        return windows(x, k, s, lambda part: (part * kernel).sum((0, 1)))

    def norm(self, x: Any, name: str) -> Any:
        count = x.shape[2]
        gamma, beta = (self.variable(f"{name}/{key}", count) for key in ("gamma", "beta"))
        mean = self.variable(f"{name}/moving_mean", count)
        # variances so small that the epsilon matters
        variance = self.variable(f"{name}/moving_variance", count, low=0.0) * 0.0 + 0.004
        self.arrays[f"{name}/moving_variance"] = variance.astype(np.float32)
        return gamma * (x - mean) / np.sqrt(np.float32(0.004) + 1e-3) + beta


def windows(x: Any, k: int, s: int, of: Callable[[Any], Any]) -> Any:
    """TensorFlow's `same`: as many outputs as the size over the stride, rounded up."""
    sizes = [math.ceil(size / s) for size in x.shape[:2]]
    pads = [max((n - 1) * s + k - size, 0) for n, size in zip(sizes, x.shape[:2], strict=True)]
    around = [(pad // 2, pad - pad // 2) for pad in pads]
    wide = np.pad(x, (*around, (0, 0)))
    rows = [
        [of(wide[i * s : i * s + k, j * s : j * s + k]) for j in range(sizes[1])]
        for i in range(sizes[0])
    ]
    return np.array(rows)


def relu6(x: Any) -> Any:
    return np.clip(x, 0, 6)


def hswish(x: Any) -> Any:
    return x * relu6(x + 3) / 6


def v1(keras: Keras, x: Any) -> Any:
    x = relu6(keras.norm(keras.conv(x, "conv1", 8, 3, 2), "conv1_bn"))
    for n, (out, stride) in enumerate([(12, 1), (12, 2), (12, 1)], start=1):
        x = keras.depthwise(x, f"conv_dw_{n}", 3, stride, "depthwise_kernel")
        x = relu6(keras.norm(x, f"conv_dw_{n}_bn"))
        x = relu6(keras.norm(keras.conv(x, f"conv_pw_{n}", out), f"conv_pw_{n}_bn"))
    pooled = x.mean((0, 1), keepdims=True)
    return keras.conv(pooled, "conv_preds", 5, bias=True).ravel()


def v2(keras: Keras, x: Any) -> Any:
    x = relu6(keras.norm(keras.conv(x, "Conv1", 8, 3, 2), "bn_Conv1"))
    blocks = [("expanded_conv_", 0, 8, 1), ("block_1_", 16, 12, 2), ("block_2_", 24, 12, 1)]
    for prefix, wide, out, stride in blocks:
        y = x
        if wide:
            y = relu6(keras.norm(keras.conv(y, f"{prefix}expand", wide), f"{prefix}expand_BN"))
        y = keras.depthwise(y, f"{prefix}depthwise", 3, stride, "kernel")
        y = relu6(keras.norm(y, f"{prefix}depthwise_BN"))
        y = keras.norm(keras.conv(y, f"{prefix}project", out), f"{prefix}project_BN")
        x = x + y if y.shape == x.shape else y
    x = relu6(keras.norm(keras.conv(x, "Conv_1", 16), "Conv_1_bn")).mean((0, 1))
    return x @ keras.variable("predictions/kernel", 16, 5) + keras.variable("predictions/bias", 5)


def v3(keras: Keras, x: Any, old: bool = False) -> Any:
    slash, norm = ("/", "/BatchNorm") if old else ("_", "_bn")
    stem, last, scores = ("Conv", "Conv_1", "Logits") if old else ("conv", "conv_1", "logits")
    x = hswish(keras.norm(keras.conv(x, stem, 8, 3, 2), f"{stem}{norm}"))
    blocks = [("", 0, 8, 3, 2, 4, lambda v: np.maximum(v, 0))]
    blocks += [("_1", 16, 12, 5, 2, 0, hswish), ("_2", 24, 12, 5, 1, 8, hswish)]
    for number, wide, out, k, stride, squeeze, act in blocks:
        prefix, y = f"expanded_conv{number}{slash}", x
        if wide:
            y = act(keras.norm(keras.conv(y, f"{prefix}expand", wide), f"{prefix}expand{norm}"))
        y = keras.depthwise(y, f"{prefix}depthwise", k, stride, "depthwise_kernel")
        y = act(keras.norm(y, f"{prefix}depthwise{norm}"))
        if squeeze:
            gate, name = y.mean((0, 1), keepdims=True), f"{prefix}squeeze_excite{slash}"
            conv = "Conv" if old else "conv"
            gate = np.maximum(keras.conv(gate, f"{name}{conv}", squeeze, bias=True), 0)
            gate = keras.conv(gate, f"{name}{conv}_1", y.shape[2], bias=True)
            y = y * relu6(gate + 3) / 6
        y = keras.norm(keras.conv(y, f"{prefix}project", out), f"{prefix}project{norm}")
        x = x + y if y.shape == x.shape else y
    x = hswish(keras.norm(keras.conv(x, last, 16), f"{last}{norm}")).mean((0, 1), keepdims=True)
    x = hswish(keras.conv(x, "Conv_2" if old else "conv_2", 20, bias=True))
    return keras.conv(x, scores, 5, bias=True).ravel()


def v3_old(keras: Keras, x: Any) -> Any:
    return v3(keras, x, old=True)


CASES = {"v1": (V1, v1), "v2": (V2, v2), "v3": (V3, v3), "v3_old": (V3, v3_old)}


def made(name: str, size: tuple[int, int]) -> tuple[Architecture, Any, Any, Arrays]:
    text, compute = CASES[name]
    keras = Keras()
    image = np.random.default_rng(1).uniform(-1, 1, (*size, 3))
    scores = compute(keras, image)
    return Architecture.from_text(text.format(*size)), image, scores, keras.arrays


def scores_of(module: Any, image: Any) -> Any:
    with torch.no_grad():
        return module.double()(torch.from_numpy(image.transpose(2, 0, 1)[None])).numpy()[0]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [(24, 32), (27, 21)])
def test_our_network_gives_keras_scores(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    architecture, image, expected, arrays = made(name, size)
    path = tmp_path / "keras.npz"
    np.savez(path, **{f"{key}:0": value for key, value in arrays.items()})
    weights = read_keras(path, architecture)
    found = scores_of(weights.module(), image)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert weights.normalisation.scale == pytest.approx(1 / 127.5)
    assert weights.normalisation.bias == pytest.approx((-1, -1, -1)) and len(weights.classes) == 5


def test_torchs_own_padding_gives_other_scores(tmp_path: Path) -> None:
    architecture, image, expected, arrays = made("v2", (24, 32))
    np.savez(tmp_path / "keras.npz", **arrays)
    weights = read_keras(tmp_path / "keras.npz", architecture)
    symmetric = architecture.build().eval()
    symmetric.load_state_dict(dict(weights.tensors))
    assert np.abs(scores_of(symmetric, image) - expected).max() > 1e-2 * np.abs(expected).max()


def test_blue_first_turns_the_first_kernel_and_safetensors_serve_as_well(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    architecture, image, expected, arrays = made("v1", (24, 32))
    save_file(arrays, tmp_path / "keras.safetensors")
    weights = read_keras(tmp_path / "keras.safetensors", architecture, bgr=True)
    # trained on blue first: what it then saw as its first channel is our last
    found = scores_of(weights.module(), image[..., ::-1].copy())
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_network_without_its_classifier_gives_features(tmp_path: Path) -> None:
    architecture, _, _, arrays = made("v2", (24, 32))
    bare = {name: value for name, value in arrays.items() if not name.startswith("predictions")}
    np.savez(tmp_path / "keras.npz", **bare)
    weights = read_keras(tmp_path / "keras.npz", architecture)
    assert weights.classes == () and weights.architecture.head.outputs == ("features",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"block_1_project_BN/beta": None},
            "has ['gamma', 'moving_mean', 'moving_variance'], ours",
        ),
        ({"extra/kernel": np.zeros(1)}, "'extra' is a layer of none"),
        ({"kernel": np.zeros(1)}, "is not named layer/variable"),
        ({"Conv1/kernel": np.zeros((5, 5, 3, 8))}, "kernel comes to (8, 3, 5, 5)"),
        ({"Conv1/kernel": np.full((3, 3, 3, 8), np.nan)}, "finite numbers"),
        ({"block_2_expand/bias": np.zeros(24)}, "has ['bias', 'kernel'], ours"),
    ],
)
def test_a_file_of_another_network_is_refused_by_its_first_difference(
    change: Arrays, said: str, tmp_path: Path
) -> None:
    architecture, _, _, arrays = made("v2", (8, 8))
    changed = {name: value for name, value in (arrays | change).items() if value is not None}
    np.savez(tmp_path / "keras.npz", **changed)
    with pytest.raises(InputError) as caught:
        read_keras(tmp_path / "keras.npz", architecture)
    assert said in str(caught.value) and "keras.npz" in str(caught.value)


def test_other_files_and_other_depths_are_refused(tmp_path: Path) -> None:
    architecture, _, _, arrays = made("v2", (8, 8))
    for name, said in (("x.h5", "must be .npz or .safetensors"), ("x.npz", "is truncated")):
        (tmp_path / name).write_bytes(b"no archive")
        with pytest.raises(InputError, match=said):
            read_keras(tmp_path / name, architecture)
    with pytest.raises(InputError, match="no such file"):
        read_keras(tmp_path / "none.npz", architecture)
    np.savez(tmp_path / "keras.npz", **arrays)
    deeper = Architecture.from_text(V2.format(8, 8).replace("ir_r2", "ir_r3"))
    with pytest.raises(InputError, match=r"keras\.npz"):
        read_keras(tmp_path / "keras.npz", deeper)


# --- the padding itself ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "has no arrays"),
        ({"conv1/kernel": (3, 3, 3, 8), "predictions/bias": (5,)}, "no kernel of a classifier"),
        ({"conv1/kernel": (3, 3, 3, 8), "predictions/kernel": ()}, "no kernel of a classifier"),
    ],
)
def test_files_without_a_network_are_refused(
    arrays: dict[str, tuple[int, ...]], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "keras.npz"
    np.savez(path, **{name: np.zeros(shape, np.float32) for name, shape in arrays.items()})
    with pytest.raises(InputError, match=words):
        read_keras(path, Architecture.from_text(V2.format(32, 32)))


def test_the_padding_is_in_text_and_json_and_left_out_of_the_ids_of_others() -> None:
    plain = Architecture.from_text(V3.format(32, 32))
    same = same_padded(plain)
    assert same.to_text().count("_same") == 3 and same.id != plain.id
    assert Architecture.from_text(same.to_text()) == same
    assert Architecture.from_json(same.to_json()) == same
    assert '"same"' not in plain.to_json()
    assert same.macs() == plain.macs() and same.params() == plain.params()
    assert [op.kind for op in same.ops()].count("pad") == 3


def test_blocks_that_have_no_such_padding_are_refused() -> None:
    with pytest.raises(InputError, match="stage 1: a 'rn' block has no TensorFlow padding"):
        same_padded(
            Architecture.from_text("32x32 stem_k3_s2_c8_relu | rn_r1_k3_s2_x8_c16_relu | head_n5")
        )
    with pytest.raises(InputError, match="stem, same: is a padding before BatchNorm"):
        Architecture.from_text(
            "32x32 stem_k3_s2_c8_relu_valid_same | cn_r1_k3_s1_c8_relu | head_n5"
        )
