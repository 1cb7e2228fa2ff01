"""Heads as data: their texts, what they tap, and what is refused."""

import re

import pytest

from palmette.space import Architecture, Head, InputError
from palmette.space.blocks import HEADS, Block, TaskHead, format_block, parse_block
from palmette.space.blocks.detection import SSD, SSDLite
from palmette.space.blocks.numbers import Numbers
from palmette.space.blocks.segmentation import LRASPP, DeepLab
from palmette.space.blocks.taps import FeatureTaps

BACKBONE = (
    "64x64 stem_k3_s2_c8_relu | ds_r1_k3_s2_c16_relu"
    " | ir_r1_k3_s2_e2_c16_relu ir_r1_k3_s1_e2_c24_relu | ir_r1_k3_s1_e2_c32_relu"
    " | ir_r1_k3_s2_e2_c40_relu | ir_r1_k3_s2_e2_c48_relu"
)
NOTATION: list[tuple[str, TaskHead]] = [
    ("head_n10", Head(classes=10)),
    ("taps_t4.8.16.32", FeatureTaps((4, 8, 16, 32))),
    ("ssd_t16.32_relu6_x512.256_n20_k1", SSD((16, 32), "relu6", (512, 256), 20, 1)),
    ("ssd_t16_relu", SSD((16,), "relu")),
    ("ssdlite_t16.32_relu6_x512_fullfirst", SSDLite((16, 32), "relu6", (512,), full_first=True)),
    ("deeplab_t16_c256_relu", DeepLab((16,), 256, "relu")),
    (
        "deeplab_t4.16_c256_relu_n19_a6.12.18_low32_l2_dense",
        DeepLab((4, 16), 256, "relu", 19, (6, 12, 18), 32, 2, True),
    ),
    ("lraspp_t8.16_c128_relu_n2", LRASPP((8, 16), 128, "relu", 2)),
]


@pytest.mark.parametrize(("text", "head"), NOTATION, ids=[row[0] for row in NOTATION])
def test_text_and_head_are_each_others_inverse(text: str, head: TaskHead) -> None:
    assert format_block(head, 64) == text
    assert parse_block(text, 64, HEADS) == head


def test_every_kind_of_head_has_an_example() -> None:
    assert {text.partition("_")[0] for text, _ in NOTATION} == set(HEADS)


def test_taps_are_numbers_however_they_are_given() -> None:
    for given in ((16, 32), [16, 32], Numbers((16, 32)), "16.32"):
        assert str(FeatureTaps(given).taps) == "16.32"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("head", "outputs"),
    [
        (Head(), ("logits",)),
        (Head(classes=0), ("features",)),
        (FeatureTaps((8, 32)), ("stride8", "stride32")),
        (SSDLite((32,), "relu"), ("confidence", "coordinates")),
        (LRASPP((8, 32), 8, "relu"), ("scores",)),
    ],
)
def test_heads_name_their_outputs(head: TaskHead, outputs: tuple[str, ...]) -> None:
    assert head.outputs == outputs


def test_a_tap_is_the_output_of_the_last_stage_of_its_stride() -> None:
    network = Architecture.from_text(f"{BACKBONE} | taps_t4.8.32")
    assert network.tappable() == {4: 0, 8: 2, 16: 3, 32: 4}
    assert network.tapped() == (0, 2, 4)
    assert network.tapped_sizes() == ((16, 16), (8, 8), (2, 2))
    assert network.with_resolution(65, 100).tapped_sizes() == ((17, 25), (9, 13), (3, 4))


def test_a_classifier_reads_the_last_map() -> None:
    network = Architecture.from_text(f"{BACKBONE} | head")
    assert network.head.taps == ()
    assert network.tapped() == (4,)
    assert network.tapped_sizes() == ((2, 2),)


REFUSED = [
    ("zz_n3", "block 'zz_n3': unknown kind 'zz'; known kinds are head, taps, ssd"),
    ("taps", "block 'taps': 'taps' is missing; write t(4|16.32|"),
    ("taps_t8.8.32", "taps block, taps: must be one of 4, 16.32, ... (rising, of 4, 8, 16 and 32)"),
    ("taps_t32.8", "taps block, taps: must be one of 4, 16.32, ... (rising, of 4, 8, 16 and 32)"),
    ("taps_t12", "taps block, taps: must be one of 4, 16.32, ... (rising, of 4, 8, 16 and 32)"),
    ("taps_t8", "taps head: no tap reads the last stages; tap 32, or leave away the stages beyond"),
    ("ssd_t32_relu_n0", "ssd block, classes: must be an integer from 1 to 65536, got 0"),
    ("ssd_t32_relu_x511", "ssd block, extras: must be one of 512, 512.256, ... (even, 2 to"),
    ("ssd_t32_relu_k2", "ssd block, kernel: must be odd, got 2"),
    (
        "ssd_t32_relu_x8.8",
        "ssd head: needs a map of at least 3x3, gets 2x2; 64x64 px are too few for the strides,"
        " give 65x65 or more",
    ),
    ("deeplab_t32_c8_relu_n0", "deeplab block, classes: must be an integer from 1 to 65536, got 0"),
    ("deeplab_t32_c8_relu_a6.6", "deeplab block, rates: must be one of 6.12.18, ... (rising, 2 to"),
    ("deeplab_t4.8.32_c8_relu", "deeplab block, taps: must be the pyramid's, or a finer one for"),
    ("lraspp_t32_c8_relu", "lraspp block, taps: must be two, a finer and the last one; got 32"),
    ("head_relu", "head: an activation needs a 1x1 convolution; give its channels"),
]


@pytest.mark.parametrize(("head", "said"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_no_head_is_refused_in_one_line(head: str, said: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(said)}") as error:
        Architecture.from_text(f"{BACKBONE} | {head}")
    assert len(str(error.value).splitlines()) == 1


def test_a_tap_that_does_not_exist_is_refused_with_the_strides_that_do() -> None:
    text = "64x64 stem_k3_s2_c8_relu | ds_r1_k3_s2_c16_relu | ds_r1_k3_s2_c16_relu | taps_t8.32"
    said = "taps head: tap 32 does not exist; the stages have the output strides 4, 8"
    with pytest.raises(InputError, match=f"^{said}$"):
        Architecture.from_text(text)


def test_a_block_is_no_head() -> None:
    block: Block = parse_block("ds_k3_s1_c16_relu", 16)
    assert not isinstance(block, TaskHead)
    with pytest.raises(InputError, match="unknown kind 'ds'"):
        Architecture.from_text(f"{BACKBONE} | ds_k3_s1_c16_relu")
