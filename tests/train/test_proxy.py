"""Short trainings as an estimator, and the interval of a measured accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from palmette.space import Architecture, InputError
from palmette.train.datasets import open_data
from palmette.train.estimates import Measured
from palmette.train.proxy import Fidelity, ProxyAccuracy
from palmette.train.recipe import load_recipe
from palmette.train.trainer import train

NET = Architecture.from_text("16x16 stem_k3_s2_c8_relu | ir_r2_k3_s2_e2_c8_relu | head")
RECIPE = load_recipe("quick").changed(batch=32, compute__deterministic=True)


def test_an_interval_is_wilsons_and_tightens_with_more_images() -> None:
    few, many = Measured.of([0.5, 0.0], 100), Measured.of([0.5, 0.0], 10_000)
    z = 1.2815515655446004
    half = 100 * z * np.sqrt(0.25 / 100 + z**2 / 4e4) / (1 + z**2 / 100)
    assert few.top1.tolist() == [50.0, 0.0]
    assert few.upper[0] - few.lower[0] == pytest.approx(2 * half)
    assert few.lower[1] == 0.0 < few.upper[1]
    assert many.upper[0] - many.lower[0] < few.upper[0] - few.lower[0]
    assert few.sigma[0] == pytest.approx(5.0) and few.sigma[1] > 0


def test_a_proxy_is_a_training_of_the_reduced_network(tmp_path: Path) -> None:
    data = open_data("procedural:160", side=16)
    proxy = ProxyAccuracy(data, RECIPE, Fidelity(2, 0.5), seed=3, device="cpu", folder=tmp_path)
    found = proxy.evaluate([NET])
    reduced = Architecture.from_text(NET.to_text().replace("16x16", "8x8"))
    recipe = RECIPE.changed(epochs=2, schedule__warmup_epochs=0.5)
    done = train(reduced, data, recipe, tmp_path / "own", seed=3, device="cpu")
    assert found.top1[0] == 100 * done.history[-1]["top1"]
    assert (tmp_path / NET.id / "log.csv").is_file()


def test_a_known_network_is_not_trained_again(tmp_path: Path) -> None:
    data = open_data("procedural:160", side=16)
    proxy = ProxyAccuracy(data, RECIPE, Fidelity(1, 0.5), device="cpu", folder=tmp_path)
    first = proxy.evaluate([NET])
    # its folder is taken: another training would be refused
    assert proxy.evaluate([NET, NET]).top1.tolist() == [first.top1[0]] * 2


@pytest.mark.parametrize(("epochs", "scale"), [(0, 1.0), (1, 0.0), (1, 1.5)])
def test_a_fidelity_out_of_range_is_refused(epochs: int, scale: float) -> None:
    with pytest.raises(InputError, match="^proxy: "):
        Fidelity(epochs, scale)


def test_a_fidelity_is_written_and_read_alike() -> None:
    assert Fidelity.parse("6x0.75") == Fidelity(6, 0.75)
    assert str(Fidelity(12, 1.0)) == "12x1"
    assert Fidelity.parse(str(Fidelity())) == Fidelity()
