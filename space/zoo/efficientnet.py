"""EfficientNet (Tan and Le 2019), Lite and EdgeTPU.

B1 to B4 and Lite1 to Lite4 are compound scalings of B0 and Lite0. Lite leaves the ends as they are:
widths of stem and head, depths of the first and the last stage. EdgeTPU-M and L are scalings of S
too, written out: the expansion of their first blocks follows the output's width.
"""

from __future__ import annotations

from dataclasses import replace

from palmette.space.zoo.reference import TIMM_COUNT, Reference, scaled

_B0 = (
    "224x224 stem_k3_s2_c32_swish | ds_r1_k3_s1_c16_swish_se0.25_inswish"
    " | ir_r2_k3_s2_e6_c24_swish_se0.25_inswish | ir_r2_k5_s2_e6_c40_swish_se0.25_inswish"
    " | ir_r3_k3_s2_e6_c80_swish_se0.25_inswish | ir_r3_k5_s1_e6_c112_swish_se0.25_inswish"
    " | ir_r4_k5_s2_e6_c192_swish_se0.25_inswish | ir_r1_k3_s1_e6_c320_swish_se0.25_inswish"
    " | head_c1280_swish"
)
_LITE0 = (
    "224x224 stem_k3_s2_c32_relu6 | ds_r1_k3_s1_c16_relu6 | ir_r2_k3_s2_e6_c24_relu6"
    " | ir_r2_k5_s2_e6_c40_relu6 | ir_r3_k3_s2_e6_c80_relu6 | ir_r3_k5_s1_e6_c112_relu6"
    " | ir_r4_k5_s2_e6_c192_relu6 | ir_r1_k3_s1_e6_c320_relu6 | head_c1280_relu6"
)
_AUTOAUGMENT = "Tan and Le 2019, EfficientNet; top-1 of tensorflow/tpu efficientnet/README.md"
_LITE = "tensorflow/tpu efficientnet/lite README"
_EDGETPU = "tensorflow/tpu efficientnet/edgetpu README; parameters of Hollemans 2020"
_LITE_NOTE = (
    "MACs: the README counts about 3 more for each value that a convolution puts out, as if"
    " BatchNorm and activations were work; timm builds the layout as we do."
    " Hollemans 2020 quotes a top-1 that is lower by up to 0.3 points, as timm measures it"
)
_DEEPGHS = "deepghs/timms README, of timm's network"


def _b(factors: tuple[float, float, int], params_m: float, macs_m: float, top1: float) -> Reference:
    width, depth, px = factors
    layout = scaled(_B0, width=width, depth=depth, resolution=px)
    return Reference(layout, params_m, macs_m, top1, "google_tpu_aa", _AUTOAUGMENT)


def _lite(
    factors: tuple[float, float, int],
    params_m: float,
    macs_m: float,
    top1: float,
    recount: tuple[float, int],
) -> Reference:
    """Scaling of Lite0; `recount`: timm's MACs in millions, and the resolution it counts at."""
    width, depth, px = factors
    ends = {"stem": False, "head": False, "end_stages": False}
    layout = scaled(_LITE0, width=width, depth=depth, resolution=px, **ends)
    return Reference(
        layout,
        params_m,
        macs_m,
        top1,
        "google_tpu",
        _LITE,
        _LITE_NOTE,
        recounted_macs_m=recount[0],
        recount_px=recount[1],
        recount_source=TIMM_COUNT,
    )


NETWORKS: dict[str, Reference] = {
    "efficientnet_b0": Reference(
        _B0, 5.3, 390.0, 77.3, "google_tpu", "Tan and Le 2019, EfficientNet-B0"
    ),
    "efficientnet_b1": _b((1.0, 1.1, 240), 7.8, 700.0, 79.2),
    "efficientnet_b2": _b((1.1, 1.2, 260), 9.2, 1000.0, 80.3),
    "efficientnet_b3": _b((1.2, 1.4, 300), 12.0, 1800.0, 81.7),
    "efficientnet_b4": replace(
        _b((1.4, 1.8, 380), 19.0, 4200.0, 83.0),
        note="MACs: the paper's figure is not that of the layout, as torchvision counts it",
        recounted_macs_m=4394.0,
        recount_source="torchvision's EfficientNet_B4_Weights",
    ),
    "efficientnet_lite0": Reference(
        _LITE0,
        4.7,
        407.0,
        75.1,
        "google_tpu",
        _LITE,
        _LITE_NOTE,
        recounted_macs_m=385.3,
        recount_source=_DEEPGHS,
    ),
    "efficientnet_lite1": _lite((1.0, 1.1, 240), 5.4, 631.0, 76.7, (620.0, 240)),
    "efficientnet_lite2": _lite((1.1, 1.2, 260), 6.1, 899.0, 77.6, (890.0, 260)),
    "efficientnet_lite3": _lite((1.2, 1.4, 280), 8.2, 1440.0, 79.8, (1650.0, 300)),
    "efficientnet_lite4": _lite((1.4, 1.8, 300), 13.0, 2640.0, 81.5, (4040.0, 380)),
    "efficientnet_edgetpu_s": Reference(
        "224x224 stem_k3_s2_c32_relu | er_r1_k3_s1_e3_c24_relu_noskip | er_r2_k3_s2_e8_c32_relu"
        " | er_r4_k3_s2_e8_c48_relu | ir_r5_k5_s2_e8_c96_relu | ir_r4_k5_s1_e8_c144_relu"
        " | ir_r2_k5_s2_e8_c192_relu | head_c1280_relu",
        5.4,
        None,
        77.2,
        "google_tpu",
        _EDGETPU,
    ),
    "efficientnet_edgetpu_m": Reference(
        "240x240 stem_k3_s2_c32_relu | er_r1_k3_s1_e3_c24_relu_noskip"
        " er_r1_k3_s1_e4_c24_relu_noskip | er_r3_k3_s2_e8_c32_relu | er_r5_k3_s2_e8_c48_relu"
        " | ir_r6_k5_s2_e8_c96_relu | ir_r5_k5_s1_e8_c144_relu | ir_r3_k5_s2_e8_c192_relu"
        " | head_c1280_relu",
        6.8,
        None,
        78.7,
        "google_tpu",
        _EDGETPU,
    ),
    "efficientnet_edgetpu_l": Reference(
        "300x300 stem_k3_s2_c40_relu | er_r1_k3_s1_x128_c32_relu_noskip"
        " er_r1_k3_s1_e4_c32_relu_noskip | er_r3_k3_s2_e8_c40_relu | er_r6_k3_s2_e8_c56_relu"
        " | ir_r7_k5_s2_e8_c112_relu | ir_r6_k5_s1_e8_c176_relu | ir_r3_k5_s2_e8_c232_relu"
        " | head_c1536_relu",
        10.5,
        None,
        80.6,
        "google_tpu",
        _EDGETPU,
        "Hollemans 2020 quotes 80.4 %",
    ),
}
