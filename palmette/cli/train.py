"""The command that trains a network: `palmette train`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palmette.cli.output import listed, note
from palmette.cli.search import expect_alone
from palmette.cli.subjects import Json, read_architecture

if TYPE_CHECKING:
    from palmette.train.run import State
    from palmette.train.trainer import Trained


def train(
    context: typer.Context,
    arch: Annotated[
        str | None,
        typer.Argument(metavar="[ARCH]", help="Zoo name, .json file, or architecture text."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Folder, saved data set, .csv or .parquet, digits, procedural."),
    ] = None,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or .toml.")] = "quick",
    out: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    epochs: Annotated[int | None, typer.Option(help="In place of the recipe's.")] = None,
    batch: Annotated[int | None, typer.Option(help="Likewise; the rate scales with it.")] = None,
    share: Annotated[
        float, typer.Option("--val-share", help="Of validation, where data have no split.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Of weights, split, order, augmentation.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Processes that decode images.")] = None,
    deterministic: Annotated[
        bool | None, typer.Option("--deterministic", help="The same numbers each time.")
    ] = None,
    skip_corrupt: Annotated[
        bool, typer.Option("--skip-corrupt", help="Leave damaged images out, and list them.")
    ] = False,
    weights: Annotated[Path | None, typer.Option(help="Weights to begin with.")] = None,
    timm: Annotated[
        str | None, typer.Option(help="timm's name of the network that --weights are of.")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Weights of a network to learn from.")
    ] = None,
    halve: Annotated[
        bool, typer.Option("--halve", help="Halve the batch if memory is short.")
    ] = False,
    checkpoint_seconds: Annotated[
        float, typer.Option(help="Between checkpoints inside an epoch.")
    ] = 600.0,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in a folder.")] = None,
    as_json: Json = False,
) -> None:
    """Train a network on images, in a folder that survives interruption."""
    from palmette.space.errors import InputError
    from palmette.train import trainer
    from palmette.train.recipe import load_recipe

    if resume is not None:
        expect_alone(context, "resume", "checkpoint_seconds", "as_json")
    elif arch is None or data is None or out is None:
        raise InputError("train: give ARCH, --data and --out, or --resume FOLDER")
    try:
        with _progress() as (watch, checking):
            common: dict[str, Any] = {
                "checkpoint_seconds": checkpoint_seconds,
                "watch": watch,
                "checking": checking,
            }
            if resume is not None:
                done = trainer.resume(resume, **common)
            else:
                assert arch is not None and data is not None and out is not None
                done = trainer.train(
                    read_architecture(arch),
                    data,
                    load_recipe(recipe).changed(
                        epochs=epochs,
                        batch=batch,
                        compute__workers=workers,
                        compute__deterministic=deterministic,
                        compute__corrupt="skip" if skip_corrupt else None,
                    ),
                    out,
                    share=share,
                    seed=seed,
                    device=device,
                    weights=weights,
                    timm=timm,
                    teacher=teacher,
                    halve=halve,
                    **common,
                )
    except KeyboardInterrupt:
        print(f"interrupted; go on with: palmette train --resume {resume or out}", file=sys.stderr)
        raise typer.Exit(130) from None
    _print(done, as_json)


@contextmanager
def _progress() -> Iterator[tuple[Callable[[State], None], Callable[[str, int, int], None]]]:
    """One bar on standard error, if somebody looks on, for training and for checking images."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[more]}"))
    console = Console(stderr=True)
    off = not console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=off) as bar:
        task = bar.add_task("", total=None, more="")

        def watch(state: State) -> None:
            best = f"best {state.top1:.1%}"
            bar.update(
                task,
                description=f"epoch {state.epoch}/{state.epochs}",
                completed=state.step,
                total=state.steps,
                more=f"loss {state.loss:.3f}  {best}  {state.images_per_s:.0f} img/s",
            )

        def checking(what: str, done: int, of: int) -> None:
            bar.update(task, description=what, completed=done, total=of, more=f"{done} of {of}")

        yield watch, checking


def _print(done: Trained, as_json: bool) -> None:
    """The best epoch, what was left out, and where everything is."""
    best = done.best
    answer = {
        "top1": best["top1"],
        "top5": best["top5"],
        "val_loss": best["val_loss"],
        "best_epoch": best["epoch"],
        "epochs": len(done.history),
        "architecture": done.architecture.to_text(),
        "weights": str(done.folder.best),
        "skipped_images": done.skipped,
    }
    if done.skipped:
        note(f"{done.skipped} images can't be decoded and were left out: {done.folder.left_out}")
    print(json.dumps(answer) if as_json else listed(answer))
