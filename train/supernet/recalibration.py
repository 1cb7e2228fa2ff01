"""Statistics of BatchNorm for one network of a supernet, from a few batches of images.

The shared running statistics are a mixture over all networks that were trained; no single one has
them (Yu and Huang, Universally slimmable networks, 2019).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from palmette.space import Architecture
from palmette.space.search_space import Codes
from palmette.train.supernet.network import Supernet
from palmette.train.supernet.shared import STATISTICS
from palmette.train.supernet.skeleton import COUNTER


def recalibrate(
    supernet: Supernet, choice: Codes | Architecture, batches: Iterable[Tensor]
) -> dict[str, Tensor]:
    """Means and variances over batches, every batch counting alike, and choose the network.

    Args:
        supernet: afterwards it is this network with these statistics.
        choice: see `Supernet.choose`.
        batches: normalised images (n, 3, height, width), at least one batch.

    Raises:
        InputError: the network is not in the space.
    """
    supernet.choose(choice)
    statistics = {
        name: value.detach().clone()
        for name, value in supernet.tensors().items()
        if name.endswith((*STATISTICS, COUNTER))
    }
    device = next(supernet.parameters()).device
    statistics = {name: value.to(device) for name, value in statistics.items()}
    supernet.choose(choice, statistics)
    supernet.calibrating = True
    try:
        with torch.no_grad():
            for images in batches:
                supernet(images)
    finally:
        supernet.calibrating = False
    return statistics


def extract(supernet: Supernet) -> nn.Module:
    """The chosen network as a module of its own, in evaluation mode, on the supernet's device.

    Its tensors are copies: it trains on and is exported as any other.
    """
    module = supernet.choice.build()
    device = next(supernet.parameters()).device
    module.load_state_dict({name: value.detach() for name, value in supernet.tensors().items()})
    return module.to(device).eval()
