"""MobileNet, MnasNet, FBNet, ChamNet, EfficientNet at every width: timm's counts, and authors'."""

from collections.abc import Callable

import pytest
import timm
import torch
from torch import nn

from palmette.space import ZOO, load

TIMM = {
    "mobilenet_v2_1.4": "mobilenetv2_140",
    "mobilenet_v2_0.75": "mobilenetv2_075",
    "mobilenet_v2_0.5": "mobilenetv2_050",
    "mobilenet_v2_0.35": "mobilenetv2_035",
    "mobilenet_v3_small_0.75": "mobilenetv3_small_075",
    "mobilenet_v3_small_minimalistic": "tf_mobilenetv3_small_minimal_100",
    "mobilenet_v3_large_0.75": "mobilenetv3_large_075",
    "mobilenet_v3_large_minimalistic": "tf_mobilenetv3_large_minimal_100",
    "mnasnet_a1_1.4": "semnasnet_140",
    "mnasnet_a1_0.75": "semnasnet_075",
    "mnasnet_a1_0.5": "semnasnet_050",
    "mnasnet_small": "mnasnet_small",
    "efficientnet_b1": "efficientnet_b1",
    "efficientnet_b2": "efficientnet_b2",
    "efficientnet_b3": "efficientnet_b3",
    "efficientnet_b4": "efficientnet_b4",
    "efficientnet_lite1": "efficientnet_lite1",
    "efficientnet_lite2": "efficientnet_lite2",
    "efficientnet_lite3": "efficientnet_lite3",
    "efficientnet_lite4": "efficientnet_lite4",
    "efficientnet_edgetpu_s": "efficientnet_es",
    "efficientnet_edgetpu_m": "efficientnet_em",
    "efficientnet_edgetpu_l": "efficientnet_el",
}

RESOLUTIONS = {
    "efficientnet_b": (224, 240, 260, 300, 380),
    "efficientnet_lite": (224, 240, 260, 280, 300),
}

# Graphs that the authors released, whose MACs are printed to four digits.
RELEASED = ("fbnet_a", *(f"chamnet_{letter}" for letter in "abcdef"))


@pytest.mark.parametrize("name", TIMM)
def test_parameters_and_macs_equal_those_of_timm(
    name: str, flop_counter_macs: Callable[[nn.Module, tuple[int, ...]], int]
) -> None:
    with torch.device("meta"):
        module = timm.create_model(TIMM[name]).eval()
    network = load(name)
    assert network.params() == sum(p.numel() for p in module.parameters())
    # TensorFlow's padding of odd sizes may differ by a row; none does at these
    assert network.macs() == flop_counter_macs(module, (3, *network.resolution))


@pytest.mark.parametrize("name", RELEASED)
def test_macs_are_those_of_the_released_graphs_to_every_printed_digit(name: str) -> None:
    assert round(load(name).macs() / 1e6, 1) == pytest.approx(ZOO[name].macs_m, abs=0.051)


@pytest.mark.parametrize(("name", "pairs_of_3x3"), [("fbnet_b", 1.05), ("fbnet_c", 1.97)])
def test_fbnets_have_5x5_where_the_released_graphs_have_pairs_of_3x3(
    name: str, pairs_of_3x3: float
) -> None:
    released = {"fbnet_b": 295.6, "fbnet_c": 383.0}[name]
    assert load(name).macs() / 1e6 - released == pytest.approx(pairs_of_3x3, abs=0.05)


def test_fbnet_iphonex_has_the_macs_of_the_paper() -> None:
    assert round(load("fbnet_iphonex").macs() / 1e6) == 322


@pytest.mark.parametrize("family", RESOLUTIONS)
def test_compound_scaling_takes_the_published_images(family: str) -> None:
    for index, px in enumerate(RESOLUTIONS[family]):
        assert load(f"{family}{index}").resolution == (px, px)


@pytest.mark.parametrize(
    ("name", "stem", "head"),
    [
        ("mobilenet_v2_1.4", 48, 1792),
        ("mobilenet_v2_0.35", 16, 1280),  # heads never shrink
        ("mobilenet_v3_large_0.75", 16, 1280),
        ("mnasnet_a1_1.4", 48, 1280),
        ("efficientnet_b4", 48, 1792),
        ("efficientnet_lite4", 32, 1280),  # Lite leaves its ends
    ],
)
def test_ends_are_as_wide_as_the_authors_have_them(name: str, stem: int, head: int) -> None:
    assert (load(name).stem.channels, load(name).head.channels) == (stem, head)


def test_minimalistic_networks_have_no_gates_no_hard_swish_and_no_5x5() -> None:
    for name in ("mobilenet_v3_small_minimalistic", "mobilenet_v3_large_minimalistic"):
        assert not {"_se", "hswish", "k5"} & {
            token for token in ("_se", "hswish", "k5") if token in ZOO[name].text
        }
