"""Ops of parts: together those of the whole, where nothing runs across them."""

import pytest

from palmette.space import load
from palmette.space.part_ops import adds_up, part_ops


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mixnet_s", "repvit_m0.9", "resnet18"])
def test_parts_have_the_ops_and_parameters_of_the_whole(name: str) -> None:
    network = load(name)
    found = [part_ops(part) for part in network.parts()]
    assert [op for own, _ in found for op in own] == list(network.ops())
    assert sum(count for _, count in found) == network.params()
    assert adds_up(network)


def test_what_runs_across_parts_is_told() -> None:
    """Units read the image (EESPNet), activations are blocks (DiCENet), a head reads two maps."""
    for name in ("espnet_v2_0.5", "dicenet_1.0", "mobilenet_v3_large_lraspp"):
        assert not adds_up(load(name))
