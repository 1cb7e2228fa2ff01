"""The user's own torch module as a Core ML package, folded alike, with what proof it allows.

There is no `Architecture` to compare with, so the module itself says what must be stored: the
layers that are found when it runs, folded and rounded here, and the ops of its trace. A module with
values elsewhere (a parameter that is added, an embedding) is refused, since nothing would prove
them; `unproven` lets it pass.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.export.coreml import make, prove
from palmette.export.ends import End
from palmette.export.errors import ExportError
from palmette.export.fold import Folded, check_exportable, layer_kinds
from palmette.export.options import ExportOptions
from palmette.export.place import destination, move_into_place
from palmette.export.plan import Plan, common_metadata, fold, oldest_system
from palmette.export.proof import compare_outputs
from palmette.space.architecture import IMAGE_CHANNELS
from palmette.space.errors import InputError, expect
from palmette.space.ops import Op

if TYPE_CHECKING:
    from torch import nn

REMEDIES: dict[str, str] = {
    "only 0-dimensional arrays": "the module computes with x.shape; make its sizes integers"
    " ([int(v) for v in x.shape]), or use flatten and unflatten",
    "channel_shuffle": "write the shuffle as view, transpose, reshape",
}
"""Words of the converter's failure -> the way round, found with coremltools 9.0."""

PROVEN, UNPROVEN = "weights bit for bit, ops counted", "none"


def export_module(
    module: nn.Module,
    path: Path,
    *,
    resolution: tuple[int, int] = (224, 224),
    options: ExportOptions | None = None,
    unproven: bool = False,
) -> Path:
    """Write a Core ML package of any torch module that maps an image to tensors.

    Args:
        module: in evaluation mode; images (N, 3, H, W) to a tensor or a tuple of tensors, called
            `output`, or `output_0`, `output_1` and so on.
        path: of the package; the format's suffix is added if it has none.
        resolution: (height, width) of the image in px.
        options: format, labels, image scaling, metadata; suppression and class maps belong to our
            own heads.
        unproven: write a package whose weights could not be compared, and say so in its metadata.

    Returns:
        Path of the package. Its metadata say in `proof` what was compared.

    Raises:
        InputError: the module cannot be exported, or an option breaks a rule; one line says why.
        ExportError: the converter failed, or the package does not equal the module.
    """
    from palmette.space.trace import trace_ops

    options = options or ExportOptions()
    path = destination(path, options.kind)
    expect(
        options.suppression is None and not options.class_map,
        "nms, class_map: are for the heads of palmette's own tasks; leave them out",
    )
    check_exportable(module)
    ops = trace_ops(module, (IMAGE_CHANNELS, *resolution))
    with _one_line(module):
        folded, scaling = fold(module, resolution, options)
    system = oldest_system(ops, options)
    plan = Plan(
        resolution,
        ops,
        options,
        folded,
        _end(folded, options),
        scaling,
        system,
        _about(module, resolution, ops),
        {
            **options.metadata,
            **common_metadata(options, system, scaling),
            "module": type(module).__name__,
            "weights": "given",
            "proof": PROVEN,
        },
    )
    with tempfile.TemporaryDirectory(prefix=".palmette-export-", dir=path.parent) as folder:
        built = Path(folder) / path.name
        with _advised():
            make(plan, built)
        try:
            _expect_owned(folded.module)
            prove(built, plan)
        except ExportError as error:
            if not unproven:
                raise ExportError(
                    f"{type(module).__name__}: the package could not be proven ({error}); if its"
                    " values are meant to be there, export it unproven"
                ) from None
            (Path(folder) / "unproven").mkdir()
            built = Path(folder) / "unproven" / path.name
            make(replace(plan, metadata={**plan.metadata, "proof": UNPROVEN}), built)
            compare_outputs(built, plan.end, flexible=options.sizes is not None)
        move_into_place(built, path)
    return path


def _expect_owned(network: nn.Module) -> None:
    """Raise ExportError for a value of no layer: a package may hold it among its constants."""
    owners = dict(network.named_modules())
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        owner = owners[name.rpartition(".")[0]]
        if value.is_floating_point() and not isinstance(owner, layer_kinds()):
            raise ExportError(f"'{name}' belongs to no layer that is compared")


@contextmanager
def _advised() -> Iterator[None]:
    """The converter's failure with a way round it, where one is known."""
    try:
        yield
    except ExportError as error:
        for words, remedy in REMEDIES.items():
            if words in str(error):
                raise ExportError(f"{error}: {remedy}") from None
        raise


@contextmanager
def _one_line(module: nn.Module) -> Iterator[None]:
    """Whatever anybody's code raises when it runs in double precision to be folded, as one line."""
    try:
        yield
    except (InputError, ExportError):
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(
            f"{type(module).__name__}: must map one image to a tensor or a tuple of tensors, in any"
            f" precision ({reason}); keep all tensors it holds as parameters or buffers"
        ) from error


def _end(folded: Folded, options: ExportOptions) -> End:
    from palmette.export import torch_ends

    count = len(folded.outputs)
    shapes = tuple((options.batch, *shape[1:]) for shape in folded.outputs)
    if options.labels is not None:
        shape = folded.outputs[0]
        expect(
            count == 1 and len(shape) == 2 and shape[1] == len(options.labels),
            f"labels: the module gives {', '.join(map(str, folded.outputs))}, but"
            f" {len(options.labels)} labels need one output of (1, {len(options.labels)})",
        )
        return End(("output",), folded.outputs, torch_ends.probabilities, classifier=True)
    names = ("output",) if count == 1 else tuple(f"output_{index}" for index in range(count))
    if options.outputs is not None:
        names = options.outputs
        expect(
            len(names) == count, f"outputs: the module gives {count}, but {len(names)} are named"
        )
    return End(names, shapes, lambda network: network)


def _about(module: nn.Module, resolution: tuple[int, int], ops: Sequence[Op]) -> str:
    height, width = resolution
    return (
        f"{type(module).__name__}, {width} x {height} px RGB images,"
        f" {sum(op.macs for op in ops) / 1e6:.0f} M multiply-accumulates"
    )
