"""Kernels as columns of numbers: what the cost models of timed kernels read.

A kernel is a main op and the elementwise ops that a runtime fused into it. Every column of `WORK`
grows or stays when the window, the width or the resolution of a kernel grows, so a model that rises
along each of them rises with the kernel. The columns of `TRAITS` say what sort of kernel it is; no
order among their values is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.space import Op, OpTable
from palmette.space.errors import expect
from palmette.space.ops import KINDS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Kernel = tuple[Op, ...]
"""Ops that a runtime starts at once: the main op first, then those fused into it, in order."""

JOINT = " ; "
"""Between the ops of a kernel's text."""
LANES = 4
"""Channels that phones keep side by side: work is done in whole groups of them."""
SLOW_ACTS = ("hswish", "swish", "gelu", "sigmoid", "hsigmoid")
"""Activations that are more than a comparison."""
WORK = (
    "macs",
    "padded",
    "read",
    "written",
    "moved",
    "weights",
    "in_channels",
    "out_channels",
    "group_channels",
    "reduction",
    "in_area",
    "area",
    "window",
    "inputs",
    "fused",
)
TRAITS = ("sort", "act", "stride", "dilation", "muls")
SORTS = ("depthwise", "grouped", *KINDS)
"""Kinds of main ops, convolutions told apart by their groups."""


def kernel_text(kernel: Kernel) -> str:
    """One line; lossless (see `kernel_from_text`)."""
    return JOINT.join(op.to_text() for op in kernel)


def kernel_from_text(text: str) -> Kernel:
    """Kernel from its text: op texts joined by `;`, the main op first.

    Raises:
        InputError: an op that cannot be read; see `Op.from_text`.
    """
    return tuple(Op.from_text(part.strip()) for part in text.split(JOINT.strip()))


@dataclass(frozen=True, slots=True)
class KernelTable:
    """Columns of kernels.

    `work` is (n, len(WORK)), `traits` (n, len(TRAITS)), `slow` (n,) counts `SLOW_ACTS`. Of the
    columns of work, `padded` are MACs with the channels filled up to whole `LANES`, `moved` the
    elements read and written and the weights, `group_channels` the channels that one output reads,
    `reduction` those times the window, `inputs` the tensors
    that come from outside and `fused` the elements
    that fused additions and products read besides.
    """

    work: Floats
    traits: Floats
    slow: Floats

    def __len__(self) -> int:
        return len(self.work)

    def column(self, name: str) -> Floats:
        """One column by its name in `WORK` or `TRAITS`, shape (n,)."""
        if name in WORK:
            return self.work[:, WORK.index(name)]
        return self.traits[:, TRAITS.index(name)]

    def is_sort(self, *sorts: str) -> NDArray[np.bool_]:
        """Mask of the kernels whose main op is of these `SORTS`."""
        codes = [SORTS.index(sort) for sort in sorts]
        mask: NDArray[np.bool_] = np.isin(self.column("sort"), codes)
        return mask

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> KernelTable:
        """Some of the kernels."""
        return KernelTable(self.work[rows], self.traits[rows], self.slow[rows])

    def distinct(self) -> tuple[KernelTable, Ints]:
        """Kernels that differ, and for each of these kernels its index among them."""
        rows = np.column_stack([self.work, self.traits, self.slow])
        _, first, back = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        return self.take(first), back.ravel()

    @classmethod
    def concatenate(cls, tables: Sequence[KernelTable]) -> KernelTable:
        """The kernels of one or more tables, one table behind the other."""
        names = cls.__slots__
        return cls(*(np.concatenate([getattr(table, n) for table in tables]) for n in names))

    @classmethod
    def of(cls, kernels: Sequence[Kernel]) -> KernelTable:
        """Columns of kernels.

        Raises:
            InputError: there is none, or one has no op.
        """
        expect(len(kernels) > 0 and all(kernels), "a table of kernels needs one or more, with ops")
        starts = np.cumsum([0, *(len(kernel) for kernel in kernels[:-1])])
        return cls.of_ops(OpTable.of([op for kernel in kernels for op in kernel]), starts)

    @classmethod
    def of_ops(cls, ops: OpTable, starts: Ints) -> KernelTable:
        """Columns of kernels from all their ops in a row and the index of each main op."""
        main = ops.take(starts)
        behind = np.ones(len(ops))
        behind[starts] = 0

        def total(values: Floats) -> Floats:
            sums: Floats = np.add.reduceat(values, starts)
            return sums

        joined = behind * ops.is_kind("add", "mul")
        muls = total(joined * ops.is_kind("mul"))
        traits = (_sort(main), _first_act(ops, starts), main.stride, main.dilation, muls)
        return cls(
            _work(main, total(joined), total(joined * ops.in_elements / 2)),
            np.stack(traits, axis=1).astype(float),
            total(ops.has_act(*SLOW_ACTS).astype(float)),
        )


@dataclass(frozen=True, slots=True)
class FastConv:
    """When a runtime takes a faster algorithm (Winograd) for a dense 3x3 convolution of stride 1.

    Its multiplications become `share` of the MACs (36 / 144 for F(4x4, 3x3), 16 / 36 for F(2x2,
    3x3); Lavin and Gray, 2016). Runtimes do so from some number of channels and outputs on; below,
    the cost is at most that of the fast algorithm with the shape filled up to `channels` and `area`
    (outputs of a channel). So counted, a wider kernel is never cheaper, though real ones can be.
    """

    share: float = 1.0
    channels: int = 1
    area: int = 1

    def macs(self, table: KernelTable) -> Floats:
        """MACs on whole `LANES` of channels, less what the fast algorithm saves: (n,)."""
        macs = table.column("padded")
        fits = table.is_sort("conv") & (table.column("window") == 9)
        fits &= (table.column("stride") == 1) & (table.column("dilation") == 1)
        filled = np.maximum(table.column("area"), self.area) * 9 * self.share
        for side in ("in_channels", "out_channels"):
            channels = np.ceil(table.column(side) / LANES) * LANES
            filled = filled * np.maximum(channels, self.channels)
        return np.where(fits, np.minimum(macs, filled), macs)


FAST_CONVS = (
    FastConv(),
    *(
        FastConv(share, channels, area)
        for share in (16 / 36, 36 / 144)
        for channels in (16, 32, 64, 128)
        for area in (64, 256, 512, 1024)
    ),
)
"""Rules that a fit chooses from; the first one: never."""


def _first_act(ops: OpTable, starts: Ints) -> Ints:
    """Code of the first activation of each kernel."""
    places = np.where(ops.act > 0, np.arange(len(ops)), len(ops))
    first = np.minimum.reduceat(places, starts)
    return np.append(ops.act, 0)[first]


def _work(main: OpTable, joined: Floats, fused: Floats) -> Floats:
    per_group = np.maximum(main.in_channels // main.groups, 1)
    filled = _fill(main.out_channels) / main.out_channels
    per_output = np.where(main.groups == 1, _fill(per_group) / per_group, 1.0)
    columns = {
        "macs": main.macs,
        "padded": main.macs * filled * per_output,
        "read": main.in_elements,
        "written": main.out_elements,
        "moved": main.in_elements + main.out_elements + main.weights + fused,
        "weights": main.weights,
        "in_channels": main.in_channels,
        "out_channels": main.out_channels,
        "group_channels": per_group,
        "reduction": per_group * main.area,
        "in_area": main.in_area,
        "area": main.out_height * main.out_width,
        "window": main.area,
        "inputs": main.inputs + joined,
        "fused": fused,
    }
    return np.stack([np.asarray(columns[name], dtype=float) for name in WORK], axis=1)


def _fill(channels: NDArray[np.int64]) -> NDArray[np.int64]:
    whole: NDArray[np.int64] = -(-channels // LANES) * LANES
    return whole


def _sort(main: OpTable) -> NDArray[np.int64]:
    grouped = main.is_kind("conv") & (main.groups > 1) & ~main.depthwise
    return np.where(main.depthwise, 0, np.where(grouped, 1, main.kind + 2))
