"""What ARCH and --weights name together: a network, and the file of its trained weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.cli.subjects import names_weights, read_task

if TYPE_CHECKING:
    from palmette.space import Architecture

QUANTISED = "are 8-bit weights of palmette train --quantise"


@dataclass(frozen=True, slots=True)
class Named:
    """A network and, if it is trained, its weights; torch is not needed to tell."""

    architecture: Architecture
    """With the classes that the weights know."""
    weights: Path | None = None
    classes: tuple[str, ...] | None = None
    """Names in the order of the outputs; None if no weights tell them."""
    quantised: bool = False


def read_named(
    arch: str,
    weights: Path | None,
    task: str | None = None,
    classes: int | None = None,
    *,
    foreign: bool = False,
) -> Named:
    """The network that ARCH names, with its weights: of ARCH itself, or of --weights.

    Args:
        arch: as the command line takes it; weights of ours bring their architecture.
        weights: a file, or the folder of a training.
        task: head to put on the network.
        classes: of the task.
        foreign: whether the weights are of another framework, and say nothing of themselves.

    Raises:
        InputError: no such network or file, weights of another network, or an option that the
            weights leave nothing to say for.
    """
    from palmette.space.errors import expect
    from palmette.train.weights import describe_weights, expect_same_network, weights_file

    if names_weights(arch):
        others = {"--weights": weights, "--task": task, "--classes": classes}
        for option, given in {**others, "--keras": foreign or None}.items():
            expect(given is None, f"{option}: {arch} says all of that itself; leave it out")
        found = describe_weights(Path(arch))
        return Named(found.architecture, found.path, found.classes, found.quantised)
    architecture = read_task(arch, task, classes)
    if weights is None or foreign:
        return Named(architecture, None if weights is None else weights_file(weights))
    found = describe_weights(weights)
    expect_same_network(found.path, found.architecture, architecture)
    return Named(found.architecture, found.path, found.classes, found.quantised)


def check_order(keras: bool, bgr: bool) -> None:
    """Raise InputError for weights of ours that should see blue first."""
    from palmette.space.errors import expect

    expect(keras or not bgr, "--bgr: needs --keras; our own weights see red first")
