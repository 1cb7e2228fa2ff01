"""SqueezeNet v1.1 and SqueezeNext, whose stems and pools have no padding.

SqueezeNet is torchvision's. SqueezeNext is at the 227 px that its authors train it at; 1.0-44-IDA
(1.5 M parameters) is in the paper alone: iterative deep aggregation joins stages, and neither its
layout nor its code is public.
"""

from __future__ import annotations

from collections.abc import Iterable

from palmette.space.zoo.reference import Reference


def _squeezenext(stem: str, stages: Iterable[str]) -> str:
    return f"227x227 {stem}_valid | {' | '.join(stages)} | head_c128_relu"


def _alternating(channels: int, depth: int, stride: int = 1) -> str:
    """Blocks of a stage: the axes of the split kernel take turns in going first."""
    first = f"sx_r1_k3_s{stride}_c{channels}_relu"
    others = (f"sx_r1_k3_s1_c{channels}_relu{'_wide' * (i % 2)}" for i in range(1, depth))
    return " ".join((first, *others))


def _projected(channels: int, depth: int, stride: int) -> str:
    """A stage whose first block too reads the maps of the convolution that changes the shape."""
    return f"cn_r1_k1_s{stride}_c{channels}_relu {_alternating(channels, depth)}"


def _plain(depths: tuple[int, int, int, int]) -> str:
    """SqueezeNext of width 1."""
    stages = [
        _alternating(32 << index, depth, 2 if index else 1) for index, depth in enumerate(depths)
    ]
    stages[0] = f"mp_r1_k3_s2_c64_valid {stages[0]}"
    return _squeezenext("stem_k7_s2_c64_relu", stages)


_ONE_DECIMAL = "The paper prints one decimal"

NETWORKS: dict[str, Reference] = {
    "squeezenet_v1.1": Reference(
        "224x224 stem_k3_s2_c64_relu_valid_bias"
        " | mp_r1_k3_s2_c64_valid fire_r2_k3_sq16_c128_relu_nobn"
        " | mp_r1_k3_s2_c128_valid fire_r2_k3_sq32_c256_relu_nobn"
        " | mp_r1_k3_s2_c256_valid fire_r2_k3_sq48_c384_relu_nobn fire_r2_k3_sq64_c512_relu_nobn"
        " | cb_r1_k1_s1_c1000_relu | head_n0",
        1.2355,
        349.0,
        58.18,
        "tv_v1",
        "Iandola et al. 2016, release v1.1; figures of torchvision's squeezenet1_1 at 224 px",
    ),
    "squeezenext_23_1.0": Reference(
        _plain((6, 6, 8, 1)),
        0.7,
        None,
        59.05,
        "",
        "Gholami et al. 2018; amirgholami/SqueezeNext 1.0-SqNxt-23",
        _ONE_DECIMAL,
    ),
    "squeezenext_44_1.0": Reference(
        _plain((12, 12, 16, 2)),
        1.2,
        None,
        62.64,
        "",
        "Gholami et al. 2018",
        f"{_ONE_DECIMAL}; its layout is not public: here each stage has twice the blocks of the 23",
    ),
    "squeezenext_23v5_2.0": Reference(
        _squeezenext(
            "stem_k5_s2_c64_relu",
            (
                f"mp_r1_k3_s2_c64_valid {_projected(64, 2, 1)}",
                _projected(128, 4, 2),
                _projected(256, 14, 2),
                _projected(512, 1, 2),
            ),
        ),
        3.2,
        None,
        67.44,
        "",
        "Gholami et al. 2018; amirgholami/SqueezeNext 2.0-SqNxt-23v5",
    ),
}
