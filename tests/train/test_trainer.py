"""Trainings in their folders: interrupted ones end as undisturbed ones do."""

from __future__ import annotations

import csv
import math
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from palmette.space import Architecture, InputError
from palmette.train.datasets import ArrayImages, Data, open_data
from palmette.train.datasets.check import Corrupt
from palmette.train.epochs import State
from palmette.train.recipe import Recipe, load_recipe
from palmette.train.run_folder import TrainingFolder
from palmette.train.tensors import read_tensors
from palmette.train.trained import read_finished
from palmette.train.trainer import Trained, resume, train
from palmette.train.weights import read_weights

TEXT = "16x16 stem_k3_s2_c8_relu | ir_r2_k3_s2_e2_c8_relu | head"
NET = Architecture.from_text(TEXT)
DATA = "procedural:160"  # five steps of 32 an epoch, 32 images of validation
LOSSES = ("epoch", "step", "lr", "train_loss", "val_loss", "top1", "top5")


def recipe(**keys: Any) -> Recipe:
    common = {"epochs": 3, "batch": 32, "compute__deterministic": True}
    return load_recipe("quick").changed(**{**common, **keys})


EVERYTHING = recipe(
    loss__ema_decay=0.9,
    loss__dropout=0.2,
    augment__mixup=0.2,
    augment__cutmix=0.5,
    augment__rand_augment=1,
    optimizer__accumulate=1,
)


def losses(done: Trained) -> list[list[float]]:
    return [[row[key] for key in LOSSES] for row in done.history]


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


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(NET, DATA, EVERYTHING, tmp_path_factory.mktemp("run") / "whole", device="cpu")


def test_a_run_leaves_its_files(undisturbed: Trained) -> None:
    folder = undisturbed.folder
    rows = list(csv.DictReader(folder.log.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [float(row["train_loss"]) for row in rows] == [x[3] for x in losses(undisturbed)]
    assert load_recipe(str(folder.recipe)) == EVERYTHING
    best = read_weights(folder.best, NET)
    assert best.architecture.head.classes == 20 and len(best.classes) == 20
    assert best.about["top1"] == undisturbed.best["top1"]
    assert not folder.bad_batch.exists() and not folder.left_out.exists()


@pytest.mark.parametrize("seconds", [0.0, 600.0], ids=["at every step", "at epochs"])
def test_an_interrupted_run_has_the_losses_of_an_undisturbed_one(
    tmp_path: Path, undisturbed: Trained, seconds: float
) -> None:
    out = tmp_path / "run"
    with pytest.raises(Cut):
        train(NET, DATA, EVERYTHING, out, device="cpu", checkpoint_seconds=seconds, watch=Cutter(7))
    with pytest.raises(Cut):
        resume(out, checkpoint_seconds=seconds, watch=Cutter(4))
    done = resume(out)
    assert losses(done) == losses(undisturbed)
    for name in ("best", "last"):
        ours, theirs = (getattr(d.folder, name).read_bytes() for d in (done, undisturbed))
        assert ours == theirs


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "lamb"])
def test_every_optimizer_goes_on_from_its_state(tmp_path: Path, name: str) -> None:
    keys = recipe(optimizer__name=name, optimizer__lr=0.01, epochs=2)
    whole = train(NET, DATA, keys, tmp_path / "a", device="cpu")
    with pytest.raises(Cut):
        train(NET, DATA, keys, tmp_path / "b", device="cpu", checkpoint_seconds=0, watch=Cutter(3))
    assert losses(resume(tmp_path / "b")) == losses(whole)


def test_a_finished_run_is_only_read(undisturbed: Trained) -> None:
    before = undisturbed.folder.checkpoint.stat().st_mtime_ns
    assert losses(resume(undisturbed.folder.path)) == losses(undisturbed)
    assert undisturbed.folder.checkpoint.stat().st_mtime_ns == before


def test_a_finished_run_is_read_from_its_folder_alone(undisturbed: Trained, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(undisturbed.folder.path, tmp_path / "run"))
    found = read_finished(folder)
    assert found is not None and replace(found, folder=undisturbed.folder) == undisturbed
    assert (found.training_images, found.images, len(found.classes)) == (160, 32, 20)
    log = found.folder.log.read_text("utf-8")
    found.folder.log.write_text(log.rsplit("\n", 2)[0] + "\n", "utf-8")  # as if the last were due
    assert read_finished(folder) is None
    found.folder.log.write_text(log, "utf-8")
    found.folder.best.write_bytes(b"\xff" * 64)
    assert read_finished(folder) is None
    assert read_finished(tmp_path) is None


def test_a_finished_run_of_workers_is_read_without_them(
    undisturbed: Trained, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(undisturbed.folder.path, folder)
    config = folder / "run.toml"
    text = config.read_text("utf-8").replace("ray_workers = 0", "ray_workers = 2")
    config.write_text(text.replace('ray_address = "local"', 'ray_address = "127.0.0.1:1"'))
    assert "ray_workers = 2" in config.read_text("utf-8")
    assert resume(folder).history == undisturbed.history


def test_training_learns_something(tmp_path: Path) -> None:
    wide = Architecture.from_text("8x8 stem_k3_s1_c16_relu | ir_r2_k3_s2_e3_c24_relu | head")
    keys = load_recipe("quick").changed(epochs=4, augment__flip=0.0, augment__crop_scale=1.0)
    assert train(wide, "digits", keys, tmp_path / "run", device="cpu").best["top1"] > 0.8


def test_weights_to_begin_with_are_those_of_the_file(tmp_path: Path, undisturbed: Trained) -> None:
    """At a rate of nearly nothing the first epoch ends where they were."""
    keys = recipe(epochs=1, optimizer__lr=1e-8, augment__crop_scale=1.0, augment__flip=0.0)
    done = train(NET, DATA, keys, tmp_path / "run", device="cpu", weights=undisturbed.folder.best)
    one, other = (read_weights(d.folder.best).tensors for d in (done, undisturbed))
    assert torch.allclose(one["head.fc.weight"], other["head.fc.weight"], atol=1e-6)


def test_another_head_keeps_the_rest_of_the_weights(tmp_path: Path, undisturbed: Trained) -> None:
    keys = recipe(epochs=1, optimizer__lr=1e-8)
    done = train(
        NET, "digits", keys, tmp_path / "run", device="cpu", weights=undisturbed.folder.best
    )
    one, other = (read_weights(d.folder.best).tensors for d in (done, undisturbed))
    assert one["head.fc.weight"].shape == (10, 8)
    assert torch.allclose(one["stem.conv.weight"], other["stem.conv.weight"], atol=1e-6)


def test_a_teacher_of_the_same_classes_is_listened_to(tmp_path: Path, undisturbed: Trained) -> None:
    keys, teacher = recipe(epochs=1), undisturbed.folder.best
    alone = train(NET, DATA, keys, tmp_path / "a", device="cpu")
    taught = train(NET, DATA, keys, tmp_path / "b", device="cpu", teacher=teacher)
    assert losses(alone) != losses(taught)
    with pytest.raises(InputError, match="knows other classes than the data have"):
        train(NET, "digits", keys, tmp_path / "c", device="cpu", teacher=teacher)
    assert not (tmp_path / "c").exists()


# What comes from outside


def test_a_folder_in_use_is_refused(undisturbed: Trained) -> None:
    with pytest.raises(InputError, match="is not empty; name another folder"):
        train(NET, DATA, EVERYTHING, undisturbed.folder.path, device="cpu")


def test_a_folder_without_a_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no training"):
        resume(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def copied(done: Trained, out: Path) -> Path:
    shutil.copytree(done.folder.path, out)
    return out


def test_a_truncated_checkpoint_is_refused(tmp_path: Path, undisturbed: Trained) -> None:
    file = copied(undisturbed, tmp_path / "run") / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="checkpoint.safetensors: is truncated"):
        resume(tmp_path / "run")


def test_a_checkpoint_of_another_architecture_is_refused(
    tmp_path: Path, undisturbed: Trained
) -> None:
    config = copied(undisturbed, tmp_path / "run") / "run.toml"
    config.write_text(config.read_text().replace("ir_r2_k3", "ir_r2_k5"))
    with pytest.raises(InputError, match="belongs to another architecture"):
        resume(tmp_path / "run")


def test_other_data_are_refused(tmp_path: Path, undisturbed: Trained) -> None:
    config = copied(undisturbed, tmp_path / "run") / "run.toml"
    config.write_text(config.read_text().replace("procedural:160", "procedural:180"))
    with pytest.raises(InputError, match="are not those that the run in .* began with"):
        resume(tmp_path / "run")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[train]", "[trian]", "corrupt: needs a table"),
        ("seed = 0", "sed = 0", "corrupt"),
        ("[run]", "[run", "corrupt"),
    ],
)
def test_a_corrupt_run_is_refused(
    tmp_path: Path, undisturbed: Trained, old: str, new: str, message: str
) -> None:
    config = copied(undisturbed, tmp_path / "run") / "run.toml"
    config.write_text(config.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        resume(tmp_path / "run")


def test_a_rate_that_is_too_high_stops_and_keeps_the_batch(tmp_path: Path) -> None:
    wild = recipe(optimizer__name="sgd", optimizer__lr=100.0, schedule__warmup_epochs=0.0)
    plain = Architecture.from_text("16x16 stem_k3_s2_c8_relu | cn_k3_s2_c8_relu | head")
    images = open_data("procedural:160", side=16)
    huge = wild.changed(optimizer__clip_norm=0.0, optimizer__momentum=0.999, epochs=40)
    with pytest.raises(InputError, match="epoch .*, step .*: the loss is .*; the batch is in"):
        train(plain, images, huge, tmp_path / "run", device="cpu")
    tensors, info = read_tensors(tmp_path / "run" / "bad_batch.safetensors", "palmette/batch@1")
    assert tensors["images"].shape == (32, 3, 16, 16) and "the loss is" in info["why"]


def test_skipped_images_are_listed(tmp_path: Path) -> None:
    images = ArrayImages(
        np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8),
        np.arange(40) % 2,
        ("a", "b"),
        "noise",
    )
    data = Data("noise", images, images, (Corrupt("a/1.png", "torn"),))
    done = train(NET, data, recipe(epochs=1), tmp_path / "run", device="cpu")
    assert done.skipped == 1
    assert done.folder.left_out.read_text() == "image,reason\na/1.png,torn\n"


# Disks, memory, kills


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_a_decoding_process_that_is_ended_ends_the_training_in_a_line(
    tmp_path: Path, sent: signal.Signals
) -> None:
    def kill(state: State) -> None:
        for child in multiprocessing.active_children():
            assert child.pid is not None
            os.kill(child.pid, sent)
            time.sleep(0.2)  # torch looks at the signal of a child's end

    keys = recipe(epochs=2, compute__workers=1)
    out = tmp_path / "run"
    name = {signal.SIGTERM: "Terminated", signal.SIGKILL: "Killed"}[sent]
    with pytest.raises(InputError) as caught:
        train(NET, "procedural:160", keys, out, device="cpu", watch=kill)
    assert re.match(
        r"a process that decodes images \(pid(\(s\))? [\d, ]+\)"
        rf" (is killed by signal: {name}|exited unexpectedly), as it does",
        str(caught.value),
    )
    assert f"go on with --resume {out}, or" in str(caught.value)
    assert len(resume(out).history) == 2


def test_a_full_disk_stops_with_a_line_and_the_checkpoint_intact(
    tmp_path: Path, undisturbed: Trained
) -> None:
    """A limit on the size of files stands for the disk: writing fails halfway."""
    out = tmp_path / "run"
    with pytest.raises(Cut):
        train(NET, DATA, EVERYTHING, out, device="cpu", checkpoint_seconds=0, watch=Cutter(7))
    before = (out / "checkpoint.safetensors").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(InputError, match="can't be written .*; the checkpoint before it is in"):
            resume(out, checkpoint_seconds=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (out / "checkpoint.safetensors").read_bytes() == before
    assert not any(path.name.startswith(".") for path in out.iterdir())
    assert losses(resume(out)) == losses(undisturbed)


SHORT_OF_MEMORY = """
import resource
from pathlib import Path
import torch
from palmette.space import Architecture, InputError
from palmette.train.datasets import open_data
from palmette.train.recipe import load_recipe
from palmette.train.trainer import train
import timm, torchvision

torch.set_num_threads(1)
net = Architecture.from_text("64x64 stem_k3_s1_c32_relu | ds_k3_s2_c32_relu | head")
keys = load_recipe("quick").changed(epochs=1, batch=256, augment__crop_scale=1.0)
data = open_data("procedural:256", side=64)
small = keys.changed(batch=8)
train(net, data, small, Path("warm"), device="cpu")
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), resource.RLIM_INFINITY))
try:
    train(net, data, keys, Path("stopped"), device="cpu")
except InputError as error:
    print(error)
print(len(train(net, data, keys, Path("halved"), device="cpu", halve=True).history))
"""


@pytest.mark.sweep
@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_without_memory_the_batch_that_fits_is_named_or_taken(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SHORT_OF_MEMORY]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    line, epochs = done.stdout.splitlines()
    assert re.fullmatch(
        r"out of memory at a batch of 256; (8|16|32|64|128) fits: set batch to it, or let it be"
        r" halved \(--halve\)",
        line,
    )
    assert epochs == "1"
    stopped, halved = (
        load_recipe(str(tmp_path / name / "recipe.toml")) for name in ("stopped", "halved")
    )
    assert stopped.batch == 256 > halved.batch
    assert halved.batch * halved.optimizer.accumulate == 256


def palmette(*arguments: str) -> subprocess.Popen[str]:
    code = "from palmette.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def killed_and_resumed(out: Path, kills: int, rng: random.Random) -> None:
    """Train in processes that are killed at random moments, then to the end."""
    begin = ("train", TEXT, "--data", DATA, "--recipe", str(out.parent / "r.toml"), "--out")
    for at in range(kills + 1):
        # a run that was killed before it began has no files to go on with
        going = (out / "run.toml").is_file()
        where = ("train", "--resume", str(out)) if going else (*begin, str(out))
        process = palmette(*where, "--checkpoint-seconds", "0")
        if at == kills:
            _, errors = process.communicate()
            assert process.returncode == 0, errors
            return
        seen = time.monotonic()
        mark = out / "checkpoint.safetensors"
        old = mark.stat().st_mtime_ns if mark.exists() else 0
        while process.poll() is None and time.monotonic() - seen < 60:
            if mark.exists() and mark.stat().st_mtime_ns != old:
                break
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if mark.exists():
            read_tensors(mark, "palmette/checkpoint@1")


@pytest.mark.slow
def test_a_killed_run_has_the_losses_of_an_undisturbed_one(tmp_path: Path) -> None:
    kills = 10
    keys = EVERYTHING.changed(epochs=3 * kills)
    TrainingFolder(tmp_path).write_recipe(keys)
    (tmp_path / "recipe.toml").rename(tmp_path / "r.toml")
    killed_and_resumed(tmp_path / "run", kills, random.Random(kills))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = train(NET, DATA, keys, tmp_path / "whole", device="cpu")
    finally:
        torch.set_num_threads(threads)
    assert losses(resume(tmp_path / "run")) == losses(whole)
    assert not any(math.isnan(x) for row in losses(whole) for x in row)
