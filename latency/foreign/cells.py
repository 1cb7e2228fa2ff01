"""One row of timings per op as a kernel: its main op and what was fused into it.

`kernel_of` holds a row against every rule that a shape can break. Names of ops, activations and
fused operations are rows of tables; a name that is not there is refused, never guessed. The column
`fused` says what a runtime fused: `add+relu` is an addition of the output's shape with a ReLU.
Which routine the runtime chose is not read: it is not known for new networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from palmette.latency.per_op.kernels import Kernel
from palmette.space import Op
from palmette.space.errors import expect
from palmette.space.ops import Shape

MACS_TOLERANCE = 1e-3
SHAPE_COLUMNS = ("in_h", "in_w", "in_c", "out_h", "out_w", "out_c")
KERNEL_COLUMNS = {
    **{name: f"{{{name}}}" for name in ("op", *SHAPE_COLUMNS, "kernel", "stride", "groups")},
    **{name: f"{{{name}}}" for name in ("n_inputs", "act", "fused")},
    "macs": "{macs?}",
}
"""Cells that `kernel_of` reads -> the import rule for them unless a map gives another."""
LARGEST = 2**24

ACT_NAMES = {
    "relu": "relu",
    "relu6": "relu6",
    "leaky_relu": "lrelu",
    "lrelu": "lrelu",
    "hard_swish": "hswish",
    "hardswish": "hswish",
    "hswish": "hswish",
    "swish": "swish",
    "silu": "swish",
    "gelu": "gelu",
    "sigmoid": "sigmoid",
    "logistic": "sigmoid",
    "hard_sigmoid": "hsigmoid",
    "hsigmoid": "hsigmoid",
}
"""Activation as runtimes call it -> ours."""
FUSED_KINDS = {"add": "add", "sub": "add", "mul": "mul", "div": "mul"}
_CLIPPED = {"minimum", "relu"}

Cells = Mapping[str, str]
Maps = tuple[Shape, Shape]


def kernel_of(cells: Cells, names: Mapping[str, str] | None = None) -> Kernel:
    """Kernel of a row's cells, those of `KERNEL_COLUMNS`.

    Args:
        cells: text by column.
        names: further names of ops, activations and fused operations -> those of `KNOWN_WORDS`.

    Raises:
        InputError: unknown op or activation, or a shape that cannot be.
    """
    names = names or {}
    name = cells["op"].strip()
    name = names.get(name, name)
    cells = {**cells, "op": name}
    expect(name in _BUILDERS, f"op '{name}' is unknown; known: {', '.join(_BUILDERS)}")
    sides = [_whole(cells, column) for column in SHAPE_COLUMNS]
    maps = ((sides[2], *sides[:2]), (sides[5], *sides[3:5]))
    main = _BUILDERS[name](cells, maps)
    given = cells.get("macs", "").strip()
    if given and main.macs:
        macs = number(given)
        expect(
            abs(macs - main.macs) <= MACS_TOLERANCE * main.macs,
            f"macs are {given}, but the shapes give {main.macs}",
        )
    return _with_fused(main, [names.get(word, word) for word in _words(cells)])


def _words(cells: Cells) -> list[str]:
    """What was fused, in order; the column `act` counts where `fused` is blank."""
    text = cells["fused"].strip() or cells["act"].strip()
    return [word.strip() for word in text.split("+")] if text else []


def _with_fused(main: Op, words: Sequence[str]) -> Kernel:
    ops = [main]
    words = list(words)
    for at, pair in enumerate(pairwise(words)):
        if set(pair) == _CLIPPED:  # min(relu(x), 6), in either order
            words[at : at + 2] = ["relu6", ""]
    for word in filter(None, words):
        if word in FUSED_KINDS:
            ops.append(Op(FUSED_KINDS[word], (main.output, main.output), main.output))
            continue
        expect(
            word in ACT_NAMES,
            f"fused '{word}' is unknown; known: {', '.join((*ACT_NAMES, *FUSED_KINDS))}",
        )
        if ops[-1].act == "none":
            ops[-1] = replace(ops[-1], act=ACT_NAMES[word])
        else:
            ops.append(Op("act", (main.output,), main.output, act=ACT_NAMES[word]))
    return tuple(ops)


def _windowed(cells: Cells, maps: Maps) -> tuple[int, int]:
    """Kernel and stride; the output must be one that some padding can give."""
    kernel = _whole(cells, "kernel")
    stride = _whole(cells, "stride", 1)
    for side, read, written in zip("hw", maps[0][1:], maps[1][1:], strict=True):
        least, most = max((read - kernel) // stride + 1, 1), -(-read // stride)
        expect(
            least <= written <= most,
            f"out_{side} must be {least} to {most} for in_{side} {read}, kernel {kernel} and"
            f" stride {stride}, got {written}",
        )
    return kernel, stride


def _unpadded(maps: Maps, stride: int) -> Shape:
    """The input without a padding that the row may count in, as traced networks have it.

    A window that really leaves the border out loses it here, a few pixels; a padding of five rows
    on a map of seven would more than double what the op seems to read.
    """
    (channels, *read), (_, *written) = maps
    height, width = (min(r, w * stride) for r, w in zip(read, written, strict=True))
    return (channels, height, width)


def _conv(cells: Cells, maps: Maps) -> Op:
    kernel, stride = _windowed(cells, maps)
    (read, *_), (written, *_) = maps
    groups = _whole(cells, "groups", read if cells["op"] == "dwconv" else 1)
    expect(
        read % groups == 0 and written % groups == 0,
        f"groups must divide in_c {read} and out_c {written}, got {groups}",
    )
    expect(
        cells["op"] != "dwconv" or groups == read,
        f"groups of a dwconv must be in_c {read}, got {groups}",
    )
    image = _unpadded(maps, stride)
    return Op("conv", (image,), maps[1], (kernel, kernel), (stride, stride), groups=groups)


def _linear(cells: Cells, maps: Maps) -> Op:
    expect(maps[1][1:] == (1, 1), f"the output of an fc must be 1x1, got {_size(maps[1])}")
    return Op("linear", ((math.prod(maps[0]),),), (maps[1][0],))


def _pool(cells: Cells, maps: Maps) -> Op:
    if maps[1][1:] == (1, 1) and cells["op"] != "maxpool":
        return _mean(cells, maps)
    kernel, stride = _windowed(cells, maps)
    _same_channels(maps)
    image = _unpadded(maps, stride)
    return Op("pool", (image,), maps[1], (kernel, kernel), (stride, stride))


def _mean(cells: Cells, maps: Maps) -> Op:
    _same_channels(maps)
    expect(maps[1][1:] == (1, 1), f"the output of a mean must be 1x1, got {_size(maps[1])}")
    return Op("mean", maps[:1], maps[1])


def _concat(cells: Cells, maps: Maps) -> Op:
    count = _whole(cells, "n_inputs", 2)
    (first, *size), (whole, *written) = maps
    rest = count - 1
    expect(count > 1, f"n_inputs of a concat must be 2 or more, got {count}")
    expect(
        size == written and whole - first >= rest,
        f"{count} inputs, the first {_size(maps[0])}, cannot be joined to {_size(maps[1])}",
    )
    # the other inputs are not in the file: equal parts, the last with what is left
    part = (whole - first) // rest
    channels = [first, *[part] * (rest - 1), whole - first - part * (rest - 1)]
    return Op("concat", tuple((c, *size) for c in channels), maps[1])


def _elementwise(kind: str) -> Callable[[Cells, Maps], Op]:
    def build(cells: Cells, maps: Maps) -> Op:
        expect(maps[0][0] in (1, maps[1][0]), f"in_c and out_c of '{cells['op']}' must be equal")
        return Op(kind, (maps[1], maps[0]), maps[1])

    return build


def _act(cells: Cells, maps: Maps) -> Op:
    expect(maps[0] == maps[1], f"'{cells['op']}' must keep the shape")
    return Op("act", maps[:1], maps[1], act=ACT_NAMES[cells["op"]])


def _moving(kind: str) -> Callable[[Cells, Maps], Op]:
    return lambda cells, maps: Op(kind, maps[:1], maps[1])


_BUILDERS: dict[str, Callable[[Cells, Maps], Op]] = {
    **dict.fromkeys(("conv", "dwconv", "gconv"), _conv),
    "fc": _linear,
    **dict.fromkeys(("maxpool", "avgpool"), _pool),
    "mean": _mean,
    "concat": _concat,
    **{name: _elementwise(kind) for name, kind in FUSED_KINDS.items()},
    **dict.fromkeys(ACT_NAMES, _act),
    **{kind: _moving(kind) for kind in ("pad", "resize", "softmax", "permute", "slice", "norm")},
    **{"split": _moving("slice"), "transpose": _moving("permute"), "padding": _moving("pad")},
}

KNOWN_WORDS = tuple(dict.fromkeys((*_BUILDERS, *ACT_NAMES, *FUSED_KINDS, "minimum")))
"""Every name that a row may have for an op, an activation or something fused."""


def _same_channels(maps: Maps) -> None:
    expect(
        maps[0][0] == maps[1][0],
        f"a pool keeps its channels, got in_c {maps[0][0]} and out_c {maps[1][0]}",
    )


def _size(shape: Shape) -> str:
    return "x".join(map(str, shape))


def number(text: str) -> float:
    """A number from a cell; NaN for anything else."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _whole(cells: Cells, column: str, blank: int = 0) -> int:
    """A whole number of one or more; `blank` for a blank cell unless it is 0."""
    text = cells[column].strip()
    if not text and blank:
        return blank
    value = number(text)
    expect(
        value.is_integer() and 1 <= value < LARGEST,
        f"{column} must be a whole number of 1 or more, got '{text}'",
    )
    return int(value)
