"""Features by hand on small networks, and what is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest

from palmette.space import Architecture, InputError, load
from palmette.space.blocks import DepthwiseSeparable
from palmette.train import AccuracyPrior

TINY = (
    "192x192 stem_k3_s2_c8_relu | ds_r1_k3_s2_c16_hswish | ir_r1_k5_s2_e4_c24_relu_se0.25"
    " | er_r1_k3_s2_e2_c32_relu | cn_r1_k3_s2_c48_hswish cn_r1_k1_s1_c64_relu"
    " | head_c96_relu_n10"
)


def features(text: str) -> dict[str, float]:
    return AccuracyPrior.load().features(Architecture.from_text(text))


def mean(*values: float) -> float:
    return sum(values) / len(values)


def test_widths_are_of_the_kxk_convolutions_over_their_output_stride() -> None:
    # depthwise 8 at stride 4 and 64 at 8; dense 48 at 16 and 48 at 32; the 1x1 is none of them
    found = features(TINY)
    assert found["Wear"] == pytest.approx(mean(math.log(8 / 120), math.log(64 / 240)))
    assert found["Wlat"] == pytest.approx(mean(math.log(48 / 480), math.log(48 / 960)))


def test_shares_and_counts_of_a_network_made_by_hand() -> None:
    found = features(TINY)
    assert found["D"] == pytest.approx(math.log(4 / 16))
    assert found["SE"] == pytest.approx(1 / 4)
    assert found["K"] == pytest.approx(1 / 4)
    assert found["R"] == pytest.approx(math.log(192 / 224))
    assert found["H"] == pytest.approx(math.log(96 / 1280))
    # stem, ds, ir (2) and its gate's inside, er, cn, cn, head: nine, two of them smooth
    assert found["A"] == pytest.approx(2 / 9)


def test_parameters_leave_out_the_classifier_alone() -> None:
    architecture = Architecture.from_text(TINY)
    expected = math.log((architecture.params() - 97 * 10) / 3e6)
    assert features(TINY)["P"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("act", ["relu", "relu6", "hswish", "swish", "gelu"])
def test_smooth_activations_are_hswish_swish_and_gelu(act: str) -> None:
    text = load("mobilenet_v2").to_text().replace("relu6", act)
    assert features(text)["A"] == (act in ("hswish", "swish", "gelu"))


def test_gates_are_no_activations() -> None:
    # MobileNetV3-large has 21 h-swishes and 19 ReLUs, 8 of these inside its gates
    found = AccuracyPrior.load().features(load("mobilenet_v3_large"))
    assert found["A"] == pytest.approx(21 / 40)


def test_resolution_of_an_oblong_image_is_the_geometric_mean() -> None:
    oblong = load("mobilenet_v2").with_resolution(112, 448)
    assert AccuracyPrior.load().features(oblong)["R"] == pytest.approx(0.0, abs=1e-12)


def test_a_head_without_1x1_hands_over_the_width_of_the_last_stage() -> None:
    found = AccuracyPrior.load().features(load("mobilenet_v1"))
    assert found["H"] == pytest.approx(math.log(1024 / 1280))


@pytest.mark.parametrize("part", ["ir_r1_k3_s2_e4_c24_relu_g2", "cn_r1_k1_s1_c24_relu_g2"])
def test_groups_are_refused(part: str) -> None:
    text = f"224x224 stem_k3_s2_c8_relu | {part} | ir_r1_k3_s2_e4_c48_relu | head_c96_relu"
    with pytest.raises(InputError, match="groups.*has 2"):
        features(text)


@dataclass(frozen=True, slots=True)
class Unknown(DepthwiseSeparable):
    """A block that no network of the fit has."""

    kind: ClassVar[str] = "uib"


def test_blocks_that_the_prior_was_not_fitted_to_are_refused() -> None:
    base, block = load("mobilenet_v2"), Unknown(3, 1, 16, "relu")
    strange = Architecture(base.resolution, base.stem, ((block,), *base.stages[1:]), base.head)
    with pytest.raises(InputError, match="not fitted to 'uib' blocks"):
        AccuracyPrior.load().features(strange)


def test_a_network_without_late_blocks_is_refused() -> None:
    with pytest.raises(
        InputError, match="total stride of 4, with 1 kxk .* and 0 from 16 on; train it"
    ):
        features("224x224 stem_k3_s2_c8_relu | ds_r1_k3_s2_c24_relu | head_c96_relu")
