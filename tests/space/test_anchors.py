"""Anchors by hand, and boxes there and back."""

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from palmette.space import Architecture, InputError
from palmette.space.anchors import anchors, anchors_of, decode, encode

BACKBONE = (
    "300x300 stem_k3_s2_c8_relu | ds_r1_k3_s2_c8_relu | ds_r1_k3_s2_c8_relu | ds_r1_k3_s2_c8_relu"
    " | ds_r1_k3_s2_c8_relu | "
)
SIX = (3, 6, 6, 6, 6, 6)


def test_an_image_of_300_px_has_the_1917_anchors_of_coco_configurations() -> None:
    network = Architecture.from_text(BACKBONE + "ssdlite_t16.32_x16.16.16.16_relu6")
    found = anchors_of(network)
    assert found.shape == (19 * 19 * 3 + (10 * 10 + 5 * 5 + 3 * 3 + 2 * 2 + 1) * 6, 4) == (1917, 4)
    sizes = ((19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1))
    np.testing.assert_array_equal(found, anchors(sizes, SIX, (300, 300)))


def test_anchors_of_one_cell_by_hand() -> None:
    # two maps of one cell: scales 0.2 and 0.95, the square between the last and 1
    found = anchors(((1, 1), (1, 1)), (3, 6), (64, 64))
    half, third = 0.5**0.5, (1 / 3) ** 0.5
    sides = [
        (0.1, 0.1),
        (0.2 / half, 0.2 * half),
        (0.2 * half, 0.2 / half),
        (0.95, 0.95),
        (0.95 / half, 0.95 * half),
        (0.95 * half, 0.95 / half),
        (0.95 / third, 0.95 * third),
        (0.95 * third, 0.95 / third),
        (0.95**0.5, 0.95**0.5),
    ]
    np.testing.assert_allclose(found, [(0.5, 0.5, *side) for side in sides], rtol=1e-12)


def test_centres_are_those_of_the_cells_row_by_row() -> None:
    found = anchors(((2, 3),), (6,), (64, 64)).reshape(6, 6, 4)
    assert (found == found[:, :1]).all(axis=1)[:, :2].all()  # the boxes of a cell share its centre
    xs, ys = found[:, 0, 0], found[:, 0, 1]
    np.testing.assert_allclose(xs, [1 / 6, 1 / 2, 5 / 6] * 2)
    np.testing.assert_allclose(ys, [1 / 4] * 3 + [3 / 4] * 3)


def test_boxes_keep_their_shape_in_px_on_an_image_that_is_not_square() -> None:
    square = anchors(((2, 2),), (6,), (100, 100)) * [100, 100, 100, 100]
    wide = anchors(((2, 2),), (6,), (100, 250)) * [250, 100, 250, 100]
    np.testing.assert_allclose(wide[:, 2:], square[:, 2:])


def test_a_first_map_of_six_boxes_has_torchvisions_shapes() -> None:
    generator = torchvision.models.detection.anchor_utils.DefaultBoxGenerator(
        [[2, 3]] * 3, min_ratio=0.2, max_ratio=0.95, clip=False
    )
    sizes = ((4, 4), (2, 2), (1, 1))
    maps = [torch.zeros(1, 1, *size) for size in sizes]
    images = torchvision.models.detection.image_list.ImageList(
        torch.zeros(1, 3, 64, 64), [(64, 64)]
    )
    corners = generator(images, maps)[0] / 64
    theirs = torchvision.ops.box_convert(corners, "xyxy", "cxcywh").numpy()
    ours = anchors(sizes, (6, 6, 6), (64, 64))
    order = np.lexsort(ours.round(5).T), np.lexsort(theirs.round(5).T)
    np.testing.assert_allclose(ours[order[0]], theirs[order[1]], atol=1e-5)


@given(st.integers(1, 6), st.integers(40, 640), st.integers(40, 640), st.integers(0, 2**31))
def test_decoding_undoes_encoding(maps: int, height: int, width: int, seed: int) -> None:
    sizes = tuple((-(-height // 2**at), -(-width // 2**at)) for at in range(4, 4 + maps))
    placed = torch.from_numpy(anchors(sizes, (6,) * maps, (height, width)).copy())
    random = torch.Generator().manual_seed(seed)
    boxes = torch.rand(2, len(placed), 4, generator=random, dtype=torch.float64) + 0.01
    boxes[..., 2:] *= 60 * placed[:, 2:]  # up to about the largest that decoding makes
    torch.testing.assert_close(decode(encode(boxes, placed), placed), boxes)


def test_a_box_on_its_anchor_has_no_offsets_and_a_moved_one_those_of_the_factors() -> None:
    placed = torch.tensor([[0.5, 0.5, 0.2, 0.4]], dtype=torch.float64)
    assert encode(placed, placed).abs().max() == 0
    moved = torch.tensor([[0.52, 0.46, 0.2 * np.e, 0.4]], dtype=torch.float64)
    expected = torch.tensor([[1.0, -1.0, 5.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(encode(moved, placed), expected)


def test_no_offset_makes_an_infinite_box() -> None:
    placed = torch.tensor([[0.5, 0.5, 0.2, 0.4]])
    (box,) = decode(torch.tensor([[0.0, 0.0, 1e4, -1e4]]), placed)
    torch.testing.assert_close(box, torch.tensor([0.5, 0.5, 0.2 * 62.5, 0.0]))


def test_only_detectors_have_anchors() -> None:
    with pytest.raises(InputError, match=r"^anchors: a 'head' head has none; give a detector$"):
        anchors_of(Architecture.from_text(BACKBONE + "head"))
