"""Tasks on backbones: what is tapped, split, dilated; and what is refused."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from palmette.space import Architecture, Head, InputError, load
from palmette.space.blocks.mobile import InvertedResidual
from palmette.space.modules import build_part
from palmette.space.tasks import TASKS, split_expansion, with_task

BACKBONES = ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v4_conv_small"]


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_fits_every_backbone_that_can_be_dilated(name: str, task: str) -> None:
    network = with_task(load(name), task)
    assert network.head.classes == (
        load(name).head.classes if task == "classifier" else TASKS[task].classes
    )
    assert Architecture.from_text(network.to_text()) == network
    assert network.params() > 0


def test_a_classifier_gets_its_classes_and_nothing_else() -> None:
    network = load("mobilenet_v3_small")
    assert with_task(network, "classifier") == network
    assert with_task(network, "classifier", classes=7).to_text() == (
        network.to_text().replace("_poolfirst", "_n7_poolfirst")
    )


def test_features_tap_every_stride() -> None:
    assert str(with_task(load("mobilenet_v2"), "features").head.taps) == "4.8.16.32"
    assert with_task(load("mobilenet_v2"), "features").resolution == (224, 224)


def test_a_detector_reads_the_expansion_and_the_last_1x1() -> None:
    text = with_task(load("mobilenet_v2"), "ssdlite").to_text().split(" | ")
    assert text[0].startswith("300x300 ")
    assert text[5] == "ir_r3_k3_s1_e6_c96_relu6 cn_r1_k1_s1_c576_relu6"
    assert text[6] == "ds_r1_k3_s2_c160_relu6_noskip ir_r2_k3_s1_e6_c160_relu6"
    assert text[7] == "ir_r1_k3_s1_e6_c320_relu6 cn_r1_k1_s1_c1280_relu6"
    assert text[8] == "ssdlite_t16.32_relu6_x512.256.256.128"


def test_a_stage_is_split_where_it_changes_its_stride() -> None:
    network = Architecture.from_text(
        "64x64 stem_k3_s2_c8_relu | ds_k3_s2_c8_relu ds_k3_s2_c8_relu ds_k5_s1_c8_relu | head_n2"
    )
    assert with_task(network, "features").to_text() == (
        "64x64 stem_k3_s2_c8_relu | ds_r1_k3_s2_c8_relu | ds_r1_k3_s2_c8_relu ds_r1_k5_s1_c8_relu"
        " | taps_t4.8"
    )


def test_a_segmenter_keeps_an_output_stride_of_16() -> None:
    for task in ("deeplab_v3", "deeplab_v3_plus", "lraspp"):
        network = with_task(load("mobilenet_v2"), task)
        assert network.total_stride == 16
        assert network.resolution == (513, 513)
        assert with_task(load("mobilenet_v2"), task, classes=2, resolution=97).resolution == (
            97,
            97,
        )


def layers(module: nn.Module) -> Iterator[nn.Module]:
    yield from (m for m in module.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d))


@pytest.mark.parametrize(
    "block",
    [
        InvertedResidual(3, 2, 36, 8, "relu6"),
        InvertedResidual(5, 2, 24, 12, "hswish", 6, "relu", "hsigmoid"),
        InvertedResidual(5, 2, 24, 12, "relu", 6, "swish", groups=2),
    ],
)
def test_the_split_block_computes_what_the_whole_one_does(block: InvertedResidual) -> None:
    whole = build_part(block, 12)
    expansion, rest = split_expansion(block)
    parts = nn.Sequential(build_part(expansion, 12), build_part(rest, expansion.channels))
    for one, other in zip(layers(whole), layers(parts), strict=True):
        other.load_state_dict(one.state_dict())
    x = torch.randn(2, 12, 9, 14, generator=torch.Generator().manual_seed(0))
    assert torch.equal(whole(x), parts(x))


def test_splitting_keeps_parameters_and_macs() -> None:
    network = load("mobilenet_v3_large").with_resolution(320)
    headless = Head(classes=0)
    split = with_task(network, "ssdlite", resolution=320)
    bare = Architecture(split.resolution, split.stem, split.stages, headless)
    before = Architecture(network.resolution, network.stem, network.stages, headless)
    assert (bare.params(), bare.macs()) == (before.params(), before.macs())


REFUSED = [
    ("mobilenet_v2", "yolo", {}, "task 'yolo' is unknown; known: classifier, features, ssd"),
    ("mobilenet_v2", "features", {"classes": 3}, "task features: it has no classes, got 3"),
    (
        "mobilenet_v2",
        "ssdlite",
        {"classes": 0},
        "ssdlite block, classes: must be an integer from 1",
    ),
    ("mobilenet_v2", "ssdlite", {"resolution": 224}, "ssdlite head: needs a map of at least 9x9"),
    ("resnet18", "lraspp", {}, "stage 4: a 'rb' block cannot be dilated"),
]


@pytest.mark.parametrize(("name", "task", "options", "said"), REFUSED)
def test_what_fits_no_task_is_refused_in_one_line(
    name: str, task: str, options: dict[str, int], said: str
) -> None:
    with pytest.raises(InputError) as error:
        with_task(load(name), task, **options)
    assert str(error.value).startswith(said)
    assert len(str(error.value).splitlines()) == 1


def test_a_network_has_one_task() -> None:
    with pytest.raises(InputError, match="^task ssd: the network ends in a 'taps' head; give one "):
        with_task(with_task(load("mobilenet_v2"), "features"), "ssd")
