"""Networks prepared for 8 bits without a training."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.ao.quantization import enable_fake_quant, enable_observer

from palmette.export.quantised import prepare_w8a8
from palmette.space import Architecture


def ranged(architecture: Architecture) -> dict[str, Tensor]:
    """State of a prepared network whose ranges come from some random images."""
    module = prepare_w8a8(architecture.build(1), architecture.resolution)
    module.apply(enable_observer).apply(enable_fake_quant).train()
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        module(2 * torch.rand((4, 3, *architecture.resolution), generator=generator) - 1)
    return module.state_dict()
