"""Transfer probes: a chain with ops between its blocks, in a precision that one unit cannot run.

    8*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24 + 2*sigmoid@float32

is a chain of eight blocks in half precision (see `palmette.latency.chains`), and two sigmoids of
the whole map, spread evenly over the gaps between blocks, which stay in single precision. The
Neural Engine has none: each takes the map to another unit and back. The same with `float16` is the
control, in which nothing has to move. So the slope of the time over the number of ops is a change
of units there and back plus the op, and the control's slope is the op.

A sigmoid is cheap, native to the Neural Engine in half precision, and keeps all values in (0, 1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from palmette.latency.chains import Chain
from palmette.space import Op
from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from torch import nn

ACT = "sigmoid"
HALF, SINGLE = PRECISIONS = ("float16", "float32")
"""Of the ops between blocks: the control's, and that which the Neural Engine lacks."""
COUNTS = (0, 1, 2, 4)
"""Numbers of ops in a series of probes."""
_TEXT = re.compile(rf"(.*\S) \+ ([0-9]{{1,4}})\*{ACT}@({'|'.join(PRECISIONS)})")


@dataclass(frozen=True, slots=True)
class Probe:
    """A chain with `count` ops between its blocks, all in one precision.

    Raises:
        InputError: more ops than gaps between blocks, or an unknown precision.
    """

    chain: Chain
    count: int
    precision: str = SINGLE

    def __post_init__(self) -> None:
        expect(
            0 <= self.count < self.chain.depth,
            f"a chain of {self.chain.depth} blocks has room for 0 to {self.chain.depth - 1} ops"
            f" between them, got {self.count}",
        )
        expect(
            self.precision in PRECISIONS,
            f"precision must be one of {', '.join(PRECISIONS)}, got '{self.precision}'",
        )

    def to_text(self) -> str:
        """One line; lossless (see `from_text`)."""
        return f"{self.chain.to_text()} + {self.count}*{ACT}@{self.precision}"

    @classmethod
    def from_text(cls, text: str) -> Probe:
        """Probe from its text.

        Raises:
            InputError: another form, an unreadable chain, or a rule of `Probe`; quotes the text.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise InputError(
                f"probe '{text}': expected 'chain + count*{ACT}@precision', such as {_EXAMPLE}"
            )
        try:
            return cls(Chain.from_text(found[1]), int(found[2]), found[3])
        except InputError as error:
            raise InputError(f"probe '{text}': {error}") from None

    @property
    def gaps(self) -> tuple[int, ...]:
        """Numbers of blocks before each op, spread evenly over the chain."""
        depth = self.chain.depth
        return tuple(depth * at // (self.count + 1) for at in range(1, self.count + 1))

    @property
    def transfers(self) -> int:
        """Times that the map leaves the Neural Engine and comes back."""
        return self.count if self.precision == SINGLE else 0

    def ops(self) -> tuple[Op, ...]:
        """Ops that a device runs, in order; those between blocks are never fused into a block."""
        return tuple(op for _, op in self._placed())

    def forced(self) -> tuple[int, ...]:
        """Places in `ops` of those that the Neural Engine cannot run."""
        own = [place for place, (between, _) in enumerate(self._placed()) if between]
        return tuple(own) if self.transfers else ()

    def _placed(self) -> Iterable[tuple[bool, Op]]:
        """Each op, and whether it stands between blocks."""
        block = replace(self.chain, depth=1).ops()
        between = Op("act", (self.chain.shape,), self.chain.shape, act=ACT)
        for at in range(self.chain.depth):
            if at in self.gaps:
                yield True, between
            yield from ((False, op) for op in block)

    def build(self) -> nn.Module:
        """Torch module with freshly initialised weights, in training mode.

        Its parts are called `block0`, `block1`, ..., and `between1` before `block1`.
        """
        from torch import nn  # slow to import

        from palmette.space.modules import build_part

        module = nn.Sequential()
        for at in range(self.chain.depth):
            if at in self.gaps:
                module.add_module(f"{BETWEEN}{at}", nn.Sigmoid())
            module.add_module(f"block{at}", build_part(self.chain.block, self.chain.shape[0]))
        return module


BETWEEN = "between"
"""How the parts of a probe's module begin that stand between blocks."""
_EXAMPLE = "8*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24 + 2*sigmoid@float32"


def series(chain: Chain, counts: Iterable[int] = COUNTS) -> list[Probe]:
    """Probes of a chain: as many ops as each of `counts`, forced off and as the control."""
    counts = [count for count in counts if count < chain.depth]
    return [Probe(chain, count, precision) for count in counts for precision in (SINGLE, HALF)]
