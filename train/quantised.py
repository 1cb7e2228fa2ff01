"""Quantisation-aware training: a trained network learns on with 8-bit weights and activations.

Who prepares the module comes from above (`palmette.export.quantised.prepare_w8a8`); here it learns
as any network does, in three phases: ranges are observed, then everything is rounded by them while
they still move, then they and the statistics of BatchNorm stand still (Krishnamoorthi, Quantizing
deep convolutional networks for efficient inference, 2018, section 3.2). A phase follows from the
number of the step, so that a resume goes on exactly.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space import Architecture
from palmette.space.errors import expect
from palmette.train.config import Config
from palmette.train.datasets import Data, anywhere
from palmette.train.datasets.check import Progress as Checking
from palmette.train.learner import Learner
from palmette.train.recipe import Recipe
from palmette.train.run import Run
from palmette.train.run_folder import TrainingFolder
from palmette.train.trainer import CHECKPOINT_SECONDS, SHARE, Trained, finished, open_for, reopen
from palmette.train.weights import QUANTISED_FORMAT, TrainedWeights, read_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from palmette.train.epochs import Watcher
    from palmette.train.loading import Batch

Preparation = Callable[["nn.Module", tuple[int, int]], "nn.Module"]
"""Puts fake quantisers of `torch.ao.quantization` into a network for images (height, width)."""

OBSERVED, FROZEN = 0.1, 0.8
"""Shares of the steps: before the one nothing is rounded, from the other on ranges stand still."""


class QuantisedLearner(Learner):
    """A `Learner` of a prepared module: by its step it observes ranges, rounds, or is frozen."""

    phase: tuple[bool, bool] | None = None
    """Whether it rounds, and whether it is frozen; None before its first step in this process."""

    def update(self, batches: Sequence[Batch]) -> list[Tensor]:
        """One step, in its phase."""
        done = self.step / (self.steps * self.recipe.epochs)
        phase = done >= OBSERVED, done >= FROZEN
        if phase != self.phase:
            self._enter(*phase)
        return super().update(batches)

    def _enter(self, rounds: bool, frozen: bool) -> None:
        from torch.ao import quantization as tq
        from torch.ao.nn.intrinsic.qat import freeze_bn_stats

        self.module.apply(tq.enable_fake_quant if rounds else tq.disable_fake_quant)
        self.module.apply(tq.disable_observer if frozen else tq.enable_observer)
        if frozen:
            self.module.apply(freeze_bn_stats)
        self.phase = rounds, frozen


class QuantisedRun(Run):
    """A `Run` of a prepared network; what it evaluates and keeps is rounded.

    Args:
        prepare: what is done to the trained network before it learns on.
        arguments: of `Run`.
    """

    weights_format = QUANTISED_FORMAT

    def __init__(self, prepare: Preparation, *arguments: Any) -> None:
        self.prepare = prepare
        super().__init__(*arguments)

    def learner(self) -> Learner:
        """The prepared network before its first step."""
        assert self.start is not None
        module = self.architecture.build(self.config.seed)
        module.load_state_dict(dict(self.start.tensors))
        module = self.prepare(module, self.architecture.resolution)
        return QuantisedLearner(module, self.recipe, self._criterion(), **self._surroundings())

    def evaluated(self, learner: Learner) -> dict[str, float]:
        """Columns of the log, of the network as it would be exported now."""
        from torch.ao import quantization as tq

        # observers would learn from validation images
        module = copy.deepcopy(learner.learned).apply(tq.disable_observer)
        return self.scored(module.apply(tq.enable_fake_quant), learner)


def quantisable(recipe: Recipe) -> Recipe:
    """A recipe as a prepared network can follow it.

    In single precision and not compiled, for what rounds is a module of its own; without an average
    of the weights, which would mix ranges of different moments.
    """
    return recipe.changed(loss__ema_decay=0.0, compute__precision="float32", compute__compile=False)


def train_quantised(
    architecture: Architecture,
    data: str | Data,
    recipe: Recipe,
    out: Path,
    *,
    weights: Path,
    prepare: Preparation,
    share: float = SHARE,
    seed: int = 0,
    device: str = "auto",
    teacher: Path | None = None,
    halve: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    watch: Watcher | None = None,
    checking: Checking | None = None,
) -> Trained:
    """Let a trained network learn on with 8-bit weights and activations, in a new folder.

    Args:
        architecture: the network.
        data: see `palmette.train.trainer.train`; the following too.
        recipe: how it is trained; see `quantisable` for what of it does not count.
        out: folder, new or empty; `best.safetensors` there are quantised weights.
        weights: of the network, trained on the same classes.
        prepare: what is done to the network first.
        share: of validation.
        seed: of split, order and augmentation.
        device: where it is computed.
        teacher: weights of a network to learn from; those that it begins with are a good choice.
        halve: on a lack of memory halve the batch and accumulate.
        checkpoint_seconds: between checkpoints inside an epoch.
        watch: told of every step.
        checking: told of every image that is checked.

    Raises:
        InputError: data, recipe, weights or folder break a rule; the loss is no number; no memory.
    """
    import torch

    read = read_weights(weights, architecture)
    folder, recipe = TrainingFolder(out), quantisable(recipe)
    config = Config(
        read.architecture.to_text(),
        anywhere(data) if isinstance(data, str) else data.name,
        share,
        seed,
        device,
        str(weights.absolute()),
        teacher=None if teacher is None else str(teacher.absolute()),
        halve=halve,
        threads=torch.get_num_threads(),
        quantised=True,
    )
    with folder.driver():
        opened = open_for(config, recipe, checking) if isinstance(data, str) else data
        expect(
            opened.classes == read.classes,
            f"weights {weights}: know other classes than the data have; train them on these first",
        )
        run = QuantisedRun(prepare, folder, config, recipe, opened, checkpoint_seconds, watch)
        folder.begin(config.to_dict(), recipe, opened)
        return finished(run)


def is_quantised(out: Path) -> bool:
    """Whether the training in a folder is one of these."""
    folder = TrainingFolder(out)
    return folder.config.is_file() and bool(folder.read()[0].get("quantised"))


def resume_quantised(
    out: Path,
    prepare: Preparation,
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    watch: Watcher | None = None,
    checking: Checking | None = None,
    data: str | None = None,
) -> Trained:
    """Go on with an interrupted training; a finished one is only read.

    Args:
        out: folder of the run.
        prepare, checkpoint_seconds, watch, checking: see `train_quantised`.
        data: where the run's data lie now; None: where they were.

    Raises:
        InputError: no such training in the folder, its files are corrupt, its data have changed.
    """
    folder = TrainingFolder(out)
    expect(is_quantised(out), f"{out}: holds no quantised training")
    with folder.driver():
        config, recipe, opened = reopen(folder, checking, data)
        return finished(
            QuantisedRun(prepare, folder, config, recipe, opened, checkpoint_seconds, watch)
        )


def read_quantised(path: Path) -> TrainedWeights:
    """Quantised weights, whose tensors are the state of a prepared network.

    Raises:
        InputError: no such file, damaged, or of another format.
    """
    return read_weights(path, form=QUANTISED_FORMAT)
