"""Networks that published iPhone timings name, in the form that was timed, where the zoo lacks it.

A timing teaches a cost model only beside the ops it was measured on. Each row of `NETWORKS` builds
one such network for `trace_ops`: re-parameterised where its authors merge branches before export,
in evaluation mode, with untrained weights. BatchNorm stays where the exporter folds it. A factory
puts its weights on torch's default device, so `with torch.device("meta")` makes it cost nothing.

timm, torchvision and the zoo define some of them; the definitions here follow the published
configuration that each row's `source` names. A name means one thing: where the zoo's network has
other ops (its BatchNorm is joined to convolutions, its input is larger), the timed form is called
`..._as_timed`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from palmette.space import load
from palmette.space.modules import Residual

CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Network:
    """A published network: how to build it, and what its publication says of it."""

    build: Callable[[], nn.Module]
    resolution: int
    """Height and width of the timed input, in pixels."""
    params_m: float
    """Published parameters in millions, of the inference form if published so."""
    source: str


def _deployed(module: nn.Module) -> nn.Module:
    return module.eval().requires_grad_(False)


def _timm(name: str) -> nn.Module:
    import timm
    from timm.utils.model import reparameterize_model

    module = timm.create_model(name, pretrained=False, exportable=True)
    return _deployed(reparameterize_model(module.eval(), inplace=True))


def _fastvit(name: str) -> nn.Module:
    from timm.models.fastvit import RepMixerBlock

    module = _timm(name)
    for block in module.modules():
        if isinstance(block, RepMixerBlock):
            # a constant factor for each output channel of a convolution: the exporter folds it,
            # `trace_ops` cannot tell it from a computed one
            block.add_module("layer_scale", nn.Identity())
    return module


def _torchvision(name: str) -> nn.Module:
    import torchvision

    module: nn.Module = torchvision.models.get_model(name, weights=None)
    return _deployed(module)


def _zoo(name: str, side: int) -> nn.Module:
    return _deployed(load(name).with_resolution(side).build())


def _classifier(features: int) -> tuple[nn.Module, ...]:
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, CLASSES)


# --- Tiny YOLO on Darknet (Redmon and Farhadi, 2017 and 2018) -------------------------------------

_DARKNET_WIDTHS = (16, 32, 64, 128, 256)
_VOC_MAPS = 5 * (4 + 1 + 20)
"""Detection maps of YOLOv2: five anchors of a box, an objectness and VOC's classes."""
_COCO_MAPS = 3 * (4 + 1 + 80)
"""Detection maps of each scale of YOLOv3: three anchors of a box, an objectness and COCO's."""


def _leaky(inputs: int, outputs: int, kernel: int) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1))


def _darknet_fine() -> nn.Module:
    """From the image to 256 maps at a sixteenth of its size."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise((3, *_DARKNET_WIDTHS)):
        layers += [_leaky(inputs, outputs, 3), nn.MaxPool2d(2)]
    return nn.Sequential(*layers[:-1])


def _darknet_coarse() -> nn.Module:
    """From there to 1024 maps at a thirty-second of the image's size."""
    return nn.Sequential(
        nn.MaxPool2d(2),
        _leaky(256, 512, 3),
        # Darknet's pool of stride 1 keeps the size: it reads past the right and lower edges
        nn.ConstantPad2d((0, 1, 0, 1), -math.inf),
        nn.MaxPool2d(2, 1),
        _leaky(512, 1024, 3),
    )


def _tiny_yolo_v2() -> nn.Module:
    head = (_leaky(1024, 1024, 3), nn.Conv2d(1024, _VOC_MAPS, 1))
    return _deployed(nn.Sequential(_darknet_fine(), _darknet_coarse(), *head))


class TinyYoloV3(nn.Module):
    """YOLOv3-tiny up to its detection maps, before boxes are decoded."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = _darknet_fine()
        self.coarse = nn.Sequential(_darknet_coarse(), _leaky(1024, 256, 1))
        self.coarse_head = nn.Sequential(_leaky(256, 512, 3), nn.Conv2d(512, _COCO_MAPS, 1))
        self.lateral = nn.Sequential(_leaky(256, 128, 1), nn.Upsample(scale_factor=2))
        self.fine_head = nn.Sequential(_leaky(384, 256, 3), nn.Conv2d(256, _COCO_MAPS, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Detection maps (N, maps, H, W) at 1/32 and 1/16 of the image; its sides divide by 32."""
        fine: Tensor = self.fine(x)
        coarse: Tensor = self.coarse(fine)
        merged = torch.cat((self.lateral(coarse), fine), dim=1)
        return self.coarse_head(coarse), self.fine_head(merged)


def _tiny_yolo_v3() -> nn.Module:
    return _deployed(TinyYoloV3())


# --- RepNeXt (Zhao et al., 2024) ------------------------------------------------------------------


def _depthwise(channels: int, kernel: tuple[int, int], stride: int = 1) -> nn.Module:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels)


class ChunkMixer(nn.Module):
    """Quarters of the channels pass as they are, or through kernels of three sizes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter = channels // 4
        self.small = _depthwise(quarter, (3, 3))
        self.medium = _depthwise(quarter, (7, 7))
        # stays a pair: merged into one 11x11 it would cost more
        self.large = nn.Sequential(_depthwise(quarter, (1, 11)), _depthwise(quarter, (11, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """`x` (N, C, H, W) with three of its quarters mixed."""
        same, small, medium, large = x.chunk(4, dim=1)
        return torch.cat((same, self.small(small), self.medium(medium), self.large(large)), dim=1)


class CopyMixer(nn.Module):
    """Two kernels of stride 2 over all channels: twice the channels at half the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.small = _depthwise(channels, (3, 3), 2)
        self.medium = _depthwise(channels, (7, 7), 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 2 C, H / 2, W / 2)."""
        return torch.cat((self.small(x), self.medium(x)), dim=1)


def _repnext_mlp(channels: int) -> tuple[nn.Module, ...]:
    # the authors fold BatchNorm here, hence biases
    return (
        nn.Conv2d(channels, 2 * channels, 1),
        nn.GELU(),
        nn.Conv2d(2 * channels, channels, 1),
    )


def _repnext_stage(channels: int, depth: int, first: bool) -> list[nn.Module]:
    """Blocks of a stage. BatchNorm after a concatenation has no convolution to fold into."""
    layers: list[nn.Module] = []
    if not first:
        body = Residual(nn.Sequential(*_repnext_mlp(channels)))
        layers += [CopyMixer(channels // 2), nn.BatchNorm2d(channels), body]
    for _ in range(depth):
        mixer = (ChunkMixer(channels), nn.BatchNorm2d(channels))
        layers.append(Residual(nn.Sequential(*mixer, *_repnext_mlp(channels))))
    return layers


def _repnext(width: int, depths: tuple[int, ...]) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, width // 2, 3, 2, 1),
        nn.GELU(),
        nn.Conv2d(width // 2, width, 3, 2, 1),
    ]
    for stage, depth in enumerate(depths):
        layers += _repnext_stage(width << stage, depth, first=stage == 0)
    # the classifier of the distillation is averaged into the other one
    features = width << (len(depths) - 1)
    return _deployed(nn.Sequential(*layers, *_classifier(features)))


# --- The table ------------------------------------------------------------------------------------

NETWORKS: dict[str, Network] = {
    "squeezenet_v1.1_as_timed": Network(
        partial(_torchvision, "squeezenet1_1"), 227, 1.24, "Iandola et al. 2016, release v1.1"
    ),
    "squeezenext_23v5_2.0_as_timed": Network(
        partial(_zoo, "squeezenext_23v5_2.0", 227),
        227,
        3.2,
        "Gholami et al. 2018; amirgholami/SqueezeNext 2.0-SqNxt-23v5",
    ),
    # of VOC: COCO's file has a last layer but one of half the width, and 11.2 M
    "tinyyolo_v2": Network(
        _tiny_yolo_v2, 256, 15.87, "Redmon and Farhadi 2017; Darknet yolov2-tiny-voc.cfg"
    ),
    # 8.86 M in Darknet's file of weights; 8.66 M, hence 8.6, without the detection convolutions
    "tinyyolo_v3": Network(
        _tiny_yolo_v3, 256, 8.6, "Redmon and Farhadi 2018; Darknet yolov3-tiny.cfg"
    ),
    "mixnet_m_as_timed": Network(
        partial(_timm, "mixnet_m"), 224, 5.0, "Tan and Le 2019, MixNet; timm"
    ),
    # 7 to 11 % above print, as in the authors' code: the counts are met, within 2 %, without the
    # doubling of channels before the classifier
    "fastvit_t8": Network(partial(_fastvit, "fastvit_t8"), 256, 3.6, "Vasu et al. 2023b; timm"),
    "fastvit_t12": Network(partial(_fastvit, "fastvit_t12"), 256, 6.8, "Vasu et al. 2023b; timm"),
    "fastvit_s12": Network(partial(_fastvit, "fastvit_s12"), 256, 8.8, "Vasu et al. 2023b; timm"),
    "repnext_m3": Network(
        partial(_repnext, 64, (3, 3, 13, 2)), 224, 7.8, "Zhao et al. 2024; suous/RepNeXt, fused"
    ),
    "repnext_m4": Network(
        partial(_repnext, 64, (5, 5, 25, 4)), 224, 13.3, "Zhao et al. 2024; suous/RepNeXt, fused"
    ),
}
"""By name and width: MobileOne is Vasu et al. 2023a, FastViT 2023b."""
