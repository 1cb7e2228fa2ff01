"""Every classifier of the zoo in 8 bits: exported, and proven rounding by rounding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from palmette.export.quantised import export_quantised, prepare_w8a8
from palmette.export.quantised.steps import MOST_STEPS
from palmette.space import ZOO, Head, InputError, load
from tests.export.quantised.ranges import ranged

SIDE = 64
"""Of the images, in px: weights and wiring are those of any side."""
OFTEN = ("mobilenet_v2_0.35", "mobilenet_v3_small", "mobilenet_v4_conv_small", "shufflenet_v2_0.5")
"""Additions, gates, a map that is flattened behind a convolution, shuffles."""
OF_SIZES = ("espnet_v2", "dicenet")
"""Starts of names of networks that compute with the sizes of their maps."""
CLASSIFIERS = [name for name in ZOO if isinstance(load(name).head, Head)]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.sweep if name in OFTEN else pytest.mark.slow)
        for name in CLASSIFIERS
        if not name.startswith(OF_SIZES)
    ],
)
def test_a_classifier_of_the_zoo_is_proven_in_8_bits(name: str, tmp_path: Path) -> None:
    network = replace(load(name), resolution=(SIDE, SIDE))
    done = export_quantised(network, ranged(network), tmp_path / "net")
    assert done.farthest <= MOST_STEPS and done.path.is_dir()


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name.startswith(OF_SIZES)][:1])
def test_a_network_that_computes_with_sizes_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="can't be traced symbolically"):
        prepare_w8a8(load(name).build(), (SIDE, SIDE))
