"""Ops of any torch module, read off a run on the meta device: no weights, no arithmetic.

A dispatch mode sees every aten call below `nn.Module`, functional or hand-written code alike. The
table `HANDLERS` says which calls are ops, which only rename a tensor, and which fold into the op
before. Convolutions and linear layers take in a following BatchNorm and a following activation,
additions and multiplications an activation, if nobody else reads the value between (a network's
outputs count as readers).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from palmette.space.errors import InputError
from palmette.space.liveness import INPUT, Step, peak_elements
from palmette.space.ops import Op, Shape


@dataclass(slots=True)
class _Node:
    """An op while it is being recorded; `sources` are indices of nodes, INPUT for the image."""

    kind: str
    sources: list[int]
    inputs: tuple[Shape, ...]
    output: Shape
    attributes: dict[str, Any] = field(default_factory=dict)
    act: str = "none"
    readers: int = 0
    fused_into: int | None = None
    place: str = ""


def trace_ops(module: nn.Module, shape: tuple[int, ...]) -> tuple[Op, ...]:
    """Ops that a device runs for one input of `shape` (channels, height, width).

    Args:
        module: any torch module, on any device, in any mode; it is left as it was.
        shape: of one image or feature map, without the batch.

    Raises:
        InputError: the module cannot run on such an input; the message carries torch's reason.
    """
    return trace_with_peak(module, shape)[0]


def trace_with_peak(module: nn.Module, shape: tuple[int, ...]) -> tuple[tuple[Op, ...], int]:
    """The ops of `trace_ops`, and the most elements of their values that are alive at once.

    See `palmette.space.liveness`; arguments and errors as for `trace_ops`.
    """
    recorder = _Recorder()
    nodes = _recorded(module, shape, recorder)
    kept = _kept(nodes)
    at = {id(node): index for index, node in enumerate(kept)}

    def value(node: int) -> int:
        host = _host(nodes, node)
        return INPUT if host is None else at[id(nodes[host])]

    steps = [Step(tuple(map(value, n.sources)), math.prod(n.output)) for n in kept]
    peak = peak_elements(steps, math.prod(shape), map(value, recorder.outputs))
    return tuple(map(_op, kept)), peak


def trace_places(module: nn.Module, shape: tuple[int, ...]) -> tuple[tuple[Op, str], ...]:
    """The ops of `trace_ops`, each with the name of the innermost submodule that ran it.

    The name is that of `named_modules`, such as `stages.2.1.body.0.conv`; of a fused op, the
    submodule of the convolution, not of its BatchNorm. Blank: the module's own `forward`.

    Args:
        module: as for `trace_ops`.
        shape: as for `trace_ops`.

    Raises:
        InputError: as `trace_ops`.
    """
    recorder = _Recorder()

    def enter(name: str, *_: Any) -> None:
        recorder.places.append(name)

    def leave(*_: Any) -> None:
        recorder.places.pop()

    hooks = []
    for name, part in module.named_modules():
        hooks.append(part.register_forward_pre_hook(partial(enter, name)))
        hooks.append(part.register_forward_hook(leave))
    try:
        nodes = _recorded(module, shape, recorder)
    finally:
        for hook in hooks:
            hook.remove()
    return tuple((_op(node), node.place) for node in _kept(nodes))


def _recorded(module: nn.Module, shape: tuple[int, ...], recorder: _Recorder) -> list[_Node]:
    """What a recorder sees of one run on the meta device.

    Raises InputError if the module cannot run.
    """
    image = torch.empty((1, *shape), device="meta")
    recorder.know(image, INPUT)
    state = dict((*module.named_parameters(), *module.named_buffers()))
    try:
        with torch.no_grad(), _evaluation(module), recorder:
            if all(value.is_meta for value in state.values()):
                result = module(image)
            else:
                shadow = {name: torch.empty_like(v, device="meta") for name, v in state.items()}
                result = torch.func.functional_call(module, shadow, (image,), strict=False)
    except Exception as error:  # the module may be anybody's code: it raises what it likes
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
        raise InputError(
            f"{type(module).__name__}: cannot be traced on an input of {'x'.join(map(str, shape))}"
            f" ({reason}); check the shape, and that all tensors it holds are parameters or buffers"
        ) from error
    for tensor in _tensors(result):
        node = recorder.node_of(tensor)
        if node is not None and node != INPUT:
            recorder.nodes[node].readers += 1
            recorder.outputs.append(node)
    return recorder.nodes


@contextmanager
def _evaluation(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for the time of the trace."""
    training = [child for child in module.modules() if child.training]
    for child in training:
        child.training = False
    try:
        yield
    finally:
        for child in training:
            child.training = True


class _Recorder(TorchDispatchMode):
    """Records aten calls on tensors that depend on the input."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: list[_Node] = []
        self.outputs: list[int] = []
        self.places: list[str] = []
        self._origin: dict[int, int] = {}
        # identities are only unique among living objects
        self._alive: list[Tensor] = []

    def know(self, tensor: Tensor, node: int) -> None:
        """Remember which node made a tensor."""
        self._origin[id(tensor)] = node
        self._alive.append(tensor)

    def node_of(self, tensor: Any) -> int | None:
        """Node that made a tensor; None for weights, constants and plain values."""
        return self._origin.get(id(tensor))

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        live = [t for t in _tensors((args, kwargs)) if id(t) in self._origin]
        if not live:
            return func(*args, **kwargs)
        name: str = func.overloadpacket.__name__
        in_place = func._schema.is_mutable
        if name.rstrip("_") in _SHAPE_KEEPING:
            # their meta kernels take most of a trace's time and only repeat the shape
            result: Any = args[0] if in_place else torch.empty_like(args[0])
        elif name in _BATCH_NORMS:
            result = (torch.empty_like(args[0]), *(torch.empty(0, device="meta"),) * 2)
        elif name == "convolution" and (size := _convolved(args)) is not None:
            result = args[0].new_empty(size)
        elif name in _SPREADING and (wide := _widest(args)) is not None:
            result = torch.empty_like(wide)
        else:
            result = func(*args, **kwargs)
        outputs = list(_tensors(result))
        if not outputs:
            return result
        handler = HANDLERS.get(name) or HANDLERS.get(name.rstrip("_")) or _other
        described = handler(args, outputs)
        if described is None:
            node = self._origin[id(live[0])]
        else:
            node = self._record(described, live, outputs[0])
        for tensor in outputs:
            self.know(tensor, node)
        return result

    def _record(
        self, described: tuple[str, dict[str, Any]], live: list[Tensor], out: Tensor
    ) -> int:
        kind, attributes = described
        sources = [self._origin[id(tensor)] for tensor in live]
        for source in set(sources) - {INPUT}:
            self.nodes[source].readers += 1
        shape = _map_shape if kind in ("conv", "conv_transpose") else _shape
        shapes = tuple(shape(tensor) for tensor in live)
        output = attributes.pop("output", None) or shape(out)
        place = self.places[-1] if self.places else ""
        self.nodes.append(_Node(kind, sources, shapes, output, attributes, place=place))
        return len(self.nodes) - 1


_Described = tuple[str, dict[str, Any]] | None
_Handler = Callable[[tuple[Any, ...], list[Tensor]], _Described]


def _kind(kind: str) -> _Handler:
    return lambda args, outputs: (kind, {})


def _activation(act: str) -> _Handler:
    return lambda args, outputs: ("act", {"act": act})


def _hardtanh(args: tuple[Any, ...], outputs: list[Tensor]) -> _Described:
    limits = (*args[1:3], *(-1.0, 1.0)[len(args) - 1 :])
    return ("act", {"act": "relu6"}) if tuple(limits) == (0, 6) else ("other", {})


def _same_tensor(args: tuple[Any, ...], outputs: list[Tensor]) -> _Described:
    return None


def _convolution(args: tuple[Any, ...], outputs: list[Tensor]) -> _Described:
    weight, (stride, _, dilation, transposed, _, groups) = args[1], args[3:9]
    attributes = {
        "kernel": _plane(weight.shape[2:]),
        "stride": _plane(stride),
        "dilation": max(dilation),
        "groups": groups,
    }
    return "conv_transpose" if transposed else "conv", attributes


def _batch_norm(args: tuple[Any, ...], outputs: list[Tensor]) -> _Described:
    # statistics of the image itself (instance normalisation) cannot be folded
    return ("norm" if args[5] is True else "batch_norm"), {}


def _pool(args: tuple[Any, ...], outputs: list[Tensor]) -> _Described:
    kernel = _pair(args[1])
    stride = _pair(args[2]) if len(args) > 2 and args[2] else kernel
    return "pool", {"kernel": kernel, "stride": stride}


def _adaptive_pool(args: tuple[Any, ...], outputs: list[Tensor]) -> _Described:
    (height, width), (rows, columns) = args[0].shape[2:], outputs[0].shape[2:]
    kernel = (-(-height // rows), -(-width // columns))
    return "pool", {"kernel": kernel, "stride": kernel}


def _part(args: tuple[Any, ...], outputs: list[Tensor]) -> _Described:
    # a slice or split moves all it reads; a slice of everything is the tensor itself
    if len(outputs) == 1 and outputs[0].shape == args[0].shape:
        return None
    return "slice", ({"output": _shape(args[0])} if len(outputs) > 1 else {})


def _movement(args: tuple[Any, ...], outputs: list[Tensor]) -> _Described:
    # swapping axes of size 1 moves nothing
    sizes = [size for size in args[0].shape[1:] if size > 1]
    return ("permute", {}) if len(sizes) > 1 else None


def _other(args: tuple[Any, ...], outputs: list[Tensor]) -> _Described:
    return "other", {}


_ACTIVATIONS = {
    "relu": "relu",
    "leaky_relu": "lrelu",
    "_prelu_kernel": "lrelu",  # the same function with a slope per channel
    "hardswish": "hswish",
    "silu": "swish",
    "gelu": "gelu",
    "sigmoid": "sigmoid",
    "hardsigmoid": "hsigmoid",
}
_BATCH_NORMS = (
    "native_batch_norm",
    "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm",
    "_batch_norm_no_update",
)
_SHAPE_KEEPING = {*_ACTIVATIONS, "hardtanh"}
_SPREADING = {"add", "mul"}
_RENAMES = (
    "view _unsafe_view reshape flatten unflatten squeeze unsqueeze expand clone contiguous detach"
    " alias _to_copy t dropout native_dropout lift_fresh"
)

HANDLERS: dict[str, _Handler] = {
    "convolution": _convolution,
    "addmm": _kind("linear"),
    "mm": _kind("linear"),
    "linear": _kind("linear"),
    "bmm": _kind("matmul"),
    "baddbmm": _kind("matmul"),
    "hardtanh": _hardtanh,
    "avg_pool2d": _pool,
    "max_pool2d_with_indices": _pool,
    "_adaptive_avg_pool2d": _adaptive_pool,
    "adaptive_max_pool2d": _adaptive_pool,
    "mean": _kind("mean"),
    "sum": _kind("mean"),
    "amax": _kind("mean"),
    "add": _kind("add"),
    "sub": _kind("add"),
    "mul": _kind("mul"),
    "div": _kind("mul"),
    "exp": _kind("mul"),  # as a quotient: arithmetic on each value that is no activation
    "clamp": _kind("mul"),
    "cat": _kind("concat"),
    "split": _part,
    "split_with_sizes": _part,
    "slice": _part,
    "select": _part,
    "narrow": _part,
    "transpose": _movement,
    "permute": _movement,
    "channel_shuffle": _movement,
    "pixel_shuffle": _movement,
    "index": _kind("gather"),
    "index_select": _kind("gather"),
    "constant_pad_nd": _kind("pad"),
    "upsample_nearest2d": _kind("resize"),
    "upsample_bilinear2d": _kind("resize"),
    "_softmax": _kind("softmax"),
    "_safe_softmax": _kind("softmax"),
    "native_layer_norm": _kind("norm"),
    "native_group_norm": _kind("norm"),
    **dict.fromkeys(_BATCH_NORMS, _batch_norm),
    **{name: _activation(act) for name, act in _ACTIVATIONS.items()},
    **dict.fromkeys(_RENAMES.split(), _same_tensor),
}
"""What each aten call is: a node (kind and attributes), or None where a tensor is only renamed."""

_TAKES_BATCH_NORM = ("conv", "conv_transpose", "linear")
_TAKES_ACTIVATION = (*_TAKES_BATCH_NORM, "add", "mul")


def _kept(nodes: list[_Node]) -> list[_Node]:
    """The recorded nodes that stay ops, with BatchNorm folded and activations fused."""
    for index, node in enumerate(nodes):
        if node.kind not in ("batch_norm", "act"):
            continue
        host = _host(nodes, node.sources[0])
        if host is None:
            continue
        takes = _TAKES_BATCH_NORM if node.kind == "batch_norm" else _TAKES_ACTIVATION
        last = nodes[node.sources[0]]
        if nodes[host].kind in takes and nodes[host].act == "none" and last.readers == 1:
            nodes[index].fused_into = host
            nodes[host].act = node.attributes.get("act", "none")
    return [node for node in nodes if node.fused_into is None]


def _host(nodes: list[_Node], index: int) -> int | None:
    """Op that a chain of fused nodes ends in; None for the network's input."""
    while index != INPUT:
        fused_into = nodes[index].fused_into
        if fused_into is None:
            return index
        index = fused_into
    return None


def _op(node: _Node) -> Op:
    if node.kind == "batch_norm":
        return Op("norm", node.inputs, node.output)
    if node.kind == "act":
        return Op("act", node.inputs, node.output, act=node.attributes["act"])
    return Op(node.kind, node.inputs, node.output, act=node.act, **node.attributes)


def _shape(tensor: Tensor) -> Shape:
    """Shape without the batch of one; singleton trailing axes of a vector (C, 1, 1) are kept.

    A first axis of another size is no batch: a view has merged tokens, heads or windows into it.
    """
    shape = tuple(tensor.shape)
    return (shape[1:] if shape[:1] == (1,) else shape) or (1,)


def _map_shape(tensor: Tensor) -> Shape:
    """(C, H, W) of a convolution's operand, of any rank; windows in the batch stack in height."""
    batch, channels, *sizes = tensor.shape
    return (channels, batch * math.prod(sizes[:-1]), sizes[-1])


def _convolved(args: tuple[Any, ...]) -> list[int] | None:
    """Shape of a convolution's output, by torch's documented formula; None where torch must judge.

    That is a transposed convolution, or operands that do not fit (torch gives the reason).
    """
    x, weight, _, stride, padding, dilation, transposed, _, groups = args
    if transposed or x.dim() != weight.dim() or x.shape[1] != weight.shape[1] * groups:
        return None
    sizes = zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    spatial = [(size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in sizes]
    return [x.shape[0], weight.shape[0], *spatial] if min(spatial) > 0 else None


def _widest(args: tuple[Any, ...]) -> Tensor | None:
    """The operand that has the result's shape, if both are meta tensors of one rank and type."""
    one, other = args[:2]
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return None
    if one.dim() != other.dim() or one.dtype != other.dtype or one.is_meta != other.is_meta:
        return None
    wide = one if one.numel() >= other.numel() else other
    pairs = zip(one.shape, other.shape, wide.shape, strict=True)
    return wide if all(c == max(a, b) and min(a, b) in (1, c) for a, b, c in pairs) else None


def _plane(value: Any) -> tuple[int, int]:
    """(height, width) of a kernel or stride; one axis is the width, of three two are the height."""
    return (math.prod(value[:-1]), int(value[-1]))


def _pair(value: Any) -> tuple[int, int]:
    values = [value] if isinstance(value, int) else list(value)
    return (int(values[0]), int(values[-1]))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
