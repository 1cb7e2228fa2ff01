"""Everything that training needs to go on, in one file that is whole or not there.

Module, average, optimizer and loss scaling as tensors; position, the sums of the epoch under way
and the epochs so far as JSON. Random states derive from the position (`train.seeds`). The learning
rate does too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from palmette.space.errors import InputError, expect
from palmette.space.files import write_bytes
from palmette.train.learner import Learner
from palmette.train.loop import Tally
from palmette.train.tensors import read_tensors, tensor_bytes

FORMAT = "palmette/checkpoint@1"
MODULE, AVERAGE, OPTIMIZER = "module.", "average.", "optimizer."


@dataclass(slots=True)
class Progress:
    """Where training stands: epochs that are finished, one row each, and the one under way."""

    history: list[dict[str, float]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    """Of the epoch under way."""


def write_checkpoint(path: Path, learner: Learner, progress: Progress, network: str) -> None:
    """Write a checkpoint, atomically and through to the disk.

    Args:
        path: of the file; one that is there is replaced.
        learner: its state.
        progress: its position.
        network: id of the architecture.

    Raises:
        InputError: it can't be written; the one that was there is intact.
    """
    tensors = {MODULE + name: value for name, value in learner.module.state_dict().items()}
    if learner.average is not None:
        average = learner.average.module.state_dict()
        tensors |= {AVERAGE + name: value for name, value in average.items()}
    info = {
        "format": FORMAT,
        "network": network,
        "step": learner.step,
        "progress": asdict(progress),
        "optimizer": _packed(learner.optimizer.state_dict(), OPTIMIZER, tensors),
        "scaler": learner.scaler.state_dict(),
    }
    try:
        write_bytes(path, tensor_bytes(tensors, info), durable=True)
    except OSError as error:
        before = "; the checkpoint before it is intact" if path.exists() else ""
        raise InputError(f"{path}: can't be written ({error.strerror}){before}") from None


def read_checkpoint(path: Path, learner: Learner, network: str) -> Progress:
    """Put a learner into the state of a checkpoint.

    Raises:
        InputError: no such file, truncated, damaged, or of another network or optimizer.
    """
    tensors, info = read_tensors(path, FORMAT)
    expect(
        info.get("network") == network,
        f"{path}: belongs to another architecture, {info.get('network')}, not to {network}",
    )
    try:
        learner.module.load_state_dict(_part(tensors, MODULE))
        if learner.average is not None:
            learner.average.module.load_state_dict(_part(tensors, AVERAGE))
        learner.optimizer.load_state_dict(_unpacked(info["optimizer"], tensors))
        learner.scaler.load_state_dict(info["scaler"])
        learner.step = int(info["step"])
        stored = info["progress"]
        return Progress(stored["history"], Tally(**stored["tally"]), stored["seconds"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: does not fit this run ({reason})") from None


def epochs_done(path: Path) -> int:
    """Epochs that a checkpoint has behind it; 0 without one.

    Raises:
        InputError: truncated or damaged.
    """
    if not path.is_file():
        return 0
    try:
        return len(read_tensors(path, FORMAT)[1]["progress"]["history"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: is damaged ({error})") from None


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


# An optimizer's state is dictionaries and lists of numbers and tensors: the tensors go into the
# file under the path that leads to them, and a note stands in their place.

TENSOR, TUPLE, PAIRS = "tensor", "tuple", "pairs"


def _packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """JSON of nested values; tensors are put aside under names that begin with `name`."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {TENSOR: name}
    if isinstance(value, dict):
        pairs = [[key, _packed(item, f"{name}{key}.", tensors)] for key, item in value.items()]
        return {PAIRS: pairs}  # whole numbers stay such as keys
    if isinstance(value, tuple):
        return {TUPLE: [_packed(item, f"{name}{at}.", tensors) for at, item in enumerate(value)]}
    if isinstance(value, list):
        return [_packed(item, f"{name}{at}.", tensors) for at, item in enumerate(value)]
    return value


def _unpacked(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `_packed`."""
    if isinstance(value, list):
        return [_unpacked(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == TENSOR:
        return tensors[inner].clone()
    if kind == TUPLE:
        return tuple(_unpacked(item, tensors) for item in inner)
    return {key: _unpacked(item, tensors) for key, item in inner}
