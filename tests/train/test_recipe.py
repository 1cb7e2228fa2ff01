"""Recipes: every key has a type and a range, and a mistake is answered with the nearest key."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from palmette.space import InputError
from palmette.train.recipe import FORMAT, TABLES, Optimizer, Recipe, load_recipe, recipes

HEAD = f'format = "{FORMAT}"\n'


@pytest.mark.parametrize("name", recipes())
def test_a_shipped_recipe_is_read_and_comes_back_from_its_values(name: str) -> None:
    recipe = load_recipe(name)
    assert Recipe.from_dict(recipe.to_dict(), name) == recipe


def test_the_shipped_recipes_are_those_that_are_documented() -> None:
    assert recipes() == ("efficientnet_lite", "fine_tune", "mobilenet", "quick")


def test_every_key_says_what_it_means() -> None:
    for table in TABLES.values():
        assert all(item.metadata["meaning"] for item in fields(table))


BAD = {
    "epoch = 3": "unknown key 'epoch'; the nearest is 'epochs'",
    "[optimiser]": "unknown key 'optimiser'; the nearest is 'optimizer'",
    "[optimizer]\nwieght_decay = 1": r"\[optimizer\]: unknown key 'wieght_decay'.*'weight_decay'",
    "epochs = 0": "key 'epochs' must be a whole number from 1 to 100000, got 0",
    "epochs = 1.5": "key 'epochs' must be a whole number",
    "epochs = true": "key 'epochs' must be a whole number",
    "[optimizer]\nlr = nan": "key 'lr' must be a number from 1e-08 to 100, got nan",
    '[optimizer]\nname = "adam"': "key 'name' must be sgd or adamw or rmsprop or lamb, got 'adam'",
    "[compute]\ncompile = 1": "key 'compile' must be true or false, got 1",
    "optimizer = 3": r"\[optimizer\]: expected a table of keys, got 3",
    "epochs = ": "can't be read",
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_a_bad_recipe_is_answered_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + text)
    with pytest.raises(InputError, match=message):
        load_recipe(str(path))


def test_a_recipe_needs_its_format(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("epochs = 3")
    with pytest.raises(InputError, match="needs the line format"):
        load_recipe(str(path))


def test_an_unknown_recipe_is_answered_with_the_known() -> None:
    with pytest.raises(InputError, match="no such recipe; known are .*quick"):
        load_recipe("slow")


def test_another_batch_scales_the_rate() -> None:
    recipe = Recipe(batch=128, optimizer=Optimizer(lr=0.2)).changed(batch=32, epochs=None)
    assert (recipe.batch, recipe.optimizer.lr, recipe.epochs) == (32, 0.05, 90)
    with pytest.raises(InputError, match="key 'batch' must be"):
        recipe.changed(batch=0)


def test_a_halved_batch_makes_the_same_step() -> None:
    recipe = Recipe(batch=128, optimizer=Optimizer(lr=0.2, accumulate=3)).halved()
    assert (recipe.batch, recipe.optimizer.accumulate, recipe.optimizer.lr) == (64, 6, 0.2)
