"""What the command line takes for a network, and options that several commands share."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palmette.cli.completion import complete_network, complete_target

if TYPE_CHECKING:
    from palmette.latency import LatencyPredictor
    from palmette.space import Architecture

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Arch = Annotated[
    str,
    typer.Argument(
        metavar="ARCH",
        help="Zoo name, .json file, trained weights, architecture text, or module.py:factory.",
        autocompletion=complete_network,
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option("--task", help="Put a task's head on the network: classifier, ssdlite, ..."),
]
Classes = Annotated[int | None, typer.Option(help="Of the task; default those of its data set.")]
PredictorFile = Annotated[
    Path | None, typer.Option("--predictor", help="Predictor JSON of your own timings.")
]
ModuleSide = Annotated[
    int | None,
    typer.Option(
        "--resolution", help="Input side of a task, or of a module.py:factory (default 224)."
    ),
]
SuiteFolder = Annotated[
    Path | None,
    typer.Option("--suite", help="Folder with the manifest of what the device timed."),
]
TimedSubject = Annotated[
    str | None, typer.Option("--subject", help="What the device timed, in place of a suite.")
]
_TARGET = typer.Option("--target", help="Such as iphone-13/ane.", autocompletion=complete_target)
TargetName = Annotated[str, _TARGET]
MaybeTarget = Annotated[str | None, _TARGET]


def read_architecture(text: str) -> Architecture:
    from palmette.space import Architecture, load
    from palmette.space.errors import expect
    from palmette.space.files import read_text

    if text.endswith(".json"):
        return Architecture.from_json(read_text(Path(text)), text)
    if names_weights(text):
        from palmette.train.weights import describe_weights

        return describe_weights(Path(text)).architecture
    expect(".py:" not in text, f"{text}: this needs an architecture, not a torch module")
    return Architecture.from_text(text) if "|" in text else load(text)


def names_weights(text: str) -> bool:
    """Whether ARCH is a file of trained weights, or the folder of a training."""
    try:
        return text.endswith(".safetensors") or Path(text, "run.toml").is_file()
    except OSError:  # a text that is longer than a path can be
        return False


def read_task(
    text: str, task: str | None, classes: int | None, resolution: int | None = None
) -> Architecture:
    """The architecture that ARCH names, with a task's head if one is asked for."""
    from palmette.space.errors import expect
    from palmette.space.tasks import with_task

    architecture = read_architecture(text)
    if task is None:
        expect(classes is None, "--classes: needs --task, such as --task classifier")
        return architecture
    return with_task(architecture, task, classes=classes, resolution=resolution)


def read_ops(
    text: str, resolution: int | None, task: str | None = None, classes: int | None = None
) -> Any:
    """Ops of anything that ARCH may name, with a task's head if one is asked for."""
    from palmette.latency.op_lists import network_ops

    if task is not None or classes is not None:
        return read_task(text, task, classes, resolution).ops()
    if ".py:" in text:
        from palmette.space.factory import module_from_file
        from palmette.space.trace import trace_ops

        return trace_ops(module_from_file(text), (3, *module_size(resolution)))
    expect_no_resolution(resolution)
    named = text.endswith(".json") or names_weights(text)
    return read_architecture(text).ops() if named else network_ops(text)


def module_size(resolution: int | None) -> tuple[int, int]:
    """(height, width) of the images of a module.py:factory."""
    from palmette.space.errors import expect

    side = 224 if resolution is None else resolution
    expect(0 < side <= 16_384, f"--resolution: from 1 to 16384, got {resolution}")
    return side, side


def expect_no_resolution(resolution: int | None) -> None:
    """Refuse a resolution for what has its own."""
    from palmette.space.errors import expect

    expect(
        resolution is None,
        "--resolution: is for --task and for module.py:factory; an architecture has its own",
    )


def expect_no_more(context: typer.Context, known: Collection[str], words: str) -> None:
    """Refuse any option that is given but not among those known; what it is instead, in words."""
    from palmette.space.errors import expect

    for parameter in context.command.params:
        name = parameter.name or ""
        unused = name in known or context.params.get(name) == parameter.default
        expect(unused, f"{parameter.opts[0]}: is {words}")


def given_predictor(command: str, target: str | None, file: Path | None) -> LatencyPredictor:
    """The predictor of --predictor, which must be of --target if that is given, or of --target."""
    from palmette.latency import LatencyPredictor, load_predictor
    from palmette.latency.predictor import expect_target
    from palmette.space.errors import InputError

    if file is not None:
        predictor = LatencyPredictor.read(file)
        if target is not None:
            expect_target(predictor, target, file)
        return predictor
    if target is not None:
        return load_predictor(target)
    raise InputError(f"{command}: give --target, --predictor FILE, or both")


def expect_only(context: typer.Context, when: str, *allowed: str) -> None:
    """Raise InputError if another option than these was given."""
    from palmette.space.errors import expect

    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        given = source is not None and source.name == "COMMANDLINE"
        expect(
            not given or parameter.name in allowed,
            f"{parameter.opts[0]}: has no meaning {when}; leave it out",
        )
