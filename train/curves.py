"""Curves for TensorBoard, where it is installed; `log.csv` has the same numbers without it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def curves(folder: Path | None, first: int) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """A function that adds an epoch's numbers; it does nothing without TensorBoard.

    Args:
        folder: of its files; None for no curves.
        first: epoch that is written next; what an interrupted run wrote from there on is dropped.
    """
    if folder is None or importlib.util.find_spec("tensorboard") is None:
        yield lambda epoch, numbers: None
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder), purge_step=first) as writer:

        def add(epoch: int, numbers: Mapping[str, float]) -> None:
            for name, value in numbers.items():
                writer.add_scalar(name, value, epoch)
            writer.flush()

        yield add
