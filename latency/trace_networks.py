"""Trace the networks of `palmette.latency.networks` into the op lists that palmette ships.

    python -m palmette.latency.trace_networks

Needs timm and torchvision (the extra `[train]`); nothing else of palmette does.
"""

from __future__ import annotations

from pathlib import Path

import torch

from palmette.latency.networks import NETWORKS
from palmette.latency.op_lists import SHIPPED, write_op_list
from palmette.space import Op, load
from palmette.space.trace import trace_ops

BACKBONES = ("resnet18", "resnet50", "efficientnet_b0", "repvit_m1.1", "repvit_m1.5")
"""Networks that were also timed without their classifier on large images."""
BACKBONE_RESOLUTION = 512


def backbone(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """Ops up to the last stage: without pooling, classifier, and a 1x1 in front of the pooling."""
    last = max(i for i, op in enumerate(ops) if len(op.output) == 3 and op.output[1] > 1)
    widens = ops[last].kind == "conv" and ops[last].kernel == (1, 1)
    # a network's last block ends in a projection or an addition; a widening 1x1 is the head's
    return ops[: last if widens and ops[last].output[0] > ops[last].inputs[0][0] else last + 1]


def main() -> None:
    """Write one file per network, and per backbone on large images."""

    def save(name: str, ops: tuple[Op, ...]) -> None:
        write_op_list(Path(str(SHIPPED / f"{name}.csv")), ops)
        print(f"{name}: {len(ops)} ops, {sum(op.macs for op in ops) / 1e6:.1f} M MACs")

    for name, network in NETWORKS.items():
        with torch.device("meta"):
            module = network.build()
        save(name, trace_ops(module, (3, network.resolution, network.resolution)))
    for name in BACKBONES:
        ops = load(name).with_resolution(BACKBONE_RESOLUTION).ops()
        save(f"{name}_backbone_{BACKBONE_RESOLUTION}", backbone(ops))


if __name__ == "__main__":
    main()
