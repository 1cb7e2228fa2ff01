"""Workers that train one network: their parts make the whole, and what they agree on is exact.

They are forks of the test here; `test_ray.py` has those of Ray.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from palmette.space import InputError
from palmette.train.cluster import (
    Cluster,
    Machine,
    cores_of_worker,
    device_of_workers,
)
from palmette.train.config import Config
from palmette.train.datasets import ArrayImages, Data, open_data
from palmette.train.device import Normalisation, Normalise
from palmette.train.epochs import State, Watcher
from palmette.train.learner import Learner, criterion_of
from palmette.train.loading import Batches, Order
from palmette.train.loop import Evaluation, evaluate
from palmette.train.recipe import Compute, Recipe, load_recipe
from palmette.train.run import Run
from palmette.train.run_folder import TrainingFolder
from palmette.train.tensors import read_tensors
from palmette.train.transforms import validation_transform
from palmette.train.workers import Workers

CPU = torch.device("cpu")
LOSSES = ("epoch", "step", "lr", "train_loss", "val_loss", "top1", "top5")


T = TypeVar("T")


def exit_codes(count: int, each: Callable[[Workers], object]) -> list[int | None]:
    """Run every worker to its end, or to its death.

    They meet in a file: a server of TCP would be a thread here, and a fork at the moment at which
    it looks up who has connected inherits the resolver's lock, held for ever.
    """
    context = multiprocessing.get_context("fork")

    def member(rank: int, meeting: str) -> None:
        torch.set_num_threads(1)  # a pool of threads does not live through a fork
        store = dist.FileStore(meeting, count)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=count)
        each(Workers(rank, count, count))
        dist.barrier()
        dist.destroy_process_group()

    with tempfile.TemporaryDirectory() as folder:
        meeting = str(Path(folder) / "meeting")
        members = [context.Process(target=member, args=(rank, meeting)) for rank in range(count)]
        try:
            for process in members:
                process.start()
            for process in members:
                process.join(60)
            return [process.exitcode for process in members]
        finally:
            for process in members:
                process.kill()


def together(count: int, each: Callable[[Workers], T]) -> list[T]:
    """What every worker makes of it: plain values, not long."""
    queue: Any = multiprocessing.get_context("fork").SimpleQueue()
    codes = exit_codes(count, lambda workers: queue.put((workers.rank, each(workers))))
    assert codes == [0] * count
    return [value for _, value in sorted(queue.get() for _ in range(count))]


@given(st.integers(1, 200), st.integers(1, 8), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=60)
def test_parts_of_workers_make_every_epoch(
    images: int, part: int, count: int, accumulate: int
) -> None:
    batch = part * count
    alone = Order(images, batch, accumulate, 5)
    parts = [Order(images, batch, accumulate, 5, Workers(rank, count)) for rank in range(count)]
    for order in (alone, *parts):
        order.epoch = 3
    cut = list(zip(*parts, strict=True))
    assert [sum(pieces, []) for pieces in cut] == list(alone)
    assert all(len(piece) == part for pieces in cut for piece in pieces)


@given(st.integers(1, 200), st.integers(1, 16), st.integers(1, 5))
@settings(max_examples=60)
def test_validation_is_dealt_out_once(images: int, batch: int, count: int) -> None:
    alone = list(Order(images, batch, 1, None))
    dealt = [list(Order(images, batch, 1, None, Workers(rank, count))) for rank in range(count)]
    assert [dealt[at % count][at // count] for at in range(len(alone))] == alone
    assert sum(map(len, dealt)) == len(alone)


def test_a_part_has_the_images_that_it_has_in_the_whole_batch() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), np.uint8)
    images = ArrayImages(pixels, np.arange(24) % 3, ("a", "b", "c"), "noise")
    transform = validation_transform(load_recipe("quick").augment, (8, 8))
    whole = Batches(images, transform, 8, seed=1)
    halves = [Batches(images, transform, 8, seed=1, among=Workers(rank, 2)) for rank in (0, 1)]
    assert len(whole) == len(halves[0]) == 3
    for one, first, second in zip(whole.epoch(2), *(half.epoch(2) for half in halves), strict=True):
        for place in (0, 1):
            assert torch.equal(one[place], torch.cat([first[place], second[place]]))


# What they agree on


def test_interleaved_rows_are_in_the_order_of_one_process() -> None:
    rows = torch.arange(14.0).reshape(7, 2)
    found = together(3, lambda workers: workers.interleaved(rows[workers.rank :: 3]).tolist())
    assert found == [rows.tolist()] * 3


def test_a_mean_and_the_first_ones_buffers_are_everybodys() -> None:
    def each(workers: Workers) -> tuple[float, float]:
        norm = nn.BatchNorm2d(1)
        norm.running_mean = torch.tensor([float(workers.rank + 5)])
        workers.share_buffers(norm)
        mean = workers.mean(torch.tensor(float(workers.rank)))
        workers.expect_equal(3, "differ")
        assert norm.running_mean is not None
        return float(mean), float(norm.running_mean)

    assert together(2, each) == [(0.5, 5.0)] * 2


def test_a_number_that_differs_is_refused_by_all() -> None:
    def each(workers: Workers) -> str:
        with pytest.raises(InputError) as caught:
            workers.expect_equal(workers.rank, "not the same")
        return str(caught.value)

    assert together(2, each) == ["not the same"] * 2


class Scores(nn.Module):
    """Scores that differ by image, and loss whose sum depends on its order."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :7] * 3


@pytest.mark.parametrize("count", [2, 3, 5])
def test_an_evaluation_of_several_is_that_of_one_to_the_last_bit(count: int) -> None:
    torch.manual_seed(0)
    batches = [
        (torch.randint(0, 256, (n, 3, 4, 4), dtype=torch.uint8), torch.randint(0, 7, (n,)))
        for n in (8, 8, 8, 3)
    ]

    def found(workers: Workers) -> Evaluation:
        normalise = Normalise(Normalisation(), channels_last=False)
        own = batches[workers.rank :: workers.count]
        return evaluate(Scores(), own, normalise, CPU, Compute(), workers)

    whole = found(Workers())
    assert whole.images == 27
    assert together(count, found) == [whole] * count


def module() -> nn.Module:
    """Without BatchNorm, by which a part would differ from the whole."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("count", [2, 4])
def test_a_step_of_several_is_that_of_one_on_the_whole_batch(
    count: int, deterministic: bool
) -> None:
    recipe = load_recipe("quick").changed(
        batch=8, optimizer__accumulate=2, compute__deterministic=deterministic
    )
    torch.manual_seed(1)
    batches = [
        (torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8), torch.randint(0, 5, (8,)))
        for _ in range(4)
    ]

    def weights(workers: Workers) -> tuple[list[float], list[float]]:
        learner = Learner(
            module(),
            recipe,
            criterion_of(recipe),
            classes=5,
            steps=2,
            normalisation=Normalisation(),
            device=CPU,
            workers=workers,
        )
        part = workers.part(8)
        own = [(images[part], labels[part]) for images, labels in batches]
        losses = [float(x) for group in (own[:2], own[2:]) for x in learner.update(group)]
        return losses, [
            x for p in learner.module.parameters() for x in p.detach().flatten().tolist()
        ]

    losses, whole = weights(Workers())
    found = together(count, weights)
    for theirs, values in found:
        assert theirs == pytest.approx(losses, rel=1e-6)
        assert values == pytest.approx(whole, abs=1e-6)
        assert (theirs, values) == found[0]


# A whole training


TEXT = "16x16 stem_k3_s2_c8_relu | ir_r2_k3_s2_e2_c8_relu | head_n20"
RECIPE = load_recipe("quick").changed(
    epochs=2,
    batch=16,
    compute__deterministic=True,
    optimizer__accumulate=2,
    loss__ema_decay=0.9,
    loss__dropout=0.2,
    augment__mixup=0.2,
)


@pytest.fixture(scope="module")
def data() -> Data:
    return open_data("procedural:160", side=16)


def trained(
    out: Path, data: Data, recipe: Recipe, watch: Watcher | None = None
) -> Callable[[Workers], list[list[float]]]:
    """What each worker does: all epochs; rows of losses."""
    config = Config(TEXT, "procedural:160", threads=1, ray_workers=2)

    def each(workers: Workers) -> list[list[float]]:
        run = Run(TrainingFolder(out), config, recipe, data, 0.0, watch, workers, CPU)
        return [[row[key] for key in LOSSES] for row in run.compute()]

    return each


def test_workers_that_died_end_as_undisturbed_ones(tmp_path: Path, data: Data) -> None:
    """Only the first writes, so its death in the midst of an epoch is the harder one."""
    whole = together(2, trained(tmp_path / "whole", data, RECIPE))
    assert whole[0] == whole[1] and [row[0] for row in whole[0]] == [1, 2]

    def die(state: State) -> None:
        if state.step == 7:
            os.kill(os.getpid(), signal.SIGKILL)

    codes = exit_codes(2, trained(tmp_path / "killed", data, RECIPE, die))
    assert codes[0] == -signal.SIGKILL and codes[1] != 0
    assert together(2, trained(tmp_path / "killed", data, RECIPE)) == whole
    ours, theirs = (
        (tmp_path / name / "best.safetensors").read_bytes() for name in ("killed", "whole")
    )
    assert ours == theirs


def test_what_two_workers_began_one_process_can_end(tmp_path: Path, data: Data) -> None:
    half = RECIPE.changed(epochs=1)
    (first, _) = together(2, trained(tmp_path / "run", data, half))
    both = trained(tmp_path / "run", data, RECIPE)(Workers())
    assert both[0] == first[0] and len(both) == 2


def test_the_whole_batch_is_kept_when_the_loss_is_no_number(tmp_path: Path, data: Data) -> None:
    wild = RECIPE.changed(
        optimizer__name="sgd", optimizer__lr=100.0, optimizer__momentum=0.999, epochs=40
    )

    def each(workers: Workers) -> str:
        if workers.rank:  # the first stops; this one is left behind in a sum, and would be ended
            with pytest.raises(RuntimeError):
                trained(tmp_path, data, wild)(workers)
            os._exit(0)
        with pytest.raises(InputError, match="the loss is .*; the batch is in"):
            trained(tmp_path, data, wild)(workers)
        os._exit(0)

    assert exit_codes(2, each) == [0, 0]
    tensors, info = read_tensors(tmp_path / "bad_batch.safetensors", "palmette/batch@1")
    assert tensors["images"].shape == (16, 3, 16, 16) and "the loss is" in info["why"]


def test_a_folder_that_not_all_see_alike_is_refused(tmp_path: Path, data: Data) -> None:
    trained(tmp_path / "0", data, RECIPE.changed(epochs=1))(Workers())

    def each(workers: Workers) -> str:
        with pytest.raises(InputError, match="not all workers see the same checkpoint in it"):
            trained(tmp_path / f"{workers.rank}", data, RECIPE)(workers)
        return "refused"

    assert together(2, each) == ["refused"] * 2


# What they are given


def test_every_worker_gets_as_many_cores_as_all_can_have() -> None:
    cores = [Machine(2, 0), Machine(2, 0), Machine(3, 0)]
    assert [cores_of_worker(cores, workers) for workers in (1, 2, 3, 4, 7)] == [3, 2, 2, 1, 1]
    with pytest.raises(InputError, match="--ray-workers 8: the cluster has 7 cores"):
        cores_of_worker(cores, 8)


def test_workers_with_gpus_get_their_cores_where_the_gpus_are() -> None:
    head, gpus = Machine(32, 0), Machine(96, 8)
    assert cores_of_worker([head, gpus], 8, cuda=True) == 12
    assert cores_of_worker([head, gpus], 8) == 16
    with pytest.raises(InputError, match="its machines with GPUs have 4 cores"):
        cores_of_worker([head, Machine(4, 8)], 8, cuda=True)


@pytest.mark.parametrize(
    ("gpus", "asked", "device"), [(0, "auto", "cpu"), (2, "auto", "cuda"), (1, "cpu", "cpu")]
)
def test_workers_compute_on_gpus_if_there_is_one_for_each(
    gpus: int, asked: str, device: str
) -> None:
    assert device_of_workers([Machine(4, gpus)], 2, asked) == device


@pytest.mark.parametrize(
    ("gpus", "asked", "message"),
    [
        (1, "auto", "--ray-workers 2: each needs a GPU, and the cluster has 1; ask for at most 1"),
        (0, "cuda", "device 'cuda': the cluster has no GPU; choose --device cpu"),
        (2, "mps", "device 'mps': workers of Ray compute on one of auto, cpu, cuda"),
    ],
)
def test_other_devices_are_refused(gpus: int, asked: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        device_of_workers([Machine(4, gpus)], 2, asked)


@pytest.mark.parametrize(
    ("workers", "batch", "message"),
    [
        (3, 32, "3 workers can't share 32 images equally; give a batch of 30 or 33"),
        (8, 4, "8 workers can't share 4 images equally; give a batch of 8"),
        (-1, 32, "--ray-workers -1: must be a whole number from 0 to 4096"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused(workers: int, batch: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Cluster(workers).expect_fits(batch)
