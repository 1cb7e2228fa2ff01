"""Segmenters: DeepLab v3 and v3+ on MobileNet v2, LR-ASPP and DeepLab v3 on v3 as in torchvision.

21 classes of PASCAL VOC, the background one of them. Counts include the head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from palmette.space.architecture import Architecture
from palmette.space.blocks import HEADS, TaskHead, parse_block
from palmette.space.dilation import dilated
from palmette.space.zoo.mobilenet import NETWORKS as MOBILENETS
from palmette.space.zoo.reference import Reference, tasked


def _as_in_torchvision(head: str) -> Callable[[], str]:
    """MobileNetV3 dilated as torchvision does, also where the stride was, with a head."""

    def layout() -> str:
        backbone = Architecture.from_text(MOBILENETS["mobilenet_v3_large"].text)
        finer = dilated(backbone, strided_too=True).with_resolution(520)
        made = parse_block(head, 0, HEADS)
        assert isinstance(made, TaskHead)
        return replace(finer, head=made).to_text()

    return layout


NETWORKS: dict[str, Reference] = {
    "mobilenet_v2_deeplab_v3": Reference(
        tasked(MOBILENETS["mobilenet_v2"], "deeplab_v3"),
        2.11,
        2750.0,
        None,
        "",
        "Sandler et al. 2018, table 7 (MNet V2*, output stride 16, 513 px)",
    ),
    "mobilenet_v2_deeplab_v3_plus": Reference(
        tasked(MOBILENETS["mobilenet_v2"], "deeplab_v3_plus"),
        None,
        None,
        None,
        "",
        "Sandler et al. 2018 with the pyramid and the decoder of Chen et al. 2018; no counts known",
    ),
    "mobilenet_v3_large_lraspp": Reference(
        _as_in_torchvision("lraspp_t8.16_c128_relu"),
        3.222,
        2086.0,
        None,
        "",
        "figures of torchvision's lraspp_mobilenet_v3_large (520 px)",
    ),
    "mobilenet_v3_large_deeplab_v3": Reference(
        _as_in_torchvision("deeplab_t16_c256_relu_a12.24.36_l1_dense"),
        11.029,
        10452.0,
        None,
        "",
        "figures of torchvision's deeplabv3_mobilenet_v3_large (520 px)",
    ),
}
