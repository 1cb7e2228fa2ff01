"""The driver of Ray's workers: starts them, shows where they stand, ends with what they end with.

Gradients go by gloo between CPUs and by NCCL between GPUs, as Ray Train sets them up.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space.errors import InputError
from palmette.train.device import OutOfMemory
from palmette.train.ray_connection import last_line
from palmette.train.ray_session import Session
from palmette.train.ray_worker import TELL_SECONDS, Board, Task, Trouble, work
from palmette.train.run_folder import TrainingFolder

if TYPE_CHECKING:
    from palmette.train.run import Run


END_SECONDS = 60.0
"""For workers to notice that they shall end, and for Ray to let them go."""


def computed_by_workers(run: Run, session: Session) -> list[dict[str, float]]:
    """Train a run to its last epoch on a cluster; a row for each epoch.

    Raises:
        OutOfMemory: a step found no room.
        InputError: the workers died too often, or whatever ends a training in one process.
    """
    import ray

    board: Any = ray.remote(num_cpus=0)(Board).remote()
    task = Task(
        board,
        Path.cwd(),
        TrainingFolder(run.folder.path.absolute()),
        run.config,
        run.recipe,
        run.data,
        run.checkpoint_seconds,
        session.cuda,
    )
    fit = _Fit(_trainer(task, session).fit)
    patience_s = 0.0 if session.ours else END_SECONDS  # ours ends with the connection
    try:
        return _followed(run, fit, board)
    except OutOfMemory:  # with less of a batch there will be others
        patience_s = END_SECONDS
        raise
    finally:
        if patience_s and fit.is_alive():
            with suppress(ray.exceptions.RayError):  # a lost cluster has told already
                ray.get(board.tell.remote(Trouble("ended by the driver")))
            fit.join(patience_s)
        shutil.rmtree(task.folder.ray, ignore_errors=True)


def _followed(run: Run, fit: _Fit, board: Any) -> list[dict[str, float]]:
    """Tell the run's watcher what the board shows, until the training ends."""
    import ray
    from ray.train import TrainingFailedError

    fit.start()
    shown = None
    while True:
        ended = not fit.is_alive()
        try:
            state, trouble = ray.get(board.read.remote())
        except ray.exceptions.RayError as error:
            raise InputError(
                f"the Ray cluster is lost ({last_line(error)}); {_go_on(run)}"
            ) from None
        if trouble is not None:
            if trouble.fitting is not None:
                raise OutOfMemory(run.recipe.batch, trouble.fitting)
            if trouble.bug:
                raise RuntimeError(f"a worker failed\n{trouble.text}")
            raise InputError(trouble.text)
        if state is not None and state != shown:
            shown = state
            run.watch(state)
        if ended:
            break
        fit.join(TELL_SECONDS)
    if isinstance(fit.error, (ray.exceptions.RayError, TrainingFailedError)):
        raise InputError(f"Ray ended the training ({last_line(fit.error)}); {_go_on(run)}")
    if fit.error is not None:
        raise fit.error
    history: list[dict[str, float]] = fit.result.return_value
    return history


def _trainer(task: Task, session: Session) -> Any:
    """Ray's trainer of a group of workers."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    return TorchTrainer(
        work,  # type: ignore[arg-type]  # its rows are the result's return value
        train_loop_config={"task": task},
        torch_config=TorchConfig(backend="nccl" if session.cuda else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=session.workers,
            use_gpu=session.cuda,
            resources_per_worker={"CPU": session.cores} | ({"GPU": 1} if session.cuda else {}),
        ),
        run_config=RunConfig(
            name=task.folder.ray.name,
            storage_path=str(task.folder.path),
            failure_config=FailureConfig(max_failures=-1),
        ),
    )


class _Fit(threading.Thread):
    """Ray's fit beside the loop that follows it: so an interrupt ends it at once."""

    def __init__(self, fit: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.fit = fit
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Fit; an error is kept for the driver to judge."""
        try:
            self.result = self.fit()
        except BaseException as error:
            self.error = error


def _go_on(run: Run) -> str:
    return f"the checkpoint is intact: go on with --resume {run.folder.path}"
