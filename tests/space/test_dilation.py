"""Strides made dilation: what changes, what stays, and what cannot be dilated."""

import pytest
import torch

from palmette.space import Architecture, InputError, load
from palmette.space.dilation import dilated

NETWORK = Architecture.from_text(
    "64x64 stem_k3_s2_c8_relu | ds_r1_k3_s2_c8_relu | ir_r2_k3_s2_e2_c8_relu | cn_r1_k3_s2_c16_relu"
    " | uir_r2_k3_s2_e2_c16_relu_a5 cn_r1_k1_s1_c32_relu | head"
)


def stages(network: Architecture) -> list[str]:
    return network.to_text().split(" | ")[1:-1]


def test_strides_beyond_become_dilation_behind_them() -> None:
    assert stages(dilated(NETWORK))[3:] == [
        "uir_r1_k3_s1_e2_c16_relu_a5_noskip uir_r1_k3_s1_e2_c16_relu_a5_d2 cn_r1_k1_s1_c32_relu"
    ]
    assert stages(dilated(NETWORK, 8))[2:] == [
        "cn_r1_k3_s1_c16_relu",
        "uir_r1_k3_s1_e2_c16_relu_a5_noskip_d2 uir_r1_k3_s1_e2_c16_relu_a5_d4 cn_r1_k1_s1_c32_relu",
    ]


def test_the_block_that_loses_its_stride_may_be_dilated_too() -> None:
    assert stages(dilated(NETWORK, strided_too=True))[3:] == [
        "uir_r1_k3_s1_e2_c16_relu_a5_noskip_d2 uir_r1_k3_s1_e2_c16_relu_a5_d2 cn_r1_k1_s1_c32_relu"
    ]


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large", "resnet50"])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_weights_stay_and_the_last_map_grows(name: str, output_stride: int) -> None:
    network = load(name).with_resolution(64)
    changed = dilated(network, output_stride)
    assert changed.total_stride == output_stride
    assert changed.params() == network.params()
    with torch.device("meta"):
        maps = changed.build().features(torch.zeros(2, 3, 64, 64))  # type: ignore[operator]
    assert maps[-1].shape[2:] == (64 // output_stride,) * 2


def test_a_dilated_network_sees_what_the_strided_one_saw() -> None:
    strided = NETWORK.build(0).eval()
    finer = dilated(NETWORK).build(0).eval()
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        coarse, fine = strided.features(x)[-1], finer.features(x)[-1]  # type: ignore[operator]
    torch.testing.assert_close(fine[..., ::2, ::2], coarse)


def test_a_network_that_is_fine_enough_stays() -> None:
    assert dilated(NETWORK, 32) == NETWORK
    assert dilated(dilated(NETWORK)) == dilated(NETWORK)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "resnet18",
            "stage 4: a 'rb' block cannot be dilated; those that can are cn, ds, ir, er, ",
        ),
        ("ghostnet_1.0", "a 'ghost' block cannot be dilated"),
        ("mixnet_s", "a 'mix' block cannot be dilated"),
        ("shufflenet_v2_1.0", "a 'sh' block cannot be dilated"),
    ],
)
def test_a_block_that_cannot_be_dilated_is_named(name: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        dilated(load(name))
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_other_output_strides_and_tapped_networks_are_refused() -> None:
    with pytest.raises(InputError, match="must be one of 8, 16, 32; got 12"):
        dilated(NETWORK, 12)
    tapped = Architecture.from_text(NETWORK.to_text().replace("| head", "| taps_t8.32"))
    with pytest.raises(InputError, match="a 'taps' head taps strides; dilate the backbone before"):
        dilated(tapped)
