"""ESPNet v2 (Mehta et al. 2019) at the scales of its authors' release.

A larger one, of 5.9 M parameters, is in the paper alone, without a layout.
"""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

_README = "Mehta et al. 2019, ESPNetv2; sacmehta/ESPNetv2 imagenet/README.md"
_MACS = "MACs: the authors leave the classifier out, 1.0 M here"


def _espnet_v2(width: int, features: int, stem: int = 32) -> str:
    """`width` channels at a quarter of the image's size, twice as many at each size below."""
    stages = [f"prelu_r1_c{stem} eesp_r1_s2_c{width}_f13_image"]
    # the last size has no image, and narrower fields the further down
    for index, (first, depth, field, image) in enumerate(
        ((11, 3, 9, "_image"), (9, 7, 7, "_image"), (7, 3, 5, "")), 1
    ):
        wide = width << index
        stages.append(f"eesp_r1_s2_c{wide}_f{first}{image} eesp_r{depth}_s1_c{wide}_f{field}")
    last = width << 3
    stages[-1] += (
        f" cn_r1_k3_s1_c{last}_none_g{last} prelu_r1_c{last}"
        f" cn_r1_k1_s1_c{features}_none_g4 prelu_r1_c{features}"
    )
    return f"224x224 stem_k3_s2_c{stem}_none | {' | '.join(stages)} | head"


NETWORKS: dict[str, Reference] = {
    "espnet_v2_0.5": Reference(_espnet_v2(32, 1024, 16), 1.24, 28.37, 57.7, "", _README, _MACS),
    "espnet_v2_1.0": Reference(_espnet_v2(64, 1024), 1.67, 85.72, 66.1, "", _README),
    "espnet_v2_1.25": Reference(_espnet_v2(80, 1024), 1.96, 123.39, 67.9, "", _README),
    "espnet_v2_1.5": Reference(_espnet_v2(96, 1024), 2.31, 168.6, 69.2, "", _README),
    "espnet_v2_2.0": Reference(_espnet_v2(128, 1280), 3.49, 284.8, 72.1, "", _README),
}
