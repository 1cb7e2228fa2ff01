"""MobileNet v1 (Howard et al. 2017), v2 (Sandler et al. 2018), v3 (Howard et al. 2019).

Widths are those of the slim README; other inputs are `Architecture.with_resolution`. The authors
leave the head of v2 as it is below width 1, and stem and head of v3 at width 0.75.
"""

from __future__ import annotations

from palmette.space.zoo.reference import Reference, scaled

_V1 = (
    "224x224 stem_k3_s2_c32_relu6 | ds_r1_k3_s1_c64_relu6_pointact_noskip"
    " | ds_r2_k3_s2_c128_relu6_pointact_noskip | ds_r2_k3_s2_c256_relu6_pointact_noskip"
    " | ds_r6_k3_s2_c512_relu6_pointact_noskip | ds_r2_k3_s2_c1024_relu6_pointact_noskip"
    " | head"
)
_V2 = (
    "224x224 stem_k3_s2_c32_relu6 | ds_r1_k3_s1_c16_relu6 | ir_r2_k3_s2_e6_c24_relu6"
    " | ir_r3_k3_s2_e6_c32_relu6 | ir_r4_k3_s2_e6_c64_relu6 | ir_r3_k3_s1_e6_c96_relu6"
    " | ir_r3_k3_s2_e6_c160_relu6 | ir_r1_k3_s1_e6_c320_relu6 | head_c1280_relu6"
)
_V3_SMALL = (
    "224x224 stem_k3_s2_c16_hswish | ds_r1_k3_s2_c16_relu_se0.5_gatehsigmoid"
    " | ir_r1_k3_s2_e4.5_c24_relu ir_r1_k3_s1_x88_c24_relu"
    " | ir_r1_k5_s2_e4_c40_hswish_se24_gatehsigmoid ir_r2_k5_s1_e6_c40_hswish_se64_gatehsigmoid"
    " | ir_r1_k5_s1_e3_c48_hswish_se32_gatehsigmoid ir_r1_k5_s1_e3_c48_hswish_se40_gatehsigmoid"
    " | ir_r1_k5_s2_e6_c96_hswish_se72_gatehsigmoid ir_r2_k5_s1_e6_c96_hswish_se144_gatehsigmoid"
    " | cn_r1_k1_s1_c576_hswish | head_c1024_hswish_poolfirst"
)
_V3_LARGE = (
    "224x224 stem_k3_s2_c16_hswish | ds_r1_k3_s1_c16_relu"
    " | ir_r1_k3_s2_e4_c24_relu ir_r1_k3_s1_e3_c24_relu"
    " | ir_r1_k5_s2_e3_c40_relu_se24_gatehsigmoid ir_r2_k5_s1_e3_c40_relu_se32_gatehsigmoid"
    " | ir_r1_k3_s2_e6_c80_hswish ir_r1_k3_s1_e2.5_c80_hswish ir_r2_k3_s1_x184_c80_hswish"
    " | ir_r1_k3_s1_e6_c112_hswish_se120_gatehsigmoid"
    " ir_r1_k3_s1_e6_c112_hswish_se168_gatehsigmoid"
    " | ir_r1_k5_s2_e6_c160_hswish_se168_gatehsigmoid"
    " ir_r2_k5_s1_e6_c160_hswish_se240_gatehsigmoid"
    " | cn_r1_k1_s1_c960_hswish | head_c1280_hswish_poolfirst"
)
# minimalistic: neither squeeze-and-excitation nor h-swish nor 5x5
_V3_SMALL_MINIMALISTIC = (
    "224x224 stem_k3_s2_c16_relu | ds_r1_k3_s2_c16_relu"
    " | ir_r1_k3_s2_e4.5_c24_relu ir_r1_k3_s1_x88_c24_relu"
    " | ir_r1_k3_s2_e4_c40_relu ir_r2_k3_s1_e6_c40_relu | ir_r2_k3_s1_e3_c48_relu"
    " | ir_r3_k3_s2_e6_c96_relu | cn_r1_k1_s1_c576_relu | head_c1024_relu_poolfirst"
)
_V3_LARGE_MINIMALISTIC = (
    "224x224 stem_k3_s2_c16_relu | ds_r1_k3_s1_c16_relu"
    " | ir_r1_k3_s2_e4_c24_relu ir_r1_k3_s1_e3_c24_relu | ir_r3_k3_s2_e3_c40_relu"
    " | ir_r1_k3_s2_e6_c80_relu ir_r1_k3_s1_e2.5_c80_relu ir_r2_k3_s1_x184_c80_relu"
    " | ir_r2_k3_s1_e6_c112_relu | ir_r3_k3_s2_e6_c160_relu"
    " | cn_r1_k1_s1_c960_relu | head_c1280_relu_poolfirst"
)
_V3_NARROW = {"width": 0.75, "stem": False, "head": False}

_V1_README = "Howard et al. 2017; tensorflow/models slim mobilenet_v1.md"
_V2_README = "Sandler et al. 2018; tensorflow/models slim mobilenet/README.md"
_V3_README = "Howard et al. 2019; tensorflow/models slim mobilenet/README.md"
# the README's 2.9 M and 66 M for small are of a wider head than the paper's
_V3_PAPER = "Howard et al. 2019; top-1 of tensorflow/models slim mobilenet/README.md"
# the README's 2.4 M are of that head too, and the paper prints one decimal
_V3_TIMM = f"{_V3_README}; parameters of timm results-imagenet.csv"

NETWORKS: dict[str, Reference] = {
    "mobilenet_v1": Reference(_V1, 4.24, 569.0, 70.9, "tf_slim", _V1_README),
    "mobilenet_v1_0.75": Reference(
        scaled(_V1, width=0.75), 2.59, 317.0, 68.4, "tf_slim", _V1_README
    ),
    "mobilenet_v1_0.5": Reference(scaled(_V1, width=0.5), 1.34, 150.0, 63.3, "tf_slim", _V1_README),
    "mobilenet_v1_0.25": Reference(
        scaled(_V1, width=0.25), 0.47, 41.0, 49.8, "tf_slim", _V1_README
    ),
    "mobilenet_v2_1.4": Reference(scaled(_V2, width=1.4), 6.06, 582.0, 75.0, "tf_slim", _V2_README),
    "mobilenet_v2_1.3": Reference(scaled(_V2, width=1.3), 5.34, 509.0, 74.4, "tf_slim", _V2_README),
    "mobilenet_v2": Reference(_V2, 3.47, 300.0, 71.8, "tf_slim", _V2_README),
    "mobilenet_v2_0.75": Reference(
        scaled(_V2, width=0.75, head=False), 2.61, 209.0, 69.8, "tf_slim", _V2_README
    ),
    "mobilenet_v2_0.5": Reference(
        scaled(_V2, width=0.5, head=False), 1.95, 97.0, 65.4, "tf_slim", _V2_README
    ),
    "mobilenet_v2_0.35": Reference(
        scaled(_V2, width=0.35, head=False), 1.66, 59.0, 60.3, "tf_slim", _V2_README
    ),
    "mobilenet_v3_small": Reference(_V3_SMALL, 2.5, 56.0, 67.5, "google_tpu", _V3_PAPER),
    "mobilenet_v3_small_0.75": Reference(
        scaled(_V3_SMALL, **_V3_NARROW), 2.04, 44.0, 65.4, "google_tpu", _V3_TIMM
    ),
    "mobilenet_v3_small_minimalistic": Reference(
        _V3_SMALL_MINIMALISTIC,
        2.04,
        65.0,
        61.9,
        "google_tpu",
        _V3_TIMM,
        "MACs: the README prints 65 M here and 66 M for the full network, of which the paper says"
        " 56 M",
    ),
    "mobilenet_v3_large": Reference(_V3_LARGE, 5.4, 219.0, 75.2, "google_tpu", _V3_README),
    "mobilenet_v3_large_0.75": Reference(
        scaled(_V3_LARGE, **_V3_NARROW), 4.0, 155.0, 73.3, "google_tpu", _V3_README
    ),
    "mobilenet_v3_large_minimalistic": Reference(
        _V3_LARGE_MINIMALISTIC, 3.9, 209.0, 72.3, "google_tpu", _V3_README
    ),
}
