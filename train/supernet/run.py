"""Training of a supernet in a folder that survives interruption.

A run as the trainer's, with a learner of its own. The space's file (in `space/`, by its name) and
`schedule.toml` stand beside the recipe; `supernet.safetensors` is what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.space import SearchSpace
from palmette.space.errors import InputError, expect
from palmette.space.files import write_text
from palmette.train.config import Config
from palmette.train.datasets import Data, anywhere
from palmette.train.datasets.check import Progress as Checking
from palmette.train.recipe import Recipe
from palmette.train.run import Run
from palmette.train.run_folder import TrainingFolder
from palmette.train.supernet.file import DataSource, TrainedSupernet, space_text, write_supernet
from palmette.train.supernet.sampling import largest, smallest
from palmette.train.supernet.schedule import Schedule, load_schedule
from palmette.train.trainer import CHECKPOINT_SECONDS, open_for, reopen

if TYPE_CHECKING:
    from palmette.train.epochs import Watcher
    from palmette.train.learner import Learner
    from palmette.train.supernet.evaluation import Examiner
    from palmette.train.supernet.network import Supernet

FILE, SPACE, SCHEDULE = "supernet.safetensors", "space", "schedule.toml"


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A finished training of a supernet; `history` has a row for each epoch."""

    folder: TrainingFolder
    space: SearchSpace
    history: tuple[dict[str, float], ...]

    @property
    def file(self) -> Path:
        """The supernet."""
        return self.folder.path / FILE


class SupernetRun(Run):
    """A `Run` of a space instead of a network; the largest network stands for it."""

    def __init__(
        self,
        space: SearchSpace,
        schedule: Schedule,
        folder: TrainingFolder,
        config: Config,
        recipe: Recipe,
        data: Data,
        checkpoint_seconds: float,
        watch: Watcher | None,
    ) -> None:
        self.space, self.schedule = space, schedule
        self.examiner: Examiner | None = None
        super().__init__(folder, config, recipe, data, checkpoint_seconds, watch)

    def learner(self) -> Learner:
        """The supernet before its first step."""
        from palmette.train.supernet.learner import SupernetLearner
        from palmette.train.supernet.network import Supernet

        module = Supernet(self.space, self.config.seed)
        return SupernetLearner(
            module, self.recipe, self._criterion(), self.schedule, **self._surroundings()
        )

    def evaluated(self, learner: Learner) -> dict[str, float]:
        """The largest and the smallest network, each with its own statistics."""
        from palmette.train.supernet.evaluation import Examiner

        if self.examiner is None:
            self.examiner = Examiner(
                self.data, self.recipe, learner.normalise, self.device, seed=self.config.seed
            )
        net: Supernet = learner.learned  # type: ignore[assignment]
        large, small = (
            self.examiner.examine(net, self.space.decode(code))
            for code in (largest(self.space), smallest(self.space))
        )
        net.choose(largest(self.space))
        return {
            "val_loss": large.loss,
            "top1": large.top1,
            "top5": large.top5,
            "top1_smallest": small.top1,
        }

    def keep(self, learner: Learner, history: list[dict[str, float]]) -> None:
        """Write the supernet of the epoch that has just ended."""
        row, config = history[-1], self.config
        about = {key: row[key] for key in ("epoch", "top1", "top1_smallest")}
        source = DataSource(config.data, config.share, config.seed, self.data.fingerprint)
        supernet = TrainedSupernet(
            self.space,
            self.data.classes,
            self.normalisation,
            self.recipe,
            source,
            learner.learned.state_dict(),
            about,
        )
        try:
            write_supernet(self.folder.path / FILE, supernet)
        except OSError as error:
            raise InputError(
                f"{self.folder.path}: can't be written ({error.strerror}); the checkpoint in it is"
                f" intact: make room and go on with --resume {self.folder.path}"
            ) from None


def train_supernet(
    space: SearchSpace,
    data: str | Data,
    recipe: Recipe,
    schedule: Schedule,
    out: Path,
    *,
    share: float = 0.2,
    seed: int = 0,
    device: str = "auto",
    teacher: Path | None = None,
    halve: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    watch: Watcher | None = None,
    checking: Checking | None = None,
) -> TrainedRun:
    """Train a supernet of a space from a recipe, in a new folder.

    Args:
        space: whose blocks share; its classifier gets the classes of the data.
        data: what `open_data` opens, or data that are open; the latter can't be resumed.
        recipe: how it is trained.
        schedule: which choices vary when.
        out: folder, new or empty.
        share: see `Config`; the following as for `train.trainer.train`.
        seed: of weights, split, order, augmentation and networks.
        device: where it is computed.
        teacher: weights of a network from which the largest learns.
        halve: on a lack of memory halve the batch and accumulate.
        checkpoint_seconds: between checkpoints inside an epoch; at its end there is one anyway.
        watch: told of every step.
        checking: told of every image that is checked.

    Raises:
        InputError: a stage can't share, or as `train.trainer.train`.
    """
    import torch

    from palmette.train.supernet.network import with_classes
    from palmette.train.supernet.roles import expect_shares

    expect_shares(space)
    schedule.expect_fits(space)
    folder = TrainingFolder(out)
    largest_network = space.decode(largest(space))
    config = Config(
        largest_network.to_text(),
        anywhere(data) if isinstance(data, str) else data.name,
        share,
        seed,
        device,
        teacher=None if teacher is None else str(teacher.absolute()),
        halve=halve,
        threads=torch.get_num_threads(),
    )
    with folder.driver():
        opened = open_for(config, recipe, checking) if isinstance(data, str) else data
        space = with_classes(space, len(opened.classes))
        config = replace(config, architecture=space.decode(largest(space)).to_text())
        run = SupernetRun(
            space, schedule, folder, config, recipe, opened, checkpoint_seconds, watch
        )
        folder.begin(config.to_dict(), recipe, opened)
        write_text(out / SPACE / f"{space.name}.toml", space_text(space))  # named by its file
        write_text(out / SCHEDULE, schedule.to_text())
        return TrainedRun(folder, space, tuple(run.finish()))


def resume_supernet(
    out: Path,
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    watch: Watcher | None = None,
    checking: Checking | None = None,
    data: str | None = None,
) -> TrainedRun:
    """Go on with an interrupted training of a supernet; a finished one is only read.

    Args:
        out: folder of the run.
        checkpoint_seconds, watch, checking: see `train_supernet`.
        data: where the run's data lie now; None: where they were.

    Raises:
        InputError: no such training in the folder, its files are corrupt, its data have changed.
    """
    folder = TrainingFolder(out)
    files = list((out / SPACE).glob("*.toml"))
    expect(len(files) == 1, f"{out}: holds no training of a supernet (its space is missing)")
    with folder.driver():
        config, recipe, opened = reopen(folder, checking, data)
        space, schedule = SearchSpace.read(files[0]), load_schedule(str(out / SCHEDULE))
        run = SupernetRun(
            space, schedule, folder, config, recipe, opened, checkpoint_seconds, watch
        )
        return TrainedRun(folder, space, tuple(run.finish()))
