"""What a package shall hold, settled before the converter runs: the folded network and its ends.

Everything that is proven afterwards is compared with a `Plan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import palmette
from palmette.export.ends import (
    End,
    Half,
    check_task,
    class_labels,
    constants_of,
    end_of,
    suppression_of,
)
from palmette.export.fold import Folded, fold_batch_norm
from palmette.export.options import ExportOptions, Suppression
from palmette.export.scaling import Scaling, scaling_metadata, scaling_of
from palmette.space.architecture import IMAGE_CHANNELS, Architecture
from palmette.space.errors import expect
from palmette.space.ops import Op

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Plan:
    """A network with all that is put around it; of an architecture, or of any module."""

    resolution: tuple[int, int]
    """(height, width) of the image in px."""
    ops: tuple[Op, ...]
    """Traced from the network."""
    options: ExportOptions
    folded: Folded
    end: End
    scaling: Scaling
    system: str
    """Oldest system that shall read the package."""
    about: str
    """The network in one line."""
    metadata: Mapping[str, str]
    """User-defined keys, all of them."""
    labels: tuple[str, ...] = ()
    """Names of a detector's classes in order."""
    suppression: Suppression | None = None
    """Of a detector's boxes."""
    arrays: tuple[Half, ...] = ()
    """What the package stores besides weights: a detector's anchors."""

    @property
    def constants(self) -> tuple[Half, ...]:
        """Arrays that the package stores besides weights, those of its scaling included."""
        factors = self.scaling.half_factors()
        return (*self.arrays, *([] if factors is None else [factors]))

    def around(self, network: nn.Module) -> nn.Module:
        """The network behind its scaling and before its end."""
        from palmette.export.torch_ends import Scaled

        factors = self.scaling.half_factors()
        return self.end.behind(network if factors is None else Scaled(network, factors))


def plan_of(
    architecture: Architecture, options: ExportOptions, module: nn.Module | None = None
) -> Plan:
    """Check everything that can be checked before a conversion, and fold the network.

    Raises:
        InputError: an option that the network has no use for, or a module that is not the
            architecture's, or not in evaluation mode.
    """
    check_task(architecture, options)
    ops, head = architecture.ops(), architecture.head
    system = oldest_system(ops, options)
    weights = "untrained" if module is None else "given"
    module = architecture.build().eval() if module is None else module
    _check_module(architecture, module)
    folded, scaling = fold(module, architecture.resolution, options)
    own = _own_metadata(architecture, options) | common_metadata(options, system, scaling)
    own["weights"] = weights
    return Plan(
        architecture.resolution,
        ops,
        options,
        folded,
        end_of(architecture, options, folded.outputs),
        scaling,
        system,
        _about(architecture),
        {**options.metadata, **own},
        class_labels(head, options),
        suppression_of(head, options),
        constants_of(architecture),
    )


def fold(
    module: nn.Module, resolution: tuple[int, int], options: ExportOptions
) -> tuple[Folded, Scaling]:
    """The folded network, and how a package of it scales its image; see `fold_batch_norm`."""
    wanted = scaling_of(options)
    folded = fold_batch_norm(module, (IMAGE_CHANNELS, *resolution), wanted.folded)
    return folded, wanted if folded.scale == wanted.folded else wanted.without_fold()


def common_metadata(options: ExportOptions, system: str, scaling: Scaling) -> dict[str, str]:
    """What every package says: who made it, for which system, what it takes."""
    own = {"palmette_version": palmette.__version__, "system": system}
    if options.sizes is not None:
        own["sizes"] = options.sizes.to_text()
    return own | scaling_metadata(options, scaling)


def _own_metadata(architecture: Architecture, options: ExportOptions) -> dict[str, str]:
    own = {"architecture": architecture.to_text(), "architecture_id": architecture.id}
    suppression = suppression_of(architecture.head, options)
    if suppression is not None and suppression.form != "pipeline":
        # no part of the package itself would name the classes
        own["labels"] = "\n".join(class_labels(architecture.head, options))
    return own


def _check_module(architecture: Architecture, module: nn.Module) -> None:
    """Refuse a module that is another network than its metadata would say."""
    from palmette.space.trace import trace_ops

    expect(
        trace_ops(module, (IMAGE_CHANNELS, *architecture.resolution)) == architecture.ops(),
        "module: its ops are not those of the architecture; build it with Architecture.build",
    )


def oldest_system(ops: Sequence[Op], options: ExportOptions) -> str:
    """Oldest system that reads a package of a network of such ops.

    Raises:
        InputError: the options ask for one that knows no such op.
    """
    form = options.format
    resizes, order = any(op.kind == "resize" for op in ops), form.systems.index
    oldest = form.resizing_system if resizes else form.systems[0]
    chosen = options.system or max(form.minimum_target, oldest, key=order)
    expect(
        order(chosen) >= order(oldest),
        f"system: the head resizes maps, which the format '{options.kind}' does since {oldest};"
        f" got {chosen}",
    )
    return chosen


def _about(architecture: Architecture) -> str:
    height, width = architecture.resolution
    return (
        f"Convolutional network {architecture.id}, {width} x {height} px RGB images,"
        f" {architecture.macs() / 1e6:.0f} M multiply-accumulates,"
        f" {architecture.params() / 1e6:.2f} M parameters"
    )
