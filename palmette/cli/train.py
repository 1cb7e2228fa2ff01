"""The command that trains a network, or those of a front: `palmette train`."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palmette.cli.completion import complete_network
from palmette.cli.door import RUN, check_new_run, check_run
from palmette.cli.interrupts import interruptible, tell_interrupted
from palmette.cli.log_lines import LogLines
from palmette.cli.output import listed, note, print_table, say, say_next
from palmette.cli.search import expect_alone
from palmette.cli.subjects import Json, names_weights, read_architecture

if TYPE_CHECKING:
    from palmette.search import TrainedFront
    from palmette.train.cluster import Cluster
    from palmette.train.epochs import State
    from palmette.train.recipe import Recipe
    from palmette.train.trainer import Trained


SHOWN_CLASSES = 8
"""Names of classes that are printed."""


def train(
    context: typer.Context,
    arch: Annotated[
        str | None,
        typer.Argument(
            metavar="[ARCH]",
            help="Zoo name, .json file, architecture text, or weights to go on from.",
            autocompletion=complete_network,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Folder, data set, .csv, .parquet, digits, procedural; with --resume if moved."
        ),
    ] = None,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or .toml.")] = "quick",
    out: Annotated[Path | None, typer.Option(help="Folder of the run; needed with ARCH.")] = None,
    epochs: Annotated[int | None, typer.Option(help="In place of the recipe's epochs.")] = None,
    batch: Annotated[
        int | None, typer.Option(help="In place of the recipe's batch; the rate scales with it.")
    ] = None,
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
    weights: Annotated[
        Path | None, typer.Option(help="Weights to begin with, or the folder of a training.")
    ] = None,
    timm: Annotated[
        str | None, typer.Option(help="timm's name of the network that --weights are of.")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Weights of a network to learn from.")
    ] = None,
    quantise: Annotated[
        bool, typer.Option("--quantise", help="Learn on with 8-bit weights and activations.")
    ] = False,
    halve: Annotated[
        bool, typer.Option("--halve", help="Halve the batch if memory is short.")
    ] = False,
    ray_workers: Annotated[
        int | None, typer.Option(help="Workers of Ray that train together; 0: none.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; on this machine if not given.")
    ] = None,
    checkpoint_seconds: Annotated[
        float, typer.Option(help="Between checkpoints inside an epoch.")
    ] = 600.0,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in a folder.")] = None,
    run: Annotated[
        Path | None, typer.Option(help="Train networks of this search's front, in place of ARCH.")
    ] = None,
    picks: Annotated[
        int | None, typer.Option(help="So many of them, the pick first of all; default 4.")
    ] = None,
    successive_halving: Annotated[
        bool,
        typer.Option(
            "--successive-halving",
            help="Train 9 of them (or --picks) in rungs of epochs; the best third goes on.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a network on images, in a folder that survives interruption."""
    from palmette.space.errors import InputError, expect, expect_some
    from palmette.train.options import expect_checkpoints, expect_options
    from palmette.train.recipe import load_recipe
    from palmette.train.weights import weights_file

    if arch is not None and names_weights(arch):
        expect(
            weights is None and timm is None,
            f"--weights, --timm: {arch} is what it begins with; leave them out",
        )
        weights = Path(arch)
    expect(picks is None or run is not None, "--picks: needs --run, the folder of a search")
    expect(
        not successive_halving or (run is not None and not ray_workers),
        "--successive-halving: needs --run, the folder of a search, and no --ray-workers",
    )
    if resume is not None:
        expect_alone(
            context, "resume", "data", "ray_workers", "ray_address", "checkpoint_seconds", "as_json"
        )
    elif run is not None:
        expect(
            all(given is None for given in (arch, out, weights, timm)) and not quantise,
            "--run: takes its networks from the front, trains them from nothing and keeps them in"
            " the run's folder; leave out ARCH, --out, --weights, --timm and --quantise",
        )
    elif arch is None or data is None or out is None:
        raise InputError(
            "train: give ARCH, --data and --out, or --run of a search, or --resume FOLDER"
        )
    elif quantise:
        expect(
            weights is not None and timm is None,
            "--quantise: needs --weights, of a network that palmette trained",
        )
        expect(ray_workers is None, "--quantise: is for one process, without --ray-workers")
    keys = load_recipe(recipe).changed(
        epochs=epochs,
        batch=batch,
        compute__workers=workers,
        compute__deterministic=deterministic,
        compute__corrupt="skip" if skip_corrupt else None,
    )
    expect_options(share, seed, device)
    expect_checkpoints(checkpoint_seconds)
    if picks is not None:
        expect_some("--picks", picks)
    cluster = _cluster(ray_workers, ray_address)
    weights, teacher = (None if path is None else weights_file(path) for path in (weights, teacher))
    _check_places(resume, run, data, out)
    architecture = None if arch is None else read_architecture(arch)
    options: dict[str, Any] = {
        "share": share,
        "seed": seed,
        "device": device,
        "teacher": teacher,
        "halve": halve,
    }
    folder = run or resume or out
    assert folder is not None
    again = "the same command" if run else f"palmette train --resume {folder}"
    with (
        interruptible(partial(tell_interrupted, folder, again)),
        _progress() as (watch, checking),
    ):
        common: dict[str, Any] = {
            "checkpoint_seconds": checkpoint_seconds,
            "watch": watch,
            "checking": checking,
        }
        if resume is not None:
            answer = partial(_print, _resumed(resume, cluster, common | {"data": data}))
        elif run is not None:
            common |= {**options, "cluster": cluster}
            train_run = _halve_front if successive_halving else _train_front
            answer = partial(_print_front, train_run(run, keys, data, picks, common))
        else:
            assert architecture is not None and data is not None and out is not None
            common |= {**options, "weights": weights}
            if not quantise:
                common |= {"timm": timm, "cluster": cluster}
            begin = _beginner(quantise)
            answer = partial(_print, begin(architecture, data, keys, out, **common))
    answer(as_json)


def _check_places(
    resume: Path | None,
    run: Path | None,
    data: str | None,
    out: Path | None,
) -> None:
    """Raise InputError where nothing is to be read, or nothing can be written."""
    from palmette.space.run_file import expect_begun
    from palmette.train.datasets import expect_data

    if resume is not None:
        expect_begun(resume / RUN, "training")
    if run is not None:
        check_run(run, several=True)
    if data is not None:
        expect_data(data)
    if out is not None:
        check_new_run(out)


def _beginner(quantise: bool) -> Callable[..., Trained]:
    """What begins a training: plain, or with 8-bit weights and activations."""
    if not quantise:
        from palmette.train.trainer import train

        return train
    from palmette.export.quantised import prepare_w8a8
    from palmette.train.quantised import train_quantised

    return partial(train_quantised, prepare=prepare_w8a8)


def _resumed(out: Path, cluster: Cluster | None, common: dict[str, Any]) -> Trained:
    """The training in a folder, gone on with as it began; of a finished one the end."""
    from palmette.space.errors import expect
    from palmette.train.trained import read_finished

    found = read_finished(out)
    if found is not None:
        note(f"{out}: was finished already; nothing was trained")
        return found
    from palmette.train import quantised, trainer

    if not quantised.is_quantised(out):
        return trainer.resume(out, cluster=cluster, **common)
    from palmette.export.quantised import prepare_w8a8

    expect(cluster is None, f"{out}: its training is for one process; leave out --ray-workers")
    return quantised.resume_quantised(out, prepare_w8a8, **common)


def _train_front(
    run: Path, recipe: Recipe, data: str | None, picks: int | None, common: dict[str, Any]
) -> TrainedFront:
    from palmette.search import train_front
    from palmette.search.trained_front import PICKS

    count = PICKS if picks is None else picks

    def told(done: int, of: int) -> None:
        if done < of:
            note(f"network {done + 1} of {of}")

    return train_front(run, recipe, data=data, picks=count, told=told, **common)


def _halve_front(
    run: Path, recipe: Recipe, data: str | None, picks: int | None, common: dict[str, Any]
) -> TrainedFront:
    from palmette.search.halved_front import PICKS, halve_front

    def told(epochs: int, done: int, of: int) -> None:
        note(f"network {done} of {of} to epoch {epochs}")

    found = halve_front(
        run, recipe, data=data, picks=PICKS if picks is None else picks, told=told, **common
    )
    note(found.words())
    return found.trained


def _cluster(workers: int | None, address: str | None) -> Cluster | None:
    """Workers of Ray, if they are asked for."""
    from palmette.space.errors import expect
    from palmette.train.cluster import LOCAL, Cluster

    expect(workers is not None or address is None, "--ray-address: needs --ray-workers, how many")
    return None if workers is None else Cluster(workers, LOCAL if address is None else address)


@contextmanager
def _progress() -> Iterator[tuple[Callable[[State], None], Callable[[str, int, int], None]]]:
    """On standard error, for training and for checking images: a bar, or lines in a log file."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[more]}"))
    console = Console(stderr=True)
    off = not console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=off) as bar:
        task = bar.add_task("", total=None, more="")
        lines = LogLines()

        def watch(state: State) -> None:
            best = "" if math.isnan(state.top1) else f"best {state.top1:.1%}"
            at = f"epoch {state.epoch}/{state.epochs}, step {state.step}/{state.steps}"
            speed = f"{state.images_per_s:.0f} img/s"
            told = [at, f"loss {state.loss:.3f}", best, speed]
            if off:
                lines.tell(lambda: ", ".join(filter(None, told)))
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
        "training_images": done.training_images,
        "validation_images": done.images,
        "classes": list(done.classes),
    }
    if done.skipped:
        note(f"{done.skipped} images can't be decoded and were left out: {done.folder.left_out}")
    if as_json:
        print(json.dumps(answer))
        return
    print(listed(_told(done)))
    weights = shlex.quote(str(done.folder.best))
    config, _ = done.folder.read()
    if config.get("quantised"):
        say_next(f"palmette compress {weights} --out NAME", "a Core ML package of these weights")
    else:
        say_next(
            f"palmette export {weights} --target TARGET --out NAME",
            "a Core ML package of these weights; palmette targets lists targets",
        )


def _told(done: Trained) -> dict[str, str]:
    """The answer as people read it."""
    best, count = done.best, len(done.classes)
    names = ", ".join(done.classes[:SHOWN_CLASSES]) + (", ..." if count > SHOWN_CLASSES else "")
    return {
        "top1": f"{100 * best['top1']:.1f} %",
        **({"top5": f"{100 * best['top5']:.1f} %"} if count > 5 else {}),  # else all are among 5
        "val_loss": f"{best['val_loss']:.3f}",
        "best_epoch": f"{best['epoch']:.0f} of {len(done.history)}",
        "images": f"{done.training_images} to train on, {done.images} to validate with",
        "classes": f"{count} ({names})",
        "architecture": done.architecture.to_text(),
        "weights": str(done.folder.best),
    }


def _print_front(done: TrainedFront, as_json: bool) -> None:
    """Estimated beside real accuracies, and what they say of the estimates."""
    if as_json:
        print(json.dumps(done.summary()))
        return
    rows = [
        [
            f"{'pick' if row['pick'] else 'front'} {row['id'][:8]}",
            _span(row, "ms", "ms_low", "ms_high", "{:.3g}"),
            _span(row, "estimated_top1", "estimated_low", "estimated_high", "{:.1f}"),
            _span(row, "real_top1", "real_low", "real_high", "{:.1f}"),
            f"{row['difference']:+.1f}",
        ]
        for row in done.table.to_dict("records")
    ]
    rung = done.run.problem.accuracy.rung
    print_table(
        f"estimated by the {rung}, real on '{done.data}'; in brackets 80 % intervals",
        ["network", "predicted ms", "estimated top-1", "real top-1", "apart"],
        rows,
    )
    for line in done.lines():
        say(line)
    print(f"table: {done.run.folder.trained_table}; weights: {done.run.folder.trained}")
    best = max(done.table.to_dict("records"), key=lambda row: float(row["real_top1"]))
    weights = done.run.folder.path / str(best["weights"])
    target = "TARGET" if done.run.config.goals else done.run.config.target  # of several: each
    say_next(
        f"palmette export {shlex.quote(str(weights))} --target {target} --out NAME",
        "a Core ML package of the one that came out best",
    )


def _span(row: dict[Any, Any], value: str, low: str, high: str, form: str) -> str:
    numbers = [form.format(row[name]) for name in (value, low, high)]
    return "{} ({}-{})".format(*numbers)
