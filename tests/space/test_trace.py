"""Traces: op lists by hand, equal to torch's own FLOP counter, and the traced module left alone."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torchvision
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import Tensor, nn
from torch.nn import functional as F

from palmette.space import MOBILENET_LIKE, Architecture, InputError, Op, load
from palmette.space.modules import ConvBnAct, SqueezeExcite, build_part, meta_network
from palmette.space.trace import _convolved, _widest, trace_ops, trace_places

FlopCount = Callable[[nn.Module, tuple[int, ...]], int]


def lines(module: nn.Module, *shape: int) -> list[str]:
    return [op.to_text() for op in trace_ops(module, shape)]


class Calls(nn.Module):
    """A module whose forward pass is a function of the input and of its layers."""

    def __init__(self, function: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleDict(layers)

    def forward(self, x: Tensor) -> Any:
        return self.function(x, **self.layers)


def conv(inputs: int = 8, outputs: int = 8, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, **options)


# Op lists by hand


def test_a_block_is_traced_into_the_ops_of_its_paper() -> None:
    network = Architecture.from_text(
        "32x48 stem_k3_s2_c8_relu | ir_r2_k3_s2_e6_c16_relu_se0.25 | head_c64_relu"
    )
    assert [op.to_text() for op in network.ops()] == [
        "conv 3x32x48 -> 8x16x24 k3 s2 relu",
        "conv 8x16x24 -> 48x16x24 relu",
        "conv 48x16x24 -> 48x8x12 k3 s2 g48 relu",
        "mean 48x8x12 -> 48x1x1",
        "conv 48x1x1 -> 2x1x1 relu",
        "conv 2x1x1 -> 48x1x1 sigmoid",
        "mul 48x8x12 + 48x1x1 -> 48x8x12",
        "conv 48x8x12 -> 16x8x12",
        "conv 16x8x12 -> 96x8x12 relu",
        "conv 96x8x12 -> 96x8x12 k3 g96 relu",
        "mean 96x8x12 -> 96x1x1",
        "conv 96x1x1 -> 4x1x1 relu",
        "conv 4x1x1 -> 96x1x1 sigmoid",
        "mul 96x8x12 + 96x1x1 -> 96x8x12",
        "conv 96x8x12 -> 16x8x12",
        "add 16x8x12 + 16x8x12 -> 16x8x12",
        "conv 16x8x12 -> 64x8x12 relu",
        "mean 64x8x12 -> 64x1x1",
        "linear 64 -> 1000",
    ]


def test_squeeze_and_excitation_is_mean_two_convolutions_and_a_broadcast_product() -> None:
    assert lines(SqueezeExcite(8, 2, "relu", "hsigmoid"), 8, 6, 4) == [
        "mean 8x6x4 -> 8x1x1",
        "conv 8x1x1 -> 2x1x1 relu",
        "conv 2x1x1 -> 8x1x1 hsigmoid",
        "mul 8x6x4 + 8x1x1 -> 8x6x4",
    ]


@pytest.mark.parametrize(
    ("function", "act"),
    [
        (F.relu, "relu"),
        (torch.relu_, "relu"),
        (lambda x: x.relu(), "relu"),
        (F.relu6, "relu6"),
        (lambda x: F.relu6(x, inplace=True), "relu6"),
        (lambda x: F.hardtanh(x, 0.0, 6.0), "relu6"),
        (F.leaky_relu, "lrelu"),
        (F.hardswish, "hswish"),
        (lambda x: F.hardswish(x, inplace=True), "hswish"),
        (F.silu, "swish"),
        (F.gelu, "gelu"),
        (lambda x: F.gelu(x, approximate="tanh"), "gelu"),
        (torch.sigmoid, "sigmoid"),
        (lambda x: x.sigmoid_(), "sigmoid"),
        (F.hardsigmoid, "hsigmoid"),
    ],
)
def test_activations_called_as_functions_fuse_like_modules(
    function: Callable[[Tensor], Tensor], act: str
) -> None:
    module = Calls(lambda x, a, n: function(n(a(x))), a=conv(), n=nn.BatchNorm2d(8))
    assert lines(module, 8, 4, 4) == [f"conv 8x4x4 -> 8x4x4 {act}"]


def test_other_limits_of_hardtanh_are_no_activation_that_we_know() -> None:
    module = Calls(lambda x, a: F.hardtanh(a(x)), a=conv())
    assert lines(module, 8, 4, 4) == ["conv 8x4x4 -> 8x4x4", "other 8x4x4 -> 8x4x4"]


def test_batch_norm_and_activation_fold_into_the_convolution_that_they_alone_read() -> None:
    assert lines(ConvBnAct(8, 16, 3, act="relu6"), 8, 4, 4) == ["conv 8x4x4 -> 16x4x4 k3 relu6"]


NORM = "norm 8x4x4 -> 8x4x4"
CONV = "conv 8x4x4 -> 8x4x4"

FUSION: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "two readers of a convolution keep its norm apart": (
        lambda x, a, n: n(y := a(x)) + y,
        [CONV, NORM, "add 8x4x4 + 8x4x4 -> 8x4x4"],
    ),
    "two readers of a norm keep the activation apart": (
        lambda x, a, n: F.relu(y := n(a(x))) + y,
        [CONV, "act 8x4x4 -> 8x4x4 relu", "add 8x4x4 + 8x4x4 -> 8x4x4"],
    ),
    "one reader twice is one reader": (
        lambda x, a, n: (y := n(a(x))) * y,
        [CONV, "mul 8x4x4 + 8x4x4 -> 8x4x4"],
    ),
    "an output of the network counts as a reader": (
        lambda x, a, n: [y := n(a(x)), F.relu(y)],
        [CONV, "act 8x4x4 -> 8x4x4 relu"],
    ),
    "outputs in a dictionary count as well": (
        lambda x, a, n: {"tap": (y := n(a(x))), "end": {"act": F.relu(y)}},
        [CONV, "act 8x4x4 -> 8x4x4 relu"],
    ),
    "a norm after an activation is an op": (
        lambda x, a, n: n(F.relu(a(x))),
        [CONV + " relu", NORM],
    ),
    "a second activation is an op": (
        lambda x, a, n: F.silu(F.relu(a(x))),
        [CONV + " relu", "act 8x4x4 -> 8x4x4 swish"],
    ),
    "a norm after a concatenation is an op": (
        lambda x, a, n: n(torch.cat([a(x), a(x)], 1)[:, 4:12]),
        [CONV, CONV, "concat 8x4x4 + 8x4x4 -> 16x4x4", "slice 16x4x4 -> 8x4x4", NORM],
    ),
    "an activation of the input is an op": (lambda x, a, n: F.relu(x), ["act 8x4x4 -> 8x4x4 relu"]),
    "a norm of the input is an op": (lambda x, a, n: n(x), [NORM]),
    "an addition takes an activation in": (
        lambda x, a, n: F.relu(a(x) + x),
        [CONV, "add 8x4x4 + 8x4x4 -> 8x4x4 relu"],
    ),
    "in place, an addition does too": (
        lambda x, a, n: F.relu_(a(x).add_(x)),
        [CONV, "add 8x4x4 + 8x4x4 -> 8x4x4 relu"],
    ),
    "an addition takes no norm in": (
        lambda x, a, n: n(a(x) + x),
        [CONV, "add 8x4x4 + 8x4x4 -> 8x4x4", NORM],
    ),
    "pooling takes no activation in": (
        lambda x, a, n: F.relu(F.max_pool2d(x, 3, 2, 1)),
        ["pool 8x4x4 -> 8x2x2 k3 s2", "act 8x2x2 -> 8x2x2 relu"],
    ),
    "a gate written by hand is read twice": (
        lambda x, a, n: (y := n(a(x))) * torch.sigmoid(y),
        [CONV, "act 8x4x4 -> 8x4x4 sigmoid", "mul 8x4x4 + 8x4x4 -> 8x4x4"],
    ),
    "a view between convolution and activation hides nothing": (
        lambda x, a, n: F.relu(a(x).flatten(2)),
        [CONV + " relu"],
    ),
    "dropout vanishes": (lambda x, a, n: F.dropout(a(x), 0.5, False).relu(), [CONV + " relu"]),
}


@pytest.mark.parametrize(("function", "ops"), FUSION.values(), ids=FUSION)
def test_fusion_follows_the_data(function: Callable[..., Any], ops: list[str]) -> None:
    assert lines(Calls(function, a=conv(), n=nn.BatchNorm2d(8)), 8, 4, 4) == ops


SHAPES: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "a channel shuffle moves once": (
        lambda x: x.view(1, 2, 4, 6, 4).transpose(1, 2).contiguous().view(1, 8, 6, 4),
        ["permute 2x4x6x4 -> 4x2x6x4"],
    ),
    "moving axes of size one is nothing": (
        lambda x: x.mean((2, 3), True).permute(0, 2, 3, 1),
        ["mean 8x6x4 -> 8x1x1"],
    ),
    "a split moves all that it reads": (
        lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
        ["slice 8x6x4 -> 8x6x4", "concat 4x6x4 + 4x6x4 -> 8x6x4"],
    ),
    "a slice of everything is nothing": (lambda x: x[:, :, :, :], []),
    "a slice moves what it keeps": (
        lambda x: x[:, 2:, ::2],
        ["slice 8x6x4 -> 6x6x4", "slice 6x6x4 -> 6x3x4"],
    ),
    "average pooling": (lambda x: F.avg_pool2d(x, (3, 2)), ["pool 8x6x4 -> 8x2x2 k3x2 s3x2"]),
    "max pooling with a stride": (
        lambda x: F.max_pool2d(x, 2, (2, 1)),
        ["pool 8x6x4 -> 8x3x3 k2 s2x1"],
    ),
    "adaptive pooling has the kernel that covers": (
        lambda x: F.adaptive_avg_pool2d(x, (4, 2)),
        ["pool 8x6x4 -> 8x4x2 k2 s2"],
    ),
    "adaptive pooling to one is the mean": (
        lambda x: F.adaptive_avg_pool2d(x, 1),
        ["mean 8x6x4 -> 8x1x1"],
    ),
    "padding": (lambda x: F.pad(x, (1, 1, 0, 0)), ["pad 8x6x4 -> 8x6x6"]),
    "resizing": (
        lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"),
        ["resize 8x6x4 -> 8x12x8"],
    ),
    "softmax": (lambda x: x.softmax(1), ["softmax 8x6x4 -> 8x6x4"]),
    "a constant factor reads one tensor": (lambda x: 0.5 * x, ["mul 8x6x4 -> 8x6x4"]),
    "what nobody foresaw": (lambda x: x.cumsum(2), ["other 8x6x4 -> 8x6x4"]),
    "attention": (
        lambda x: F.scaled_dot_product_attention(x, x, x),
        [
            "mul 8x6x4 -> 8x6x4",
            "permute 8x6x4 -> 8x4x6",
            "mul 8x4x6 -> 8x4x6",
            "matmul 8x6x4 + 8x4x6 -> 8x6x6",
            "softmax 8x6x6 -> 8x6x6",
            "matmul 8x6x6 + 8x6x4 -> 8x6x4",
        ],
    ),
}


@pytest.mark.parametrize(("function", "ops"), SHAPES.values(), ids=SHAPES)
def test_calls_without_weights_become_ops(function: Callable[..., Any], ops: list[str]) -> None:
    assert lines(Calls(function), 8, 6, 4) == ops


def test_tokens_and_heads_merged_into_the_batch_are_counted() -> None:
    module = Calls(lambda x, a: a(x.flatten(2).mT.contiguous()), a=nn.Linear(8, 5))
    assert lines(module, 8, 6, 4) == ["permute 8x24 -> 24x8", "linear 24x8 -> 24x5"]


def test_windows_merged_into_the_batch_stack_in_height() -> None:
    module = Calls(lambda x, a: a(x.view(3, 8, 2, 4)), a=nn.Conv2d(8, 8, 1))
    (op,) = trace_ops(module, (8, 6, 4))
    assert op == Op.from_text("conv 8x6x4 -> 8x6x4")


@pytest.mark.parametrize(
    ("module", "shape", "line"),
    [
        (nn.Conv1d(3, 8, 5, 2, 2), (3, 100), "conv 3x1x100 -> 8x1x50 k1x5 s1x2"),
        (nn.Conv3d(3, 8, 3, 1, 1), (3, 4, 5, 6), "conv 3x20x6 -> 8x20x6 k9x3"),
        (nn.Conv2d(4, 8, (1, 7), padding="same"), (4, 5, 6), "conv 4x5x6 -> 8x5x6 k1x7"),
        (nn.Conv2d(4, 8, 3, dilation=2), (4, 9, 9), "conv 4x9x9 -> 8x5x5 k3 d2"),
        (nn.ConvTranspose2d(4, 8, 2, 2), (4, 5, 6), "conv_transpose 4x5x6 -> 8x10x12 k2 s2"),
        (
            nn.ConvTranspose2d(4, 8, 2, 2, groups=2),
            (4, 5, 6),
            "conv_transpose 4x5x6 -> 8x10x12 k2 s2 g2",
        ),
    ],
)
def test_convolutions_of_all_kinds_are_maps(
    module: nn.Module, shape: tuple[int, ...], line: str, flop_counter_macs: FlopCount
) -> None:
    (op,) = trace_ops(module, shape)
    assert op.to_text() == line
    assert op.macs == flop_counter_macs(module.to("meta"), shape)


@pytest.mark.parametrize(
    "norm",
    [
        nn.InstanceNorm2d(8, affine=True),
        nn.BatchNorm2d(8, track_running_stats=False),
        nn.GroupNorm(2, 8),
        nn.LayerNorm([8, 4, 4]),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_statistics_of_the_image_itself_are_never_folded(norm: nn.Module) -> None:
    assert lines(nn.Sequential(conv(), norm), 8, 4, 4) == [CONV, NORM]


# Beside torch's own counter

TIMM = (
    "resnet18",
    "mobilenetv3_large_100",
    "efficientnet_b0",
    "ghostnet_100",
    "mixnet_s",
    "regnety_002",
    "convnext_atto",
    "eca_nfnet_l0",  # one-dimensional convolutions
    "lambda_resnet26t",  # three-dimensional ones
    "efficientvit_m0",  # convolutions on windows
    "mobilevit_xxs",
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "mixer_s32_224",
)


@pytest.mark.parametrize("name", MOBILENET_LIKE)
def test_macs_of_the_zoo_equal_torchs_counter_to_the_digit(
    name: str, flop_counter_macs: FlopCount
) -> None:
    assert load(name).macs() == flop_counter_macs(meta_network(load(name)), (3, 224, 224))


@pytest.mark.parametrize("name", TIMM)
def test_macs_of_foreign_networks_equal_torchs_counter_to_the_digit(
    name: str, flop_counter_macs: FlopCount
) -> None:
    with torch.device("meta"):
        module = timm.create_model(name).eval()
    shape = module.default_cfg["input_size"]
    assert sum(op.macs for op in trace_ops(module, shape)) == flop_counter_macs(module, shape)


@pytest.mark.parametrize("name", ["shufflenet_v2_x1_0", "squeezenet1_1", "mnasnet1_0"])
def test_macs_of_torchvision_networks_equal_torchs_counter_to_the_digit(
    name: str, flop_counter_macs: FlopCount
) -> None:
    with torch.device("meta"):
        module = torchvision.models.get_model(name, weights=None).eval()
    macs = sum(op.macs for op in trace_ops(module, (3, 224, 224)))
    assert macs == flop_counter_macs(module, (3, 224, 224))


@given(data=st.data())
@settings(max_examples=40)
def test_macs_of_any_architecture_equal_torchs_counter_to_the_digit(
    data: st.DataObject,
    small_architectures: SearchStrategy[Architecture],
    flop_counter_macs: FlopCount,
) -> None:
    network = data.draw(small_architectures)
    macs = flop_counter_macs(meta_network(network), (3, *network.resolution))
    assert network.macs() == macs


@given(data=st.data())
@settings(max_examples=40)
def test_the_trace_of_a_network_is_the_traces_of_its_parts(
    data: st.DataObject, small_architectures: SearchStrategy[Architecture]
) -> None:
    network = data.draw(small_architectures)
    pieces: list[Op] = []
    for part in network.parts():
        with torch.device("meta"):
            module = build_part(part.block, part.in_channels)
        pieces += trace_ops(module, (part.in_channels, part.height, part.width))
    assert network.ops() == tuple(pieces)


@given(data=st.data())
@settings(max_examples=40)
def test_weights_of_the_ops_are_the_parameters_with_each_norm_folded(
    data: st.DataObject, small_architectures: SearchStrategy[Architecture]
) -> None:
    network = data.draw(small_architectures)
    module = meta_network(network)
    # a norm of C channels has 2 C parameters, and leaves C biases
    norms = sum(m.num_features for m in module.modules() if isinstance(m, nn.BatchNorm2d))
    assert sum(op.weights for op in network.ops()) == network.params() - norms


# The module is left as it was


def _wild() -> nn.Module:
    """A module with flags, buffers and hooks that a careless trace would change."""
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(), nn.ReLU(inplace=True), conv()
    )
    module.train()
    module[2].eval()
    return module


def test_a_traced_module_keeps_flags_device_weights_and_statistics() -> None:
    module = _wild()
    flags = [m.training for m in module.modules()]
    before = copy.deepcopy(module.state_dict())
    identities = [id(p) for p in module.parameters()]
    assert lines(module, 3, 8, 8) == ["conv 3x8x8 -> 8x6x6 k3 relu", "conv 8x6x6 -> 8x6x6"]
    assert [m.training for m in module.modules()] == flags
    assert [id(p) for p in module.parameters()] == identities
    after = module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert all(p.requires_grad and p.device.type == "cpu" for p in module.parameters())


def test_a_module_that_fails_keeps_its_flags_as_well() -> None:
    module = _wild()
    flags = [m.training for m in module.modules()]
    with pytest.raises(InputError):
        trace_ops(module, (4, 8, 8))
    assert [m.training for m in module.modules()] == flags


def test_a_trace_draws_no_random_numbers_and_wants_no_gradients() -> None:
    module, state = _wild(), torch.get_rng_state()
    trace_ops(module, (3, 8, 8))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()


def test_weights_on_a_device_and_on_meta_trace_alike() -> None:
    network = load("mobilenet_v3_small")
    assert trace_ops(network.build(), (3, 224, 224)) == network.ops()


def test_shared_weights_trace_once_for_each_use() -> None:
    shared = conv()
    assert lines(nn.Sequential(shared, nn.ReLU(), shared), 8, 4, 4) == [CONV + " relu", CONV]


class Holds(nn.Module):
    """A module with a plain tensor that moves to no device."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.ones(1, 8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def _raises(x: Tensor) -> Tensor:
    raise KeyError("no\nsuch key")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (
            Holds(),
            "Holds: cannot be traced on an input of 8x4x4 (RuntimeError Tensor on device cpu",
        ),
        (Holds(), "that all tensors it holds are parameters or buffers"),
        (conv(3), "Conv2d: cannot be traced on an input of 8x4x4 (RuntimeError"),
        (nn.Conv2d(8, 8, 5), "Kernel size can't be greater than actual input size"),
        (nn.Conv2d(8, 8, 6), "Kernel size can't be greater than actual input size"),
        (nn.Linear(8, 8), "Linear: cannot be traced"),
        (nn.BatchNorm2d(9), "running_mean should contain 8 elements not 9"),
        (Calls(_raises), "Calls: cannot be traced on an input of 8x4x4 (KeyError 'no\\nsuch key')"),
        (Calls(lambda x: torch.zeros(3)[x[0, 0, 0, 0].int()]), "Calls: cannot be traced"),
    ],
)
def test_a_module_that_cannot_run_is_told_in_one_line_why(module: nn.Module, reason: str) -> None:
    with pytest.raises(InputError) as error:
        trace_ops(module, (8, 4, 4))
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


# The short cuts give what torch gives

CONVOLUTIONS = st.fixed_dictionaries(
    {
        "size": st.tuples(st.integers(1, 12), st.integers(1, 12)),
        "kernel": st.tuples(st.integers(1, 5), st.integers(1, 5)),
        "stride": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "padding": st.tuples(st.integers(0, 3), st.integers(0, 3)),
        "dilation": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "groups": st.integers(1, 3),
        "per_group": st.integers(1, 3),
        "batch": st.integers(1, 3),
        "extra": st.sampled_from([0, 0, 0, 1]),  # one channel too many, now and then
    }
)


@given(c=CONVOLUTIONS)
@settings(max_examples=300)
def test_the_shape_of_a_convolution_is_torchs_or_left_to_torch(c: dict[str, Any]) -> None:
    channels = c["groups"] * c["per_group"]
    x = torch.empty(c["batch"], channels + c["extra"], *c["size"], device="meta")
    weight = torch.empty(2 * channels, c["per_group"], *c["kernel"], device="meta")
    rest = (c["stride"], c["padding"], c["dilation"])
    shape = _convolved((x, weight, None, *rest, False, [0, 0], c["groups"]))
    try:
        wanted = list(F.conv2d(x, weight, None, *rest, c["groups"]).shape)
    except RuntimeError:
        assert shape is None
    else:
        assert shape == wanted


AXES = st.lists(st.integers(1, 3), min_size=1, max_size=4)


@given(
    one=AXES, data=st.data(), kinds=st.tuples(*[st.sampled_from([torch.float32, torch.int64])] * 2)
)
@settings(max_examples=300)
def test_the_shape_of_a_broadcast_is_torchs_or_left_to_torch(
    one: list[int], data: st.DataObject, kinds: tuple[torch.dtype, torch.dtype]
) -> None:
    shrunk = st.tuples(*(st.sampled_from([1, size]) for size in one)).map(list)
    other = data.draw(shrunk | AXES)
    x = torch.empty(one, device="meta", dtype=kinds[0])
    y = torch.empty(other, device="meta", dtype=kinds[1])
    wide = _widest((x, y))
    if wide is None:
        assume(False)  # torch does it, and does it right
    else:
        assert (wide.shape, wide.dtype) == ((x + y).shape, (x + y).dtype)


def test_broadcasts_of_maps_and_of_vectors_take_the_short_cut() -> None:
    wide, vector = torch.empty(1, 8, 4, 4, device="meta"), torch.empty(1, 8, 1, 1, device="meta")
    assert _widest((wide, vector)) is wide
    assert _widest((vector, wide)) is wide
    assert _widest((wide, wide)) is wide
    assert _widest((torch.empty(1, 4, device="meta"), torch.empty(4, 1, device="meta"))) is None
    assert _widest((wide, 2.0)) is None
    assert _widest((2.0, wide)) is None
    assert _widest((wide, torch.empty(1, 8, 1, 1))) is None


@pytest.mark.parametrize(
    "function",
    [F.relu, F.relu6, F.silu, F.gelu, F.hardswish, F.hardsigmoid, torch.sigmoid, F.leaky_relu],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_activations_keep_shape_type_and_layout(
    function: Callable[[Tensor], Tensor], layout: torch.memory_format
) -> None:
    seen: list[Tensor] = []
    x = torch.empty(1, 8, 4, 4, device="meta")

    def forward(x: Tensor) -> Tensor:
        seen.append(function(x.to(memory_format=layout)))
        return seen[-1]

    trace_ops(Calls(forward), (8, 4, 4))
    real = function(x.to(memory_format=layout))
    assert (seen[0].shape, seen[0].dtype, seen[0].stride()) == (
        real.shape,
        real.dtype,
        real.stride(),
    )


# --- places ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_1.0", "espnet_v2_1.0"])
def test_places_come_with_the_same_ops_and_name_their_submodules(name: str) -> None:
    architecture = load(name)
    network = meta_network(architecture)
    placed = trace_places(network, (3, *architecture.resolution))
    assert tuple(op for op, _ in placed) == architecture.ops()
    known = dict(network.named_modules())
    for op, place in placed:
        assert place in known
        if op.kind in ("conv", "linear"):
            assert isinstance(known[place], nn.Conv2d | nn.Linear)
    assert not any(part._forward_hooks for part in known.values())
