"""Knobs: which there are, what turning one does, and what stays."""

import pytest

from palmette.latency.effects import Support
from palmette.search.families.changes import Knob, knobs, smallest
from palmette.space import Architecture, load

KNOWN = Support((3,), ("relu",), True, (180, 200))


def knob(network: Architecture, what: str, known: Support | None = None) -> Knob:
    (found,) = (one for one in knobs(network, known) if one.what == what)
    return found


def turned(network: Architecture, what: str, value: int) -> str:
    made = knob(network, what).turned(value)
    assert made is not None
    return made.to_text()


def test_every_part_of_the_tiny_network_has_its_knobs(tiny: Architecture) -> None:
    found = {one.what: one.values for one in knobs(tiny)}
    assert found["stem"] == (8,)
    assert found["width of stage 2"] == (16,)  # not narrower than its input
    assert found["width of stage 4"] == (72, 64, 56, 48, 40)
    assert found["blocks of stage 2"] == (1,)
    assert found["kernels of stage 2"] == (3,)
    assert found["height of the image"] == (176, 160, 144, 128, 112, 96, 80, 64)
    assert "blocks of stage 4" not in found and "kernels of stage 3" not in found
    assert "width of stage 1" not in found  # 16 after 16


def test_a_narrower_stage_keeps_its_residuals_and_the_ratios_behind_it(tiny: Architecture) -> None:
    text = turned(tiny, "width of stage 2", 16)
    assert "| ir_r2_k5_s2_e4_c16_relu | ir_r2_k3_s2_e4_c40_relu_se0.25 |" in text


def test_blocks_that_add_the_stems_output_are_narrowed_with_it() -> None:
    text = "64x64 stem_k3_s2_c16_relu | ds_r1_k3_s1_c16_relu | ir_r1_k3_s2_e2_c24_relu | head"
    narrow = turned(Architecture.from_text(text), "stem", 8)
    assert narrow.startswith("64x64 stem_k3_s2_c8_relu | ds_r1_k3_s1_c8_relu | ir_r1_k3_s2_e2_c24")


def test_expansions_fall_by_blocks_and_by_stages_but_not_below_the_input(
    tiny: Architecture,
) -> None:
    assert turned(tiny, "expansion in block 2 of stage 2", 40).count("x40") == 1
    both = knob(tiny, "expansion in stage 2")
    assert both.now == 96 and both.values[-2:] == (32, 24)
    assert "| ir_r2_k5_s2_e2_c24_relu |" in turned(tiny, "expansion in stage 2", 48)


def test_a_squeeze_that_is_no_ratio_falls_with_its_expansion() -> None:
    text = "64x64 stem_k3_s2_c16_relu | ir_r1_k3_s2_e4_c24_relu_se24 | head_n10"
    assert "e2_c24_relu_se12" in turned(Architecture.from_text(text), "expansion in stage 1", 32)


def test_windows_and_images_that_no_timing_shows_are_left_alone(tiny: Architecture) -> None:
    names = {one.what: one.values for one in knobs(tiny, KNOWN)}
    assert "kernels of stage 2" not in names
    assert "height of the image" not in names  # 176 px and less are below 180
    seen = Support((3, 5), ("relu",), True, (170, 200))
    names = {one.what: one.values for one in knobs(tiny, seen)}
    assert names["kernels of stage 2"] == (3,) and names["height of the image"] == (176,)


def test_an_oblong_image_keeps_its_shape_to_sixteens(tiny: Architecture) -> None:
    wide = tiny.with_resolution(192, 384)
    assert turned(wide, "height of the image", 144).startswith("144x288 ")


def test_the_last_stage_of_mobilenet_v3_goes_with_its_head() -> None:
    network = load("mobilenet_v3_small")
    assert not any(one.what == "width of stage 6" for one in knobs(network))
    text = turned(network, "head", 512)
    assert "cn_r1_k1_s1_c288_hswish | head_c512_hswish_poolfirst" in text


def test_kinds_of_blocks_that_must_keep_their_input_are_never_made_to_break_it() -> None:
    for name in ("shufflenet_v2_1.0", "repvit_m0.9", "mobileone_s0", "squeezenext_23_1.0"):
        for one in knobs(load(name)):
            made = one.turned(one.values[0])
            assert made is None or made.head.classes == 1000


@pytest.mark.parametrize("name", ["mobilenet_v2", "ghostnet_1.0", "mixnet_s"])
def test_the_smallest_network_has_no_knob_that_turns(name: str) -> None:
    least = smallest(load(name))
    assert all(one.turned(value) is None for one in knobs(least) for value in one.values)
    assert least.head.classes == 1000 and len(least.stages) == len(load(name).stages)
