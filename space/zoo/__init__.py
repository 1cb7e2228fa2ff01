"""Reference networks by name, in the notation of `Architecture.from_text`.

Each row gives the layout of its paper as the authors' code, timm or torchvision define it, and the
published figures with their source. A family has a file.
"""

from __future__ import annotations

import functools

from palmette.space.architecture import Architecture
from palmette.space.errors import expect
from palmette.space.spelling import did_you_mean
from palmette.space.zoo import (
    blazeface,
    chamnet,
    condensenet,
    darknet,
    detection,
    dicenet,
    efficientnet,
    espnet,
    fbnet,
    ghostnet,
    mixnet,
    mnasnet,
    mobilenet,
    mobilenet_v4,
    mobileone,
    repvit,
    resnet,
    segmentation,
    shufflenet,
    squeezenet,
)
from palmette.space.zoo.reference import Reference as Reference

FAMILIES = (
    mobilenet,
    mnasnet,
    fbnet,
    chamnet,
    efficientnet,
    ghostnet,
    mixnet,
    shufflenet,
    squeezenet,
    condensenet,
    espnet,
    dicenet,
    resnet,
    darknet,
    blazeface,
    mobilenet_v4,
    mobileone,
    repvit,
    detection,
    segmentation,
)
ZOO: dict[str, Reference] = {
    name: reference for family in FAMILIES for name, reference in family.NETWORKS.items()
}
"""Name of a network -> its text, and its published figures with their source."""
FAMILY_OF: dict[str, str] = {
    name: family.__name__.rpartition(".")[2] for family in FAMILIES for name in family.NETWORKS
}
"""Family of each network, the name of its file."""

MOBILENET_LIKE = (
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "mnasnet_a1",
    "fbnet_c",
    "efficientnet_b0",
    "efficientnet_lite0",
)
"""The eight networks that every 'MobileNet-like' figure of this project refers to."""


@functools.cache
def load(name: str) -> Architecture:
    """Reference network by name.

    Raises:
        InputError: the name is not in the zoo; the message has the nearest that are.
    """
    expect(
        name in ZOO,
        f"network '{name}' is not in the zoo; {did_you_mean(name, ZOO)}palmette zoo list names all"
        f" {len(ZOO)}",
    )
    return Architecture.from_text(ZOO[name].text)
