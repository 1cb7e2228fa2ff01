"""Workers of Ray: real ones on this machine, whose trainings end as one process's do."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from palmette.space import Architecture, InputError
from palmette.train.cluster import Cluster
from palmette.train.epochs import State
from palmette.train.recipe import Recipe, load_recipe
from palmette.train.tensors import read_tensors
from palmette.train.trainer import Trained, resume, train

TEXT = "16x16 stem_k3_s2_c8_relu | ir_r2_k3_s2_e2_c8_relu | head"
NET = Architecture.from_text(TEXT)
DATA = "procedural:160"  # five steps of 32 an epoch, 32 images of validation
LOSSES = ("epoch", "step", "lr", "train_loss", "val_loss", "top1", "top5")
TWO = Cluster(2)
EPOCHS = 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ray's own, at its imports
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]


def recipe(**keys: Any) -> Recipe:
    common = {
        "epochs": EPOCHS,
        "batch": 16,
        "compute__deterministic": True,
        "optimizer__accumulate": 2,
        "augment__mixup": 0.2,
        "loss__ema_decay": 0.9,
        "loss__dropout": 0.2,
    }
    return load_recipe("quick").changed(**{**common, **keys})


KEYS = recipe()


def losses(done: Trained) -> list[list[float]]:
    return [[row[key] for key in LOSSES] for row in done.history]


class Cut(Exception):
    """An interruption."""


def cut(state: State) -> None:
    raise Cut


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """One cluster on this machine for all trainings of this module."""
    import logging

    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        "local",
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield ray
    ray.shutdown()


def workers_of(process: int) -> list[int]:
    """Ids of Ray's training workers below a process."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = folder.joinpath("stat").read_text().rpartition(")")[2].split()
            names[int(folder.name)] = folder.joinpath("cmdline").read_bytes()
        except OSError:
            continue
        parents[int(folder.name)] = int(status[1])
    found = []
    for member, name in names.items():
        above: int | None = member
        while above and above != process:
            above = parents.get(above)
        if above and b"RayTrainWorker" in name:
            found.append(member)
    return found


class Killer:
    """Kills one worker after the other, each after a number of steps."""

    def __init__(self, *steps: int) -> None:
        self.steps, self.killed = list(steps), 0

    def __call__(self, state: State) -> None:
        victims = workers_of(os.getpid())
        if self.steps and state.step >= self.steps[0] and len(victims) == 2:
            self.steps.pop(0)
            os.kill(victims[self.killed % 2], signal.SIGKILL)
            self.killed += 1


@pytest.fixture(scope="module")
def undisturbed(ray: Any, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(NET, DATA, KEYS, tmp_path_factory.mktemp("run") / "whole", cluster=TWO)


def test_workers_that_die_change_no_loss(undisturbed: Trained, tmp_path: Path) -> None:
    rng = random.Random(0)
    kill = Killer(*sorted(rng.sample(range(2, 95), 10)))
    done = train(NET, DATA, KEYS, tmp_path / "run", cluster=TWO, checkpoint_seconds=0, watch=kill)
    assert kill.killed == 10
    assert losses(done) == losses(undisturbed) and len(done.history) == EPOCHS
    ours, theirs = (d.folder.best.read_bytes() for d in (done, undisturbed))
    assert ours == theirs and not done.folder.ray.exists()


def test_a_full_disk_ends_with_the_line_of_one_process(
    undisturbed: Trained, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the disk: writing fails halfway."""
    size = undisturbed.folder.checkpoint.stat().st_size // 2

    def fill(state: State) -> None:
        if not (out / "checkpoint.safetensors").is_file():
            return
        for worker in workers_of(os.getpid()):
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    out = tmp_path / "run"
    with pytest.raises(InputError, match="can't be written .*; the checkpoint before it is intact"):
        train(NET, DATA, KEYS, out, cluster=TWO, checkpoint_seconds=0, watch=fill)
    assert losses(resume(out)) == losses(undisturbed)


def test_an_interrupted_run_goes_on_with_as_many_workers(
    undisturbed: Trained, tmp_path: Path
) -> None:
    with pytest.raises(Cut):
        train(NET, DATA, KEYS, tmp_path / "run", cluster=TWO, checkpoint_seconds=0, watch=cut)
    assert losses(resume(tmp_path / "run")) == losses(undisturbed)


def test_a_loss_that_is_no_number_ends_with_the_line_of_one_process(
    ray: Any, tmp_path: Path
) -> None:
    wild = recipe(optimizer__name="sgd", optimizer__lr=100.0, optimizer__momentum=0.999, epochs=40)
    with pytest.raises(InputError, match="epoch .*, step .*: the loss is .*; the batch is in"):
        train(NET, DATA, wild, tmp_path / "run", cluster=TWO)
    tensors, _ = read_tensors(tmp_path / "run" / "bad_batch.safetensors", "palmette/batch@1")
    assert tensors["images"].shape == (16, 3, 16, 16)


def test_a_device_that_the_cluster_lacks_leaves_nothing_behind(ray: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="device 'cuda': the cluster has no GPU"):
        train(NET, DATA, KEYS, tmp_path / "run", cluster=TWO, device="cuda")
    assert not (tmp_path / "run").exists()


# From the command line


def palmette(*arguments: str) -> subprocess.Popen[str]:
    code = "from palmette.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "train", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def moved(file: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a file is written anew."""
    old = file.stat().st_mtime_ns if file.exists() else 0
    until = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < until:
        if file.exists() and file.stat().st_mtime_ns != old:
            return
        time.sleep(0.01)


def test_a_driver_that_dies_changes_no_loss(undisturbed: Trained, tmp_path: Path) -> None:
    """Three times at a random moment, then to the end; the workers of a dead driver write on."""
    out, rng = tmp_path / "run", random.Random(1)
    given = (TEXT, "--data", DATA, "--recipe", str(undisturbed.folder.recipe), "--out", str(out))
    for _ in range(3):
        begin = (
            ("--resume", str(out))
            if (out / "run.toml").is_file()
            else (*given, "--ray-workers", "2")
        )
        process = palmette(*begin, "--checkpoint-seconds", "0")
        moved(out / "checkpoint.safetensors", process)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        _, errors = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, errors
        read_tensors(out / "checkpoint.safetensors", "palmette/checkpoint@1")
    done = resume(out)
    assert losses(done) == losses(undisturbed)


def test_ctrl_c_ends_in_one_line_and_goes_on(ray: Any, tmp_path: Path) -> None:
    """Ray takes a second or two to stop: the training must be longer."""
    whole = train(NET, DATA, recipe(epochs=100), tmp_path / "whole", cluster=TWO)
    out = tmp_path / "run"
    process = palmette(
        TEXT, "--data", DATA, "--recipe", str(whole.folder.recipe), "--out", str(out),
        "--ray-workers", "2", "--checkpoint-seconds", "0",
    )  # fmt: skip
    moved(out / "checkpoint.safetensors", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors and "--resume" in errors.splitlines()[-1]
    assert losses(resume(out)) == losses(whole)


def test_an_address_without_a_cluster_is_one_line(tmp_path: Path) -> None:
    process = palmette(
        TEXT, "--data", DATA, "--out", str(tmp_path / "run"),
        "--ray-workers", "2", "--ray-address", "127.0.0.1:1",
    )  # fmt: skip
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 2
    assert errors.startswith("error: --ray-address 127.0.0.1:1: no Ray cluster there (")
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()
