"""RepViT; counts are of the form that runs on a device, with one classifier, as the paper's."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

_SOURCE = "Wang et al. 2024, RepViT, table 1; 300 epochs with a teacher"
_GATES_OF = 8  # squeeze channels are a quarter, rounded to multiples of this


def _layout(widths: tuple[int, ...], depths: tuple[int, ...]) -> str:
    """Text of a RepViT: every other block of a stage is gated, from the first that keeps its shape.

    Args:
        widths: channels of each stage; the stem's first convolution has half of the first.
        depths: blocks of each stage that keep the shape.
    """
    stages = []
    for index, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        first = f"rv_r1_k3_s2_e2_c{width}_gelu" if index else f"cn_r1_k3_s2_c{width}_none"
        plain = f"rv_r1_k3_s1_e2_c{width}_gelu"
        quarter = (width // 4 + _GATES_OF // 2) // _GATES_OF * _GATES_OF
        gated = f"{plain}_se{0.25 if 4 * quarter == width else quarter}"
        stages.append(" ".join([first, *((gated, plain) * depth)[:depth]]))
    return " | ".join([f"224x224 stem_k3_s2_c{widths[0] // 2}_gelu", *stages, "head"])


NETWORKS: dict[str, Reference] = {
    "repvit_m0.9": Reference(
        _layout((48, 96, 192, 384), (2, 2, 14, 2)), 5.1, 800.0, 78.7, "", _SOURCE
    ),
    "repvit_m1.0": Reference(
        _layout((56, 112, 224, 448), (2, 2, 14, 2)), 6.8, 1100.0, 80.0, "", _SOURCE
    ),
    "repvit_m1.1": Reference(
        _layout((64, 128, 256, 512), (2, 2, 12, 2)), 8.2, 1300.0, 80.7, "", _SOURCE
    ),
    "repvit_m1.5": Reference(
        _layout((64, 128, 256, 512), (4, 4, 24, 4)), 14.0, 2300.0, 82.3, "", _SOURCE
    ),
    "repvit_m2.3": Reference(
        _layout((80, 160, 320, 640), (6, 6, 34, 2)), 22.9, 4500.0, 83.3, "", _SOURCE
    ),
}
