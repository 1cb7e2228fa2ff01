"""Training of one network in a folder that survives interruption.

`train` begins a run and `resume` goes on with one; both end with the same files. In deterministic
mode a run that was interrupted, however often, has the losses of one that was not: everything
random derives from seed and position, and the position is in the checkpoint.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.space import Architecture
from palmette.space.errors import InputError, expect
from palmette.space.run_file import expect_begun
from palmette.train.checkpoint import epochs_done
from palmette.train.cluster import LOCAL, Cluster
from palmette.train.config import Config
from palmette.train.datasets import Data, anywhere, expect_data, open_data
from palmette.train.datasets.check import Progress as Checking
from palmette.train.recipe import Recipe
from palmette.train.run import Run
from palmette.train.run_folder import TrainingFolder
from palmette.train.trained import Trained as Trained
from palmette.train.weights import with_classes

if TYPE_CHECKING:
    from palmette.train.epochs import Watcher
    from palmette.train.ray_session import Session

CHECKPOINT_SECONDS = 600.0
SHARE = 0.2
"""Of validation, where data have no split."""


def train(
    architecture: Architecture,
    data: str | Data,
    recipe: Recipe,
    out: Path,
    *,
    share: float = SHARE,
    seed: int = 0,
    device: str = "auto",
    weights: Path | None = None,
    timm: str | None = None,
    teacher: Path | None = None,
    halve: bool = False,
    cluster: Cluster | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    watch: Watcher | None = None,
    checking: Checking | None = None,
    until: int | None = None,
) -> Trained:
    """Train a network from a recipe, in a new folder.

    Args:
        architecture: the network; its classifier gets the classes of the data.
        data: what `open_data` opens, or data that are open; the latter can't be resumed.
        recipe: how it is trained.
        out: folder, new or empty.
        share: see `Config`; the following too.
        seed: of weights, split, order and augmentation.
        device: where it is computed.
        weights: to begin with; of another number of classes, all but the classifier.
        timm: timm's name of the network that these are of; None if they are ours.
        teacher: weights of a network of the same classes to learn from.
        halve: on a lack of memory halve the batch and accumulate.
        cluster: workers of Ray that train together; None: this process alone.
        checkpoint_seconds: between checkpoints inside an epoch; at its end there is one anyway.
        watch: told of every step; of workers, several times a second.
        checking: told of every image that is checked.
        until: epoch to stop after, for `resume` to go on from; without workers of Ray.

    Raises:
        InputError: data, recipe, weights or folder break a rule; the loss is no number; no memory;
            no such cluster; its workers died too often.
    """
    import torch

    from palmette.train.ray_session import connected

    _expect_alone(until, cluster)
    expect(timm is None or weights is not None, "--timm: needs --weights, a file of that network")
    folder = TrainingFolder(out)
    name = anywhere(data) if isinstance(data, str) else data.name
    config = Config(
        architecture.to_text(),
        name,
        share,
        seed,
        device,
        None if weights is None else str(weights.absolute()),
        timm,
        None if teacher is None else str(teacher.absolute()),
        halve,
        max(1, torch.get_num_threads() // (cluster.workers or 1 if cluster else 1)),
        cluster.workers if cluster else 0,
        cluster.address if cluster else LOCAL,
    )
    with folder.driver():
        opened = open_for(config, recipe, checking) if isinstance(data, str) else data
        config = replace(
            config,
            architecture=with_classes(architecture, len(opened.classes)).to_text(),
        )
        run = Run(folder, config, recipe, opened, checkpoint_seconds, watch, until=until)
        with connected(config.cluster, device) as session:
            folder.begin(config.to_dict(), recipe, opened)
            return finished(run, session)


def resume(
    out: Path,
    *,
    cluster: Cluster | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    watch: Watcher | None = None,
    checking: Checking | None = None,
    until: int | None = None,
    data: str | Data | None = None,
) -> Trained:
    """Go on with an interrupted training; a finished one is only read.

    Args:
        out: folder of the run.
        cluster: other workers than it began with; of 0, this process alone.
        checkpoint_seconds: as for `train`; the following too.
        watch: told of every step.
        checking: told of every image that is checked.
        until: as for `train`.
        data: the run's, open, or a name of where they lie now; None opens them by their name.

    Raises:
        InputError: no training in the folder, its files are corrupt, its data have changed, or as
            `train`.
    """
    from palmette.train.ray_session import connected

    folder = TrainingFolder(out)
    expect_begun(folder.config, "training")
    with folder.driver():
        config, recipe, opened = reopen(folder, checking, data)
        expect(
            not config.quantised,
            f"{out}: learns with 8-bit weights and activations; go on by resume_quantised",
        )
        if cluster is not None:
            config = replace(config, ray_workers=cluster.workers, ray_address=cluster.address)
        if config.ray_workers and epochs_done(folder.checkpoint) >= recipe.epochs:
            # nothing is left for workers
            config = replace(config, ray_workers=0)
        _expect_alone(until, config.cluster)
        run = Run(folder, config, recipe, opened, checkpoint_seconds, watch, until=until)
        with connected(config.cluster, config.device) as session:
            return finished(run, session)


def reopen(
    folder: TrainingFolder, checking: Checking | None, data: str | Data | None = None
) -> tuple[Config, Recipe, Data]:
    """What an interrupted run is made of; raises InputError as `resume`."""
    stored, recipe = folder.read()
    fingerprint = stored.pop("fingerprint", None)
    try:
        config = Config(**stored)
    except TypeError as error:
        raise InputError(f"{folder.config}: corrupt ({error})") from None
    if isinstance(data, str):
        config = replace(config, data=anywhere(data))
    if data is None:
        _expect_there(config.data, folder.config)
    opened = data if isinstance(data, Data) else open_for(config, recipe, checking)
    expect(
        opened.fingerprint == fingerprint,
        f"data '{config.data}': are not those that the run in {folder.path} began with; restore"
        " them, or begin a new run",
    )
    return config, recipe, opened


def _expect_there(data: str, where: Path) -> None:
    """Raise InputError, with what to do, where the data of a run that goes on are not."""
    try:
        expect_data(data)
    except InputError:
        typed = (
            "" if Path(data).is_absolute() else f" in {Path.cwd()}, from where it would be found"
        )
        raise InputError(
            f"{where}: its data '{data}' are not there{typed}; give --data beside --resume, with"
            " the place where they lie now"
        ) from None


def _expect_alone(until: int | None, cluster: Cluster | None) -> None:
    """Raise InputError if workers of Ray are to stop before the last epoch."""
    expect(
        until is None or cluster is None or not cluster.workers,
        "a training that stops before its last epoch is for one process, without --ray-workers",
    )


def finished(run: Run, session: Session | None = None) -> Trained:
    """Train to the last epoch, by a session's workers if there is one."""
    history = run.finish(session)
    data = run.data
    return Trained(
        run.folder,
        run.architecture,
        tuple(history),
        len(data.corrupt),
        len(data.validation),
        len(data.train),
        data.classes,
    )


def open_for(config: Config, recipe: Recipe, checking: Checking | None) -> Data:
    """Data of a run, procedural ones at the network's resolution; raises as `open_data`."""
    architecture = Architecture.from_text(config.architecture)
    return open_data(
        config.data,
        side=max(architecture.resolution),
        share=config.share,
        seed=config.seed,
        corrupt=recipe.compute.corrupt,
        progress=checking,
    )
