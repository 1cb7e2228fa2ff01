"""MnasNet (Tan et al. 2019): A1 in the widths of the authors' README, and small.

A head of 1280 channels stays at every width. Nobody printed the layout of A2 and A3.
"""

from __future__ import annotations

from palmette.space.zoo.reference import Reference, scaled

_A1 = (
    "224x224 stem_k3_s2_c32_relu | ds_r1_k3_s1_c16_relu_noskip | ir_r2_k3_s2_e6_c24_relu"
    " | ir_r3_k5_s2_e3_c40_relu_se0.25 | ir_r4_k3_s2_e6_c80_relu"
    " | ir_r2_k3_s1_e6_c112_relu_se0.25 | ir_r3_k5_s2_e6_c160_relu_se0.25"
    " | ir_r1_k3_s1_e6_c320_relu | head_c1280_relu"
)
_SMALL = (
    "224x224 stem_k3_s2_c8_relu | ds_r1_k3_s1_c8_relu | ir_r1_k3_s2_e3_c16_relu"
    " | ir_r2_k3_s2_e6_c16_relu | ir_r4_k5_s2_e6_c32_relu_se0.25"
    " | ir_r3_k3_s1_e6_c32_relu_se0.25 | ir_r3_k5_s2_e6_c88_relu_se0.25"
    " | ir_r1_k3_s1_e6_c144_relu | head_c1280_relu"
)
_README = "Tan et al. 2019, MnasNet; tensorflow/tpu mnasnet/README.md"


def _a1(width: float, params_m: float, macs_m: float, top1: float, note: str = "") -> Reference:
    layout = scaled(_A1, width=width, head=False)
    return Reference(layout, params_m, macs_m, top1, "google_tpu", _README, note)


NETWORKS: dict[str, Reference] = {
    "mnasnet_a1_1.4": _a1(1.4, 6.1, 591.5, 77.2),
    "mnasnet_a1": Reference(_A1, 3.9, 312.0, 75.2, "google_tpu", "Tan et al. 2019, MnasNet-A1"),
    "mnasnet_a1_0.75": _a1(0.75, 2.9, 226.7, 73.3),
    "mnasnet_a1_0.5": _a1(0.5, 2.1, 105.2, 68.9),
    "mnasnet_a1_0.35": _a1(
        0.35, 1.7, 63.2, 64.1, "parameters: the README prints one decimal, to which 1.747 M rounds"
    ),
    "mnasnet_small": Reference(_SMALL, 2.0, 68.0, 66.0, "google_tpu", _README),
}
