"""What can be taken from a network: narrower, shallower, smaller windows, a smaller image.

A `Knob` is one thing that can be turned down, with its values from the next smaller one to the
least. Channels that a residual adds up are one knob: a block whose output has the shape of its
input must be as wide as the block before it. Whatever follows a changed width follows it, so ratios
stay ratios. The head's classes are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from palmette.latency.effects import Support
from palmette.latency.identified import NEEDS
from palmette.space import Architecture, Block, ConvBlock, InputError
from palmette.space.architecture import IMAGE_CHANNELS
from palmette.space.scaling import DIVISOR, follow, keeps_shape
from palmette.space.stage_blocks import KINDS

MOST_VALUES = 24
"""Values of a knob: channels that have more multiples of 8 below them go down in larger steps."""
PIXELS = 16
"""Step of the image's height and width, px."""
LEAST_PIXELS = 64
LEAST_KERNEL = 3
INNER = ("expanded", "middle", "squeeze")
"""Fields of the channels inside a block."""
KERNELS = ("kernel", "first_kernel")


@dataclass(frozen=True, slots=True)
class Knob:
    """One thing that can be turned down."""

    what: str
    """In words, such as `width of stage 3`."""
    now: int
    values: tuple[int, ...]
    """Falling, all below `now`."""
    change: Callable[[int], Architecture]

    def turned(self, value: int) -> Architecture | None:
        """The network with the knob at a value; None if there is no such network."""
        try:
            return self.change(value)
        except InputError:
            return None

    def words(self, value: int) -> str:
        """The change in words."""
        return f"{self.what} {self.now} -> {value}"


def knobs(network: Architecture, known: Support | None = None) -> list[Knob]:
    """All knobs of a network that can be turned down.

    Args:
        network: any.
        known: what a target's timings identify; windows and image sizes outside it are left alone.
            None to take everything.
    """
    found = [
        *_widths(network),
        *_inner(network),
        *_depths(network),
        *_kernels(network, known),
        *_head(network),
        *_resolution(network, known),
    ]
    return [knob for knob in found if knob.values]


def smallest(network: Architecture, known: Support | None = None) -> Architecture:
    """The network with all knobs at their least; see `knobs`."""
    index = 0
    while index < len(turnable := knobs(network, known)):
        knob = turnable[index]
        made = (knob.turned(value) for value in reversed(knob.values))
        found = next((one for one in made if one is not None), None)
        # a knob at its least is gone from the list, and may have freed one before it
        network, index = (network, index + 1) if found is None else (found, 0)
    return network


def _multiples(channels: int, least: int = DIVISOR) -> tuple[int, ...]:
    """Multiples of 8 below a count of channels, falling, and not below `least`."""
    most, last = (channels - 1) // DIVISOR, -(-least // DIVISOR)
    step = max(1, -(-(most - last + 1) // MOST_VALUES))
    falling = [DIVISOR * count for count in range(most, last - 1, -step)]
    return tuple(dict.fromkeys([*falling, DIVISOR * last])) if falling else ()


# Width


def _widths(network: Architecture) -> Iterator[Knob]:
    """Stem and stages; a stage that is no narrower than its input stays so."""
    flat = _flat(network)
    for start, end in _tied(flat):
        place, width = flat[start], flat[start].block.out_channels
        if _is_tail(network, place.stage):
            continue  # goes with the head
        here = [one.block for one in flat if one.stage == place.stage]
        what = "stem" if place.stage < 0 else f"width of stage {place.stage + 1}"
        if here[0] is not place.block:
            what += f" from block {here.index(place.block) + 1}"
        least = place.before if place.stage >= 0 and width >= place.before else DIVISOR
        yield Knob(
            what,
            width,
            _multiples(width, least),
            lambda value, start=start, end=end: _narrowed(network, range(start, end), value),  # type: ignore[misc]
        )


def _is_tail(network: Architecture, stage: int) -> bool:
    """Whether a stage is a last 1x1 convolution, which belongs to the head (MobileNetV3)."""
    blocks = network.stages[stage] if stage == len(network.stages) - 1 else ()
    return bool(blocks) and all(
        isinstance(block, ConvBlock) and block.kernel == block.stride == 1 for block in blocks
    )


@dataclass(frozen=True, slots=True)
class _Place:
    block: Block
    before: int
    stage: int


def _flat(network: Architecture) -> list[_Place]:
    """Stem and blocks in their order."""
    parts = list(network.parts())[:-1]
    return [_Place(part.block, part.in_channels, part.stage) for part in parts]


def _tied(flat: Sequence[_Place]) -> list[tuple[int, int]]:
    """Ranges of places that must be equally wide."""
    starts = [index for index, place in enumerate(flat) if index == 0 or not _bound(place)]
    return list(zip(starts, [*starts[1:], len(flat)], strict=True))


def _bound(place: _Place) -> bool:
    """Whether a block gives as many channels as come in: by a residual, or as its kind must."""
    if place.block.out_channels != place.before:
        return False
    if keeps_shape(place.block, place.before):
        return True
    try:
        _with(place.block, channels=place.before + DIVISOR).check_input(place.before)
    except InputError:
        return True
    return False


def _narrowed(network: Architecture, tied: range, width: int) -> Architecture:
    before, blocks = IMAGE_CHANNELS, list[Block]()
    for index, place in enumerate(_flat(network)):
        block = _with(place.block, channels=width) if index in tied else place.block
        if before != place.before:
            block = follow(block, place.before, before)
        blocks.append(block)
        before = block.out_channels
    return _rebuilt(network, blocks)


# Inside of blocks


def _inner(network: Architecture) -> Iterator[Knob]:
    """Inner channels of whole stages, and of single blocks of a stage."""
    flat = _flat(network)
    for stage in range(len(network.stages)):
        places = [i for i, place in enumerate(flat) if place.stage == stage and _inside(place)]
        groups = {f"stage {stage + 1}": places}
        if len(places) > 1:
            first = next(i for i, place in enumerate(flat) if place.stage == stage)
            groups |= {f"block {i - first + 1} of stage {stage + 1}": [i] for i in places}
        for where, group in groups.items():
            if not group:
                continue
            widest = max(_inside(flat[index]) for index in group)

            def thinner(value: int, group: list[int] = group, widest: int = widest) -> Architecture:
                blocks = [place.block for place in flat]
                for index in group:
                    blocks[index] = _thinned(flat[index], value / widest)
                return _rebuilt(network, blocks)

            thins: dict[tuple[int, ...], int] = {tuple(_inside(flat[i]) for i in group): widest}
            for value in _multiples(widest):
                thins.setdefault(tuple(_thin(flat[i], value / widest) for i in group), value)
            values = tuple(thins.values())[1:]
            yield Knob(f"expansion in {where}", widest, values, thinner)


def _inside(place: _Place) -> int:
    """Inner channels of a block, 0 for none."""
    name = _inner_field(place.block)
    channels: int = getattr(place.block, name) if name else 0
    return channels


def _inner_field(block: Block) -> str:
    names = {item.name for item in fields(block)}
    return next((name for name in INNER if name in names), "")


def _thin(place: _Place, factor: float) -> int:
    """`factor` of a block's inner channels, rounded down to a multiple of 8.

    Where the block expands its input, at least as many as come in.
    """
    inner = _inside(place)
    least = place.before if inner >= place.before else DIVISOR
    return min(inner, max(least, int(inner * factor) // DIVISOR * DIVISOR))


def _thinned(place: _Place, factor: float) -> Block:
    """The block with fewer inner channels; a squeeze that is no ratio of the input goes along."""
    block, before, inner = place.block, place.before, _inside(place)
    thin = _thin(place, factor)
    sizes = {_inner_field(block): thin}
    squeeze = getattr(block, "se", 0)
    steps = next(
        (item.metadata.get("steps", ()) for item in fields(block) if item.name == "se"), ()
    )
    if squeeze and squeeze / before not in steps:
        sizes["se"] = max(1, squeeze * thin // inner)
    return _with(block, **sizes)


# Depth, windows, head, image


def _depths(network: Architecture) -> Iterator[Knob]:
    flat = _flat(network)
    for stage, blocks in enumerate(network.stages):
        places = [place for place in flat if place.stage == stage]
        spare = 0
        while spare < len(blocks) - 1 and keeps_shape(
            blocks[-1 - spare], places[-1 - spare].before
        ):
            spare += 1
        yield Knob(
            f"blocks of stage {stage + 1}",
            len(blocks),
            tuple(range(len(blocks) - 1, len(blocks) - 1 - spare, -1)),
            lambda count, stage=stage: replace(  # type: ignore[misc]
                network,
                stages=tuple(
                    row[:count] if index == stage else row
                    for index, row in enumerate(network.stages)
                ),
            ),
        )


def _kernels(network: Architecture, known: Support | None) -> Iterator[Knob]:
    for stage, blocks in enumerate(network.stages):
        largest = max(max(_windows(block).values(), default=0) for block in blocks)
        kinds = {block.kind for block in blocks if _windows(block)}
        values = tuple(
            kernel
            for kernel in range(largest - 2, LEAST_KERNEL - 1, -2)
            if known is None or _shown(known, kinds, largest, kernel)
        )
        yield Knob(
            f"kernels of stage {stage + 1}",
            largest,
            values,
            lambda kernel, stage=stage: replace(  # type: ignore[misc]
                network,
                stages=tuple(
                    tuple(_windowed(block, kernel) for block in row) if index == stage else row
                    for index, row in enumerate(network.stages)
                ),
            ),
        )


def _windows(block: Block) -> dict[str, int]:
    names = {item.name for item in fields(block)}
    found = {name: getattr(block, name) for name in KERNELS if name in names}
    if "kernels" in names:
        found["kernels"] = max(getattr(block, "kernels"))  # noqa: B009 (of some kinds)
    return found


def _windowed(block: Block, kernel: int) -> Block:
    """The block without a window above `kernel`."""
    found: dict[str, Any] = {
        name: min(window, kernel) for name, window in _windows(block).items() if name != "kernels"
    }
    if "kernels" in _windows(block):
        windows = getattr(block, "kernels")  # noqa: B009
        found["kernels"] = tuple(dict.fromkeys(min(window, kernel) for window in windows))
    return _with(block, **found) if found else block


def _shown(known: Support, kinds: set[str], *kernels: int) -> bool:
    """Whether timings show windows of these sizes in these kinds of blocks."""
    listed = [kind for kind in kinds if kind in KINDS]
    return len(listed) == len(kinds) and all(
        known.has(need) for kernel in kernels for need in NEEDS["kernel"](kernel, listed)
    )


def _head(network: Architecture) -> Iterator[Knob]:
    """The classifier's 1x1 convolution, and a last stage of 1x1 convolutions in proportion.

    No estimate of accuracy that looks at the classifier's input alone can then be led to a narrow
    stage in front of a wide head.
    """
    head: Any = network.head
    flat, last = _flat(network), len(network.stages) - 1
    tail = [index for index, place in enumerate(flat) if place.stage == last]
    tail = tail if _is_tail(network, last) else []
    channels = getattr(head, "channels", 0) or (flat[-1].block.out_channels if tail else 0)
    enters = flat[tail[0] if tail else -1]
    width = enters.before if tail else enters.block.out_channels

    def narrower(value: int) -> Architecture:
        made = network
        if tail:
            wide = flat[-1].block.out_channels
            least = min(wide, width)
            thin = max(least, wide * value // channels // DIVISOR * DIVISOR)
            made = _narrowed(network, range(tail[0], tail[-1] + 1), thin)
        if getattr(head, "channels", 0):
            made = replace(made, head=replace(head, channels=value))
        return made

    yield Knob(
        "head",
        channels,
        _multiples(channels, width if channels >= width else DIVISOR) if channels else (),
        narrower,
    )


def _resolution(network: Architecture, known: Support | None) -> Iterator[Knob]:
    """Height in steps of 16 px, the width in proportion."""
    height, width = network.resolution
    first = (height - 1) // PIXELS * PIXELS
    values = [
        px
        for px in range(first, LEAST_PIXELS - 1, -PIXELS)
        if known is None or known.has(f"resolution:{px}")
    ]

    def smaller(px: int) -> Architecture:
        across = max(PIXELS, round(width * px / height / PIXELS) * PIXELS)
        return network.with_resolution(px, min(width, across))

    if known is None or known.has(f"resolution:{height}"):
        yield Knob("height of the image", height, tuple(values), smaller)


def _with(block: Block, **values: Any) -> Block:
    changed: Block = replace(block, **values)
    return changed


def _rebuilt(network: Architecture, blocks: Sequence[Block]) -> Architecture:
    """The network with other blocks in place of its stem and the blocks of its stages."""
    stem: Any = blocks[0]
    stages, start = [], 1
    for stage in network.stages:
        stages.append(tuple(blocks[start : start + len(stage)]))
        start += len(stage)
    return replace(network, stem=stem, stages=tuple(stages))
