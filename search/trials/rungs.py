"""The rungs of accuracy as evaluators: light to send, the same answer on every machine.

Each carries what it takes to open its rung anew: names, a recipe, hashes. Images and weights are
opened at the first call in a process, and kept by it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from palmette.search.trials.task import Task
from palmette.space import Architecture, SearchSpace
from palmette.space.errors import expect
from palmette.train.recipe import Recipe

if TYPE_CHECKING:
    from palmette.search.trials.task import Evaluator
    from palmette.train import CompiledPrior
    from palmette.train.datasets import Data
    from palmette.train.estimates import Measured
    from palmette.train.proxy import ProxyAccuracy
    from palmette.train.supernet import SupernetAccuracy

T = TypeVar("T")

_opened: dict[tuple[str, str], Any] = {}


def _kept(evaluator: Evaluator, opening: Callable[[], T]) -> T:
    """What an evaluator opens, once in a process."""
    key = type(evaluator).__name__, evaluator.id
    if key not in _opened:
        _opened[key] = opening()
    found: T = _opened[key]
    return found


def hashed(*parts: Any) -> str:
    """Twelve digits that stand for plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class PriorEvaluator:
    """The published prior, as if it were measured: to try workers with, at no cost.

    Args:
        space: full space of the networks.
        recipe: of the prior; None for the mean recipe.
    """

    space: SearchSpace
    recipe: str | None = None

    @property
    def id(self) -> str:
        """Hash of space and recipe."""
        return hashed("prior", self.space.id, self.recipe)

    def __call__(self, task: Task) -> tuple[float, float]:
        """Equal to the last bit to `CompiledPrior.evaluate` of this one code; of many, to 1e-12."""
        code = self.space.encode(Architecture.from_text(task.architecture))
        found = _kept(self, self._open).evaluate(code[None])
        return float(found.top1[0]), float(found.sigma[0])

    def _open(self) -> CompiledPrior:
        from palmette.space import compile_space
        from palmette.train import AccuracyPrior

        return AccuracyPrior.load().compile(compile_space(self.space), self.recipe)


@dataclass(frozen=True)
class SupernetEvaluator:
    """A trained supernet: every network with shared weights and statistics of its own.

    A task's seed and epochs change nothing: the weights are what they are.

    Args:
        path: of the supernet's file, whole.
        id: hash of the file and the images.
        data: see `open_data`; None for those that it was trained on.
        side: of procedural images in px.
        device: where it is computed; on a worker with a share of a GPU `auto` is that one.
    """

    path: str
    id: str
    data: str | None = None
    side: int = 32
    device: str = "auto"

    def prepare(self) -> None:
        """Open the rung in this process; raises InputError as `open`."""
        _kept(self, self.open)

    def __call__(self, task: Task) -> tuple[float, float]:
        """Top-1 of the task's network on the validation images."""
        found = _kept(self, self.open).evaluate([Architecture.from_text(task.architecture)])
        return _first(found)

    def open(self) -> SupernetAccuracy:
        """The estimator; raises InputError as `SupernetAccuracy.load`, or if its file changed."""
        from palmette.train.datasets import open_data
        from palmette.train.supernet import SupernetAccuracy, read_supernet

        path = Path(self.path)
        trained = read_supernet(path)
        source, opened = trained.source, None
        if self.data is not None:
            opened = open_data(self.data, side=self.side, share=source.share, seed=source.seed)
        found = self.id_of(path, source.fingerprint if opened is None else opened.fingerprint)
        expect(
            found == self.id,
            f"supernet {path}: it or its images are not those that the search began with; restore"
            " them, or begin a new search",
        )
        return SupernetAccuracy(trained, opened, device=self.device)

    @staticmethod
    def id_of(path: Path, fingerprint: str) -> str:
        """Hash of a supernet's file and the fingerprint of images."""
        return hashed("supernet", hashlib.sha256(path.read_bytes()).hexdigest(), fingerprint)


@dataclass(frozen=True)
class ProxyEvaluator:
    """A training by a recipe, whole or the first epochs of it.

    A task's seed is that of the training; the split into training and validation images is the
    evaluator's own, so that values of different seeds are of the same images. A task's epochs stop
    the training there; the learning rate falls as in all epochs of the recipe, see `train.partial`.

    Args:
        data: see `open_data`.
        fingerprint: of these images.
        recipe: of the whole training; it is followed in deterministic mode.
        side: of procedural images in px.
        scale: of the network's resolution.
        seed: of the split.
        folder: that all workers share, where trainings are kept to go on from; None keeps nothing.
        device: where it is computed; on a worker with a share of a GPU `auto` is that one.
    """

    data: str
    fingerprint: str
    recipe: Recipe
    side: int = 32
    scale: float = 1.0
    seed: int = 0
    folder: str | None = None
    device: str = "auto"

    @property
    def id(self) -> str:
        """Hash of images, recipe and fidelity; neither folder nor device is part of it."""
        return hashed("proxy", self.fingerprint, self.recipe.to_dict(), self.scale, self.seed)

    @property
    def epochs(self) -> int:
        """Of tasks that say none: the whole training."""
        return self.recipe.epochs

    def prepare(self) -> None:
        """Open the images in this process; raises InputError as `open`."""
        _kept(self, self.open)

    def __call__(self, task: Task) -> tuple[float, float]:
        """Top-1 of the task's network after its epochs."""
        network = Architecture.from_text(task.architecture)
        folder = None
        if self.folder is not None:
            folder = Path(self.folder) / self.id / f"{network.id}-{task.seed}"
        found = _kept(self, self.open).measure(network, task.seed, task.epochs, folder)
        return _first(found)

    def open(self) -> ProxyAccuracy:
        """The estimator; raises InputError as `open_data`, or if the images changed."""
        from palmette.train.datasets import open_data
        from palmette.train.proxy import Fidelity, ProxyAccuracy

        opened = open_data(
            self.data, side=self.side, seed=self.seed, corrupt=self.recipe.compute.corrupt
        )
        self._expect_same(opened)
        fidelity = Fidelity(self.recipe.epochs, self.scale)
        return ProxyAccuracy(opened, self.recipe, fidelity, device=self.device)

    def _expect_same(self, opened: Data) -> None:
        expect(
            opened.fingerprint == self.fingerprint,
            f"data '{self.data}': are not those that the search began with; restore them, or begin"
            " a new search",
        )


def _first(found: Measured) -> tuple[float, float]:
    return float(found.top1[0]), float(found.sigma[0])
