"""BlazeFace's feature extractor (Bazarevsky et al. 2019), without the heads that detect.

The paper's has single and double blocks of 5x5. What MediaPipe released, and what others timed, has
single blocks of 3x3 alone.
"""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

_STEM = "128x128 stem_k5_s2_c24_relu"


def _single(widths: tuple[int, ...], stride: int = 1) -> str:
    """Single blocks of rising widths, the first with the stride."""
    strides = (stride, *(1,) * (len(widths) - 1))
    return " ".join(
        f"blaze_r1_k3_s{s}_c{width}_relu" for s, width in zip(strides, widths, strict=True)
    )


NETWORKS: dict[str, Reference] = {
    "blazeface_features": Reference(
        f"{_STEM} | blaze_r2_k5_s1_c24_relu | blaze_r3_k5_s2_c48_relu"
        " | blaze_r3_k5_s2_c96_relu_x24 | blaze_r3_k5_s2_c96_relu_x24 | head_n0",
        None,
        None,
        None,
        "",
        "Bazarevsky et al. 2019, appendix; tkat0/PyTorch_BlazeFace",
    ),
    "blazeface_mediapipe_features": Reference(
        f"{_STEM} | {_single((24, 28))} | {_single((32, 36, 42), 2)}"
        f" | {_single((48, 56, 64, 72, 80, 88), 2)} | blaze_r5_k3_s2_c96_relu | head_n0",
        0.1,
        None,
        None,
        "",
        "layout of hollance/BlazeFace-PyTorch, from MediaPipe's file; parameters of Hollemans 2020",
        "parameters: one decimal, which includes the heads; the extractor alone rounds to it too",
    ),
}
