"""Ops and kernels as torch modules, built from their text alone.

A text leaves out what costs nothing to guess: padding is what the two shapes ask for, a pooling
takes the maximum, a permutation is the first that leads from one shape to the other. What cannot be
guessed is refused with a reason. Activations are calls of their own after the op, in place where
`palmette.space.modules` runs them so.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palmette.space import InputError, Op
from palmette.space.errors import expect
from palmette.space.modules import ACTIVATION_MODULES

FIXED_POINT = 20.0
"""In single precision every activation in place leaves this value or its limit as it is: a repeated
call then sees the same numbers, and none ever sees denormal ones."""


MAX_ELEMENTS = 1 << 28
"""Inputs, output and weights of one op together: 1 GiB in single precision."""


def build_ops(ops: Sequence[Op]) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Module of an op or a kernel, in evaluation mode, with inputs of the shapes that it takes.

    Every op after the first reads what the one before it made, as its first input of that shape.

    Raises:
        InputError: an op that its text does not determine, or that makes another shape than its
            text says, or that does not read what the one before it made.
    """
    modules = [_checked(op) for op in ops]
    inputs = list(_inputs(ops[0]))
    if len(ops) == 1:
        return modules[0], tuple(inputs)
    places: list[int] = []
    for before, op in itertools.pairwise(ops):
        expect(
            before.output in op.inputs,
            f"op '{op.to_text()}': does not read what '{before.to_text()}' made",
        )
        places.append(op.inputs.index(before.output))
        inputs += [value for at, value in enumerate(_inputs(op)) if at != places[-1]]
    return Kernel(modules, [len(op.inputs) for op in ops], places).eval(), tuple(inputs)


class Kernel(nn.Module):
    """Ops that run one after another, each on what the one before it made and inputs of its own."""

    def __init__(
        self, modules: Sequence[nn.Module], counts: Sequence[int], places: Sequence[int]
    ) -> None:
        super().__init__()
        self.steps = nn.ModuleList(modules)
        self.counts = tuple(counts)
        self.places = tuple(places)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Output of the last op; `inputs` are those of all ops in order."""
        taken = self.counts[0]
        x: Tensor = self.steps[0](*inputs[:taken])
        for step, count, place in zip(
            itertools.islice(self.steps, 1, None), self.counts[1:], self.places, strict=True
        ):
            own = inputs[taken : taken + count - 1]
            taken += count - 1
            x = step(*own[:place], x, *own[place:])
        return x


class _Call(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        """What the function makes of the inputs."""
        return self.function(*inputs)


class _Activated(nn.Module):
    """A module of several inputs, and an activation."""

    def __init__(self, step: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.step = step
        self.act = act

    def forward(self, *inputs: Tensor) -> Tensor:
        """The activation of what the step makes of the inputs."""
        y: Tensor = self.act(self.step(*inputs))
        return y


@torch.no_grad()
def _checked(op: Op) -> nn.Module:
    """Module of one op; it was run once."""
    where = f"op '{op.to_text()}'"
    builder = BUILDERS.get(op.kind)
    if builder is None:
        raise InputError(f"{where}: the text of an '{op.kind}' does not say what to run")
    held = op.in_elements + op.out_elements + op.weights
    expect(held <= MAX_ELEMENTS, f"{where}: holds {held} values, at most {MAX_ELEMENTS} are timed")
    try:
        step = builder(op)
        if op.act != "none" and op.kind != "act":
            act = ACTIVATION_MODULES[op.act]()
            step = nn.Sequential(step, act) if len(op.inputs) == 1 else _Activated(step, act)
        made = step.eval()(*_inputs(op))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (RuntimeError, ValueError, IndexError) as error:  # torch's own words for a wrong shape
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{where}: torch cannot run it ({reason})") from None
    if isinstance(made, Tensor):  # a split gives its parts
        shape = tuple(made.shape[1:]) or (1,)
        expect(shape == op.output, f"{where}: it would make {shape}, not {op.output}")
    return step


def _inputs(op: Op) -> tuple[Tensor, ...]:
    """Values for each input of an op, a batch of one."""
    generator = torch.Generator().manual_seed(0)
    shift = FIXED_POINT if op.kind == "act" else 0.0
    return tuple(torch.rand((1, *shape), generator=generator) + shift for shape in op.inputs)


def _expect_inputs(op: Op, count: int) -> None:
    expect(len(op.inputs) == count, f"takes {count} inputs, got {len(op.inputs)}")


def _sides(op: Op) -> list[tuple[int, int, int, int]]:
    """Input size, output size, kernel and stride of a map's height and of its width."""
    _expect_inputs(op, 1)
    expect(len(op.inputs[0]) == len(op.output) == 3, "maps CxHxW to CxHxW")
    return list(zip(op.inputs[0][1:], op.output[1:], op.kernel, op.stride, strict=True))


def _by_nearness(most: int, middle: int) -> list[int]:
    return sorted(range(most + 1), key=lambda padding: abs(padding - middle))


def _padding(size: int, made: int, kernel: int, stride: int, dilation: int) -> int:
    """Padding nearest to the usual one with which a convolution makes `made` out of `size`."""
    reach = dilation * (kernel - 1)
    for padding in _by_nearness(reach, reach // 2):
        room = size + 2 * padding - reach - 1
        if room >= 0 and room // stride + 1 == made:
            return padding
    raise InputError(
        f"no padding lets kernel {kernel} at stride {stride} make {made} out of {size}"
    )


def _conv(op: Op) -> nn.Module:
    paddings = [_padding(*side, op.dilation) for side in _sides(op)]
    return nn.Conv2d(
        op.inputs[0][0],
        op.output[0],
        op.kernel,
        op.stride,
        (paddings[0], paddings[1]),
        op.dilation,
        op.groups,
    )


def _grown(size: int, made: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Padding and output padding with which a transposed convolution makes `made` of `size`."""
    reach = dilation * (kernel - 1)
    for padding in _by_nearness(reach, reach // 2):
        extra = made - ((size - 1) * stride - 2 * padding + reach + 1)
        if 0 <= extra < max(stride, dilation):
            return padding, extra
    raise InputError(f"no padding lets kernel {kernel} at stride {stride} grow {size} to {made}")


def _conv_transpose(op: Op) -> nn.Module:
    (top, below), (left, right) = (_grown(*side, op.dilation) for side in _sides(op))
    return nn.ConvTranspose2d(
        op.inputs[0][0],
        op.output[0],
        op.kernel,
        op.stride,
        (top, left),
        (below, right),
        op.groups,
        dilation=op.dilation,
    )


def _linear(op: Op) -> nn.Module:
    _expect_inputs(op, 1)
    return nn.Linear(op.inputs[0][-1], op.output[-1])


def _matmul(op: Op) -> nn.Module:
    _expect_inputs(op, 2)
    return _Call(torch.matmul)


def _pool(op: Op) -> nn.Module:
    paddings, up = [], False
    for size, made, kernel, stride in _sides(op):
        fits = [
            (padding, room % stride > 0 and room // stride + 1 < made)
            for padding in _by_nearness(kernel // 2, (kernel - 1) // 2)
            if (room := size + 2 * padding - kernel) >= 0
            and made in (room // stride + 1, -(-room // stride) + 1)
        ]
        expect(bool(fits), f"no padding lets kernel {kernel} make {made} out of {size}")
        fits.sort(key=lambda fit: fit[1])  # rounding down where some padding does
        paddings.append(fits[0][0])
        up = up or fits[0][1]
    return nn.MaxPool2d(op.kernel, op.stride, (paddings[0], paddings[1]), ceil_mode=up)


def _mean(op: Op) -> nn.Module:
    _expect_inputs(op, 1)
    shape, made = op.inputs[0], op.output
    keep = len(made) == len(shape)
    if keep:
        axes = tuple(at + 1 for at, size in enumerate(shape) if made[at] != size)
    else:
        axes = tuple(range(1 + len(made), 1 + len(shape)))
    return _Call(lambda x: x.mean(axes, keepdim=keep))


def _folded(operator: Callable[[Any, Any], Any]) -> Callable[[Op], nn.Module]:
    """Builder for an operator between inputs, or with a constant where there is one input."""

    def build(op: Op) -> nn.Module:
        if len(op.inputs) == 1:
            return _Call(lambda x: operator(x, 1.5))
        _expect_inputs(op, 2)
        return _Call(operator)

    return build


def _concat(op: Op) -> nn.Module:
    ranks = {len(shape) for shape in op.inputs}
    expect(ranks == {len(op.output)} and len(op.inputs) > 1, "needs several inputs of one rank")
    for axis, made in enumerate(op.output):
        others = {(*shape[:axis], *shape[axis + 1 :]) for shape in op.inputs}
        if sum(shape[axis] for shape in op.inputs) == made and len(others) == 1:
            return _Call(lambda *inputs, axis=axis + 1: torch.cat(inputs, axis))
    raise InputError("the inputs do not add up to the output along any axis")


def _act(op: Op) -> nn.Module:
    _expect_inputs(op, 1)
    expect(op.act != "none", "names no activation")
    return ACTIVATION_MODULES[op.act]()


def _softmax(op: Op) -> nn.Module:
    _expect_inputs(op, 1)
    return nn.Softmax(-1)


def _norm(op: Op) -> nn.Module:
    # on maps the BatchNorm that no convolution could take in, on tokens LayerNorm
    _expect_inputs(op, 1)
    shape = op.inputs[0]
    return nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.LayerNorm(shape[-1])


def _permute(op: Op) -> nn.Module:
    _expect_inputs(op, 1)
    shape = op.inputs[0]
    expect(2 <= len(shape) <= 6, "needs two to six axes")
    for axes in itertools.islice(itertools.permutations(range(len(shape))), 1, None):
        if tuple(shape[axis] for axis in axes) == op.output:
            order = (0, *(axis + 1 for axis in axes))
            return _Call(lambda x, order=order: x.permute(order).contiguous())
    raise InputError("no permutation of the axes leads from one shape to the other")


def _differing(op: Op) -> int:
    """The one axis in which input and output differ; the first if they are equal."""
    _expect_inputs(op, 1)
    expect(len(op.inputs[0]) == len(op.output), "input and output must have one rank")
    axes = [at for at, size in enumerate(op.inputs[0]) if op.output[at] != size]
    expect(len(axes) <= 1, "more than one axis differs")
    return axes[0] if axes else 0


def _gather(op: Op) -> nn.Module:
    axis = _differing(op)
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(op.inputs[0][axis], (op.output[axis],), generator=generator)
    module = _Call(lambda x: x.index_select(axis + 1, module.index))
    module.register_buffer("index", index)
    return module


def _slice(op: Op) -> nn.Module:
    axis = _differing(op)
    size, made = op.inputs[0][axis], op.output[axis]
    if size == made:  # a split into parts moves all that it reads, and its text says so
        return _Call(lambda x: x.chunk(2, 1))
    expect(made < size, "cannot grow")
    return _Call(lambda x: x.narrow(axis + 1, 0, made))


def _pad(op: Op) -> nn.Module:
    _expect_inputs(op, 1)
    expect(len(op.inputs[0]) == len(op.output), "input and output must have one rank")
    more = [made - size for size, made in zip(op.inputs[0], op.output, strict=True)]
    expect(min(more) >= 0, "cannot shrink")
    widths = [width for extra in reversed(more) for width in (extra // 2, extra - extra // 2)]
    return _Call(lambda x: F.pad(x, widths))


def _resize(op: Op) -> nn.Module:
    size = [made for _, made, _, _ in _sides(op)]
    return _Call(lambda x: F.interpolate(x, size=size))


BUILDERS: dict[str, Callable[[Op], nn.Module]] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": _linear,
    "matmul": _matmul,
    "pool": _pool,
    "mean": _mean,
    "add": _folded(lambda a, b: a + b),
    "mul": _folded(lambda a, b: a * b),
    "concat": _concat,
    "act": _act,
    "softmax": _softmax,
    "norm": _norm,
    "permute": _permute,
    "gather": _gather,
    "slice": _slice,
    "pad": _pad,
    "resize": _resize,
}
"""Kind of op -> its module without the fused activation; `other` cannot be built."""
