"""Trainings of supernets in their folders, their files, and what is estimated from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from palmette.space import InputError, SearchSpace, presets
from palmette.train.datasets import Data, procedural
from palmette.train.device import Normalise
from palmette.train.epochs import State
from palmette.train.loading import Batches
from palmette.train.loop import evaluate
from palmette.train.recipe import load_recipe
from palmette.train.supernet import (
    SupernetAccuracy,
    load_schedule,
    read_supernet,
    resume_supernet,
    train_supernet,
)
from palmette.train.supernet.file import space_text, write_supernet
from palmette.train.supernet.run import TrainedRun
from palmette.train.tensors import tensor_bytes
from palmette.train.transforms import validation_transform

DATA = "procedural:160"
LOSSES = ("epoch", "step", "train_loss", "val_loss", "top1", "top1_smallest")
RECIPE = load_recipe("quick").changed(
    epochs=3, batch=32, compute__deterministic=True, loss__ema_decay=0.9, loss__dropout=0.1
)
SCHEDULE = load_schedule("progressive")


class Cut(Exception):
    """An interruption."""


def losses(done: TrainedRun) -> list[list[float]]:
    return [[row[key] for key in LOSSES] for row in done.history]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, few: SearchSpace) -> TrainedRun:
    out = tmp_path_factory.mktemp("supernet") / "whole"
    return train_supernet(few, DATA, RECIPE, SCHEDULE, out, device="cpu")


def test_an_interrupted_training_ends_as_an_undisturbed_one(
    whole: TrainedRun, few: SearchSpace, tmp_path: Path
) -> None:
    done = 0

    def cut(state: State) -> None:
        nonlocal done
        done += 1
        if done == 7:
            raise Cut

    out = tmp_path / "run"
    with pytest.raises(Cut):
        train_supernet(
            few, DATA, RECIPE, SCHEDULE, out, device="cpu", checkpoint_seconds=0.0, watch=cut
        )
    finished = resume_supernet(out)
    assert losses(finished) == losses(whole)
    assert finished.file.read_bytes() == whole.file.read_bytes()


def test_a_folder_without_a_supernet_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no training of a supernet"):
        resume_supernet(tmp_path)


def test_a_space_that_cannot_share_leaves_no_folder(tmp_path: Path) -> None:
    space = SearchSpace.preset("repvit_like")
    with pytest.raises(InputError, match="stage2 can't share"):
        train_supernet(space, DATA, RECIPE, SCHEDULE, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", presets())
def test_the_text_of_a_space_reads_back(name: str) -> None:
    space = SearchSpace.preset(name)
    assert SearchSpace.from_toml(space_text(space), name) == space


def test_a_file_says_all_that_an_estimate_needs(whole: TrainedRun) -> None:
    found = read_supernet(whole.file)
    assert found.space == whole.space
    assert len(found.classes) == 20
    assert (found.recipe, found.source.name) == (RECIPE, DATA)
    assert found.about["top1"] == whole.history[-1]["top1"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-100], "truncated"),
        (lambda data: data[:-4] + b"\0\1\2\3", "damaged"),
    ],
)
def test_a_damaged_file_is_refused(whole: TrainedRun, tmp_path: Path, damage, said: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "x.safetensors"
    path.write_bytes(damage(whole.file.read_bytes()))
    with pytest.raises(InputError, match=said):
        read_supernet(path)


def test_tensors_of_another_space_are_refused(whole: TrainedRun, tmp_path: Path) -> None:
    found = read_supernet(whole.file)
    path = tmp_path / "x.safetensors"
    tensors = dict(found.tensors)
    name = next(name for name in tensors if name.endswith("fc/weight"))
    tensors[name] = tensors[name][:3]
    object.__setattr__(found, "tensors", tensors)
    write_supernet(path, found)
    with pytest.raises(InputError, match=r"has the shape \(3, 16\), the space's is \(20, 16\)"):
        read_supernet(path)


def test_a_file_with_broken_notes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(tensor_bytes({}, {"format": "palmette/supernet@1", "space": "format = 1"}))
    with pytest.raises(InputError, match="what stands beside its tensors is damaged"):
        read_supernet(path)


@pytest.fixture(scope="module")
def estimator(whole: TrainedRun) -> SupernetAccuracy:
    return SupernetAccuracy.load(whole.file, device="cpu")


def test_an_estimate_is_the_top1_of_the_extracted_network(
    estimator: SupernetAccuracy, few: SearchSpace
) -> None:
    code = np.array([1, 0, 1])
    found = estimator.evaluate(code[None])
    network, module = estimator.extract(code)
    images = Batches(
        estimator.examiner.validation, validation_transform(RECIPE.augment, (32, 32)), 32
    )
    wanted = evaluate(
        module,
        images.epoch(),
        Normalise(estimator.trained.normalisation, True),
        torch.device("cpu"),
        RECIPE.compute,
    )
    assert network.head.classes == 20
    assert found.top1[0] == 100 * wanted.top1
    assert found.lower[0] < found.top1[0] < found.upper[0]
    assert found.images == 32


def test_known_networks_are_not_evaluated_again(
    estimator: SupernetAccuracy, few: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = few.sample(4, np.random.default_rng(0))
    first = estimator.evaluate(codes)
    monkeypatch.setattr(estimator, "examiner", None)  # of no use any more
    again = estimator.evaluate(estimator.trained.space.decode_batch(codes[::-1]))
    assert again.top1.tolist() == first.top1[::-1].tolist()


def test_a_recalibrated_estimate_does_not_depend_on_the_shared_statistics(
    whole: TrainedRun,
) -> None:
    own, shared = (
        SupernetAccuracy.load(whole.file, device="cpu", recalibrated=recalibrated)
        for recalibrated in (True, False)
    )
    network = own.supernet.find(np.array([0, 0, 0]))
    before, after = [], []
    for estimator in (own, shared):
        before.append(estimator.examiner.examine(estimator.supernet, network, estimator is own))
        for name, value in estimator.supernet.shared.named_buffers():
            value.add_(1.0 if name.endswith("running_mean") else 3.0)
        after.append(estimator.examiner.examine(estimator.supernet, network, estimator is own))
    assert before[0] == after[0]
    assert before[1].loss != after[1].loss


def test_other_data_must_know_the_same_classes(whole: TrainedRun) -> None:
    images = procedural(40, 32)
    fewer = type(images)(images.pixels, images.labels % 3, ("a", "b", "c"), "x")
    with pytest.raises(InputError, match="have other classes than the supernet learned"):
        SupernetAccuracy(read_supernet(whole.file), Data("x", fewer, fewer))


def test_data_that_have_changed_are_refused(whole: TrainedRun) -> None:
    found = read_supernet(whole.file)
    object.__setattr__(found.source, "seed", 5)
    with pytest.raises(InputError, match="are not those that the supernet was trained on"):
        SupernetAccuracy(found)
