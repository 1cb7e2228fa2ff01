"""The command that makes packages smaller: `palmette compress`."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palmette.cli import labels as naming
from palmette.cli.export import Network, normalisation
from palmette.cli.interrupts import interruptible, tell_nothing, working
from palmette.cli.output import counting, listed, print_table, say
from palmette.cli.subjects import Json, expect_no_more
from palmette.cli.trained import Named, read_named

if TYPE_CHECKING:
    from palmette.export.compression import Compressed, Images, Sweep

W8A8 = "w8a8"
NEWEST = "iOS18"
"""What an export for a sweep is made for: all schemes run on it."""
OF_EXPORT = ("ios", "labels")
"""Options of what is exported before it is compressed."""
COMMON = ("subject", "out", "scheme", "sweep", "weights", "as_json")
_MOST_ERROR = 0.1


def compress(
    context: typer.Context,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="PACKAGE",
            help="A .mlpackage of palmette's, ARCH, or trained weights, --quantise or not.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Package to write; with --sweep a folder.")],
    scheme: Annotated[str | None, typer.Option(help="Such as int8, palette4 or sparse50.")] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Every scheme, measured.")] = False,
    weights: Annotated[
        Path | None, typer.Option(help="Of ARCH: trained weights, or the folder of a training.")
    ] = None,
    ios: Annotated[
        int | None, typer.Option("--ios", help="Of ARCH: oldest system; default the scheme's.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE|none", help=f"Of ARCH. {naming.HELP}")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Labelled images for --sweep, as for palmette train.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="Whose validation crop is used.")] = "quick",
    share: Annotated[
        float, typer.Option("--val-share", help="Of validation, where data have no split.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    count: Annotated[int, typer.Option("--images", help="Most images to measure on.")] = 256,
    most_loss: Annotated[float, typer.Option(help="Points that the pick may lose.")] = 1.0,
    most_error: Annotated[
        float, typer.Option(help="Of the outputs, without --data.")
    ] = _MOST_ERROR,
    as_json: Json = False,
) -> None:
    """Compress the weights of a package, and prove what is stored."""
    from palmette.space.errors import expect, expect_some
    from palmette.train.options import expect_share

    expect_share(share)
    expect_some("images", count)
    from palmette.export import compression
    from palmette.export.compression.schemes import runs_on

    named = _read(subject, weights, ios, labels)
    if named is not None and named.quantised:
        expect(scheme in (None, W8A8) and not sweep, f"{subject}: is of the scheme {W8A8} alone")
        expect_no_more(context, (*COMMON, *OF_EXPORT), f"of no use with the scheme {W8A8}")
        with working("converting"):
            _print_quantised(named, out, ios, naming.labels_of(labels, named), as_json)
        return
    expect(
        scheme != W8A8,
        f"scheme '{W8A8}': is trained; give the weights that palmette train --quantise left",
    )
    expect(sweep != (scheme is not None), "compress: give --scheme NAME or --sweep")
    chosen = None if named is None else naming.labels_of(labels, named)
    if scheme is not None:
        expect_no_more(context, (*COMMON, *OF_EXPORT), "for --sweep")
        found = compression.scheme_named(scheme)
        system = _system(ios, found.system)
        expect(
            runs_on(found, system),
            f"--ios {ios}: scheme '{scheme}' needs {found.system}; leave --ios out",
        )
        with source_package(subject, named, chosen, system, out) as package, working("compressing"):
            _print_one(compression.compress(package, out, found), as_json)
        if named is not None and not as_json:
            naming.tell(named.classes, chosen)
        return
    if data is None:
        expect_no_more(context, (*COMMON, *OF_EXPORT, "most_error"), "for --data")
    else:
        expect(most_error == _MOST_ERROR, "--most-error: is for a sweep without --data")
    rule = compression.Rule(most_loss, most_error)
    system = _system(ios, NEWEST)
    made = source_package(subject, named, chosen, system, out)
    with interruptible(tell_nothing), made as package, counting() as tell:
        images = None if data is None else _images(package, data, recipe, share, seed, count)
        _print_sweep(compression.sweep(package, out, images=images, rule=rule, tell=tell), as_json)


def _read(subject: str, weights: Path | None, ios: int | None, labels: str | None) -> Named | None:
    """The network that is named; None if it is a package, which leaves nothing to choose."""
    from palmette.export import FORMATS
    from palmette.space.errors import expect

    if not subject.endswith(tuple(form.suffix for form in FORMATS.values())):
        return read_named(subject, weights)
    for option, given in {"--weights": weights, "--ios": ios, "--labels": labels}.items():
        expect(given is None, f"{option}: is for ARCH; a package has its own")
    return None


def _system(ios: int | None, default: str) -> str:
    """Name of the oldest system that `--ios` says, one that reads compressed packages."""
    from palmette.export.compression.schemes import SYSTEMS
    from palmette.space.errors import expect

    found, known = default if ios is None else f"iOS{ios}", tuple(SYSTEMS.values())
    expect(found in known, f"--ios: compressed packages are for {', '.join(known)}; got {ios}")
    return found


def _print_quantised(
    named: Named,
    out: Path,
    ios: int | None,
    labels: tuple[str, ...] | None,
    as_json: bool,
) -> None:
    """Export a network that was trained with 8-bit weights and activations."""
    from palmette.export import ExportOptions
    from palmette.export.quantised import export_quantised
    from palmette.train.quantised import read_quantised

    assert named.weights is not None
    read = read_quantised(named.weights)
    scaling = read.normalisation
    options = ExportOptions(
        labels=labels,
        scale=scaling.scale,
        bias=scaling.bias,
        system=None if ios is None else f"iOS{ios}",
    )
    done = export_quantised(read.architecture, read.tensors, out, options=options)
    answer = {
        "package": str(done.path),
        "scheme": W8A8,
        "mb": done.bytes / 1e6,
        "layers": done.layers,
        "equal_weights": done.values,
        "output_error": done.output_error,
        "top1": read.about.get("top1"),
    }
    if as_json:
        print(json.dumps({**answer, "classes": labels}))
        return
    print(listed(answer))
    naming.tell(named.classes, labels)


@contextmanager
def source_package(
    subject: str,
    named: Named | None,
    labels: tuple[str, ...] | None,
    system: str,
    out: Path,
) -> Iterator[Path]:
    """The package that is named, or one exported for the time being.

    Args:
        subject: path of a package, or a network as the command line takes it.
        named: the network, if it is one.
        labels: of its classes in order.
        system: oldest that must read what is exported.
        out: the export is made in a folder beside it.
    """
    from palmette.export import ExportOptions, export
    from palmette.space.errors import expect

    if named is None:
        yield Path(subject)
        return
    network = Network.of(named, labels)
    options = ExportOptions(labels=labels, system=system, **normalisation(None, None, network))
    folder = out.absolute().parent
    expect(folder.is_dir(), f"output {out}: its folder does not exist; make it first")
    with tempfile.TemporaryDirectory(prefix=".palmette-export-", dir=folder) as name:
        with working("converting"):
            source = Path(name, "source")
            package = export(network.architecture, source, options=options, module=network.module)
        yield package


def _images(package: Path, name: str, recipe: str, share: float, seed: int, count: int) -> Images:
    """Validation images of data, of the size and the classes of a package."""
    from palmette.export.compression import Images
    from palmette.export.compression.compress import open_source
    from palmette.export.proof import image_size
    from palmette.space.errors import expect
    from palmette.train.datasets import open_data
    from palmette.train.recipe import load_recipe
    from palmette.train.validation import validation_pixels

    size, augment = image_size(package), load_recipe(recipe).augment
    opened = open_data(name, side=max(size), share=share, seed=seed)
    classes = open_source(package).classes
    expect(
        classes == len(opened.classes),
        f"data '{name}': have {len(opened.classes)} classes, the package names {classes}",
    )
    return Images(*validation_pixels(opened.validation, augment, size, count, seed))


def _print_one(done: Compressed, as_json: bool) -> None:
    """What was made; as JSON every layer's error as well."""
    from palmette.export.compression.schemes import SYSTEMS
    from palmette.export.package import read_spec

    answer: dict[str, Any] = {
        "package": str(done.path),
        "scheme": done.scheme.name,
        "system": SYSTEMS[read_spec(done.path).specificationVersion],
        "mb": done.bytes / 1e6,
        "uncompressed_mb": done.source_bytes / 1e6,
        "weight_error": done.weight_error,
        "worst_layer": done.worst.name,
        "worst_layer_error": done.worst.relative,
    }
    if not as_json:
        print(listed(answer))
        print("accuracy: not measured; --sweep with --weights and --data does that")
        return
    answer["layers"] = [
        {
            "name": layer.name,
            "values": layer.values,
            "compressed": layer.compressed,
            "largest_change": layer.largest,
            "relative_error": layer.relative,
        }
        for layer in done.layers
    ]
    print(json.dumps(answer))


def _print_sweep(done: Sweep, as_json: bool) -> None:
    """A row for each scheme, the pick and its rule."""
    from palmette.export.compression.sweep import plain

    pick = str(done.package) if done.package else None
    if as_json:
        rows = [plain(row) for row in done.rows]
        answer = {"pick": done.pick.scheme, "package": pick, "rule": done.rule, "rows": rows}
        print(json.dumps(answer))
        return
    cells = [
        [
            ("* " if row.picked else "") + row.scheme,
            _cell(row.mb, ".3g"),
            _cell(row.weight_error, ".3f"),
            _cell(row.output_error, ".3f"),
            _cell(row.agreement, ".1%"),
            _cell(row.top1, ".1%"),
            _cell(100 * row.loss, "+.1f") + _deviation(row.loss_deviation),
        ]
        for row in done.rows
    ]
    columns = ["scheme", "MB", "weights", "outputs", "same class", "top-1", "lost, points"]
    print_table("Sizes; relative errors of weights and outputs", columns, cells)
    for row in done.rows:
        if row.note:
            say(f"{row.scheme}: {row.note}")
    say(f"* the pick: {done.rule}")
    print(f"table and picture: {done.folder}")


def _cell(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def _deviation(share: float) -> str:
    return "" if math.isnan(share) else f" ± {100 * share:.1f}"
