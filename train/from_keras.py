"""Weights of `keras.applications` MobileNets for ours: v1, v2 and v3, in all widths.

Layers are found by Keras' names, which differ by version in case and slashes alone. Kernels are
turned from (height, width, in, out) to torch's order, a norm's epsilon of 1e-3 goes into the
variance, and the network gets TensorFlow's padding (`space.same_padding`). Pixels are scaled to -1
to 1, red first, as `preprocess_input` of these networks does.

Files are `.npz` or `.safetensors` of arrays named `layer/variable`, such as `conv1/kernel`: HDF5
would need another library to be read, and Keras can write the others in a line (`docs/export.md`).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.space import Architecture
from palmette.space.errors import InputError, expect
from palmette.space.files import expect_file
from palmette.space.installing import pip_install
from palmette.space.same_padding import same_padded
from palmette.train.device import Normalisation
from palmette.train.weights import TrainedWeights, with_classes

EPSILON = 1e-3
"""Of the BatchNorms of all three."""
NORMALISATION = Normalisation((0.5, 0.5, 0.5), 0.5)
"""Pixels from 0 to 1 become -1 to 1."""

Arrays = Mapping[str, NDArray[Any]]
Layers = dict[str, dict[str, NDArray[Any]]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of a family's layers in order, in lower case; blocks are counted from `first`."""

    stem: str
    blocks: tuple[str, ...]
    """Of block n; `prefix` stands for what `prefixes` say."""
    tail: tuple[str, ...]
    first: int = 0
    prefixes: tuple[str, str] = ("", "")
    """Of block 0, and of the others."""

    def names(self, layers: Layers) -> Iterator[str]:
        """Layers of a file in the order in which they run, each with its norm behind it."""
        yield from _with_norm(self.stem, layers)
        for number in range(self.first, self.first + len(layers)):
            prefix = self.prefixes[min(number, 1)].format(n=number)
            for name in self.blocks:
                yield from _with_norm(name.format(n=number, prefix=prefix), layers)
        for name in self.tail:
            yield from _with_norm(name, layers)


_GATE = ("{prefix}squeeze_excite_conv", "{prefix}squeeze_excite_conv_1")
LAYOUTS: dict[str, Layout] = {
    "MobileNet": Layout("conv1", ("conv_dw_{n}", "conv_pw_{n}"), ("conv_preds",), first=1),
    "MobileNetV2": Layout(
        "conv1",
        ("{prefix}expand", "{prefix}depthwise", "{prefix}project"),
        ("conv_1", "predictions", "logits"),
        prefixes=("expanded_conv_", "block_{n}_"),
    ),
    "MobileNetV3": Layout(
        "conv",
        ("{prefix}expand", "{prefix}depthwise", *_GATE, "{prefix}project"),
        ("conv_1", "conv_2", "logits"),
        prefixes=("expanded_conv_", "expanded_conv_{n}_"),
    ),
}
"""By class of `keras.applications`."""
CLASSIFIERS = ("conv_preds", "predictions", "logits")


def read_keras(path: Path, architecture: Architecture, *, bgr: bool = False) -> TrainedWeights:
    """Weights of a Keras MobileNet from its file, as those of ours.

    Args:
        path: `.npz` or `.safetensors` of arrays named `layer/variable`.
        architecture: ours, such as the zoo's `mobilenet_v2`; it gets TensorFlow's padding, and
            the classes of the file (none, if the file has no classifier).
        bgr: whether the network was trained on pixels with blue first.

    Raises:
        InputError: not such a file, or one of another network; the message names the first layer
            that differs.
    """
    layers = _layers(_arrays(path), path)
    names = _ordered(layers, path)
    last = _classifier(layers, names[-1], path)
    architecture = same_padded(with_classes(architecture, last.shape[-1]))
    module: Any = architecture.build().eval()
    ours = list(_own_layers(module))
    for (own, layer), name in zip(ours, names, strict=False):
        _fill(layer, own, layers[name], f"{path}: '{name}'")
    longer = [own for own, _ in ours] if len(ours) > len(names) else names
    if len(ours) != len(names):
        extra = longer[min(len(ours), len(names))]
        raise InputError(
            f"{path}: is of another network: {len(names)} layers, ours has {len(ours)}; the first"
            f" without a partner is '{extra}'"
        )
    if bgr:
        first = ours[0][1].weight
        first.data = first.data.flip(1)
    return TrainedWeights(
        architecture,
        tuple(str(number) for number in range(last.shape[-1])),
        NORMALISATION,
        dict(module.state_dict()),
        {"source": "keras.applications", "file": path.name},
    )


def _classifier(layers: Layers, name: str, path: Path) -> NDArray[Any]:
    """Kernel (..., classes) of the last layer; of no classes if that is no classifier."""
    if name not in CLASSIFIERS:
        return np.zeros((1, 0))
    kernel = layers[name].get("kernel")
    if kernel is None or not kernel.ndim:
        raise InputError(f"{path}: '{name}' has no kernel of a classifier")
    return kernel


def _arrays(path: Path) -> Arrays:
    expect_file(path)
    expect(
        path.suffix in (".npz", ".safetensors"),
        f"{path}: must be .npz or .safetensors; docs/export.md says how Keras writes one",
    )
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        from safetensors.numpy import load_file

        return load_file(path)
    except ImportError:
        raise InputError(f"{path}: needs safetensors; {pip_install('train')}") from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: is truncated or no {path.suffix} file ({error})") from None
    except Exception as error:  # safetensors has an error of its own
        raise InputError(f"{path}: cannot be read ({error})") from None


def _layers(arrays: Arrays, path: Path) -> Layers:
    """Variables by layer, under names that do not depend on the version of Keras."""
    found: Layers = {}
    for name, values in arrays.items():
        layer, slash, variable = name.partition(":")[0].rpartition("/")
        expect(bool(slash), f"{path}: '{name}' is not named layer/variable, as conv1/kernel is")
        layer = layer.replace("/", "_").replace("BatchNorm", "bn").lower()
        variable = variable.removeprefix("depthwise_")
        expect(
            bool(np.issubdtype(values.dtype, np.floating) and np.isfinite(values).all()),
            f"{path}: '{name}' holds something else than finite numbers",
        )
        found.setdefault(layer, {})[variable] = values
    return found


def _ordered(layers: Layers, path: Path) -> list[str]:
    """Layers in the order of the one family that names them all."""
    expect(bool(layers), f"{path}: has no arrays; docs/export.md says how Keras writes them")
    best: list[str] = []
    for layout in LAYOUTS.values():
        names = list(layout.names(layers))
        if len(names) == len(layers):
            return names
        best = max(best, names, key=len)
    left = sorted(set(layers) - set(best))
    reason = f"'{left[0]}' is a layer of none" if left else "it has no layers"
    raise InputError(f"{path}: is no {', '.join(LAYOUTS)} of keras.applications ({reason})")


def _with_norm(name: str, layers: Layers) -> Iterator[str]:
    for candidate in (name, f"{name}_bn", f"bn_{name}"):
        if candidate in layers:
            yield candidate


def _own_layers(module: Any) -> Iterator[tuple[str, Any]]:
    from torch import nn

    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            yield name, layer


_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def _fill(layer: Any, own: str, values: Mapping[str, NDArray[Any]], where: str) -> None:
    """Copy Keras' variables into a layer of ours; raises InputError if they do not fit."""
    import torch

    wanted = dict(layer.state_dict())
    wanted.pop("num_batches_tracked", None)
    keys = _NORM if "running_mean" in wanted else {"weight": "kernel", "bias": "bias"}
    asked = {keys[key] for key in wanted}
    expect(set(values) == asked, f"{where}: has {sorted(values)}, ours ('{own}') {sorted(asked)}")
    for key, like in wanted.items():
        array = values[keys[key]].astype(np.float32)
        if keys[key] == "kernel":
            array = _kernel(array, layer)
        elif key == "running_var":
            array = array + np.float32(EPSILON - layer.eps)
        expect(
            array.shape == tuple(like.shape),
            f"{where}: {keys[key]} comes to {array.shape}, ours ('{own}') is {tuple(like.shape)}",
        )
        like.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def _kernel(array: NDArray[Any], layer: Any) -> NDArray[Any]:
    """A kernel in torch's order: (out, in, height, width), or (out, in) of a linear layer."""
    if array.ndim == 4 and getattr(layer, "groups", 1) > 1:
        return array.transpose(2, 3, 0, 1)  # depthwise: (height, width, channels, 1)
    if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)
        # a classifier that Keras has as a 1x1 convolution
        return array[:, :, 0, 0] if layer.weight.dim() == 2 else array
    return array.T
