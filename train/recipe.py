"""How a network is trained: a recipe, as TOML.

Published ones keep their papers' numbers where one GPU can follow them; what differs is said in the
file. Learning rates belong to the recipe's own batch and scale with it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from palmette.space.errors import InputError, expect
from palmette.train.datasets.check import CORRUPT_RULES
from palmette.train.keys import Keys, choice, expect_known, flag, number, read_keys, whole

FORMAT = "palmette/recipe@1"
FOLDER = Path(__file__).parent / "recipes"
OPTIMIZERS = ("sgd", "adamw", "rmsprop", "lamb")
SCHEDULES = ("cosine", "step")
PRECISIONS = ("float32", "bfloat16", "float16")
NORMALISATIONS = ("half", "imagenet", "data")
WEIGHTINGS = ("equal", "balanced")


@dataclass(frozen=True, slots=True)
class Optimizer(Keys):
    """Optimizer; decay never acts on norms and biases."""

    name: str = choice("sgd", OPTIMIZERS, "optimizer; sgd with Nesterov's momentum")
    lr: float = number(0.1, 1e-8, 100.0, "peak learning rate, at the recipe's batch")
    momentum: float = number(0.9, 0.0, 0.9999, "of sgd and rmsprop; first beta of the others")
    weight_decay: float = number(4e-5, 0.0, 10.0, "on weights of convolutions and linear layers")
    smoothing: float = number(
        0.999, 0.0, 0.9999, "of the mean square; second beta of adamw and lamb"
    )
    eps: float = number(1e-8, 1e-16, 1.0, "added to the root of rmsprop, adamw and lamb")
    clip_norm: float = number(0.0, 0.0, 1e6, "most norm of the gradient; 0 does not clip")
    accumulate: int = whole(1, 1, 4096, "batches of one step")


@dataclass(frozen=True, slots=True)
class Schedule(Keys):
    """Learning rate over the steps, after a linear warm-up."""

    name: str = choice("cosine", SCHEDULES, "cosine to the last step, or steps of equal length")
    warmup_epochs: float = number(5.0, 0.0, 1000.0, "epochs of the warm-up")
    warmup_ratio: float = number(0.01, 0.0, 1.0, "of the peak, where the warm-up begins")
    final_ratio: float = number(0.0, 0.0, 1.0, "of the peak, where the cosine ends")
    step_epochs: float = number(2.4, 0.01, 1000.0, "epochs of one step")
    step_ratio: float = number(0.97, 0.0, 1.0, "by which a step lowers the rate")


@dataclass(frozen=True, slots=True)
class Augment(Keys):
    """What training images go through; mixing is by batch, the rest by image."""

    crop_scale: float = number(0.08, 0.01, 1.0, "least share of an image that a crop keeps")
    crop_ratio: float = number(0.75, 0.1, 1.0, "narrowest side of a crop to its other side")
    flip: float = number(0.5, 0.0, 1.0, "probability of a mirrored image")
    rand_augment: int = whole(0, 0, 10, "operations of RandAugment; 0 for none")
    magnitude: int = whole(9, 0, 30, "strength of RandAugment, of 30")
    colour_jitter: float = number(0.0, 0.0, 1.0, "change of brightness, contrast and saturation")
    shift: float = number(0.0, 0.0, 0.5, "most shift, as a share of the side")
    rotate: float = number(0.0, 0.0, 180.0, "most rotation in degrees")
    erasing: float = number(0.0, 0.0, 1.0, "probability of an erased rectangle")
    mixup: float = number(0.0, 0.0, 10.0, "alpha of mixup; 0 for none")
    cutmix: float = number(0.0, 0.0, 10.0, "alpha of cutmix; 0 for none")
    val_crop: float = number(0.875, 0.1, 1.0, "share of an image's side that validation sees")
    normalise: str = choice("half", NORMALISATIONS, "mean and deviation; half: all 0.5")


@dataclass(frozen=True, slots=True)
class Loss(Keys):
    """What is minimised, and what holds the weights back."""

    label_smoothing: float = number(0.0, 0.0, 0.9, "probability given to all classes alike")
    class_weights: str = choice("equal", WEIGHTINGS, "balanced: rare classes count more")
    dropout: float = number(0.0, 0.0, 0.95, "before the classifier")
    ema_decay: float = number(0.0, 0.0, 0.999999, "of the averaged weights; 0 for none")
    teacher_weight: float = number(0.5, 0.0, 1.0, "of the teacher, where one is given")
    teacher_temperature: float = number(1.0, 0.1, 100.0, "softens teacher and student")


@dataclass(frozen=True, slots=True)
class Compute(Keys):
    """How it is computed."""

    precision: str = choice("float32", PRECISIONS, "of autocast; float16 scales the loss")
    channels_last: bool = flag(True, "memory layout")
    compile: bool = flag(False, "torch.compile")
    deterministic: bool = flag(False, "same numbers each time, and after a resume")
    workers: int = whole(-1, -1, 256, "processes that decode; -1: by the data and the machine")
    corrupt: str = choice("stop", CORRUPT_RULES, "images that can't be decoded")


@dataclass(frozen=True, slots=True)
class Recipe(Keys):
    """A training recipe; see the tables for their keys."""

    epochs: int = whole(90, 1, 100_000, "passes over the training images")
    batch: int = whole(128, 1, 65_536, "images of one forward pass")
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    augment: Augment = field(default_factory=Augment)
    loss: Loss = field(default_factory=Loss)
    compute: Compute = field(default_factory=Compute)

    def changed(self, **keys: Any) -> Recipe:
        """The recipe with some keys changed, as `epochs=3` or `compute__workers=0`.

        A value of None changes nothing. Another batch scales the learning rate with it.

        Raises:
            InputError: a value of another type or out of range.
        """
        recipe = self
        for key, value in keys.items():
            if value is None:
                continue
            table, _, inner = key.partition("__")
            if inner:
                value = replace(getattr(recipe, table), **{inner: value})
            if table == "batch":
                recipe = replace(recipe, batch=value)  # checked before it is used
                rate = recipe.optimizer.lr * value / self.batch
                recipe = replace(recipe, optimizer=replace(recipe.optimizer, lr=rate))
            recipe = replace(recipe, **{table: value})
        return recipe

    def halved(self) -> Recipe:
        """Half the batch and twice the accumulation: the same step, in half the memory."""
        twice = replace(self.optimizer, accumulate=2 * self.optimizer.accumulate)
        return replace(self, batch=self.batch // 2, optimizer=twice)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the TOML form."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_dict(cls, data: Any, where: str) -> Recipe:
        """Recipe from tables of plain values; a key that is missing has its default.

        Raises:
            InputError: an unknown key or table (the nearest is named), a bad value.
        """
        expect(isinstance(data, dict), f"{where}: expected tables of keys")
        known = [item.name for item in fields(cls)]
        values: dict[str, Any] = {}
        for key, value in data.items():
            expect_known(key, known, where)
            table = TABLES.get(key)
            values[key] = read_keys(table, value, f"{where} [{key}]") if table else value
        try:
            return cls(**values)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None


TABLES: dict[str, type[Keys]] = {
    "optimizer": Optimizer,
    "schedule": Schedule,
    "augment": Augment,
    "loss": Loss,
    "compute": Compute,
}


def _plain(value: Any) -> Any:
    if isinstance(value, Keys):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    return value


@cache
def recipes() -> tuple[str, ...]:
    """Names of the shipped recipes."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_recipe(name: str) -> Recipe:
    """Shipped recipe by name, or one of a `.toml` file.

    Raises:
        InputError: no such recipe or file, not TOML, another format, an unknown key, a bad value.
    """
    if not name.endswith(".toml"):
        expect(
            name in recipes(),
            f"recipe '{name}': no such recipe; known are {', '.join(recipes())}, or give a .toml"
            " file",
        )
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"recipe {path}: can't be read ({error})") from None
    expect(data.pop("format", None) == FORMAT, f'recipe {path}: needs the line format = "{FORMAT}"')
    data.pop("description", None)
    return Recipe.from_dict(data, f"recipe {path.name}")
