"""A network that learns with 8-bit weights and activations (quantisation-aware training).

coremltools puts into the module what rounds weights and activations as a phone would: BatchNorm is
folded into the weights that are rounded, one scale for each output channel, one for each tensor of
activations, all symmetric about zero or from zero on. Jacob et al., Quantization and training of
neural networks for efficient integer-arithmetic-only inference, 2018.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from palmette.export._coremltools import coremltools
from palmette.space.architecture import IMAGE_CHANNELS, Architecture
from palmette.space.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn


def prepare_w8a8(module: nn.Module, size: tuple[int, int]) -> nn.Module:
    """Copy of a network that rounds weights and activations to 8 bits once it is told to.

    Args:
        module: with its weights; units of branches are merged into their convolution.
        size: (height, width) of its images in px.

    Returns:
        A module with the fake quantisers of `torch.ao.quantization`, all disabled; its state has
        other names than the module's.

    Raises:
        InputError: the network can't be traced symbolically.
    """
    prepared: nn.Module = _quantiser(module, size)[1]
    return prepared


def finalised(architecture: Architecture, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Network of a trained state, with 8-bit numbers for the converter.

    Args:
        architecture: that was prepared.
        tensors: state of the prepared module.

    Raises:
        InputError: the state is of another network.
    """
    import torch
    from torch.ao.quantization import disable_observer, enable_fake_quant

    quantiser, prepared = _quantiser(architecture.build(), architecture.resolution)
    try:
        prepared.load_state_dict(dict(tensors))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"weights: are no quantised weights of this network ({reason})") from None
    with without_notes():
        prepared.eval().apply(disable_observer).apply(enable_fake_quant)
        final: Any = quantiser.finalize(prepared)
    for layer in quantised_layers(final).values():
        if layer.bias is not None:
            # the converter rounds small tensors by a rule of its own
            layer.bias = torch.nn.Parameter(layer.bias.half().float(), requires_grad=False)
    done: nn.Module = final.eval()
    return done


def quantised_layers(final: Any) -> dict[str, Any]:
    """Layers with 8-bit weights of a finalised network by name, in order of execution."""
    modules = dict(final.named_modules())
    found = {}
    for node in final.graph.nodes:
        if node.op == "call_module":
            for name, part in modules[node.target].named_modules(prefix=node.target):
                if hasattr(part, "weight_scale"):
                    found[name] = part
    return found


def _quantiser(module: nn.Module, size: tuple[int, int]) -> tuple[Any, Any]:
    """coremltools' quantiser and the module that it prepared."""
    import torch

    from palmette.space.modules.reparameterise import reparameterised

    coremltools()
    with without_notes():
        from coremltools.optimize.torch import quantization as cto

        whole = cto.ModuleLinearQuantizerConfig(quantization_scheme="symmetric")
        quantiser = cto.LinearQuantizer(
            reparameterised(module).cpu(), cto.LinearQuantizerConfig(global_config=whole)
        )
        example = torch.zeros((1, IMAGE_CHANNELS, *size))
        try:
            return quantiser, quantiser.prepare(example_inputs=(example,), inplace=False)
        except Exception as error:  # a symbolic trace raises all kinds
            reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
    raise InputError(f"quantisation: the network can't be traced symbolically ({reason})")


@contextmanager
def without_notes() -> Iterator[None]:
    """No notes on what is deprecated: quantised tensors, and `torch.ao.quantization` itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
