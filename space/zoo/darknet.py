"""Features of Tiny YOLO v2 and v3, on Darknet: detectors without their detection layers."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

_FINE = " | ".join(f"mp_r1_k2_s2_c{c} cn_r1_k3_s1_c{2 * c}_lrelu" for c in (16, 32, 64, 128))
_FEATURES = (
    f"416x416 stem_k3_s1_c16_lrelu | {_FINE}"
    " | mp_r1_k2_s2_c256 cn_r1_k3_s1_c512_lrelu mp_r1_k2_s1_c512"
)

NETWORKS: dict[str, Reference] = {
    "tinyyolo_v2_features": Reference(
        f"{_FEATURES} cn_r2_k3_s1_c1024_lrelu | head_n0",
        None,
        None,
        None,
        "",
        "Redmon and Farhadi 2017; Darknet yolov2-tiny-voc.cfg up to its last 3x3",
    ),
    "tinyyolo_v3_features": Reference(
        f"{_FEATURES} cn_r1_k3_s1_c1024_lrelu | head_n0",
        None,
        None,
        None,
        "",
        "Redmon and Farhadi 2018; Darknet yolov3-tiny.cfg up to its last 3x3 before the heads",
    ),
}
