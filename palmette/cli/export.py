"""`palmette export`: networks as a Core ML package."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palmette.cli import labels as naming
from palmette.cli.interrupts import working
from palmette.cli.subjects import Classes, Json, TargetName, TaskName, expect_no_more
from palmette.cli.trained import QUANTISED, Named, check_order, read_named

if TYPE_CHECKING:
    from torch import nn

    from palmette.export.sizes import Flexible
    from palmette.latency import LatencyPredictor
    from palmette.latency.targets import Target
    from palmette.space import Architecture
    from palmette.train.weights import TrainedWeights


def export_command(
    context: typer.Context,
    archs: Annotated[
        list[str],
        typer.Argument(
            metavar="ARCH...",
            help="Zoo name, .json, trained weights, text, module.py:factory; several: functions.",
        ),
    ],
    target: TargetName,
    out: Annotated[Path, typer.Option(help="Package to write.")],
    kind: Annotated[str | None, typer.Option(help="mlprogram or neuralnetwork.")] = None,
    ios: Annotated[
        int | None, typer.Option("--ios", help="Oldest system that reads it: 13 to 18, 26.")
    ] = None,
    labels: Annotated[str | None, typer.Option(metavar="FILE|none", help=naming.HELP)] = None,
    task: TaskName = None,
    classes: Classes = None,
    resolution: Annotated[
        str | None, typer.Option("--resolution", "--size", help="Such as 224 or 192x256 (h x w).")
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="All that it takes, the first its own: 192x192,224x224.")
    ] = None,
    size_range: Annotated[
        str | None, typer.Option(help="All that it takes: 160..320; leaves the Neural Engine.")
    ] = None,
    input_kind: Annotated[
        str, typer.Option("--input", help="image, or tensor: half precision, scaled already.")
    ] = "image",
    batch: Annotated[int, typer.Option(help="Images in one tensor.")] = 1,
    mean: Annotated[
        str | None, typer.Option(help="Of pixels from 0 to 1, such as 0.485,0.456,0.406.")
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="One for all channels (in the weights), or three (an op).")
    ] = None,
    outputs: Annotated[
        str | None, typer.Option(help="Names of the outputs, such as low,middle,high.")
    ] = None,
    functions: Annotated[
        str | None, typer.Option(help="Names, one for each ARCH or each of --sizes (iOS 18).")
    ] = None,
    nms: Annotated[
        str | None, typer.Option(help="Of a detector: pipeline (default), program or none.")
    ] = None,
    iou: Annotated[
        float | None, typer.Option(help="Overlap above which a detector's lesser box goes; 0.45.")
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(help="Least score of a detector's box; 0.25.")
    ] = None,
    class_map: Annotated[
        bool, typer.Option("--class-map", help="A segmenter gives the best class of each pixel.")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option(help="Of ARCH: trained weights, or the folder of a training.")
    ] = None,
    keras: Annotated[
        bool, typer.Option("--keras", help="The weights are of a MobileNet of Keras.")
    ] = False,
    bgr: Annotated[
        bool, typer.Option("--bgr", help="With --keras: it was trained with blue first.")
    ] = False,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Of a factory's module: pass what can't be compared.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Export a network to Core ML, and prove its weights (initialised, unless trained)."""
    from palmette.latency import find_target
    from palmette.space.errors import expect

    found = find_target(target)
    if any(".py:" in arch for arch in archs):
        from palmette.latency import load_predictor

        _export_own(context, found, load_predictor(target))
        return
    expect(not unproven, "--unproven: is for module.py:factory alone")
    check_order(keras, bgr)
    own, flexible = _sizes(resolution, sizes, size_range)
    named = [read_named(arch, weights, task, classes, foreign=keras) for arch in archs]
    for one in named:
        expect(
            not one.quantised,
            f"{one.weights}: {QUANTISED}; ship them by palmette compress {one.weights} --out NAME",
        )
    room = batch == 1 and outputs is None  # labels would leave no room for these
    chosen = [naming.labels_of(labels, one, room) for one in named]
    # of functions the format is one of its own
    replaced = _check_place(out, found, kind) if functions is None else ""
    from palmette.latency import load_predictor

    predictor = load_predictor(target)
    networks = [
        Network.of(one, every, keras=keras, bgr=bgr)
        for one, every in zip(named, chosen, strict=True)
    ]
    names = None if functions is None else tuple(functions.split(","))
    if names is not None and len(networks) == 1 and sizes is not None and flexible is not None:
        expect(resolution is None, "--resolution: each of --sizes is a function; leave it out")
        every, flexible = flexible.samples(), None
        networks = [networks[0].at(size) for size in every]
    elif own is not None:
        networks = [network.at(own) for network in networks]
    values: dict[str, Any] = {
        **normalisation(mean, std, networks[0]),
        "kind": kind,
        "ios": ios,
        "input_kind": input_kind,
        "sizes": flexible,
        "batch": batch,
        "outputs": None if outputs is None else tuple(outputs.split(",")),
        "nms": nms,
        "iou": iou,
        "confidence": confidence,
        "class_map": class_map,
    }
    with working("converting"):
        path, ms = _export(networks, names, out, found, predictor, values)
    if as_json:
        answer = {"package": str(path), "predicted_ms": ms[0], "target": str(found)}
        print(json.dumps({**answer, "classes": networks[0].labels}))
    else:
        each = " and ".join(f"{value:.3g} ms" for value in ms)
        print(f"{path}: {replaced}weights proven; {each} predicted on {found}")
        for classes_and_labels in dict.fromkeys((one.classes, one.labels) for one in networks):
            naming.tell(*classes_and_labels)


def _check_place(out: Path, target: Target, kind: str | None) -> str:
    """What is said of a package that one of the target's format, or of another, replaces.

    Raises:
        InputError: none can go there.
    """
    from palmette.export.formats import FORMATS, kind_for_runtime
    from palmette.export.place import destination

    kind = kind_for_runtime(target.runtime) if kind is None else kind
    if kind not in FORMATS:  # what is none is told with the other options
        return ""
    return "replaced; " if destination(out, kind).exists() else ""


_OWN = ("archs", "target", "out", "kind", "labels", "resolution", "unproven", "as_json")
"""Parameters of an export that mean something for a module of one's own."""


def _export_own(context: typer.Context, found: Target, predictor: LatencyPredictor) -> None:
    """The export of a torch module, of which palmette knows no architecture."""
    from palmette.cli.own_export import export_own
    from palmette.space.errors import expect

    given = context.params
    expect_no_more(context, _OWN, "for architectures, not for a torch module")
    expect(len(given["archs"]) == 1, "module.py:factory: give one alone; a package holds one")
    replaced = _check_place(given["out"], found, given["kind"])
    with working("converting"):
        path, ms, proof = export_own(
            given["archs"][0],
            found,
            predictor,
            given["out"],
            size=given["resolution"],
            **{name: given[name] for name in ("kind", "labels", "unproven")},
        )
    if given["as_json"]:
        answer = {"package": str(path), "predicted_ms": ms, "target": str(found), "proof": proof}
        print(json.dumps(answer))
    else:
        words = "not proven" if proof == "none" else "weights proven"
        print(f"{path}: {replaced}{words}; {ms:.3g} ms predicted on {found}")


def _export(
    networks: list[Network],
    names: tuple[str, ...] | None,
    out: Path,
    target: Target,
    predictor: LatencyPredictor,
    values: dict[str, Any],
) -> tuple[Path, list[float]]:
    """The package, and the milliseconds predicted for each network in it."""
    from palmette.export import Function, export, export_functions, options_for_runtime
    from palmette.space.errors import expect

    expect(
        len(networks) == (1 if names is None else len(names)),
        f"functions: {len(networks)} networks need as many names, such as --functions a,b; got"
        f" {'none' if names is None else ','.join(names)}",
    )
    told = [_told(network, target, predictor) for network in networks]
    options = [
        options_for_runtime(target.runtime, labels=network.labels, **values, **one)
        for network, one in zip(networks, told, strict=True)
    ]
    if names is None:
        (network,) = networks
        path = export(network.architecture, out, options=options[0], module=network.module)
    else:
        functions = [
            Function(name, network.architecture, option, network.module)
            for name, network, option in zip(names, networks, options, strict=True)
        ]
        path = export_functions(functions, out)
    return path, [one["predicted_ms"] for one in told]


@dataclass(frozen=True, slots=True)
class Network:
    """What is exported, and where its weights are from."""

    architecture: Architecture
    weights: TrainedWeights | None = None
    module: nn.Module | None = None
    labels: tuple[str, ...] | None = None
    """Of its classes, in the package."""
    classes: tuple[str, ...] | None = None
    """That its weights name."""

    @classmethod
    def of(
        cls,
        named: Named,
        labels: tuple[str, ...] | None = None,
        *,
        keras: bool = False,
        bgr: bool = False,
    ) -> Network:
        """With its trained weights, if there are any; of Keras, perhaps with blue first."""
        from palmette.space.errors import expect

        file = named.weights
        expect(file is not None or not keras, "--keras: needs --weights, the file of the network")
        if file is None:
            return cls(named.architecture, labels=labels)
        from palmette.train.from_keras import read_keras
        from palmette.train.weights import read_weights

        read = read_keras(file, named.architecture, bgr=bgr) if keras else read_weights(file)
        # with the classes that it learned
        return cls(read.architecture, read, read.module(), labels, named.classes)

    def at(self, size: tuple[int, int]) -> Network:
        """The same at another size."""
        architecture = self.architecture.with_resolution(*size)
        if self.weights is None or architecture == self.architecture:
            return replace(self, architecture=architecture)
        from palmette.train.weights import check_tensors

        check_tensors("weights at another resolution", architecture, self.weights.tensors)
        module = architecture.build()
        module.load_state_dict(dict(self.weights.tensors))
        return replace(self, architecture=architecture, module=module.eval())


def _sizes(
    resolution: str | None, sizes: str | None, size_range: str | None
) -> tuple[tuple[int, int] | None, Flexible | None]:
    """The network's own size, if another than the architecture's, and what the package takes."""
    from palmette.export.sizes import read_range, read_size, read_sizes
    from palmette.space.errors import expect

    expect(
        sizes is None or size_range is None,
        "--size-range: a package takes a range or the sizes of --sizes, not both; leave one out",
    )
    own = None if resolution is None else read_size(resolution, "--resolution")
    if sizes is not None:
        every = read_sizes(sizes, "--sizes")
        return own or every.every[0], every
    return own, None if size_range is None else read_range(size_range, "--size-range")


def normalisation(mean: str | None, std: str | None, network: Network) -> dict[str, Any]:
    """Scale and bias: those that the weights were trained with, or those given."""
    from palmette.space.errors import expect

    if network.weights is not None:
        expect(
            mean is None and std is None, "--mean, --std: the weights say theirs; leave them out"
        )
        learned = network.weights.normalisation
        return {"scale": learned.scale, "bias": learned.bias}
    means, stds = _numbers(mean or "0.5", "--mean"), _numbers(std or "0.5", "--std")
    expect(all(value > 0 for value in stds), f"--std: must be above 0, got {std}")
    scales = tuple(1 / (255 * value) for value in stds)
    bias = tuple(
        -m / s for m, s in zip(means * (3 // len(means)), stds * (3 // len(stds)), strict=True)
    )
    return {"scale": scales[0] if len(scales) == 1 else scales, "bias": bias}


def _numbers(text: str, option: str) -> tuple[float, ...]:
    """One number, or three."""
    from palmette.space.errors import InputError

    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) not in (1, 3) or not all(math.isfinite(value) for value in found):
        raise InputError(f"{option}: one number or three (red,green,blue), got '{text}'")
    return found


def _told(network: Network, target: Target, predictor: LatencyPredictor) -> dict[str, Any]:
    """What the package says of its time and its accuracy."""
    from palmette.latency.uncertainty import DEFAULT_CONFIDENCE

    unlabelled = network.classes if network.labels is None else None
    interval = predictor.predict_interval([network.architecture])
    return {
        "predicted_ms": float(interval.ms[0]),
        "interval_ms": (float(interval.lower_ms[0]), float(interval.upper_ms[0])),
        "interval_confidence": DEFAULT_CONFIDENCE,
        "metadata": {
            "target": str(target),
            "predictor": predictor.timings_hash_,
            **accuracy_metadata(network),
            **({"classes": "\n".join(unlabelled)} if unlabelled else {}),
        },
    }


def accuracy_metadata(network: Network) -> dict[str, str]:
    """Measured in training, or estimated by the prior; nothing where the prior does not reach."""
    from palmette.space.errors import InputError
    from palmette.train import AccuracyPrior

    if network.weights is not None:
        return network.weights.accuracy
    try:
        report = AccuracyPrior.load().report(network.architecture, None)
    except InputError:  # no classifier, or blocks that it knows nothing of
        return {}
    return {
        "estimated_top1": f"{report['top1']:.1f}",
        "estimated_top1_interval": f"{report['lower']:.1f} to {report['upper']:.1f}",
        "accuracy_rung": f"{report['rung']}, {report['recipe']}",
    }
