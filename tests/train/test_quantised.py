"""A network learns on in 8 bits: exactly resumed, rounded when it is judged, refused when unfit."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from palmette.export.quantised import export_quantised, prepare_w8a8
from palmette.space import Architecture, InputError
from palmette.space.same_padding import same_padded
from palmette.train.epochs import State
from palmette.train.quantised import (
    is_quantised,
    quantisable,
    read_quantised,
    resume_quantised,
    train_quantised,
)
from palmette.train.recipe import Recipe, load_recipe
from palmette.train.trainer import Trained, resume, train
from palmette.train.weights import read_weights

NET = Architecture.from_text("16x16 stem_k3_s2_c8_relu6 | ir_r2_k3_s2_e2_c8_relu6_se4 | head")
DATA = "procedural:160"  # five steps of 32 an epoch
LOSSES = ("epoch", "step", "lr", "train_loss", "val_loss", "top1")


def recipe(epochs: int) -> Recipe:
    return load_recipe("quick").changed(epochs=epochs, batch=32, compute__deterministic=True)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(NET, DATA, recipe(2), tmp_path_factory.mktemp("base") / "run", device="cpu")


def quantised(base: Trained, out: Path, **more: object) -> Trained:
    return train_quantised(
        base.architecture,
        DATA,
        recipe(3),
        out,
        weights=base.folder.best,
        prepare=prepare_w8a8,
        device="cpu",
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def undisturbed(base: Trained, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return quantised(base, tmp_path_factory.mktemp("quantised") / "run")


class Cut(Exception):
    """An interruption."""


@dataclass
class Cutter:
    """Interrupts a training after some steps."""

    after: int
    done: int = field(default=0)

    def __call__(self, state: State) -> None:
        self.done += 1
        if self.done == self.after:
            raise Cut


@pytest.mark.parametrize(
    "after",
    [pytest.param(1, marks=pytest.mark.sweep), 7, pytest.param(13, marks=pytest.mark.sweep)],
)
def test_an_interrupted_training_ends_as_an_undisturbed_one(
    after: int, base: Trained, undisturbed: Trained, tmp_path: Path
) -> None:
    """Cut in each phase: while ranges are observed, while it rounds, once it is frozen."""
    with pytest.raises(Cut):
        quantised(base, tmp_path / "run", checkpoint_seconds=0.0, watch=Cutter(after))
    done = resume_quantised(tmp_path / "run", prepare_w8a8)
    rows = [[[row[key] for key in LOSSES] for row in run.history] for run in (done, undisturbed)]
    assert rows[0] == rows[1]
    assert done.folder.last.read_bytes() == undisturbed.folder.last.read_bytes()


def test_at_the_end_everything_is_rounded_and_stands_still(undisturbed: Trained) -> None:
    tensors = read_quantised(undisturbed.folder.last).tensors
    for name, value in tensors.items():
        if name.endswith("fake_quant_enabled"):
            assert value.item() == 1, name
        if name.endswith("observer_enabled"):
            assert value.item() == 0, name


def test_what_is_kept_was_judged_as_it_is_exported(undisturbed: Trained, tmp_path: Path) -> None:
    assert is_quantised(undisturbed.folder.path)
    weights = read_quantised(undisturbed.folder.best)
    assert weights.about["top1"] == undisturbed.best["top1"]
    done = export_quantised(weights.architecture, weights.tensors, tmp_path / "net")
    assert done.path.is_dir() and done.farthest < 0.6


def test_a_recipe_goes_without_average_half_precision_and_compiler() -> None:
    given = load_recipe("fine_tune").changed(compute__precision="bfloat16", compute__compile=True)
    assert given.loss.ema_decay > 0
    found = quantisable(given)
    assert (found.loss.ema_decay, found.compute.precision) == (0.0, "float32")
    assert not found.compute.compile and found.optimizer == given.optimizer


def test_weights_of_other_networks_classes_or_kinds_are_refused(
    base: Trained, undisturbed: Trained, tmp_path: Path
) -> None:
    other = Architecture.from_text(NET.to_text().replace("k3_s2_e2", "k5_s2_e2"))
    common = (recipe(1), tmp_path / "run")
    given = {"weights": base.folder.best, "prepare": prepare_w8a8}
    with pytest.raises(InputError, match="belong to another architecture"):
        train_quantised(other, DATA, *common, **given)
    with pytest.raises(InputError, match="know other classes than the data have; train them on"):
        train_quantised(base.architecture, "digits", *common, **given)
    with pytest.raises(InputError, match="has the format 'palmette/quantised-weights@1'"):
        read_weights(undisturbed.folder.best)
    with pytest.raises(InputError, match="holds no quantised training"):
        resume_quantised(base.folder.path, prepare_w8a8)
    assert not (tmp_path / "run").exists()


def test_a_resume_without_the_preparation_is_refused(base: Trained, tmp_path: Path) -> None:
    with pytest.raises(Cut):
        quantised(base, tmp_path / "run", checkpoint_seconds=0.0, watch=Cutter(2))
    with pytest.raises(InputError, match="learns with 8-bit weights and activations"):
        resume(tmp_path / "run")


def test_tensorflows_padding_is_one_step_of_what_is_prepared() -> None:
    module = same_padded(NET).build().eval()
    prepared = prepare_w8a8(module, NET.resolution)
    image = torch.zeros((1, 3, *NET.resolution))
    assert prepared(image).shape == module(image).shape


@pytest.mark.slow
def test_digits_in_8_bits_are_told_apart_as_well_as_in_single_precision(tmp_path: Path) -> None:
    """Both as the package that is exported, run by the interpreter on the same images."""
    from palmette.export import ExportOptions, export
    from palmette.export.compression.measure import run_package
    from palmette.train.datasets import open_data
    from palmette.train.validation import validation_pixels

    net = Architecture.from_text(
        "32x32 stem_k3_s1_c16_relu6 | ir_r1_k3_s1_e1_c16_relu6 | ir_r2_k3_s2_e3_c24_relu6"
        " | ir_r2_k3_s2_e3_c32_relu6 | head_c64_relu6_n10"
    )
    keys = load_recipe("quick").changed(epochs=24)
    whole = train(net, "digits", keys, tmp_path / "whole", device="cpu")
    small = train_quantised(
        net,
        "digits",
        load_recipe("fine_tune").changed(epochs=6),
        tmp_path / "small",
        weights=whole.folder.best,
        prepare=prepare_w8a8,
        device="cpu",
    )
    read, rounded = read_weights(whole.folder.best), read_quantised(small.folder.best)
    scaling = {"scale": read.normalisation.scale, "bias": read.normalisation.bias}
    options = ExportOptions(system="iOS17", **scaling)
    full = export(read.architecture, tmp_path / "full", options=options, module=read.module())
    done = export_quantised(
        rounded.architecture, rounded.tensors, tmp_path / "w8a8", options=options
    )
    images = open_data("digits", side=32).validation
    pixels, labels = validation_pixels(images, keys.augment, (32, 32), 200)
    tops = {
        path.stem: (run_package(path, pixels).values.argmax(1) == labels).mean()
        for path in (full, done.path)
    }
    print(f"top-1 of the packages on {len(labels)} digits: {tops}")
    assert tops["full"] > 0.95
    assert tops["w8a8"] > tops["full"] - 0.02
