"""A worker of Ray: its share of a training, and the board on which it tells the driver of it.

Ray restarts the group of workers when one of them dies; it then goes on from the checkpoint in the
run folder, as any interrupted training does. What is wrong with the input would be wrong after a
restart too: it is told on the board, and the driver ends the training with it.
"""

from __future__ import annotations

import os
import time
import traceback
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space.errors import InputError, expect
from palmette.train.config import Config
from palmette.train.datasets import Data
from palmette.train.recipe import Recipe
from palmette.train.run import Run
from palmette.train.run_folder import TrainingFolder
from palmette.train.workers import Workers

if TYPE_CHECKING:
    from palmette.train.epochs import State

TELL_SECONDS = 0.2
MOST_STARTS = 3
"""Of the group of workers, without a step forward."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a training must end."""

    text: str
    fitting: int | None = None
    """A batch that fits, where memory was short."""
    bug: bool = False
    """Nothing that a user could mend."""


class Board:
    """What the driver can read of its workers; it lives in a process of its own."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.trouble: Trouble | None = None
        self.starts, self.failure = 0, "killed"

    def begin(self) -> bool:
        """Note that a group of workers starts; whether it must end at once.

        So it must if those before it came no step forward.
        """
        self.starts += 1
        if self.starts > MOST_STARTS:
            self.tell(
                Trouble(f"{MOST_STARTS} times the workers came no step forward: {self.failure}")
            )
        return self.trouble is not None

    def fail(self, failure: str) -> None:
        """Note why a group ends that is started again."""
        self.failure = failure

    def show(self, state: State) -> bool:
        """Note where training stands; whether it must end."""
        if self.state is None or state.step > self.state.step:
            self.starts, self.state = 0, state
        return self.trouble is not None

    def tell(self, trouble: Trouble) -> None:
        """Note a trouble; the first counts."""
        self.trouble = self.trouble or trouble

    def read(self) -> tuple[State | None, Trouble | None]:
        """What was noted last."""
        return self.state, self.trouble


class Ended(Exception):
    """The driver wants no more of this training."""


@dataclass(frozen=True, slots=True)
class Task:
    """What each worker is given."""

    board: Any
    """Handle of a `Board`."""
    here: Path
    """Folder to which relative paths belong."""
    folder: TrainingFolder
    config: Config
    recipe: Recipe
    data: Data
    checkpoint_seconds: float
    cuda: bool


def work(given: dict[str, Task]) -> list[dict[str, float]] | None:
    """A worker's life: the rows of all epochs, or None if the training has ended otherwise."""
    import ray
    from ray.train import get_context

    task = given["task"]
    leads = get_context().get_world_rank() == 0
    if leads and ray.get(task.board.begin.remote()):
        return None
    if not leads and ray.get(task.board.read.remote())[1] is not None:
        return None
    # Ray shares the arrays of the data among its workers: they can't be written, and nobody does
    warnings.filterwarnings("ignore", "The given NumPy array is not writable")
    try:
        return _computed(task)
    except (InputError, OSError) as error:
        fitting = getattr(error, "fitting", None)
        ray.get(task.board.tell.remote(Trouble(" ".join(str(error).split()), fitting)))
        raise
    except RuntimeError as error:  # also of a worker whose neighbour has died
        ray.get(task.board.fail.remote(" ".join(str(error).split())[:300]))
        raise
    except Exception:
        ray.get(task.board.tell.remote(Trouble(traceback.format_exc(), bug=True)))
        raise


def _computed(task: Task) -> list[dict[str, float]]:
    from ray.train import get_context

    place = get_context()
    workers = Workers(place.get_world_rank(), place.get_world_size(), place.get_local_world_size())
    if task.here.is_dir():
        os.chdir(task.here)
    expect(
        task.folder.config.is_file(),
        f"{task.folder.path}: not all workers see the run's folder; it must be on a file system"
        " that all machines share",
    )
    with task.folder.writer() if workers.leads else nullcontext():
        run = Run(
            task.folder,
            task.config,
            task.recipe,
            task.data,
            task.checkpoint_seconds,
            _Teller(task.board),
            workers,
            _device(task.cuda),
        )
        return run.compute()


def _device(cuda: bool) -> Any:
    """This worker's own."""
    import torch

    if not cuda:
        return torch.device("cpu")
    from ray.train.torch import get_device

    device = get_device()
    torch.cuda.set_device(device)
    return device


class _Teller:
    """Tells the board of steps, not of every one."""

    def __init__(self, board: Any) -> None:
        self.board, self.told = board, 0.0

    def __call__(self, state: State) -> None:
        import ray

        now = time.monotonic()
        if now - self.told >= TELL_SECONDS:
            self.told = now
            if ray.get(self.board.show.remote(state)):
                raise Ended
