"""`palmette verify`: a package held against the network that it should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palmette.cli.export import Network, normalisation
from palmette.cli.interrupts import working
from palmette.cli.output import print_table, say
from palmette.cli.subjects import Classes, Json, TaskName
from palmette.cli.trained import QUANTISED, Named, check_order, read_named

if TYPE_CHECKING:
    from palmette.export.gates import Verdict


def verify(
    package: Annotated[Path, typer.Argument(metavar="FILE", help="Core ML package.")],
    against: Annotated[
        str,
        typer.Option(metavar="ARCH", help="What it should be, as of palmette export; or weights."),
    ],
    weights: Annotated[
        Path | None,
        typer.Option(help="Of ARCH: those that it was exported with; untrained by default."),
    ] = None,
    task: TaskName = None,
    classes: Classes = None,
    resolution: Annotated[
        str | None, typer.Option("--resolution", "--size", help="As it was exported.")
    ] = None,
    mean: Annotated[str | None, typer.Option(help="As it was exported.")] = None,
    std: Annotated[str | None, typer.Option(help="As it was exported.")] = None,
    keras: Annotated[bool, typer.Option("--keras", help="The weights are of Keras.")] = False,
    bgr: Annotated[bool, typer.Option("--bgr", help="With --keras: blue first.")] = False,
    function: Annotated[
        str | None, typer.Option(help="Which one to verify, of a package of functions.")
    ] = None,
    images: Annotated[int, typer.Option(help="Seeded images to compare outputs on.")] = 4,
    mac_script: Annotated[
        Path | None, typer.Option(help="New folder for a script that runs the package on a Mac.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Prove on this machine that a package computes what its network does, and say what is left."""
    from palmette.export.package import model_file
    from palmette.export.sizes import read_size
    from palmette.space.errors import expect

    check_order(keras, bgr)
    named = read_named(against, weights, task, classes, foreign=keras)
    size = None if resolution is None else read_size(resolution, "--resolution")
    model_file(package)
    from palmette.export.gates import write_mac_script
    from palmette.export.gates.mac_script import check_mac_script
    from palmette.export.gates.verify import sample_images
    from palmette.export.quantised import is_quantised

    if mac_script is not None:
        expect(function is None, "--mac-script: runs the first function; leave out --function")
        check_mac_script(package, mac_script)
    if is_quantised(package):
        others = (mean, std, function, size, *(given or None for given in (keras, bgr)))
        expect(
            all(other is None for other in others),
            f"package {package}: holds 8-bit weights, which say size and normalisation themselves;"
            " give the weights alone",
        )
        prove = _prove_quantised(package, named)
    else:
        expect(
            not named.quantised,
            f"{named.weights}: {QUANTISED}, and package {package} does not round; give the weights"
            " that it was exported with",
        )
        network = Network.of(named, keras=keras, bgr=bgr)
        prove = _prove(network if size is None else network.at(size), mean, std, function)
    with working("verifying"):
        verdict = prove(package, images=images)
        architecture = verdict.architecture
        if mac_script is not None:
            write_mac_script(package, sample_images(architecture, images), mac_script)
    if as_json:
        print(json.dumps(verdict.to_dict()))
    else:
        _print(verdict, mac_script)
    if not verdict.passed:
        raise typer.Exit(1)


Proof = Callable[..., "Verdict"]


def _prove(network: Network, mean: str | None, std: str | None, function: str | None) -> Proof:
    """`verify` of a network and its weights."""
    from palmette.export.gates import verify as verify_package

    scaling = normalisation(mean, std, network)
    return partial(
        verify_package,
        architecture=network.architecture,
        module=network.module,
        function=function or "",
        classes=network.classes,
        **scaling,
    )


def _prove_quantised(package: Path, named: Named) -> Proof:
    """`verify_quantised` of a network with the weights that training left."""
    from palmette.export.quantised import verify_quantised
    from palmette.space.errors import InputError
    from palmette.train.quantised import read_quantised

    if named.weights is None or not named.quantised:
        given = f"{named.weights}: are not" if named.weights else "--weights: give"
        raise InputError(
            f"{given} those of palmette train --quantise; package {package} rounds to 8 bits"
        )
    read = read_quantised(named.weights)
    scale, bias = read.normalisation.scale, read.normalisation.bias
    return partial(
        verify_quantised,
        architecture=read.architecture,
        tensors=read.tensors,
        scale=scale,
        bias=bias,
        classes=named.classes,
    )


def _print(verdict: Verdict, mac_script: Path | None) -> None:
    words = {True: "yes", False: "NO", None: "not run"}
    rows = [
        [
            gate.name,
            words[gate.passed],
            _number(gate.figures.get("error")),
            _number(gate.figures.get("tolerance")),
            gate.reason or gate.shows,
        ]
        for gate in verdict.gates
    ]
    print_table(str(verdict.path), ["gate", "passed", "error", "limit", "what it shows"], rows)
    for gate in verdict.gates:
        others = {k: v for k, v in gate.figures.items() if k not in ("error", "tolerance") and v}
        if others:
            print(f"{gate.name}: " + ", ".join(f"{k} {_number(v)}" for k, v in others.items()))
        if others.get("top1_agreement") is not None:
            print("  top1_agreement: equal best classes, on images of noise, not on yours")
    print("not proven here:")
    for line in verdict.unproven:
        say(f"- {line}")
    if mac_script is not None:
        print(f"on a Mac, not run by us: python {mac_script}/check.py")
    print("passed" if verdict.passed else "FAILED")


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
