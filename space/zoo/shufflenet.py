"""ShuffleNet v1, v2 and v2+."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

_MEGVII = "megvii-model/ShuffleNet-Series README"


def _v1(channels: int, groups: int, stem: int = 24) -> str:
    """Three stages of 4, 8 and 4 units, each twice as wide as the one before."""
    stages = [f"mp_r1_k3_s2_c{stem}"]
    for index, depth in enumerate((4, 8, 4)):
        wide = channels << index
        unit = f"x{wide // 4}_c{wide}_relu" + (f"_g{groups}" if groups > 1 else "")
        if index or groups == 1:
            stages.append(f"gs_r{depth}_k3_s2_{unit}")
        else:
            stages.append(f"gs_r1_k3_s2_{unit}_densefirst gs_r{depth - 1}_k3_s1_{unit}")
    return f"224x224 stem_k3_s2_c{stem}_relu | {' | '.join(stages)} | head"


def _v2(channels: int, last: int = 1024) -> str:
    """As v1, with a 1x1 of `last` channels before the pooling."""
    stages = ["mp_r1_k3_s2_c24"]
    stages += [f"sh_r{depth}_k3_s2_c{channels << i}_relu" for i, depth in enumerate((4, 8, 4))]
    return f"224x224 stem_k3_s2_c24_relu | {' | '.join(stages)} | head_c{last}_relu"


_PLUS = (
    "224x224 stem_k3_s2_c16_hswish"
    " | sh_r1_k3_s2_c{0}_relu_keep sh_r1_k3_s1_c{0}_relu sh_r1_k3_s1_c{0}_relu_xception"
    " sh_r1_k5_s1_c{0}_relu"
    " | sh_r1_k5_s2_c{1}_hswish_keep sh_r1_k5_s1_c{1}_hswish sh_r2_k3_s1_c{1}_hswish"
    " | sh_r1_k7_s2_c{2}_{first} sh_r1_k3_s1_c{2}_{gated} sh_r1_k7_s1_c{2}_{gated}"
    " sh_r2_k5_s1_c{2}_{gated} sh_r1_k3_s1_c{2}_{gated} sh_r1_k7_s1_c{2}_{gated}"
    " sh_r1_k3_s1_c{2}_{gated}"
    " | sh_r1_k7_s2_c{3}_{first} sh_r1_k5_s1_c{3}_{gated} sh_r1_k3_s1_c{3}_{gated}_xception"
    " sh_r1_k7_s1_c{3}_{gated}"
    " | cn_r1_k1_s1_c1280_hswish se_r1_c1280_x320_gatehsigmoid | head_c1280_hswish_poolfirst"
)


def _v2_plus(*widths: int) -> str:
    """The units that the authors' search found, at the widths of four stages."""
    return _PLUS.format(
        *widths,
        first="hswish_se0.25_gatehsigmoid_keep",
        gated="hswish_se0.125_gatehsigmoid",
    )


_ONE_DECIMAL = "The authors print one decimal"
_V1_TABLE = "Zhang et al. 2018, tables 1 and 2; the figures were not checked against a copy"
_V1_PAPER = "Zhang et al. 2018; " + _MEGVII
_V2_PAPER = "Ma et al. 2018; " + _MEGVII

NETWORKS: dict[str, Reference] = {
    "shufflenet_v1_g1_1.0": Reference(_v1(144, 1), None, 143.0, 66.4, "", _V1_TABLE),
    "shufflenet_v1_g2_1.0": Reference(_v1(200, 2), None, 140.0, 67.3, "", _V1_TABLE),
    "shufflenet_v1_g3_0.5": Reference(
        _v1(120, 3, 12), 0.7, 38.0, 57.3, "", _V1_PAPER, _ONE_DECIMAL
    ),
    "shufflenet_v1_g3_1.0": Reference(_v1(240, 3), 1.9, 138.0, 67.8, "", _V1_PAPER),
    "shufflenet_v1_g3_1.5": Reference(_v1(360, 3), 3.4, 292.0, 71.6, "", _V1_PAPER),
    "shufflenet_v1_g3_2.0": Reference(_v1(480, 3, 48), 5.4, 524.0, 74.1, "", _V1_PAPER),
    "shufflenet_v1_g4_1.0": Reference(_v1(272, 4), None, 133.0, 67.2, "", _V1_TABLE),
    "shufflenet_v1_g8_1.0": Reference(_v1(384, 8), 2.4, 138.0, 68.0, "", _V1_PAPER),
    "shufflenet_v1_g8_1.5": Reference(_v1(576, 8), 4.3, 290.0, 71.0, "", _V1_PAPER),
    "shufflenet_v1_g8_2.0": Reference(_v1(768, 8, 48), 6.5, 522.0, 72.9, "", _V1_PAPER),
    "shufflenet_v2_0.5": Reference(_v2(48), 1.4, 41.0, 61.1, "", _V2_PAPER, _ONE_DECIMAL),
    "shufflenet_v2_1.0": Reference(_v2(116), 2.3, 146.0, 69.4, "", _V2_PAPER),
    "shufflenet_v2_1.5": Reference(_v2(176), 3.5, 299.0, 72.6, "", _V2_PAPER),
    "shufflenet_v2_2.0": Reference(_v2(244, 2048), 7.4, 591.0, 75.0, "", _V2_PAPER),
    "shufflenet_v2_plus_small": Reference(
        _v2_plus(36, 104, 208, 416), 5.1, 156.0, 74.1, "", _MEGVII
    ),
    "shufflenet_v2_plus_medium": Reference(
        _v2_plus(48, 128, 256, 512), 5.6, 222.0, 75.7, "", _MEGVII
    ),
    "shufflenet_v2_plus_large": Reference(
        _v2_plus(68, 168, 336, 672), 6.7, 360.0, 77.1, "", _MEGVII
    ),
}
