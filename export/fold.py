"""BatchNorm folded into the layer before it, and the values as a package must store them.

An exported network is folded here, in double precision, before the converter sees it. What the
package stores is then ours to the last bit, and reading it back can demand equality. Units that
train as branches become the one convolution that they compute in evaluation mode. Pairs are found
by running the module: a BatchNorm folds into the convolution or linear layer whose output it
reads (Jacob et al., 2018, section 3.2). A BatchNorm behind anything else is reduced to its gain and
its shift: its statistics become those of no change.
"""

from __future__ import annotations

import copy
import math
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palmette.export.errors import ExportError
from palmette.space.errors import expect

if TYPE_CHECKING:
    from torch import Tensor, nn

Half = NDArray[np.float16]

TOLERANCE = 1e-9
"""Largest change by folding, relative to the largest output; arithmetic is in double precision."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer's values as they must be stored, in half precision.

    `weight` is (out, in / groups, height, width) of a convolution, (out, in) of a linear layer;
    `bias` is (out,), zeros if none. Of what has a value for each channel `weight` is one vector: a
    BatchNorm's gain (`bias`: its shift), a parametric rectifier's slopes, a gather's index (int32).
    """

    name: str
    weight: NDArray[Any]
    bias: Half


@dataclass(frozen=True, slots=True)
class Folded:
    """A module with BatchNorm folded (single precision), and its values in order of execution."""

    module: nn.Module
    layers: tuple[Layer, ...]
    outputs: tuple[tuple[int, ...], ...]
    """Shapes of the module's outputs in order, for one image."""
    scale: float = 1.0
    """By which the weights of the layers that read the image were multiplied."""


@dataclass(slots=True)
class _Call:
    """One run of a convolution or linear layer. In-place ops after it raise the version."""

    name: str
    host: Any
    output: weakref.ref[Tensor]
    version: int


def check_exportable(module: nn.Module) -> None:
    """Refuse a module in training mode, or with weights that are missing, infinite or not numbers.

    Raises:
        InputError: names the first such layer or parameter, and what to do.
    """
    for name, part in module.named_modules():
        where = f"module: '{name or type(part).__name__}'"
        expect(not part.training, f"{where} is in training mode; call module.eval() first")
        expect(
            not isinstance(part, _batch_norm()) or part.running_mean is not None,
            f"{where} normalises by the batch's own statistics; train it with running statistics",
        )
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        expect(not value.is_meta, f"module: '{name}' has no values (meta device); load weights")
        expect(bool(value.isfinite().all()), f"module: '{name}' holds infinities or NaN")


def fold_batch_norm(module: nn.Module, image: tuple[int, int, int], scale: float = 1.0) -> Folded:
    """Copy of a module with every BatchNorm folded that directly follows a convolution or linear.

    Re-parameterised units (`palmette.space.modules.reparameterise`) are merged first. A layer that
    runs several times, or whose output something in-place changed, is left as it is.

    Args:
        module: in evaluation mode; it is left as it was.
        image: (channels, height, width) of its input.
        scale: of the image; it goes into the weights of the layers that read it, if nothing else
            does. `Folded.scale` says whether it did.

    Raises:
        InputError: the module is not in evaluation mode, or a weight is beyond half precision.
        ExportError: folding would change the module's output (another reader between the two).
    """
    import torch

    from palmette.space.modules.reparameterise import reparameterised  # brings torch

    check_exportable(module)
    twin = reparameterised(module).cpu().double()
    pixels = torch.rand((1, *image), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    with torch.no_grad():
        first = found = _record(twin, pixels)
        taken = 1.0
        if scale != 1:
            scaled = _with_scale(twin, found, pixels / scale, scale)
            if scaled is not None:
                found, taken, pixels = scaled, scale, pixels / scale
        while found.pairs:  # a BatchNorm behind one that folded can fold now
            for call, norm_name, norm in found.pairs:
                _fold(call.host, norm)
                twin.set_submodule(norm_name, torch.nn.Identity())
            found = _record(twin, pixels)
        after = found.outputs
        if left := [x for _, x in found.runs if isinstance(x, _batch_norm())]:
            for part in dict.fromkeys(left):
                _reduce(part)
            after = _outputs(twin(pixels))
    _compare_outputs(first.outputs, after)
    twin = twin.float()
    layers = tuple(layer for name, x in found.runs if (layer := _layer(name, x)) is not None)
    return Folded(twin, layers, tuple(tuple(output.shape) for output in after), taken)


def _batch_norm() -> Any:
    from torch.nn.modules.batchnorm import _BatchNorm

    return _BatchNorm


def _with_scale(network: nn.Module, found: _Found, pixels: Tensor, scale: float) -> _Found | None:
    """Multiply the weights of the layers that read the image, and run the network on `pixels`.

    None, and the network as it was, if its outputs are others than before: something besides those
    layers reads the image, or they read something besides it. Zeros that a layer pads stay zeros.
    """
    readers = dict.fromkeys(found.readers)
    for layer in readers:
        layer.weight.mul_(scale)
    now = _record(network, pixels)
    if readers and _change(found.outputs, now.outputs) <= TOLERANCE:
        return now
    for layer in readers:
        layer.weight.div_(scale)
    return None


def _outputs(given: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return given if isinstance(given, tuple) else (given,)


def _change(before: Sequence[Tensor], after: Sequence[Tensor]) -> float:
    """Largest change of an output, relative to its largest value."""
    changes = [
        (now - was).abs().max().item() / max(was.abs().max().item(), 1e-300)
        for was, now in zip(before, after, strict=True)
    ]
    return max(changes) if all(math.isfinite(change) for change in changes) else math.inf


def _compare_outputs(before: Sequence[Tensor], after: Sequence[Tensor]) -> None:
    change = _change(before, after)
    if not change <= TOLERANCE:
        raise ExportError(
            f"folding BatchNorm would change the output by {change:.3g} of its largest value:"
            " another op reads a convolution's output before its BatchNorm"
        )


def stored_module(folded: Folded) -> nn.Module:
    """The folded module with its layers' values, all of which half precision holds.

    The converter would round by itself, but in tensors of fewer than 400 values it makes the
    smallest number of half precision of what rounds to zero.
    """
    import torch

    module = copy.deepcopy(folded.module)
    for layer in folded.layers:
        host = module.get_submodule(layer.name)
        for key, half in (("weight", layer.weight), ("bias", layer.bias)):
            parameter = getattr(host, key, None)
            if isinstance(parameter, torch.nn.Parameter):
                parameter.data = torch.from_numpy(half.astype(np.float32))
    return module


_Runs = list[tuple[str, Any]]
_Pairs = list[tuple[_Call, str, Any]]


@dataclass(frozen=True, slots=True)
class _Found:
    """What a run of a network shows."""

    runs: _Runs
    """Modules with values, in order."""
    pairs: _Pairs
    """BatchNorms that can fold."""
    outputs: tuple[Tensor, ...]
    readers: list[Any]
    """Convolutions and linear layers that read the image."""


def layer_kinds() -> tuple[type[nn.Module], ...]:
    """Modules whose values a package is compared with."""
    from torch import nn

    from palmette.space.modules.layers import Selection

    return nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.BatchNorm1d, nn.PReLU, Selection


def _record(network: nn.Module, pixels: Tensor) -> _Found:
    from torch import nn

    parts: _Runs = []
    calls: list[_Call] = []
    pairs: _Pairs = []
    readers: list[Any] = []
    norm_runs: Counter[str] = Counter()

    def on_run(name: str, part: nn.Module, *_: Any) -> None:
        parts.append((name, part))

    def on_host(name: str, host: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if inputs[0] is pixels:
            readers.append(host)
        calls.append(_Call(name, host, weakref.ref(output), output._version))

    def on_norm(name: str, norm: nn.Module, inputs: tuple[Tensor], _: Tensor) -> None:
        norm_runs[name] += 1
        for call in calls:
            if call.output() is inputs[0] and call.version == inputs[0]._version:
                pairs.append((call, name, norm))

    hooks = []
    norms = nn.BatchNorm2d | nn.BatchNorm1d
    for name, part in network.named_modules():
        if isinstance(part, layer_kinds()):
            hooks.append(part.register_forward_hook(partial(on_run, name)))
        if isinstance(part, nn.Conv2d | nn.Linear):
            hooks.append(part.register_forward_hook(partial(on_host, name)))
        elif isinstance(part, norms):
            hooks.append(part.register_forward_hook(partial(on_norm, name)))
    outputs = _outputs(network(pixels))
    for hook in hooks:
        hook.remove()
    runs = Counter(call.name for call in calls)
    once = [pair for pair in pairs if runs[pair[0].name] == 1 and norm_runs[pair[1]] == 1]
    return _Found(parts, once, outputs, readers)


def _scale_and_shift(norm: Any, bias: Any = None) -> tuple[Any, Any]:
    """What `norm` multiplies by, and adds to, an input that has `bias` added to it before."""
    scale = (norm.running_var + norm.eps).rsqrt()
    shift = -norm.running_mean
    if bias is not None:
        shift = shift + bias
    if norm.affine:
        scale = scale * norm.weight
    shift = shift * scale
    return scale, shift + norm.bias if norm.affine else shift


def _reduce(norm: Any) -> None:
    """Put `norm`'s statistics into its gain and shift."""
    import torch

    scale, shift = _scale_and_shift(norm)
    norm.weight = torch.nn.Parameter(scale, requires_grad=False)
    norm.bias = torch.nn.Parameter(shift, requires_grad=False)
    norm.running_mean.zero_()
    norm.running_var.fill_(1.0)
    norm.eps = 0.0


def _fold(host: Any, norm: Any) -> None:
    """Put `norm`'s scale and shift into `host`'s weight and bias."""
    import torch

    scale, shift = _scale_and_shift(norm, host.bias)
    weight = host.weight * scale.reshape(-1, *[1] * (host.weight.dim() - 1))
    host.weight = torch.nn.Parameter(weight, requires_grad=False)
    host.bias = torch.nn.Parameter(shift, requires_grad=False)


def _layer(name: str, host: Any) -> Layer | None:
    """Values of a layer; None where a package has none."""
    from torch import nn

    if not hasattr(host, "weight"):
        index = host.index.numpy().astype(np.int32)
        return Layer(name, index, np.zeros(len(index), np.float16))
    weight = _half(host.weight, f"{name}.weight")
    if isinstance(host, nn.PReLU) and (weight == weight[0]).all():
        return None  # the converter makes it a leaky rectifier, whose slope belongs to the op
    bias = np.zeros(len(weight), np.float16)
    if getattr(host, "bias", None) is not None:
        bias = _half(host.bias, f"{name}.bias")
    return Layer(name, weight, bias)


def _half(values: Tensor, where: str) -> Half:
    with np.errstate(over="ignore"):
        half: Half = values.detach().numpy().astype(np.float16)
    expect(
        bool(np.isfinite(half).all()),
        f"module: '{where}' with BatchNorm folded reaches {values.abs().max().item():.3g}, beyond"
        " half precision (65504)",
    )
    return half
