"""What a timing table names, as torch modules ready to be timed: ops, chains and networks.

BatchNorm is folded into the convolution before it, as an op of this project is defined. A network
that is only known as a list of ops cannot be run and is refused.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from palmette.latency.chains import Chain
from palmette.latency.host.ops import build_ops
from palmette.latency.op_lists import named_architecture, shipped_names
from palmette.latency.per_op.kernels import kernel_from_text
from palmette.space import ZOO, InputError
from palmette.space.errors import expect
from palmette.space.installing import pip_install
from palmette.space.modules.reparameterise import reparameterise
from palmette.space.spelling import did_you_mean

Subject = tuple[str, str]
"""Kind (op, chain, network) and text, as in the timing table."""

FOLDING_TOLERANCE = 1e-3
"""Largest change of an output by folding, relative to the largest output: a wrong pair of layers
changes it by its own size, the rounding of single precision through a hundred layers by less."""


def build_subject(subject: Subject) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Module of a subject, ready to be timed on the CPU, and its inputs.

    Raises:
        InputError: the subject cannot be built from its text; the message says why.
    """
    kind, text = subject
    expect(kind != "probe", "a probe makes a phone change its unit; a host has one alone")
    expect(kind in _BUILDERS, f"subject kind must be op, chain or network, got '{kind}'")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module, inputs = _BUILDERS[kind](text)
    return module.eval().requires_grad_(False), inputs


def _op(text: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    return build_ops(kernel_from_text(text))


def _chain(text: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    chain = Chain.from_text(text)
    return _folded(chain.build(), chain.shape)


def _network(text: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    architecture = named_architecture(text)
    if architecture is not None:
        return _folded(architecture.build(), (3, *architecture.resolution))
    module, resolution = published_module(text)
    return _folded(module, (3, resolution, resolution))


def published_module(text: str) -> tuple[nn.Module, int]:
    """Module of a network that published timings name and the zoo lacks, and its input side in px.

    Raises:
        InputError: an unknown name, a list of ops, or a package that is not installed.
    """
    from palmette.latency.networks import NETWORKS

    expect(
        text in NETWORKS,
        f"network '{text}': a list of ops does not say how they are joined"
        if text.endswith(".csv") or text in shipped_names()
        else f"network '{text}' is unknown; {did_you_mean(text, (*ZOO, *NETWORKS))}palmette zoo"
        " list names those of the zoo, latency/networks.py the others",
    )
    network = NETWORKS[text]
    try:
        return network.build(), network.resolution
    except ImportError as error:
        raise InputError(f"network '{text}': needs {error.name}; {pip_install('train')}") from None


_BUILDERS = {"op": _op, "chain": _chain, "network": _network}


# BatchNorm


def _folded(module: nn.Module, shape: tuple[int, ...]) -> tuple[nn.Module, tuple[Tensor, ...]]:
    image = torch.rand((1, *shape)) * 2 - 1
    return fold_batch_norm(reparameterise(module.eval()), image), (image,)


@torch.no_grad()
def fold_batch_norm(module: nn.Module, image: Tensor) -> nn.Module:
    """The module itself, in evaluation mode, with BatchNorm folded into the convolution before it.

    Pairs are found by running it once. Statistics are drawn at random first: fresh ones fold to
    nothing, and a wrong pair would go unseen. A BatchNorm that brings its own activation (as timm's
    do) leaves it behind.

    Raises:
        InputError: folding would change the output (something else reads a convolution's output).
    """
    norms = {
        name: part
        for name, part in module.eval().named_modules()
        if isinstance(part, nn.BatchNorm2d)
    }
    for norm in norms.values():
        _randomise(norm)
    pairs, before = _pairs(module, norms, image)
    for name, convolution in pairs.items():
        norm = norms[name]
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None and variance is not None
        convolution.weight, convolution.bias = fuse_conv_bn_weights(
            convolution.weight,
            convolution.bias,
            mean,
            variance,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        module.set_submodule(name, getattr(norm, "act", nn.Identity()))
    change = (module(image) - before).abs().max().item()
    expect(
        change <= FOLDING_TOLERANCE * before.abs().max().item(),
        f"folding BatchNorm would change the output by {change:.3g}",
    )
    return module


def _randomise(norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None and norm.running_var is not None
    norm.running_mean.normal_(0, 0.1)
    norm.running_var.uniform_(0.8, 1.25)
    if norm.affine:
        norm.weight.uniform_(0.8, 1.25)
        norm.bias.normal_(0, 0.1)


def _pairs(
    module: nn.Module, norms: dict[str, nn.BatchNorm2d], image: Tensor
) -> tuple[dict[str, nn.Conv2d], Tensor]:
    """Name of each BatchNorm that reads a convolution's output -> that convolution; the output."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # tensors stay alive: identities are then unique
    pairs: dict[str, nn.Conv2d] = {}

    def on_convolution(part: Any, _: Any, output: Tensor) -> None:
        made[id(output)] = (part, output)

    def on_norm(name: str, _: Any, inputs: tuple[Tensor, ...]) -> None:
        if id(inputs[0]) in made:
            pairs[name] = made[id(inputs[0])][0]

    hooks = [norm.register_forward_pre_hook(partial(on_norm, name)) for name, norm in norms.items()]
    hooks += [
        part.register_forward_hook(on_convolution)
        for part in module.modules()
        if isinstance(part, nn.Conv2d)
    ]
    output: Tensor = module(image)
    for hook in hooks:
        hook.remove()
    return pairs, output
