"""Detectors: MobileNet v1 with SSD, v2 and v3 with SSDLite.

Layers behind the backbone as in the configurations of the TensorFlow Object Detection API for COCO
(90 classes: the numbers of its 80 go up to 90), for v3 as in torchvision. Counts include the head.
"""

from __future__ import annotations

from palmette.space.zoo.mobilenet import NETWORKS as MOBILENETS
from palmette.space.zoo.reference import Reference, tasked

# torchvision halves the last stages where it trains from scratch, and gives the first map six boxes
_V3_LARGE_REDUCED = (
    "320x320 stem_k3_s2_c16_hswish | ds_r1_k3_s1_c16_relu"
    " | ir_r1_k3_s2_e4_c24_relu ir_r1_k3_s1_e3_c24_relu"
    " | ir_r1_k5_s2_e3_c40_relu_se24_gatehsigmoid ir_r2_k5_s1_e3_c40_relu_se32_gatehsigmoid"
    " | ir_r1_k3_s2_e6_c80_hswish ir_r1_k3_s1_e2.5_c80_hswish ir_r2_k3_s1_x184_c80_hswish"
    " | ir_r1_k3_s1_e6_c112_hswish_se120_gatehsigmoid"
    " ir_r1_k3_s1_e6_c112_hswish_se168_gatehsigmoid cn_r1_k1_s1_c672_hswish"
    " | ds_r1_k5_s2_c80_hswish_se0.25_gatehsigmoid_noskip"
    " ir_r2_k5_s1_e6_c80_hswish_se120_gatehsigmoid"
    " | cn_r1_k1_s1_c480_hswish | ssdlite_t16.32_relu6_x512.256.256.128_fullfirst"
)

NETWORKS: dict[str, Reference] = {
    "mobilenet_v1_ssd": Reference(
        tasked(MOBILENETS["mobilenet_v1"], "ssd"),
        6.8,
        1200.0,
        None,
        "",
        "Howard et al. 2017, table 13 (300 px)",
        "MACs: the paper prints 1.2 billion, which is what 1.24 rounds to",
    ),
    "mobilenet_v2_ssdlite": Reference(
        tasked(MOBILENETS["mobilenet_v2"], "ssdlite", resolution=320),
        4.3,
        800.0,
        None,
        "",
        "Sandler et al. 2018, table 6 (320 px)",
        "parameters: with predictors of 80 classes it has 4.34 M, as printed; the authors'"
        " configuration has 90",
    ),
    "mobilenet_v3_large_ssdlite": Reference(
        _V3_LARGE_REDUCED,
        3.440,
        583.0,
        None,
        "",
        "figures of torchvision's ssdlite320_mobilenet_v3_large (COCO_V1)",
    ),
}
