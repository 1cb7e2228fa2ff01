"""CondenseNet-74 (Huang et al. 2018) as it runs: converted to gathers and group convolutions."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

_STAGES = ((4, 8), (6, 16), (8, 32), (10, 64), (8, 128))
"""Layers and growth of each stage."""
_README = "Huang et al. 2018; ShichenLiu/CondenseNet README"
_MACS = (
    "MACs: the authors' counter (their utils.py) adds one for each value that an activation or a"
    " pool reads, 12.7 M here"
)


def _condensenet(groups: int) -> str:
    width = 2 * _STAGES[0][1]
    stages: list[str] = []
    for depth, growth in _STAGES:
        blocks = [f"ap_r1_k2_s2_c{width}"] if stages else []
        for _ in range(depth):
            width += growth
            blocks.append(f"cd_r1_k3_x{4 * growth}_c{width}_relu_g{groups}")
        stages.append(" ".join(blocks))
    stages[-1] += f" na_r1_c{width}_relu"
    # condensing drops half of the features before the classifier too
    return f"224x224 stem_k3_s2_c16_none_bare | {' | '.join(stages)} | head_keep{width // 2}"


NETWORKS: dict[str, Reference] = {
    "condensenet_74_g4": Reference(_condensenet(4), 4.8, 529.0, 73.8, "", _README),
    "condensenet_74_g8": Reference(_condensenet(8), 2.9, 274.0, 71.0, "", _README, _MACS),
}
