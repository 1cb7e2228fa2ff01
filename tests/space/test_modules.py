"""Torch modules: shapes, weights and layers of what an architecture describes."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import nn

from palmette.space import ACTIVATIONS, MOBILENET_LIKE, Architecture, Head, load
from palmette.space.modules import (
    ACTIVATION_MODULES,
    Classifier,
    Residual,
    SqueezeExcite,
    build_part,
    meta_network,
)

EVERY_KIND = (
    "64x64 stem_k3_s2_c8_hswish | cn_r1_k3_s1_c8_relu_g2"
    " | ds_r1_k3_s1_c8_relu6_se4_inswish ds_r1_k3_s2_c16_relu_pointact"
    " | ir_r2_k5_s2_e3_c16_swish_se0.25_inswish_gatehsigmoid_g4 ir_r1_k3_s1_e2_c16_lrelu_noskip"
    " | er_r2_k3_s2_e2_c16_gelu_se8_inswish_g2 | {head}"
)
HEADS = {
    "head_c32_relu_n10": (10,),
    "head_n10": (10,),
    "head_c32_hswish_n10_poolfirst": (10,),
    "head_c32_relu_n0": (32,),
    "head_n0": (16,),
}


@pytest.mark.parametrize(("head", "shape"), HEADS.items())
@pytest.mark.parametrize("size", [(64, 64), (97, 65)])
def test_images_of_any_shape_become_scores(
    head: str, shape: tuple[int, ...], size: tuple[int, int]
) -> None:
    network = Architecture.from_text(EVERY_KIND.format(head=head)).build().eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 3, *size)).shape == (2, *shape)


@given(data=st.data())
@settings(max_examples=40)
def test_the_tensors_have_the_shapes_that_the_parts_promise(
    data: st.DataObject, small_architectures: SearchStrategy[Architecture]
) -> None:
    architecture = data.draw(small_architectures)
    network = meta_network(architecture)
    parts = list(architecture.parts())
    # what leaves a stage is what enters the part after it
    after = [new for old, new in itertools.pairwise(parts) if 0 <= old.stage < new.stage]
    maps = network.features(torch.empty(1, 3, *architecture.resolution, device="meta"))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (part.in_channels, part.height, part.width) for part in after
    ]


def test_features_are_the_maps_that_the_forward_pass_goes_through() -> None:
    network = load("mobilenet_v2").build().eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        maps = network.features(image)  # type: ignore[operator]
        assert [tuple(m.shape[1:]) for m in maps] == [
            (16, 32, 32),
            (24, 16, 16),
            (32, 8, 8),
            (64, 4, 4),
            (96, 4, 4),
            (160, 2, 2),
            (320, 2, 2),
        ]
        assert torch.equal(network.head(maps[-1]), network(image))  # type: ignore[operator]


@pytest.mark.parametrize("head", ["head_c32_relu_n10", "head_c32_hswish_n10_poolfirst"])
def test_gradients_reach_every_parameter(head: str) -> None:
    network = Architecture.from_text(EVERY_KIND.format(head=head)).build()
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    network(images).square().sum().backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_the_seed_decides_all_weights_and_the_global_state_stays() -> None:
    architecture = Architecture.from_text(EVERY_KIND.format(head="head_c32_relu_n10"))
    before = torch.get_rng_state()
    one, same, other = (architecture.build(seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["stem.conv.weight"], other["stem.conv.weight"])
    assert not torch.equal(one["head.fc.weight"], other["head.fc.weight"])


def test_building_seeds_no_other_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(seed: int) -> None:
        raise AssertionError("the GPUs' random state belongs to the caller")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", refuse)
    load("mobilenet_v2").build(seed=1)


def test_weights_start_with_the_variance_of_their_fan_out() -> None:
    network = load("mobilenet_v2").build()
    assert network.training
    parts = dict(network.named_modules())
    pointwise, depthwise = parts["head.conv.conv"].weight, parts["stages.5.1.body.1.conv"].weight
    assert pointwise.std().item() == pytest.approx((2 / 1280) ** 0.5, rel=0.02)
    assert depthwise.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.02)
    linear = parts["head.fc"]
    assert linear.weight.abs().max().item() == pytest.approx(1000**-0.5, rel=1e-3)
    assert not linear.bias.any()


@pytest.mark.parametrize(
    ("block", "residual"),
    [
        ("ir_k3_s1_e6_c8_relu", True),
        ("ir_k3_s1_e6_c8_relu_noskip", False),
        ("ir_k3_s2_e6_c8_relu", False),
        ("ir_k3_s1_e6_c16_relu", False),
        ("ds_k3_s1_c8_relu", True),
        ("ds_k3_s1_c8_relu_noskip", False),
        ("er_k3_s1_e6_c8_relu", True),
        ("cn_k3_s1_c8_relu", False),
    ],
)
def test_a_residual_stands_where_shapes_allow_it_and_skip_is_true(
    block: str, residual: bool
) -> None:
    architecture = Architecture.from_text(f"8x8 stem_k3_s1_c8_relu | {block} | head_n10")
    module = build_part(architecture.stages[0][0], 8)
    assert isinstance(module, Residual) == residual
    if residual:  # with a body that gives zeros, the input itself comes out
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.zeros_(layer.weight)
        image = torch.rand(2, 8, 4, 4)
        assert torch.equal(module.eval()(image), image)


# text, kernel and groups of each convolution, modules of the activations in order
LAYOUTS = [
    ("cn_k3_s2_c16_relu_g2", [(3, 2, 16)], ["ReLU"]),
    ("ds_k5_s1_c16_relu6", [(5, 8, 8), (1, 1, 16)], ["ReLU6"]),
    ("ds_k3_s1_c16_relu6_pointact_g4", [(3, 8, 8), (1, 4, 16)], ["ReLU6", "ReLU6"]),
    (
        "ds_k3_s1_c16_swish_se2_inrelu_gatehsigmoid",
        [(3, 8, 8), (1, 1, 2), (1, 1, 8), (1, 1, 16)],
        ["SiLU", "ReLU", "Hardsigmoid"],
    ),
    (
        "ir_k7_s2_e4_c16_hswish_g2",
        [(1, 2, 32), (7, 32, 32), (1, 2, 16)],
        ["Hardswish", "Hardswish"],
    ),
    (
        "ir_k3_s1_e1_c16_relu_se4",
        [(1, 1, 8), (3, 8, 8), (1, 1, 4), (1, 1, 8), (1, 1, 16)],
        ["ReLU", "ReLU", "ReLU", "Sigmoid"],
    ),
    (
        "er_k3_s2_e4_c16_gelu_se8_g4",
        [(3, 4, 32), (1, 1, 8), (1, 1, 32), (1, 4, 16)],
        ["GELU", "ReLU", "Sigmoid"],
    ),
]


@pytest.mark.parametrize(("text", "convolutions", "activations"), LAYOUTS)
def test_a_block_has_the_layers_of_its_paper(
    text: str, convolutions: list[tuple[int, int, int]], activations: list[str]
) -> None:
    architecture = Architecture.from_text(f"8x8 stem_k3_s1_c8_relu | {text} | head_n10")
    layers = list(build_part(architecture.stages[0][0], 8).modules())
    found = [
        (m.kernel_size[0], m.groups, m.out_channels) for m in layers if isinstance(m, nn.Conv2d)
    ]
    assert found == convolutions
    kinds = {type(make()).__name__ for make in ACTIVATION_MODULES.values()} - {"Identity"}
    assert [type(m).__name__ for m in layers if type(m).__name__ in kinds] == activations
    norms = [m.num_features for m in layers if isinstance(m, nn.BatchNorm2d)]
    in_gate = 2 * any(isinstance(m, SqueezeExcite) for m in layers)
    assert len(norms) == len(convolutions) - in_gate


def test_every_activation_name_has_a_module() -> None:
    assert set(ACTIVATION_MODULES) == set(ACTIVATIONS)


def test_squeeze_and_excitation_scales_channels_by_the_gate_of_their_mean() -> None:
    gate = SqueezeExcite(2, 1, "none", "hsigmoid")
    with torch.no_grad():
        gate.reduce.weight.copy_(torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1))
        gate.expand.weight.copy_(torch.tensor([0.0, 6.0]).reshape(2, 1, 1, 1))
        nn.init.zeros_(gate.reduce.bias)
        nn.init.zeros_(gate.expand.bias)
        image = torch.tensor([[[[0.0, 0.5]], [[1.0, 3.0]]]])
        # the mean of the first channel is 0.25, so that the gates are h(0) and h(1.5)
        scaled = gate(image)
    assert torch.allclose(scaled, image * torch.tensor([0.5, 0.75]).reshape(1, 2, 1, 1))


def test_pooling_first_gives_the_1x1_a_bias_and_no_batch_norm() -> None:
    first = Classifier(Head(32, "hswish", 10, pool_first=True), 8)
    last = Classifier(Head(32, "hswish", 10), 8)
    assert [type(m).__name__ for m in first.conv] == ["Conv2d", "Hardswish"]
    assert first.conv[0].bias is not None
    assert [type(m).__name__ for m in last.conv] == ["Conv2d", "BatchNorm2d", "Hardswish"]
    assert last.conv[0].bias is None


def test_pooling_first_applies_the_activation_to_the_mean() -> None:
    image = torch.tensor([[[[-1.0, 3.0]]]])
    for pool_first, wanted in ((True, 1.0), (False, 1.5)):
        head = Classifier(Head(1, "relu", 0, pool_first), 1).eval()
        nn.init.ones_(head.conv[0].weight)
        if pool_first:
            nn.init.zeros_(head.conv[0].bias)
        with torch.no_grad():
            assert head(image).item() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("name", MOBILENET_LIKE)
def test_a_meta_network_holds_no_memory(name: str) -> None:
    network = meta_network(load(name))
    assert not network.training
    assert all(p.is_meta for p in [*network.parameters(), *network.buffers()])
