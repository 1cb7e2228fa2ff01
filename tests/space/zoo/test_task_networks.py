"""Detectors and segmenters of the zoo beside torchvision's and beside what their rows promise."""

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn

from palmette.space import Head, load
from palmette.space.anchors import anchors_of
from palmette.space.zoo import FAMILY_OF

TORCHVISION: dict[str, Callable[..., nn.Module]] = {
    "mobilenet_v3_large_ssdlite": torchvision.models.detection.ssdlite320_mobilenet_v3_large,
    "mobilenet_v3_large_lraspp": torchvision.models.segmentation.lraspp_mobilenet_v3_large,
    "mobilenet_v3_large_deeplab_v3": (torchvision.models.segmentation.deeplabv3_mobilenet_v3_large),
}


def sizes(module: nn.Module) -> list[tuple[int, ...]]:
    return sorted(tuple(p.shape) for p in module.parameters())


@pytest.mark.parametrize("name", TORCHVISION)
def test_parameters_are_torchvisions_to_the_digit(name: str) -> None:
    with torch.device("meta"):
        theirs = TORCHVISION[name](weights=None, weights_backbone=None)
        ours = load(name).build()
    assert sizes(ours) == sizes(theirs)
    assert load(name).params() == sum(p.numel() for p in theirs.parameters())


def test_families_of_tasks_hold_no_classifier() -> None:
    for name, family in FAMILY_OF.items():
        task = family in ("detection", "segmentation")
        assert isinstance(load(name).head, Head) != task, name


def test_the_detector_of_howard_et_al_has_the_anchors_of_the_coco_configuration() -> None:
    assert anchors_of(load("mobilenet_v1_ssd")).shape == (1917, 4)


def test_with_eighty_classes_the_v2_detector_has_the_parameters_that_its_paper_prints() -> None:
    text = load("mobilenet_v2_ssdlite").to_text()
    eighty = type(load("mobilenet_v2")).from_text(f"{text}_n80")
    assert round(eighty.params() / 1e6, 2) == 4.34
