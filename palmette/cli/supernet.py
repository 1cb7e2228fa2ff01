"""Commands of supernets: `palmette supernet train | evaluate | extract`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palmette.cli.door import RUN, check_new_run
from palmette.cli.interrupts import interruptible, tell_interrupted
from palmette.cli.output import counting, print_table
from palmette.cli.subjects import Json, read_architecture

if TYPE_CHECKING:
    from palmette.space import SearchSpace

supernet = typer.Typer(help="One network that holds all networks of a space.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="supernet.safetensors of a training.")]
Data = Annotated[str | None, typer.Option(help="Other images than it was trained on.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


@supernet.command("train")
def train_command(
    space_name: Annotated[
        str | None, typer.Argument(metavar="[SPACE]", help="Preset or .toml.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Folder, saved data set, .csv or .parquet, digits, procedural."),
    ] = None,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or .toml.")] = "quick",
    schedule: Annotated[
        str, typer.Option(help="sandwich, progressive, or .toml: what varies when.")
    ] = "sandwich",
    out: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    epochs: Annotated[int | None, typer.Option(help="In place of the recipe's.")] = None,
    batch: Annotated[int | None, typer.Option(help="Likewise; the rate scales with it.")] = None,
    share: Annotated[
        float, typer.Option("--val-share", help="Of validation, where data have no split.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Of weights, split, order, networks.")] = 0,
    device: Device = "auto",
    teacher: Annotated[
        Path | None, typer.Option(help="Weights that the largest network learns from.")
    ] = None,
    halve: Annotated[
        bool, typer.Option("--halve", help="Halve the batch if memory is short.")
    ] = False,
    deterministic: Annotated[
        bool | None, typer.Option("--deterministic", help="The same numbers each time.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in a folder.")] = None,
    as_json: Json = False,
) -> None:
    """Train a supernet of a space, in a folder that survives interruption."""
    from palmette.space.errors import InputError
    from palmette.space.run_file import expect_begun
    from palmette.train.datasets import expect_data
    from palmette.train.options import expect_options
    from palmette.train.recipe import load_recipe
    from palmette.train.supernet import load_schedule

    given = (space_name, data, out)
    if (resume is None) == any(value is None for value in given) or (
        resume and (space_name or out)
    ):
        raise InputError(
            "supernet train: give SPACE, --data and --out, or --resume FOLDER, and --data if they"
            " moved"
        )
    keys = load_recipe(recipe).changed(
        epochs=epochs, batch=batch, compute__deterministic=deterministic
    )
    varied = load_schedule(schedule)
    expect_options(share, seed, device)
    space = None if space_name is None else _read_space(space_name)
    if resume is not None:
        expect_begun(resume / RUN, "training of a supernet")
    if data is not None:
        expect_data(data)
    if out is not None:
        check_new_run(out)
    from palmette.train.supernet import resume_supernet, train_supernet

    folder = resume or out
    assert folder is not None
    again = f"palmette supernet train --resume {folder}"
    with interruptible(partial(tell_interrupted, folder, again)), counting() as tell:
        more: dict[str, Any] = {
            "watch": lambda state: tell(f"epoch {state.epoch}", state.step, state.steps),
            "checking": tell,
        }
        if resume is not None:
            done = resume_supernet(resume, data=data, **more)
        else:
            assert space is not None and data is not None and out is not None
            done = train_supernet(
                space,
                data,
                keys,
                varied,
                out,
                share=share,
                seed=seed,
                device=device,
                teacher=teacher,
                halve=halve,
                **more,
            )
    last = done.history[-1]
    if as_json:
        print(json.dumps({"file": str(done.file), **last}))
        return
    print(
        f"top-1 {last['top1']:.1%} of the largest network, {last['top1_smallest']:.1%} of the"
        f" smallest, after {last['epoch']} epochs: {done.file}"
    )


@supernet.command("evaluate")
def evaluate_command(
    file: File,
    archs: Annotated[
        list[str] | None, typer.Argument(metavar="[ARCH]...", help=".json file or text.")
    ] = None,
    random: Annotated[int, typer.Option(help="Random networks of the space, too.")] = 0,
    seed: Annotated[int, typer.Option(help="Of these.")] = 0,
    data: Data = None,
    no_recalibration: Annotated[
        bool, typer.Option("--no-recalibration", help="With the shared BatchNorm statistics.")
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Estimate top-1 of networks of the space: those given, or its largest and smallest."""
    import numpy as np

    from palmette.space.errors import expect
    from palmette.train.supernet.sampling import largest, smallest

    expect(0 <= random <= 100_000, f"--random: from 0 to 100000, got {random}")
    estimator = _load(file, data, device, recalibrated=not no_recalibration)
    space = estimator.trained.space
    networks = [read_architecture(text) for text in archs or []]
    networks += space.decode_batch(space.sample(random, np.random.default_rng(seed)))
    if not networks:
        networks = [space.decode(largest(space)), space.decode(smallest(space))]
    rows = []
    with counting() as tell:
        for done, network in enumerate(networks):
            tell("evaluating", done, len(networks))
            network = estimator.supernet.find(network)
            found = estimator.report(network)
            rows.append({**found, "macs_m": network.macs() / 1e6, "text": network.to_text()})
    if as_json:
        print(json.dumps(rows))
        return
    print_table(
        f"{file} on {estimator.images} validation images",
        ["network", "top-1", "80 % interval", "M MACs"],
        [
            [
                str(row["id"]),
                f"{row['top1']:.1f} %",
                f"{row['lower']:.1f} to {row['upper']:.1f}",
                f"{row['macs_m']:.2f}",
            ]
            for row in rows
        ],
    )
    for row in rows:
        print(f"{row['id']}: {row['text']}")


@supernet.command("extract")
def extract_command(
    file: File,
    arch: Annotated[str, typer.Argument(metavar="ARCH", help=".json file or text.")],
    out: Annotated[Path, typer.Option(help="Weights to write, .safetensors.")],
    data: Data = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Write the weights of one network of the space, to train on or to export."""
    from palmette.train.weights import TrainedWeights, write_weights

    estimator = _load(file, data, device)
    trained = estimator.trained
    network, module = estimator.extract(read_architecture(arch))
    top1 = float(estimator.evaluate([network]).top1[0])
    weights = TrainedWeights(
        network,
        trained.classes,
        trained.normalisation,
        module.state_dict(),
        {"supernet": trained.space.name, "top1": top1 / 100},
    )
    write_weights(out, weights)
    if as_json:
        print(json.dumps({"weights": str(out), "top1": top1, "id": network.id}))
    else:
        print(f"{out}: top-1 {top1:.1f} % with the supernet's weights")


def _load(file: Path, data: str | None, device: str, recalibrated: bool = True) -> Any:
    from palmette.train.datasets import open_data
    from palmette.train.supernet import SupernetAccuracy, read_supernet

    trained = read_supernet(file)
    opened = None
    if data is not None:
        opened = open_data(
            data,
            side=trained.space.largest_side,
            share=trained.source.share,
            seed=trained.source.seed,
        )
    return SupernetAccuracy(trained, opened, device=device, recalibrated=recalibrated)


def _read_space(name: str) -> SearchSpace:
    from palmette.space import SearchSpace

    return SearchSpace.read(Path(name)) if name.endswith(".toml") else SearchSpace.preset(name)
