"""Rungs as evaluators: light to send, the same value anywhere, in one go or in parts."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from palmette.search.source import Source
from palmette.search.trials.rungs import PriorEvaluator, ProxyEvaluator, SupernetEvaluator
from palmette.search.trials.task import Evaluator, Task
from palmette.space import Architecture, InputError, SearchSpace, compile_space
from palmette.train import AccuracyPrior
from palmette.train.datasets import open_data
from palmette.train.partial import train_until
from palmette.train.recipe import load_recipe
from palmette.train.supernet import SupernetAccuracy
from palmette.train.trainer import train

NET = Architecture.from_text("16x16 stem_k3_s2_c8_relu | ir_r2_k3_s2_e2_c8_relu | head")
RECIPE = load_recipe("quick").changed(
    epochs=3, batch=32, schedule__warmup_epochs=0.5, compute__deterministic=True
)


def proxy(folder: Path | None = None) -> ProxyEvaluator:
    data = open_data("procedural:160", side=16)
    path = None if folder is None else str(folder)
    return ProxyEvaluator("procedural:160", data.fingerprint, RECIPE, 16, folder=path, device="cpu")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the worker of this test has it: sums depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def evaluated(evaluator: Evaluator, tasks: list[Task]) -> list[tuple[float, float]]:
    torch.set_num_threads(1)
    return [evaluator(task) for task in tasks]


@pytest.mark.sweep
def test_another_process_gives_the_same_value_to_the_last_bit(
    few: SearchSpace, small_space: SearchSpace, supernet: Path, one_thread: None
) -> None:
    def drawn(space: SearchSpace) -> list[Task]:
        codes = space.sample(2, np.random.default_rng(0))
        return [Task(n, found.to_text()) for n, found in enumerate(space.decode_batch(codes))]

    source = Source(f"supernet:{supernet}", None, few, 0)
    evaluators: list[tuple[Evaluator, list[Task]]] = [
        (PriorEvaluator(small_space), drawn(small_space)),
        (source.evaluator, drawn(source.space)),
        (proxy(), [Task(0, NET.to_text(), seed=5, epochs=1)]),
    ]
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        for evaluator, tasks in evaluators:
            assert len(pickle.dumps(evaluator)) < 5000
            there = pool.submit(evaluated, evaluator, tasks).result()
            assert there == [evaluator(task) for task in tasks]


def test_the_priors_evaluator_is_the_compiled_prior(small_space: SearchSpace) -> None:
    codes = small_space.sample(300, np.random.default_rng(1))
    compiled = AccuracyPrior.load().compile(compile_space(small_space), None)
    evaluator = PriorEvaluator(small_space)
    for at in range(0, 300, 30):
        task = Task(at, small_space.decode(codes[at]).to_text())
        found = compiled.evaluate(codes[at : at + 1])
        assert evaluator(task) == (found.top1[0], found.sigma[0])


def test_the_supernets_evaluator_is_its_estimator(few: SearchSpace, supernet: Path) -> None:
    source = Source(f"supernet:{supernet}", None, few, 0)
    network = source.space.decode(np.zeros(5, np.int64))
    found = SupernetAccuracy.load(supernet).evaluate([network])
    task = Task(0, network.to_text(), seed=3, epochs=2)
    assert source.evaluator(task) == (found.top1[0], found.sigma[0])


def test_a_changed_supernet_is_refused(few: SearchSpace, supernet: Path) -> None:
    other = SupernetEvaluator(str(supernet), "0" * 12)
    with pytest.raises(InputError, match="not those that the search began with"):
        other(Task(0, few.decode(np.zeros(5, np.int64)).to_text()))


def test_changed_images_are_refused() -> None:
    evaluator = ProxyEvaluator("procedural:160", "0" * 16, RECIPE, 16)
    with pytest.raises(InputError, match="data 'procedural:160': are not those"):
        evaluator(Task(0, NET.to_text()))


def test_a_training_in_parts_is_the_training_in_one_go(tmp_path: Path) -> None:
    data = open_data("procedural:160", side=16)
    whole = train(NET, data, RECIPE, tmp_path / "whole", seed=5, device="cpu")
    parts = proxy(tmp_path / "parts")
    tops = [100 * row["top1"] for row in whole.history]
    for epochs in (1, 3, 2, None):  # also a shorter one than was trained
        value, sigma = parts(Task(0, NET.to_text(), seed=5, epochs=epochs))
        assert value == tops[(epochs or 3) - 1] and sigma > 0
    (kept,) = (tmp_path / "parts" / parts.id).iterdir()
    last = (kept / "last.safetensors").read_bytes()
    assert kept.name == f"{NET.id}-5"
    assert last == (tmp_path / "whole" / "last.safetensors").read_bytes()
    losses = [(kept / "log.csv").read_text(), (tmp_path / "whole" / "log.csv").read_text()]
    columns = [[line.split(",")[:7] for line in text.splitlines()] for text in losses]
    assert columns[0] == columns[1]


@pytest.mark.parametrize("harm", ["truncated", "held"])
def test_a_training_that_cannot_go_on_is_begun_anew(tmp_path: Path, harm: str) -> None:
    from palmette.train.run_folder import TrainingFolder

    data, folder = open_data("procedural:160", side=16), TrainingFolder(tmp_path / "training")

    def until(epochs: int) -> float:
        row = train_until(NET, data, RECIPE, folder.path, epochs, seed=5, device="cpu")
        return row["train_loss"]

    first, second = until(1), until(2)
    whole = folder.checkpoint.read_bytes()
    if harm == "truncated":
        folder.checkpoint.write_bytes(whole[:-100])
        assert (until(1), until(2)) == (first, second)
    else:
        with folder.driver():
            assert until(2) == second
    # whole again; its header has seconds, of as many digits as they have
    assert abs(len(folder.checkpoint.read_bytes()) - len(whole)) < 50


def test_a_folder_of_something_else_is_not_emptied(tmp_path: Path) -> None:
    data = open_data("procedural:160", side=16)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'notes\.txt', which no training wrote"):
        train_until(NET, data, RECIPE, tmp_path, 1, seed=5, device="cpu")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_more_epochs_than_the_recipe_has_are_refused() -> None:
    with pytest.raises(InputError, match="epochs: must be 1 to the recipe's 3, got 4"):
        proxy()(Task(0, NET.to_text(), epochs=4))
