"""Kernels as columns of numbers: what the cost models of timed kernels read.

A kernel is a main op and the elementwise ops that a runtime fused into it. Every column of `WORK`
grows or stays when the kernel window, the width or the resolution of a kernel grows, so a model
that rises along each of them rises with the kernel. The columns of `TRAITS` say what sort of kernel
it is; no order among their values is assumed.

`winograd` counts the multiplications that F(4x4, 3x3) leaves of a dense 3x3 convolution of stride 1
(36 of 144; Lavin and Gray, 2016), and those of all other convolutions in full: a runtime that picks
it makes 3x3 cheaper than its MACs, and the count still grows from 1x1 to 3x3 to 5x5.
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
Kernel = tuple[Op, ...]

LANES = 4
"""Channels that phones keep side by side: work is done in whole groups of them."""
WINOGRAD_SHARE = 36 / 144
SLOW_ACTS = ("hswish", "swish", "gelu", "sigmoid", "hsigmoid")
"""Activations that are not a comparison: exponentials or several multiplications."""
WORK = (
    "macs",
    "winograd",
    "padded",
    "read",
    "written",
    "moved",
    "weights",
    "in_channels",
    "out_channels",
    "group_channels",
    "reduction",
    "area",
    "window",
    "inputs",
    "fused",
)
TRAITS = ("sort", "act", "stride", "muls")
SORTS = ("depthwise", "grouped", *KINDS)
"""Kinds of main ops, convolutions told apart by their groups."""


@dataclass(frozen=True, slots=True)
class KernelTable:
    """Columns of kernels.

    `work` is (n, len(WORK)), `traits` (n, len(TRAITS)), `slow` (n,) the slow activations in each.
    `read` counts elements of all inputs, `padded` MACs with channels filled up to `LANES`, `moved`
    elements read and written and weights, `fused` elements that fused additions and products read.
    """

    work: Floats
    traits: Floats
    slow: Floats

    def __len__(self) -> int:
        return len(self.work)

    def column(self, name: str) -> Floats:
        """One column by its name in `WORK` or `TRAITS`."""
        if name in WORK:
            return self.work[:, WORK.index(name)]
        return self.traits[:, TRAITS.index(name)]

    def is_sort(self, *sorts: str) -> NDArray[np.bool_]:
        """Mask of the kernels whose main op is of these `SORTS`."""
        mask: NDArray[np.bool_] = np.isin(
            self.column("sort"), [SORTS.index(sort) for sort in sorts]
        )
        return mask

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> KernelTable:
        """Some of the kernels."""
        return KernelTable(self.work[rows], self.traits[rows], self.slow[rows])

    @classmethod
    def of(cls, kernels: Sequence[Kernel]) -> KernelTable:
        """Columns of kernels.

        Raises:
            InputError: there is none, or one has no op.
        """
        expect(len(kernels) > 0 and all(kernels), "a table of kernels needs one or more, with ops")
        main = OpTable.of([kernel[0] for kernel in kernels])
        flat = OpTable.of([op for kernel in kernels for op in kernel])
        starts = np.cumsum([0, *(len(kernel) for kernel in kernels[:-1])])

        def total(values: Floats) -> Floats:
            sums: Floats = np.add.reduceat(values, starts)
            return sums

        behind = np.ones(len(flat))
        behind[starts] = 0
        fused = behind * flat.is_kind("add", "mul") * flat.in_elements / 2
        work = _work(main, total(behind * flat.is_kind("add", "mul")), total(fused))
        muls = total(behind * flat.is_kind("mul"))
        last = OpTable.of([_with_act(kernel) for kernel in kernels])
        traits = np.stack([_sort(main), last.act, main.stride, muls], axis=1).astype(float)
        return cls(work, traits, total(flat.has_act(*SLOW_ACTS).astype(float)))


def _with_act(kernel: Kernel) -> Op:
    return next((op for op in kernel if op.act != "none"), kernel[0])


def _work(main: OpTable, extra_inputs: Floats, fused: Floats) -> Floats:
    dense = main.is_kind("conv") & (main.groups == 1) & (main.area == 9) & (main.stride == 1)
    per_group = np.maximum(main.in_channels // main.groups, 1)
    filled = _fill(main.out_channels) / main.out_channels
    per_output = np.where(main.groups == 1, _fill(per_group) / per_group, 1.0)
    columns = {
        "macs": main.macs,
        "winograd": main.macs * np.where(dense, WINOGRAD_SHARE, 1.0),
        "padded": main.macs * filled * per_output,
        "read": main.in_elements,
        "written": main.out_elements,
        "moved": main.in_elements + main.out_elements + main.weights + fused,
        "weights": main.weights,
        "in_channels": main.in_channels,
        "out_channels": main.out_channels,
        "group_channels": per_group,
        "reduction": per_group * main.area,
        "area": main.out_height * main.out_width,
        "window": main.area,
        "inputs": main.inputs + extra_inputs,
        "fused": fused,
    }
    return np.stack([np.asarray(columns[name], dtype=float) for name in WORK], axis=1)


def _fill(channels: NDArray[np.int64]) -> NDArray[np.int64]:
    whole: NDArray[np.int64] = -(-channels // LANES) * LANES
    return whole


def _sort(main: OpTable) -> NDArray[np.int64]:
    sorts = main.kind + 2
    grouped = main.is_kind("conv") & (main.groups > 1) & ~main.depthwise
    return np.where(main.depthwise, 0, np.where(grouped, 1, sorts))
