"""ResNet-18 and ResNet-50."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

NETWORKS: dict[str, Reference] = {
    "resnet18": Reference(
        "224x224 stem_k7_s2_c64_relu | mp_r1_k3_s2_c64 rb_r2_k3_s1_c64_relu | rb_r2_k3_s2_c128_relu"
        " | rb_r2_k3_s2_c256_relu | rb_r2_k3_s2_c512_relu | head",
        11.69,
        1814.0,
        69.76,
        "tv_v1",
        "He et al. 2016; figures of torchvision's resnet18 (IMAGENET1K_V1)",
    ),
    "resnet50": Reference(
        "224x224 stem_k7_s2_c64_relu | mp_r1_k3_s2_c64 rn_r3_k3_s1_x64_c256_relu"
        " | rn_r4_k3_s2_x128_c512_relu | rn_r6_k3_s2_x256_c1024_relu | rn_r3_k3_s2_x512_c2048_relu"
        " | head",
        25.56,
        4089.0,
        76.13,
        "tv_v1",
        "He et al. 2016; figures of torchvision's resnet50 (IMAGENET1K_V1)",
    ),
}
