"""Weights for timing: freshly drawn, and scaled so that half precision holds all values.

Nobody trained what a suite times. As drawn, values shrink or grow from layer to layer, and a chain
of sixteen blocks would run on zeros, denormals or infinities, with which a unit may take another
time than with numbers. So every layer is scaled to give values of deviation one on random inputs,
front to back in one run (Mishkin and Matas, 2016), and every BatchNorm takes the statistics of what
it reads. What the written package makes of that is run in emulated half precision and checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.export.errors import ExportError
from palmette.export.interpreter import Interpreter, Operation, Value

if TYPE_CHECKING:
    from torch import Tensor, nn

SEED = 0
"""Of weights, and of the values that a package is run on."""
SMALLEST_NORMAL = 2.0**-14
"""Of half precision."""
_BATCH = 2
_LEAST_VARIANCE = 0.01
"""Of a channel, relative to the mean of all: one that was still may not stay so."""
_OPEN = 4.0
"""Added before the sigmoid of a channel gate: of gates that halve a map, sixteen would end it."""


def random_input(shape: Sequence[int], batch: int = 1) -> Tensor:
    """Values from -1 to 1, as whoever times a package gives it, (batch, *shape)."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    return torch.rand((batch, *shape), generator=generator) * 2 - 1


def settle(module: nn.Module, shape: Sequence[int]) -> nn.Module:
    """The module itself, in evaluation mode, its layers and BatchNorms scaled.

    Units that train as branches are merged first: a device runs one convolution of each.

    Args:
        module: of one input.
        shape: of that, without the batch.
    """
    import torch
    from torch import nn

    from palmette.space.modules import SqueezeExcite
    from palmette.space.modules.reparameterise import reparameterise

    parts = list((module := reparameterise(module.eval())).modules())
    gates = {part.expand for part in parts if isinstance(part, SqueezeExcite)}
    norms = [part for part in parts if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d)]
    layers = [part for part in parts if isinstance(part, nn.Conv2d | nn.Linear)]
    scale = _Scale(gates)
    hooks = [layer.register_forward_hook(scale) for layer in layers]
    with torch.no_grad(), _taking_statistics(norms):
        module(random_input(shape, _BATCH))
    for hook in hooks:
        hook.remove()
    return module


class _Scale:
    """Hook that scales a layer, the first time that it runs, to give values of deviation one."""

    def __init__(self, gates: set[Any]) -> None:
        self._gates = gates
        self._scaled: set[Any] = set()

    def __call__(self, layer: Any, _: Any, output: Tensor) -> Tensor | None:
        deviation = output.std()
        if layer in self._scaled or not deviation > 0:
            return None
        self._scaled.add(layer)
        for value in (layer.weight, layer.bias):
            if value is not None:
                value.div_(deviation)
        if layer not in self._gates:
            return output / deviation
        layer.bias.add_(_OPEN)
        return output / deviation + _OPEN


@contextmanager
def _taking_statistics(norms: Sequence[Any]) -> Iterator[None]:
    """BatchNorms take the statistics of what they read inside, and keep them."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval()
        norm.momentum = momentum
        if norm.running_var is not None:
            norm.running_var.clamp_(min=_LEAST_VARIANCE * norm.running_var.mean().item())


def check_values(package: Path, inputs: Sequence[Tensor]) -> None:
    """Run a package in emulated half precision.

    Raises:
        ExportError: an operation gives an infinity, no number, or nothing but denormals.
    """

    def look(operation: Operation, output: Value, value: Tensor) -> None:
        if not value.is_floating_point():
            return
        largest = float(value.abs().max())
        if not largest < float("inf"):
            raise ExportError(f"{operation.where}: '{output.name}' leaves half precision")
        if 0 < largest < SMALLEST_NORMAL:
            raise ExportError(f"{operation.where}: '{output.name}' vanishes in half precision")

    interpreter = Interpreter.from_package(package)
    names = [entry.name for entry in interpreter.program.inputs]
    interpreter.run(dict(zip(names, inputs, strict=True)), half=True, hook=look)
