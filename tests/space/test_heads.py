"""Modules of heads: counts by hand, outputs by hand, and torchvision's heads with the same weights.

torchvision's own networks tap other layers than the ends of stages, or count BatchNorm's epsilon
otherwise; what is compared is the heads, on the same maps.
"""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import segmentation
from torchvision.models.detection.ssdlite import SSDLiteHead

from palmette.space import Architecture, load
from palmette.space.anchors import anchors_of, decode, encode
from palmette.space.blocks import HEADS, parse_block
from palmette.space.modules import build_part
from palmette.space.tasks import with_task

BACKBONE = (
    "96x128 stem_k3_s2_c8_relu | ds_r1_k3_s2_c12_relu | ds_r1_k3_s2_c16_relu | ds_r1_k3_s2_c24_relu"
    " | ds_r1_k3_s2_c32_relu | "
)


def network(head: str) -> tuple[Architecture, nn.Module]:
    architecture = Architecture.from_text(BACKBONE + head)
    return architecture, architecture.build()


def head(text: str, *channels: int) -> nn.Module:
    return build_part(parse_block(text, channels[-1], HEADS), *channels)


def params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


# Extractor


def test_an_extractor_gives_the_maps_that_it_taps() -> None:
    _, module = network("taps_t4.16.32")
    module.eval()
    x = images(1, 3, 96, 128)
    with torch.no_grad():
        maps, every = module(x), module.features(x)  # type: ignore[operator]
    assert [tuple(m.shape) for m in maps] == [(1, 12, 24, 32), (1, 24, 6, 8), (1, 32, 3, 4)]
    for found, stage in zip(maps, (0, 2, 3), strict=True):
        assert torch.equal(found, every[stage])


def test_one_map_comes_as_a_tensor() -> None:
    _, module = network("taps_t32")
    assert module.eval()(images(1, 3, 96, 128)).shape == (1, 32, 3, 4)


# Detectors


@pytest.mark.parametrize(
    ("kind", "layer", "predictor"),
    [
        # 1x1 to half, 3x3 to all, a BatchNorm each
        ("ssd", lambda c, x: c * x // 2 + x + 9 * x // 2 * x + 2 * x, lambda c, y: 9 * c * y + y),
        (
            "ssdlite",
            lambda c, x: c * x // 2 + x + 9 * x // 2 + x + x // 2 * x + 2 * x,
            lambda c, y: 9 * c + 2 * c + c * y + y,
        ),
    ],
)
def test_parameters_of_detectors_by_hand(kind: str, layer, predictor) -> None:  # type: ignore[no-untyped-def]
    module = head(f"{kind}_t16.32_relu6_x16.8_n4", 24, 32)
    extras = layer(32, 16) + layer(16, 8)
    maps = zip((24, 32, 16, 8), (3, 6, 6, 6), strict=True)
    predictors = sum(predictor(c, boxes * (4 + 1)) + predictor(c, boxes * 4) for c, boxes in maps)
    assert params(module) == extras + predictors


@pytest.mark.parametrize("kind", ["ssd", "ssdlite"])
def test_a_detector_gives_scores_and_boxes_of_every_anchor(kind: str) -> None:
    architecture, module = network(f"{kind}_t16.32_relu6_x16.8_n4")
    count = len(anchors_of(architecture))
    assert count == 6 * 8 * 3 + (3 * 4 + 2 * 2 + 1) * 6
    x = images(2, 3, 96, 128)
    logits, offsets = module(x)
    assert logits.shape == (2, count, 1 + 4)
    assert offsets.shape == (2, count, 4)
    module.eval()
    scores, boxes = module(x)
    assert scores.shape == (2, count, 4)
    assert boxes.shape == (2, count, 4)
    assert 0 <= scores.min() <= scores.max() <= 1
    assert boxes[..., 2:].min() > 0


def test_scores_and_boxes_are_what_the_logits_and_offsets_stand_for() -> None:
    architecture, module = network("ssdlite_t16.32_relu6_x16.8_n4")
    module.eval()
    x = images(2, 3, 96, 128)
    with torch.no_grad():
        scores, boxes = module(x)
        module.head.training = True  # not its layers: the statistics stay those of before
        logits, offsets = module(x)
    placed = torch.tensor(anchors_of(architecture), dtype=torch.float32)
    torch.testing.assert_close(scores, logits[..., 1:].sigmoid())
    torch.testing.assert_close(boxes, decode(offsets, placed))
    torch.testing.assert_close(encode(boxes, placed), offsets, rtol=1e-3, atol=1e-4)


def test_anchors_follow_the_image_that_comes_in() -> None:
    architecture, module = network("ssdlite_t16.32_relu6_x16_n4")
    other = architecture.with_resolution(80, 144)
    with torch.no_grad():
        for predictor in module.head.boxes:  # type: ignore[union-attr]
            predictor[-1].weight.zero_()  # no offsets: the boxes are the anchors
        _, boxes = module.eval()(images(1, 3, 80, 144))
    placed = torch.tensor(anchors_of(other), dtype=torch.float32)
    torch.testing.assert_close(boxes[0], placed)


def test_boxes_of_a_fresh_detector_are_about_as_large_as_their_anchors() -> None:
    """Sizes are exponentials of offsets: large ones would magnify every rounding of an export."""
    architecture = with_task(load("mobilenet_v2"), "ssdlite")
    with torch.no_grad():
        scores, boxes = architecture.build().eval()(images(1, 3, *architecture.resolution))
    placed = torch.tensor(anchors_of(architecture), dtype=torch.float32)
    assert (boxes[0, :, 2:] / placed[:, 2:]).log().abs().max() < 0.5
    assert scores.std() > 0.005


def predictors(theirs: nn.Module, ours: nn.ModuleList) -> None:
    for one, other in zip(theirs.module_list, ours, strict=True):  # type: ignore[arg-type]
        copy_in_order(one, other)


def copy_in_order(theirs: nn.Module, ours: nn.Module) -> None:
    """Weights of one module to another whose layers come in the same order."""
    source, target = theirs.state_dict(), ours.state_dict()
    pairs = zip(source.values(), target, strict=True)
    ours.load_state_dict({name: value for value, name in pairs})


def shake(module: nn.Module) -> None:
    """Statistics and vectors that are not trivial."""
    random = torch.Generator().manual_seed(1)
    for name, value in module.state_dict().items():
        if value.dim() == 1:
            low = 0.5 if name.endswith("running_var") else -0.4
            value.copy_(torch.rand(value.shape, generator=random) + low)


def test_ssdlites_predictors_are_torchvisions() -> None:
    theirs = SSDLiteHead([24, 32], [6, 6], 5, nn.BatchNorm2d).eval()
    shake(theirs)
    ours = head("ssdlite_t16.32_relu6_n4_fullfirst", 24, 32).eval()
    predictors(theirs.classification_head, ours.scores)  # type: ignore[arg-type]
    predictors(theirs.regression_head, ours.boxes)  # type: ignore[arg-type]
    ours.training = True  # raw outputs
    maps = [images(1, 24, 6, 8), images(1, 32, 3, 4)]
    with torch.no_grad():
        expected = theirs(maps)
        logits, offsets = ours(*maps, size=(96, 128))
    torch.testing.assert_close(logits, expected["cls_logits"])
    torch.testing.assert_close(offsets, expected["bbox_regression"])


# Segmenters


@pytest.mark.parametrize(
    "text",
    [
        "deeplab_t32_c16_relu",
        "deeplab_t4.32_c16_relu_a2.3_low4_l2",
        "deeplab_t4.32_c16_relu_a2.3_low4_l1_dense",
        "lraspp_t8.32_c16_relu",
    ],
)
@pytest.mark.parametrize("size", [(96, 128), (65, 97)])
def test_every_pixel_gets_the_scores_of_every_class(text: str, size: tuple[int, int]) -> None:
    _, module = network(f"{text}_n5")
    scores = module(images(2, 3, *size))
    assert scores.shape == (2, 5, *size)
    assert scores.isfinite().all()


def aspp_pairs(theirs: nn.Module, ours: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    *branches, pooled = theirs.convs  # type: ignore[misc]
    yield from zip(branches, ours.branches, strict=True)  # type: ignore[arg-type]
    yield pooled, ours.pooled  # type: ignore[misc]
    yield theirs.project, ours.join  # type: ignore[misc]


def test_deeplab_is_torchvisions() -> None:
    theirs = segmentation.deeplabv3.DeepLabHead(32, 5, (2, 3)).eval()
    shake(theirs)
    ours = head("deeplab_t32_c256_relu_n5_a2.3_l1_dense", 32).eval()
    assert params(ours) == params(theirs)
    for pair in aspp_pairs(theirs[0], ours.pyramid):  # type: ignore[arg-type]
        copy_in_order(*pair)
    copy_in_order(nn.Sequential(theirs[1], theirs[2]), ours.layers)  # type: ignore[arg-type]
    copy_in_order(theirs[4], ours.classifier)  # type: ignore[arg-type]
    x = images(1, 32, 7, 9)
    with torch.no_grad():
        expected = nn.functional.interpolate(theirs(x), (50, 70), mode="bilinear")
        found = ours(x, size=(50, 70))
    torch.testing.assert_close(found, expected)


def test_lraspp_is_torchvisions() -> None:
    theirs = segmentation.lraspp.LRASPPHead(16, 32, 5, 24).eval()
    shake(theirs)
    ours = head("lraspp_t8.32_c24_relu_n5", 16, 32).eval()
    assert params(ours) == params(theirs)
    pairs = [("cbr", "conv"), ("low_classifier", "low"), ("high_classifier", "high")]
    for one, other in [("scale", "gate"), *pairs]:
        copy_in_order(getattr(theirs, one), getattr(ours, other))
    low, high = images(1, 16, 12, 16), images(1, 32, 3, 4)
    with torch.no_grad():
        expected = nn.functional.interpolate(
            theirs({"low": low, "high": high}), (96, 128), mode="bilinear"
        )
        found = ours(low, high, size=(96, 128))
    torch.testing.assert_close(found, expected)


# All of them

EVERY = [
    "taps_t8.32",
    "ssd_t16.32_relu6_x16.8_n4",
    "ssdlite_t16.32_relu6_x16.8_n4",
    "deeplab_t4.32_c16_relu_a2.3_n4",
    "lraspp_t8.32_c16_relu_n4",
]


@pytest.mark.parametrize("text", EVERY)
def test_a_heads_ops_have_kinds(text: str) -> None:
    architecture, _ = network(text)
    assert not {op.kind for op in architecture.ops()} & {"other", "norm"}


@pytest.mark.parametrize("text", EVERY)
def test_the_names_of_the_outputs_are_as_many_as_the_outputs(text: str) -> None:
    architecture, module = network(text)
    result = module.eval()(images(1, 3, 96, 128))
    given = (result,) if isinstance(result, Tensor) else result
    assert len(given) == len(architecture.head.outputs)
