"""MobileOne; counts are of the form that runs on a device, as the paper's."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

_SOURCE = "Vasu et al. 2023, MobileOne; apple/ml-mobileone README"

NETWORKS: dict[str, Reference] = {
    "mobileone_s0": Reference(
        "224x224 stem_k3_s2_c48_relu | one_r2_k3_s2_c48_relu_b4 | one_r8_k3_s2_c128_relu_b4"
        " | one_r10_k3_s2_c256_relu_b4 | one_r1_k3_s2_c1024_relu_b4 | head",
        2.1,
        275.0,
        71.4,
        "",
        _SOURCE,
    ),
    "mobileone_s1": Reference(
        "224x224 stem_k3_s2_c64_relu | one_r2_k3_s2_c96_relu | one_r8_k3_s2_c192_relu"
        " | one_r10_k3_s2_c512_relu | one_r1_k3_s2_c1280_relu | head",
        4.8,
        825.0,
        75.9,
        "",
        _SOURCE,
    ),
    "mobileone_s2": Reference(
        "224x224 stem_k3_s2_c64_relu | one_r2_k3_s2_c96_relu | one_r8_k3_s2_c256_relu"
        " | one_r10_k3_s2_c640_relu | one_r1_k3_s2_c2048_relu | head",
        7.8,
        1299.0,
        77.4,
        "",
        _SOURCE,
    ),
    "mobileone_s3": Reference(
        "224x224 stem_k3_s2_c64_relu | one_r2_k3_s2_c128_relu | one_r8_k3_s2_c320_relu"
        " | one_r10_k3_s2_c768_relu | one_r1_k3_s2_c2048_relu | head",
        10.1,
        1896.0,
        78.1,
        "",
        _SOURCE,
    ),
    "mobileone_s4": Reference(
        "224x224 stem_k3_s2_c64_relu | one_r2_k3_s2_c192_relu | one_r8_k3_s2_c448_relu"
        " | one_r5_k3_s2_c896_relu one_r5_k3_s1_c896_relu_se56 | one_r1_k3_s2_c2048_relu_se56"
        " | head",
        14.8,
        2979.0,
        79.4,
        "",
        _SOURCE,
    ),
}
