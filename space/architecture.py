"""`Architecture`: the immutable description of one network, its text, its JSON and its id.

The torch module is built from it and its cost is read off that module (`space.trace`); nothing here
counts anything. Text, one line, stages separated by `|`:

    224x224 stem_k3_s2_c32_relu6 | ds_r1_k3_s1_c16_relu6 | ir_r2_k3_s2_e6_c24_relu6 | head_c1280
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from palmette.space.blocks import (
    HEADS,
    Block,
    Stem,
    TaskHead,
    block_from_json,
    block_to_json,
    format_block,
    parse_block,
)
from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from torch import nn

    from palmette.space.ops import Op

FORMAT = "palmette/architecture@1"
IMAGE_CHANNELS = 3
MAX_RESOLUTION = 16_384  # widest tensor of the Neural Engine


@dataclass(frozen=True, slots=True)
class Part:
    """A unit of an architecture with the shape of what enters it (channels, height, width)."""

    block: Block
    in_channels: int
    height: int
    width: int
    stage: int
    """Index of the stage; -1 for the stem, the number of stages for the head."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One network: input resolution (height, width) in px, stem, stages of blocks, head.

    Raises:
        InputError: a rule is broken; the message names the place, the rule and the value.
    """

    resolution: tuple[int, int]
    stem: Stem
    stages: tuple[tuple[Block, ...], ...]
    head: TaskHead

    def __post_init__(self) -> None:
        expect(
            len(self.resolution) == 2
            and all(type(px) is int and 1 <= px <= MAX_RESOLUTION for px in self.resolution),
            f"resolution: must be height x width, each 1 to {MAX_RESOLUTION} px,"
            f" got {self.resolution}",
        )
        expect(len(self.stages) > 0, "stages: at least one is needed")
        for index, stage in enumerate(self.stages):
            expect(len(stage) > 0, f"stage {index + 1}: at least one block is needed")
        self._check_taps()
        for part in self.parts():
            try:
                part.block.check_input(part.in_channels)
            except InputError as error:
                raise InputError(f"stage {part.stage + 1}: {error}") from None
            if min(part.height, part.width) < part.block.least_size:
                raise InputError(self._too_small(part))

    def parts(self) -> Iterator[Part]:
        """Stem, blocks and head in order, each with the shape of its input; the head's last one."""
        channels, (height, width) = IMAGE_CHANNELS, self.resolution
        staged: list[tuple[int, Block]] = [(-1, self.stem)]
        staged += [(index, block) for index, stage in enumerate(self.stages) for block in stage]
        for stage, block in staged:
            yield Part(block, channels, height, width, stage)
            channels = block.out_channels
            height, width = block.out_size(height), block.out_size(width)
        yield Part(self.head, channels, height, width, len(self.stages))

    def tappable(self) -> dict[int, int]:
        """Output strides of the stages, and the index of the last stage that has each."""
        stride, found = self.stem.downsampling, {}
        for index, stage in enumerate(self.stages):
            for block in stage:
                stride *= block.downsampling
            found[stride] = index
        return found

    def tapped(self) -> tuple[int, ...]:
        """Indices of the stages whose outputs the head reads, finest first."""
        last = len(self.stages) - 1
        return tuple(self.tappable()[tap] for tap in self.head.taps) or (last,)

    def tapped_sizes(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of the maps that the head reads, finest first."""
        entered = {
            part.stage - 1: (part.height, part.width) for part in reversed(list(self.parts()))
        }
        return tuple(entered[stage] for stage in self.tapped())

    def _check_taps(self) -> None:
        strides = self.tappable()
        where, listed = f"{self.head.kind} head", ", ".join(map(str, strides))
        for tap in self.head.taps:
            expect(
                tap in strides,
                f"{where}: tap {tap} does not exist; the stages have the output strides {listed}",
            )
        expect(
            not self.head.taps or self.head.taps[-1] == max(strides),
            f"{where}: no tap reads the last stages; tap {max(strides)}, or leave away the stages"
            f" beyond output stride {max(self.head.taps, default=0)}",
        )

    def _too_small(self, part: Part) -> str:
        """Why a block cannot read the map that reaches it, and which resolution it takes."""
        side = min(self.resolution)
        while not self._fits(side):
            side += 1
        where = f"stage {part.stage + 1}: {part.block.kind} block" if part.stage >= 0 else "stem"
        if part.block is self.head:
            where = f"{self.head.kind} head"
        (height, width), least = self.resolution, part.block.least_size
        return (
            f"{where}: needs a map of at least {least}x{least}, gets {part.height}x{part.width};"
            f" {height}x{width} px are too few for the strides, give {side}x{side} or more"
        )

    def _fits(self, side: int) -> bool:
        """Whether every block can read what an image of a height or width leaves it."""
        for part in self.parts():
            if side < part.block.least_size:
                return False
            side = part.block.out_size(side)
        return True

    @property
    def id(self) -> str:
        """Stable content hash, 12 hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    @property
    def total_stride(self) -> int:
        """Factor between the input's and the last stage's height."""
        factor = self.stem.downsampling
        for stage in self.stages:
            for block in stage:
                factor *= block.downsampling
        return factor

    def with_resolution(self, height: int, width: int | None = None) -> Architecture:
        """The same network at another input size in px (square if only the height is given)."""
        return replace(self, resolution=(height, height if width is None else width))

    # Formats

    def to_text(self) -> str:
        """Compact text; lossless (see `from_text`)."""
        height, width = self.resolution
        pieces: list[list[str]] = [[] for _ in range(len(self.stages) + 2)]
        counts: list[list[int]] = [[] for _ in pieces]
        for part in self.parts():
            texts, runs = pieces[part.stage + 1], counts[part.stage + 1]
            text = format_block(part.block, part.in_channels)
            if texts and text == _repeat(texts[-1]):
                runs[-1] += 1
            else:
                texts.append(text)
                runs.append(1)
        stages = [
            " ".join(text.replace("_", f"_r{run}_", 1) for text, run in zip(*stage, strict=True))
            for stage in zip(pieces[1:-1], counts[1:-1], strict=True)
        ]
        return f"{height}x{width} {' | '.join([pieces[0][0], *stages, pieces[-1][0]])}"

    @classmethod
    def from_text(cls, text: str) -> Architecture:
        """Architecture from its compact text.

        Raises:
            InputError: a part does not follow the notation; the message quotes it.
        """
        first, *middle = [piece.split() for piece in text.strip().split("|")]
        expect(
            len(first) == 2 and len(middle) >= 2,
            f"architecture text: expected 'HxW stem | stage | ... | head', got {text[:80]!r}",
        )
        found = re.fullmatch("([0-9]{1,9})x([0-9]{1,9})", first[0])
        if found is None:
            raise InputError(f"architecture text: resolution must be HxW, got '{first[0]}'")
        stem = parse_block(first[1], IMAGE_CHANNELS, {"stem": Stem})
        channels, stages = stem.out_channels, []
        for words in middle[:-1]:
            stage: list[Block] = []
            for word in words:
                stage += _parse_run(word, channels)
                channels = stage[-1].out_channels
            stages.append(tuple(stage))
        expect(len(middle[-1]) == 1, "architecture text: the last part must be one head")
        head = parse_block(middle[-1][0], channels, HEADS)
        assert isinstance(stem, Stem) and isinstance(head, TaskHead)
        size = (int(found.group(1)), int(found.group(2)))
        return cls(size, stem, tuple(stages), head)

    def to_json(self) -> str:
        """Canonical JSON, the same text for equal architectures."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the JSON form."""
        return {
            "format": FORMAT,
            "resolution": list(self.resolution),
            "stem": block_to_json(self.stem),
            "stages": [[block_to_json(block) for block in stage] for stage in self.stages],
            "head": block_to_json(self.head),
        }

    @classmethod
    def from_json(cls, text: str, where: str = "architecture") -> Architecture:
        """Architecture from JSON.

        Raises:
            InputError: not JSON, another format version, an unknown key or a value out of range.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:  # also a number or a nesting without end
            raise InputError(f"{where}: not valid JSON ({error})") from None
        return cls.from_dict(data, where)

    @classmethod
    def from_dict(cls, data: Any, where: str = "architecture") -> Architecture:
        """Architecture from the plain values that `to_dict` gives; raises as `from_json`."""
        expect(isinstance(data, dict), f"{where}: expected a JSON object")
        expect(
            data.get("format") == FORMAT,
            f"{where}: 'format' must be '{FORMAT}', got {data.get('format')!r}",
        )
        keys = {"format", "resolution", "stem", "stages", "head"}
        expect(
            set(data) == keys,
            f"{where}: expected the keys {', '.join(sorted(keys))}; got {list(data)}",
        )
        size, rows = data["resolution"], data["stages"]
        expect(isinstance(size, list), f"{where}.resolution: expected [height, width]")
        expect(
            isinstance(rows, list) and all(isinstance(row, list) for row in rows),
            f"{where}.stages: expected a list of lists of blocks",
        )
        stem = block_from_json(data["stem"], f"{where}.stem", {"stem": Stem})
        head = block_from_json(data["head"], f"{where}.head", HEADS)
        stages = tuple(
            tuple(block_from_json(b, f"{where}.stages[{i}][{j}]") for j, b in enumerate(row))
            for i, row in enumerate(rows)
        )
        assert isinstance(stem, Stem) and isinstance(head, TaskHead)
        try:
            return cls(tuple(size), stem, stages, head)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None

    def _repr_html_(self) -> str:
        from palmette.space.diagram import diagram  # for notebooks alone

        return diagram(self)

    # What is built from it

    def build(self, seed: int = 0) -> nn.Module:
        """Torch module with freshly initialised weights, in training mode.

        Args:
            seed: of the weights; the global random state is left as it was.
        """
        from palmette.space.modules import build_network  # torch is slow to import

        return build_network(self, seed)

    def ops(self) -> tuple[Op, ...]:
        """Ops that a device runs, read off the module (cached by content)."""
        return _traced(self)[0]

    def params(self) -> int:
        """Number of parameters, BatchNorm's included, of the form that runs on a device.

        A re-parameterised unit counts as the one convolution, with a bias, that its branches merge
        into, as papers count it; what `build` gives to train has the branches.
        """
        return _traced(self)[1]

    def peak_elements(self) -> int:
        """Most elements of activations that are alive at once (see `palmette.space.liveness`)."""
        return _traced(self)[2]

    def macs(self) -> int:
        """Multiply-accumulates of convolutions and linear layers for one image."""
        return sum(op.macs for op in self.ops())


@functools.lru_cache(maxsize=4096)
def _traced(architecture: Architecture) -> tuple[tuple[Op, ...], int, int]:
    """Ops, parameters and the peak of live elements."""
    from palmette.space.modules import meta_network
    from palmette.space.trace import trace_with_peak

    network = meta_network(architecture)
    ops, peak = trace_with_peak(network, (IMAGE_CHANNELS, *architecture.resolution))
    return ops, sum(p.numel() for p in network.parameters()), peak


def _repeat(block_text: str) -> str:
    """Text of the second and later blocks of a run: the stride belongs to the first alone."""
    return re.sub(r"_s\d(?=_|$)", "_s1", block_text)


def _parse_run(word: str, in_channels: int) -> list[Block]:
    """Blocks of `ir_r3_k3_s2_...`: the stride belongs to the first, the others have stride 1."""
    found = re.match("[^_]*(_r([0-9]{1,9}))(?=_|$)", word)
    count = int(found.group(2)) if found else 1
    text = word.replace(found.group(1), "", 1) if found else word
    expect(1 <= count <= 1000, f"block '{word}': repeats must be 1 to 1000, got {count}")
    blocks = [parse_block(text, in_channels)]
    for _ in range(count - 1):
        blocks.append(parse_block(_repeat(text), blocks[-1].out_channels))
    return blocks
