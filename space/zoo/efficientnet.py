"""EfficientNet, Lite and EdgeTPU."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

NETWORKS: dict[str, Reference] = {
    "efficientnet_b0": Reference(
        "224x224 stem_k3_s2_c32_swish | ds_r1_k3_s1_c16_swish_se0.25_inswish"
        " | ir_r2_k3_s2_e6_c24_swish_se0.25_inswish | ir_r2_k5_s2_e6_c40_swish_se0.25_inswish"
        " | ir_r3_k3_s2_e6_c80_swish_se0.25_inswish | ir_r3_k5_s1_e6_c112_swish_se0.25_inswish"
        " | ir_r4_k5_s2_e6_c192_swish_se0.25_inswish | ir_r1_k3_s1_e6_c320_swish_se0.25_inswish"
        " | head_c1280_swish",
        5.3,
        390.0,
        77.3,
        "google_tpu",
        "Tan and Le 2019, EfficientNet-B0",
    ),
    "efficientnet_lite0": Reference(
        "224x224 stem_k3_s2_c32_relu6 | ds_r1_k3_s1_c16_relu6 | ir_r2_k3_s2_e6_c24_relu6"
        " | ir_r2_k5_s2_e6_c40_relu6 | ir_r3_k3_s2_e6_c80_relu6 | ir_r3_k5_s1_e6_c112_relu6"
        " | ir_r4_k5_s2_e6_c192_relu6 | ir_r1_k3_s1_e6_c320_relu6 | head_c1280_relu6",
        4.7,
        407.0,
        75.1,
        "google_tpu",
        "tensorflow/tpu efficientnet/lite README",
        "MACs: the README's figure is not that of its layout, which timm counts as we do",
    ),
}
