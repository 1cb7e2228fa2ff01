"""A search space as lookup tables, so that a search costs candidates by the million.

Every stage is a *slot*: what it costs depends on its own genes, on the width before it and on the
choices of the whole network. All blocks that can occur in a slot are traced once, like any module;
an op-cost model is applied to the distinct ops, summed to blocks, and summed to stages. What is
left for a candidate is one table row per slot.

The tables equal the traced path (a test holds them to 1e-9).
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import palmette
from palmette.space.architecture import IMAGE_CHANNELS
from palmette.space.blocks import Block, Head, Stem
from palmette.space.choices import Choice, image_size
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.ops import Op, OpTable
from palmette.space.search_space import Codes, SearchSpace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Slot:
    """Stem, a stage or the head: all that can stand there, one entry per combination of its genes.

    Arrays have shape (entries,). `first` and `repeat` are indices of blocks; a slot's cost is that
    of its first block plus (depth - 1) times that of its repeat.
    """

    stage: int
    """-1 for the stem, the number of stages for the head, as in `Part.stage`."""
    columns: tuple[int, ...]
    """Genes that matter here, as columns of a code."""
    radix: Ints
    """Weight of each of these genes in the index of an entry."""
    first: Ints
    repeat: Ints
    depth: Ints
    in_channels: Ints
    out_channels: Ints
    height: Ints
    """Of the image, px."""
    width: Ints
    out_stride: int
    """Image height over the height of the slot's output."""

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, slots=True)
class CompiledSpace:
    """Blocks and ops of a search space.

    `block_ops[block_starts[b]:block_starts[b + 1]]` are the indices into `ops` of block b;
    `block_params` its trainable parameters, `block_peaks` the most elements of activations that are
    alive in it at once, `blocks` the block itself, stems and heads among them, and `block_inputs`
    the channels before it.
    """

    space: SearchSpace
    slots: tuple[Slot, ...]
    ops: OpTable
    block_ops: Ints
    block_starts: Ints
    block_params: Floats
    block_peaks: Floats
    blocks: tuple[Block, ...]
    block_inputs: Ints

    def block_sums(self, op_values: Floats) -> Floats:
        """Sum of per-op values (ops, channels) over the ops of each block: (blocks, channels)."""
        return np.add.reduceat(op_values[self.block_ops], self.block_starts[:-1], axis=0)

    def slot_sums(self, slot: Slot, block_values: Floats) -> Floats:
        """Sum of per-block values (blocks, channels) for each entry of a slot."""
        repeats = (slot.depth - 1)[:, None]
        return block_values[slot.first] + repeats * block_values[slot.repeat]

    def slot_peaks(self, slot: Slot) -> Floats:
        """The most of `block_peaks` for each entry of a slot: (entries, 1)."""
        first, repeat = self.block_peaks[slot.first], self.block_peaks[slot.repeat]
        return np.where(slot.depth > 1, np.maximum(first, repeat), first)[:, None]

    def table(self, slot_values: Callable[[Slot], Floats]) -> SpaceTable:
        """Lookup table of the values (entries, channels) that a function gives for each slot."""
        values = [slot_values(slot) for slot in self.slots]
        starts = np.cumsum([0, *(len(v) for v in values[:-1])])
        radix = np.zeros((len(self.space.genes), len(self.slots)))
        for index, slot in enumerate(self.slots):
            radix[list(slot.columns), index] = slot.radix
        return SpaceTable(np.concatenate(values), radix, starts.astype(np.float64))

    def cost_table(self, op_costs: Callable[[OpTable], Floats]) -> SpaceTable:
        """Lookup table of an additive op-cost model: ops -> (ops, channels)."""
        blocks = self.block_sums(op_costs(self.ops))
        return self.table(lambda slot: self.slot_sums(slot, blocks))

    def sequence_table(self, op_costs: Callable[[OpTable, Ints], Floats]) -> SpaceTable:
        """As `cost_table`, of a model that looks at ops in their order.

        It gets the ops of all blocks, one block behind the other, and the first op of each block.
        """
        values = op_costs(self.ops.take(self.block_ops), self.block_starts[:-1])
        blocks = np.add.reduceat(values, self.block_starts[:-1], axis=0)
        return self.table(lambda slot: self.slot_sums(slot, blocks))


@dataclass(frozen=True, slots=True)
class SpaceTable:
    """One row of values per entry of every slot, and where a code finds its rows."""

    values: Floats
    radix: Floats
    starts: Floats

    def rows(self, codes: Codes) -> Ints:
        """Indices into `values` of codes (n, genes): shape (n, slots)."""
        # products of small integers are exact in doubles, and BLAS multiplies those
        return (codes @ self.radix + self.starts).astype(np.int64)

    def per_slot(self, codes: Codes) -> Floats:
        """Values of every slot, shape (n, slots, channels)."""
        return self.values[self.rows(codes)]

    def sums(self, codes: Codes) -> Floats:
        """Values summed over the slots, shape (n, channels)."""
        rows = self.rows(codes)
        total = self.values[rows[:, 0]]
        for slot in range(1, rows.shape[1]):
            total += self.values[rows[:, slot]]
        return total

    def largest(self, codes: Codes) -> Floats:
        """The largest value of all slots, shape (n, channels)."""
        rows = self.rows(codes)
        most = self.values[rows[:, 0]]
        for slot in range(1, rows.shape[1]):
            np.maximum(most, self.values[rows[:, slot]], out=most)
        return most


def compile_space(space: SearchSpace, cache: Path | None = None) -> CompiledSpace:
    """Trace every block that can occur in a space.

    Args:
        space: the choices.
        cache: folder for the traced ops, by content hash; default the user's cache folder.
    """
    blocks: dict[_Place, int] = {}
    slots = tuple(_slots(space, blocks))
    ops, block_ops, starts, params, peaks = _traced_blocks(space, list(blocks), cache)
    stands = tuple(block for block, _, _ in blocks)
    inputs = np.array([in_channels for _, in_channels, _ in blocks], dtype=np.int64)
    table = OpTable.of(ops)
    return CompiledSpace(space, slots, table, block_ops, starts, params, peaks, stands, inputs)


_Size = tuple[int, int]
"""(height, width)."""
_Place = tuple[Block, int, _Size]
"""A block, the channels before it, and the size of its input."""


def _slots(space: SearchSpace, blocks: dict[_Place, int]) -> Iterator[Slot]:
    """Slots of a space; every block met is entered in `blocks` with its index."""
    last = space.depth
    out_stride = 1
    for stage in range(-1, last + 1):
        before = space.width_before(stage + 1) if stage >= 0 else ("stem", "channels")
        keys = [("network", "resolution"), ("network", "activation"), ("stem", "channels")]
        if stage == last:
            keys = [*keys[:2], before, ("head", "channels")]
        elif stage >= 0:
            own = [(f"stage{stage + 1}", key) for key in space.sections[f"stage{stage + 1}"]]
            keys = [*space.network_genes(stage + 1), before, *own]
        in_stride = out_stride
        if stage == -1:
            out_stride = 2
        elif stage < last:
            out_stride *= int(space.sections[f"stage{stage + 1}"]["stride"][0])
        yield _slot(space, stage, keys, before, in_stride, out_stride, blocks)


def _slot(
    space: SearchSpace,
    stage: int,
    keys: list[tuple[str, str]],
    before: tuple[str, str],
    in_stride: int,
    out_stride: int,
    blocks: dict[_Place, int],
) -> Slot:
    choices = [space.sections[section][key] for section, key in keys]
    stands: dict[tuple[Choice, ...], tuple[Block, ...]] = {}
    rows: list[tuple[int, ...]] = []
    for values in itertools.product(*choices):
        chosen: dict[str, Choice] = {
            f"{section}.{key}": value for (section, key), value in zip(keys, values, strict=True)
        }
        get = space.getter(chosen)
        image = image_size(get("network", "resolution"))
        in_size, out_size = _divided(image, in_stride), _divided(image, out_stride)
        in_channels = IMAGE_CHANNELS if stage == -1 else get(*before)
        same_blocks = tuple(v for k, v in zip(keys, values, strict=True) if k[1] != "resolution")
        if same_blocks not in stands:
            stands[same_blocks] = _stand(space, stage, in_channels, get)
        stand = stands[same_blocks]
        first = blocks.setdefault((stand[0], in_channels, in_size), len(blocks))
        repeat = first
        if len(stand) > 1:
            repeat = blocks.setdefault((stand[1], stand[0].out_channels, out_size), len(blocks))
        # a head without a 1x1 convolution classifies what enters it
        out_channels = stand[-1].out_channels or in_channels
        rows.append((first, repeat, len(stand), in_channels, out_channels, *image))
    varying = [
        (space.column[f"{section}.{key}"], weight)
        for (section, key), weight in zip(keys, _weights([len(c) for c in choices]), strict=True)
        if len(space.sections[section][key]) > 1
    ]
    columns = tuple(column for column, _ in varying)
    radix = np.array([weight for _, weight in varying], dtype=np.int64)
    first_ids, repeats, depths, ins, outs, heights, widths = np.array(rows, dtype=np.int64).T
    counted = (first_ids, repeats, depths)
    return Slot(stage, columns, radix, *counted, ins, outs, heights, widths, out_stride)


def _divided(size: _Size, stride: int) -> _Size:
    """Size behind an output stride; repeated strides of 2 round up, as does one division."""
    return -(-size[0] // stride), -(-size[1] // stride)


def _stand(space: SearchSpace, stage: int, in_channels: int, get: Any) -> tuple[Block, ...]:
    """Blocks of a slot for the choices that `get` knows."""
    if stage == -1:
        return (Stem(3, 2, get("stem", "channels"), get("network", "activation")),)
    if stage == space.depth:
        return (space.head(get),)
    return space.stage_blocks(stage + 1, in_channels, get)


def _weights(counts: list[int]) -> list[int]:
    """Mixed-radix weights, last gene fastest, as `itertools.product` enumerates."""
    weights = [1] * len(counts)
    for index in range(len(counts) - 2, -1, -1):
        weights[index] = weights[index + 1] * counts[index + 1]
    return weights


_Traced = tuple[list[Op], Ints, Ints, Floats, Floats]


def _traced_blocks(space: SearchSpace, places: list[_Place], cache: Path | None) -> _Traced:
    """Distinct ops; of each block ops, parameters and peak; from the cache if it has them."""
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "palmette"
    key = hashlib.sha256(f"{palmette.__version__} {_code_hash()} {space.id}".encode()).hexdigest()
    path = folder / f"space-{key[:16]}.json"
    try:
        return _read_traced(json.loads(path.read_text("utf-8")), len(places))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):  # none yet, or a broken one
        data = _trace_all(places)
    with contextlib.suppress(OSError):  # a folder that cannot be written only costs the cache
        write_text(path, json.dumps(data))
    return _read_traced(data, len(places))


def _read_traced(data: Any, places: int) -> _Traced:
    ops = [Op.from_text(text) for text in data["ops"]]
    rows: list[list[int]] = data["blocks"]
    starts = np.cumsum([0, *(len(row) for row in rows)])
    flat = np.array([op for row in rows for op in row], dtype=np.int64)
    params, peaks = (np.array(data[key], dtype=np.float64) for key in ("params", "peaks"))
    expect(
        len(rows) == len(params) == len(peaks) == places
        and all(rows)
        and bool(np.all((flat >= 0) & (flat < len(ops)))),
        "cache: not the ops of these blocks",
    )
    return ops, flat, starts.astype(np.int64), params, peaks


def _code_hash() -> str:
    """Hash of the code that decides what a block traces to."""
    folder = Path(__file__).parent
    deciding = "choices compiled liveness ops search_space stage_blocks trace"
    names = (f"{name}.py" for name in deciding.split())
    families = (path for part in ("blocks", "modules") for path in (folder / part).glob("*.py"))
    files = [*(folder / name for name in names), *sorted(families)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _trace_all(places: list[_Place]) -> dict[str, Any]:
    """Ops (text) that occur; of each block the indices of its ops, parameters, and peak."""
    groups: dict[tuple[Block, int], list[int]] = {}
    for index, (block, in_channels, _) in enumerate(places):
        groups.setdefault((_neutral(block), in_channels), []).append(index)
    found: dict[str, int] = {}
    blocks: list[list[int]] = [[] for _ in places]
    params, peaks = [0] * len(places), [0] * len(places)
    checked: set[tuple[type[Block], str]] = set()
    for (neutral, in_channels), members in groups.items():
        neutral_act: str = neutral.act  # type: ignore[attr-defined]
        traced, count = _trace_sizes(neutral, in_channels, {places[i][2] for i in members})
        for index in members:
            block, _, size = places[index]
            act: str = block.act  # type: ignore[attr-defined]  # all that a space makes have one
            neutral_ops, peaks[index] = traced[size]
            ops = [replace(op, act=act) if op.act == neutral_act else op for op in neutral_ops]
            if (type(block), act) not in checked:
                direct, _ = _trace_sizes(block, in_channels, {size})
                assert direct[size][0] == ops, f"activation changes the ops of {block}"
                checked.add((type(block), act))
            blocks[index] = [found.setdefault(op.to_text(), len(found)) for op in ops]
            params[index] = count
    return {"ops": list(found), "blocks": blocks, "params": params, "peaks": peaks}


def _neutral(block: Any) -> Block:
    """The block with a placeholder for its activation: blocks that differ in it trace alike.

    The placeholder is an activation that squeeze-and-excitation does not have in this block.
    """
    if isinstance(block, Head) and not block.channels:
        return block  # without a 1x1 convolution there is nothing to activate
    placeholder = "swish" if getattr(block, "se_act", "") == "gelu" else "gelu"
    neutral: Block = replace(block, act=placeholder)
    return neutral


def _trace_sizes(
    block: Block, in_channels: int, sizes: set[_Size]
) -> tuple[dict[_Size, tuple[list[Op], int]], int]:
    """Ops and peak at each size, and the number of parameters."""
    import torch  # slow to import, and not needed where the cache has the space

    from palmette.space.modules import build_part
    from palmette.space.modules.reparameterise import reparameterise
    from palmette.space.trace import trace_with_peak

    with torch.device("meta"):
        module = reparameterise(build_part(block, in_channels).eval())
    traced = {}
    for size in sizes:
        ops, peak = trace_with_peak(module, (in_channels, *size))
        traced[size] = list(ops), peak
    return traced, sum(p.numel() for p in module.parameters())
