"""A rank-correlation card on one's own images and networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from palmette.space import Architecture, InputError, SearchSpace
from palmette.train.datasets import Data, Subset, digits
from palmette.train.own_card import Card, card_figure, make_card
from palmette.train.proxy import Fidelity
from palmette.train.rank_card import ONE_TRAINING, card_table, shipped_card
from palmette.train.recipe import Recipe, load_recipe

SPACE = """
format = "palmette/space@1"
[network]
resolution = 32
activation = "relu"
[stem]
channels = [8, 12, 16]
[[stages]]
stride = 2
channels = 8
kernel = 3
expansion = 1
depth = 1
[head]
channels = 16
classes = 10
"""


@pytest.fixture(scope="module")
def networks() -> list[Architecture]:
    space = SearchSpace.from_toml(SPACE, "three")
    return space.decode_batch(np.arange(3)[:, None] * np.eye(1, len(space.genes), dtype=np.int64))


@pytest.fixture(scope="module")
def data() -> Data:
    images = digits()
    return Data("digits", Subset(images, range(64)), Subset(images, range(64, 128)))


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("quick").changed(epochs=1, batch=32, schedule__warmup_epochs=0.25)


@pytest.fixture(scope="module")
def told() -> list[tuple[str, int, int]]:
    return []


@pytest.fixture(scope="module")
def found(
    networks: list[Architecture], data: Data, recipe: Recipe, told: list[tuple[str, int, int]]
) -> Card:
    return make_card(
        networks,
        data,
        recipe,
        seeds=2,
        fidelities=[Fidelity(1)],
        others={"mine": np.array([1.0, 2.0, 3.0])},
        device="cpu",
        told=lambda *args: told.append(args),
    )


def test_every_network_is_trained_alone_with_every_seed(
    found: Card, told: list[tuple[str, int, int]]
) -> None:
    assert found.alone.shape == (2, 3) and ((found.alone >= 0) & (found.alone <= 1)).all()
    names = ["alone, seed 0", "alone, seed 1", "proxy_1x1"]
    assert told == [(name, done, 3) for name in names for done in (1, 2, 3)]


def test_the_estimators_are_short_trainings_ones_own_and_sizes(found: Card) -> None:
    assert list(found.estimates) == ["proxy_1x1", "mine", "params", "macs"]
    assert found.estimates["macs"].tolist() == [n.macs() / 1e6 for n in found.networks]
    rows = found.figures["estimators"]
    assert rows["proxy_1x1"]["cost"] > 0 and rows["mine"]["cost"] == rows["macs"]["cost"] == 0


def test_a_card_is_shown_as_a_frame_and_a_figure(found: Card) -> None:
    table = card_table(found.figures)
    assert table.index.tolist() == [*found.estimates, ONE_TRAINING]
    row = found.figures["estimators"]["mine"]["tau_minus_macs"]
    assert table.loc["mine", "over_macs"] == row["value"]
    assert np.isnan(table.loc[ONE_TRAINING, "cost"])
    figure = card_figure(found, "mine")
    assert list(figure.data[0].y) == pytest.approx(list(100 * found.alone.mean(axis=0)))
    with pytest.raises(InputError, match="no estimator 'yours'; it has proxy_1x1, mine, params"):
        card_figure(found, "yours")


def test_too_little_is_refused_before_anything_is_trained(
    networks: list[Architecture], data: Data, recipe: Recipe
) -> None:
    with pytest.raises(InputError, match="3 networks or more"):
        make_card(networks[:2], data, recipe)
    with pytest.raises(InputError, match="seeds must be 2 or more"):
        make_card(networks, data, recipe, seeds=1)
    with pytest.raises(InputError, match="'mine': 2 estimates for 3 networks"):
        make_card(networks, data, recipe, others={"mine": np.zeros(2)})
    with pytest.raises(InputError, match="'mine': must be finite, got nan of network 2"):
        make_card(networks, data, recipe, others={"mine": np.array([1.0, np.nan, 3.0])})
    for name in ("params", "macs", "proxy_1x1", "one training"):
        with pytest.raises(InputError, match=f"'{name}': the card has a row of that name"):
            make_card(networks, data, recipe, others={name: np.arange(3.0)})
    with pytest.raises(InputError, match="fidelities: proxy_1x1 is given twice"):
        make_card(networks, data, recipe, fidelities=[Fidelity(1), Fidelity(1)])


def test_the_shipped_card_is_the_measured_one() -> None:
    results = Path(__file__).parents[2] / "results" / "rank_card.json"
    assert shipped_card() == json.loads(results.read_text("utf-8"))
