"""Weights of timm's networks for ours, where both are the same network.

Names differ, structure does not: convolutions, norms and linear layers come in one order, with one
set of shapes. They are paired in that order, and the result is believed only if both networks give
the same scores. Files are safetensors; timm's older files are pickles and are never opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space import Architecture
from palmette.space.errors import InputError, expect
from palmette.space.files import expect_file
from palmette.train.device import Normalisation
from palmette.train.optimization import training_libraries
from palmette.train.weights import TrainedWeights

if TYPE_CHECKING:
    from torch import Tensor, nn

TOLERANCE = 1e-4
"""Of the scores, relative to the largest: what two orders of the same sums may differ by."""
TRACED = 64
"""Side in px of the images that both networks are compared on."""


def read_timm(path: Path, name: str, architecture: Architecture) -> TrainedWeights:
    """Weights of a timm network from its safetensors file, as those of ours.

    Args:
        path: `model.safetensors` of a timm network.
        name: that timm knows it by, such as `mobilenetv2_100`.
        architecture: ours; it gets the number of classes of the file.

    Raises:
        InputError: an unknown name, a file of another network, or the two networks differ; the
            message names the first layer that does.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from palmette.train.weights import with_classes

    expect_file(path)
    expect(
        path.suffix == ".safetensors",
        f"{path}: must be a .safetensors file; timm's .pth and .bin files are pickles, which may"
        " run code, and are not opened",
    )
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: is truncated or no safetensors file ({error})") from None
    classes = next((len(v) for k, v in tensors.items() if k == "classifier.weight"), 0)
    module = create(name, classes)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{path}: is not a file of timm's '{name}' ({reason})") from None
    architecture = with_classes(architecture, classes)
    return TrainedWeights(
        architecture,
        tuple(str(number) for number in range(classes)),
        normalise_for_export(module),
        from_timm(module, architecture, name),
        {"source": f"timm {name}", "file": path.name},
    )


def create(name: str, classes: int = 1000) -> nn.Module:
    """A timm network with random weights.

    Raises:
        InputError: timm does not know the name.
    """
    _, timm = training_libraries()
    known = timm.list_models()
    if name not in known:
        import difflib

        near = ", ".join(difflib.get_close_matches(name, known, n=3, cutoff=0.0))
        raise InputError(f"timm has no network '{name}'; the nearest are {near}")
    found: nn.Module = timm.create_model(name, num_classes=classes)
    return found


def from_timm(module: nn.Module, architecture: Architecture, name: str) -> dict[str, Tensor]:
    """State of our network that computes what a timm network computes.

    Raises:
        InputError: the two are different networks; the first layer that differs is named.
    """
    import torch

    ours = architecture.build().eval()
    theirs = list(_layers(module))
    own = list(_layers(ours))
    for (our_name, our_layer), (their_name, their_layer) in zip(own, theirs, strict=False):
        one, other = _shape(our_layer), _shape(their_layer)
        expect(
            one == other,
            f"timm's '{name}' is another network: its layer '{their_name}' is {other}, ours"
            f" '{our_name}' is {one}",
        )
        _copy(their_layer, our_layer)
    longer, which = (theirs, f"timm's '{name}'") if len(theirs) > len(own) else (own, "our network")
    if len(own) != len(theirs):
        extra = longer[min(len(own), len(theirs))][0]
        raise InputError(f"timm's '{name}' is another network: only {which} has layer '{extra}'")
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        image = torch.rand((2, 3, TRACED, TRACED))
        expected, found = module.eval()(image), ours(image)
    apart = float((expected - found).abs().max() / expected.abs().max())
    expect(
        apart <= TOLERANCE,
        f"timm's '{name}' has the layers of our network but other scores (by {apart:.1%}): an"
        " activation or an addition differs",
    )
    return dict(ours.state_dict())


def normalise_for_export(module: Any) -> Normalisation:
    """timm's mean, and one deviation for its three; its first convolution makes up for the rest."""
    numbers = module.pretrained_cfg
    red, green, blue = (float(value) for value in numbers["mean"])
    deviations = [float(value) for value in numbers["std"]]
    one = sum(deviations) / len(deviations)
    first = next(layer for _, layer in _layers(module) if layer.weight.dim() == 4)
    first.weight.data *= first.weight.new_tensor([one / own for own in deviations])[:, None, None]
    return Normalisation((red, green, blue), one)


def _layers(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Convolutions, norms and linear layers in their order."""
    from torch import nn

    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d, nn.Linear)):
            yield name, layer


def _shape(layer: Any) -> str:
    """What must be equal in both networks, in words."""
    from torch import nn

    size = "x".join(map(str, layer.weight.shape))
    if isinstance(layer, nn.BatchNorm2d):
        return f"a norm of {size}"
    bias = "" if layer.bias is None else " with a bias"
    if isinstance(layer, nn.Linear):
        return f"a linear layer of {size}{bias}"
    stride, padding, dilation = layer.stride, layer.padding, layer.dilation
    return (
        f"a convolution of {size}{bias}, stride {stride[0]}, padding {padding[0]},"
        f" {layer.groups} groups, dilation {dilation[0]}"
    )


def _copy(source: Any, target: Any) -> None:
    """Parameters and statistics; a norm's variance takes up a difference of the epsilons."""
    import torch

    with torch.no_grad():
        state = {name: value.clone() for name, value in source.state_dict().items()}
        if "running_var" in state:
            state["running_var"] += source.eps - target.eps
        target.load_state_dict(state)
