"""Width, depth and resolution multipliers: rounding by hand, what keeps, what follows what."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.space import MOBILENET_LIKE, Architecture, InputError, load
from palmette.space.scaling import round_channels, scale

SMALL = (
    "64x64 stem_k3_s2_c16_relu | ds_r1_k3_s1_c16_relu"
    " | ir_r2_k3_s2_e6_c24_relu_se0.25 | ir_r1_k5_s2_x88_c40_relu_se24 | head_c128_relu_n10"
)


def scaled(text: str = SMALL, **factors: object) -> str:
    return scale(Architecture.from_text(text), **factors).to_text()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [(1, 8), (8, 8), (11.2, 16), (12, 16), (18, 24), (33.6, 32), (44, 48), (57.6, 56)],
)
def test_channels_are_rounded_to_eights_and_never_by_more_than_a_tenth_down(
    channels: float, rounded: int
) -> None:
    assert round_channels(channels) == rounded


@given(st.floats(1, 5000))
def test_rounded_channels_are_near(channels: float) -> None:
    rounded = round_channels(channels)
    assert rounded % 8 == 0
    assert 0.9 * channels <= rounded <= max(8, channels + 8)


def test_width_scales_blocks_stem_and_head_and_keeps_ratios() -> None:
    assert scaled(width=2.0) == (
        "64x64 stem_k3_s2_c32_relu | ds_r1_k3_s1_c32_relu"
        " | ir_r2_k3_s2_e6_c48_relu_se0.25 | ir_r1_k5_s2_x176_c80_relu_se48"
        " | head_c256_relu_n10"
    )


def test_ends_keep_their_width_if_asked_to() -> None:
    text = scaled(width=2.0, stem=False, head=False)
    assert "stem_k3_s2_c16_relu | ds_r1_k3_s1_c32_relu" in text
    assert text.endswith("head_c128_relu_n10")


def test_a_head_without_convolution_stays_without() -> None:
    assert scale(load("mobilenet_v1"), width=0.5).head.channels == 0


def test_a_squeeze_that_is_no_ratio_follows_the_expansion() -> None:
    # 24 inputs become 32: 88 expanded channels become 117.3, so 120; 24 times 120 / 88 is 32.7
    assert "x120_c56_relu_se32" in scaled(width=1.4)


def test_depth_repeats_the_last_block_at_stride_1_on_its_own_output() -> None:
    assert scaled(depth=1.5) == (
        "64x64 stem_k3_s2_c16_relu | ds_r2_k3_s1_c16_relu | ir_r3_k3_s2_e6_c24_relu_se0.25"
        " | ir_r1_k5_s2_x88_c40_relu_se24 ir_r1_k5_s1_x144_c40_relu_se40 | head_c128_relu_n10"
    )


def test_end_stages_keep_their_depth_if_asked_to() -> None:
    assert scaled(depth=1.5, end_stages=False) == scaled().replace("ir_r2", "ir_r3")


def test_a_shallower_network_loses_blocks_that_keep_the_shape() -> None:
    assert scaled(depth=0.5) == scaled().replace("ir_r2", "ir_r1")


def test_resolution_is_height_and_width() -> None:
    assert scaled(resolution=96) == scaled().replace("64x64", "96x96")


@pytest.mark.parametrize("name", MOBILENET_LIKE)
def test_factors_of_one_change_nothing(name: str) -> None:
    assert scale(load(name)) == load(name)


@given(st.sampled_from(MOBILENET_LIKE), st.floats(0.25, 3.0), st.floats(0.3, 3.0))
@settings(max_examples=30)
def test_scaled_networks_are_networks(name: str, width: float, depth: float) -> None:
    found = scale(load(name), width=width, depth=depth)
    assert Architecture.from_text(found.to_text()) == found
    assert found.total_stride == load(name).total_stride


@pytest.mark.parametrize("factor", [0.0, -1.0, 10_001.0, 1e308, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["width", "depth"])
def test_factors_must_be_positive_and_within_reason(name: str, factor: float) -> None:
    factors = {name: factor}
    with pytest.raises(InputError, match="scale: factors must be positive, at most 10000, got"):
        scaled(**factors)


def test_no_rounding_makes_a_narrower_network_wider() -> None:
    # 12 channels x0.95 are 11.4, which rounds to 16; x1.05 12.6 to 16
    text = "64x64 stem_k3_s2_c12_relu | ds_r1_k3_s1_c12_relu | head_c12_relu_n10"
    assert scaled(text, width=0.95) == text
    assert "stem_k3_s2_c16_relu | ds_r1_k3_s1_c16_relu" in scaled(text, width=1.05)
    assert "head_c8_relu" in scaled(text, width=0.5)


def test_numbers_of_blocks_are_rounded_as_asked() -> None:
    text = "64x64 stem_k3_s2_c16_relu | ds_r4_k3_s1_c16_relu | head_n10"
    assert "ds_r5_" in scaled(text, depth=1.1)
    assert "ds_r4_" in scaled(text, depth=1.1, depth_rounding=round)
    assert "ds_r2_" in scaled(text, depth=0.55, depth_rounding=round)
