"""What a runtime starts at once: ops of a traced network joined to kernels, as data per runtime.

Timings per op are timings of what a runtime started. To predict a network from its traced ops, the
same ops must be joined as that runtime joins them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from palmette.latency.per_op.kernels import TRAITS, WORK, Kernel, KernelTable
from palmette.space import ACTIVATIONS, Op, OpTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SPELT_KINDS = ("conv", "linear")
"""Kinds of main ops whose activations a runtime may write otherwise."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """How a runtime joins ops.

    `joined`: kinds of elementwise ops that are started with the op before them, if they have its
    shape. `spelt_out`: an activation behind an op -> the one it is written as, with a product
    behind. `gates_start`: whether a product of a map and a vector is started by itself.
    """

    joined: tuple[str, ...] = ()
    spelt_out: Mapping[str, str] = field(default_factory=dict)
    gates_start: bool = True

    def kernels(self, ops: OpTable, first: Ints) -> tuple[KernelTable, Ints]:
        """Kernels of ops in a row, and the index of each one's main op.

        Args:
            ops: in the order in which they run.
            first: ops that are never joined to the one before: those that begin a network or block.
        """
        follows = self._follows(ops, first)
        kept = np.flatnonzero(~self._silent(ops))
        starts = np.flatnonzero(~follows[kept])
        table = KernelTable.of_ops(ops.take(kept), starts)
        return self._written_out(table), kept[starts]

    def groups(self, ops: Sequence[Op]) -> list[Kernel]:
        """The same kernels as ops, as a timing table names them, of ops that begin a network."""
        table = OpTable.of(ops)
        follows = self._follows(table, np.zeros(1, dtype=np.int64))
        silent = self._silent(table)
        found: list[list[Op]] = []
        for at, op in enumerate(ops):
            if silent[at]:
                continue
            if not (follows[at] and found):
                found.append([])
            found[-1] += self._spelt(op)
        return [tuple(kernel) for kernel in found]

    def _spelt(self, op: Op) -> tuple[Op, ...]:
        """An op as the runtime writes it: with a product behind, if its activation needs one."""
        if op.act not in self.spelt_out or op.kind not in SPELT_KINDS:
            return (op,)
        product = Op("mul", (op.output, op.output), op.output)
        return replace(op, act=self.spelt_out[op.act]), product

    def _silent(self, ops: OpTable) -> Mask:
        """Whether an op is not started at all: a gate's product that its map's reader makes."""
        if self.gates_start:
            return np.zeros(len(ops), dtype=np.bool_)
        return ops.broadcast & ops.is_kind("mul")

    def _follows(self, ops: OpTable, first: Ints) -> Mask:
        """Whether each op is started with the one before."""
        follows = ops.is_kind(*self.joined) & ~ops.broadcast
        for name in ("out_channels", "out_height", "out_width"):
            column = getattr(ops, name)
            follows[1:] &= column[1:] == column[:-1]
        follows[first] = False
        mask: Mask = follows
        return mask

    def _written_out(self, table: KernelTable) -> KernelTable:
        """The kernels with activations as the runtime writes them."""
        work, traits, slow = table.work.copy(), table.traits.copy(), table.slow.copy()
        act, muls = traits[:, TRAITS.index("act")], traits[:, TRAITS.index("muls")]
        for name, written in self.spelt_out.items():
            rows = (act == ACTIVATIONS.index(name)) & table.is_sort(*SPELT_KINDS)
            act[rows] = ACTIVATIONS.index(written)
            muls[rows] += 1
            slow[rows] -= 1
            for column in ("fused", "moved"):
                work[rows, WORK.index(column)] += table.column("written")[rows]
            work[rows, WORK.index("inputs")] += 1
        return replace(table, work=work, traits=traits, slow=slow)


FUSIONS: Mapping[str, Fusion] = {
    # additions, and the gate's product, are compiled into the shader of the op before; read off the
    # kernels that TFLite 2.10 started on an iPhone XS
    "tflite": Fusion(("add", "mul"), {"hsigmoid": "relu"}, gates_start=False),
}
"""Beginning of a runtime's name -> what it joins; others start every op by itself."""


def fusion_of(runtime: str) -> Fusion:
    """How a runtime joins ops, by the beginning of its name."""
    found = (fusion for name, fusion in FUSIONS.items() if runtime.startswith(name))
    return next(found, Fusion())
