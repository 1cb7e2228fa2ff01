"""DiCENet (Mehta et al. 2020) at 224 px, whose weights are made for the maps of that resolution."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

_CODE = "Mehta et al. 2020, DiCENet; sacmehta/EdgeNets dicenet_config.py"


def _dicenet(width: int, features: int = 1024) -> str:
    """`width` channels at an eighth of the image's size, twice as many at each size below."""
    stages = ["prelu_r1_c24 mp_r1_k3_s2_c24", f"dice_r1_s2_c48_h28_w28 dice_r3_s1_c{width}_h28_w28"]
    for index, (depth, px) in enumerate(((8, 14), (4, 7)), 1):
        stages.append(f"dice_r{depth}_s2_c{width << index}_h{px}_w{px}")
    return f"224x224 stem_k3_s2_c24_none | {' | '.join(stages)} | head_c{features}_poolfirst_g4"


NETWORKS: dict[str, Reference] = {
    "dicenet_1.0": Reference(_dicenet(116), 1.81, 70.0, 66.45, "", _CODE),
    "dicenet_1.5": Reference(_dicenet(176), 2.65, 135.0, 69.51, "", _CODE),
    "dicenet_2.0": Reference(_dicenet(244), 3.98, 236.0, 71.0, "", _CODE),
}
