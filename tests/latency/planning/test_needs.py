"""What networks of a space need: kernels, blocks, and networks to calibrate on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from palmette.latency import load_predictor, parse_target
from palmette.latency.op_lists import network_ops
from palmette.latency.per_op.kernels import KernelTable, kernel_from_text, kernel_text
from palmette.latency.planning.needs import Needs, find_needs, fitting_zoo
from palmette.latency.planning.rough import rough_ms
from palmette.latency.planning.seconds import timing_seconds
from palmette.space import Architecture, InputError, OpTable


def test_the_time_of_kernels_is_that_of_the_networks(
    phone_needs: Needs, drawn: list[Architecture]
) -> None:
    own = phone_needs.networks.ms[: len(drawn)]
    assert phone_needs.kernels.total_ms.sum() == pytest.approx(own.sum())
    assert phone_needs.guessed


def test_kernels_are_those_of_the_networks_each_once(
    phone_needs: Needs, drawn: list[Architecture]
) -> None:
    every = {op.to_text() for one in drawn for op in one.ops()}
    assert set(phone_needs.kernels.texts) == every
    assert len(phone_needs.kernels.texts) == len(every)


def test_known_networks_come_last_and_add_no_kernels(
    phone_needs: Needs, drawn: list[Architecture]
) -> None:
    networks = phone_needs.networks
    assert networks.texts[len(drawn) :] == ("mobilenet_v3_small", "mobilenet_v2")
    assert networks.known.sum() == 2 and networks.known[len(drawn) :].all()
    assert not {op.to_text() for op in network_ops("mobilenet_v2")} <= set(
        phone_needs.kernels.texts
    )


def test_a_predictor_says_what_its_target_takes(drawn: list[Architecture]) -> None:
    target = parse_target("iphone-xs/gpu@tflite-2.10")
    predictor = load_predictor(str(target))
    needs = find_needs(drawn[:3], target, predictor)
    assert needs.networks.ms == pytest.approx(predictor.predict(drawn[:3]))
    assert not needs.guessed
    # additions are joined to what they follow, so no kernel begins with one
    assert any(" ; add" in text for text in needs.kernels.texts)
    assert not any(text.startswith("add") for text in needs.kernels.texts)


def test_blocks_give_back_their_shape_and_know_their_kernels(phone_needs: Needs) -> None:
    blocks, texts = phone_needs.blocks, phone_needs.kernels.texts
    assert blocks.chains and len(blocks.ms) == len(blocks.points) == len(blocks.chains)
    for chain, kernels, ms in zip(blocks.chains, blocks.kernels, blocks.ms, strict=True):
        assert chain.depth == 1
        assert [texts[at] for at in kernels] == [kernel_text((op,)) for op in chain.ops()]
        assert ms == pytest.approx(phone_needs.kernels.ms[kernels].sum())


def test_reference_networks_fit_by_their_kinds(drawn: list[Architecture]) -> None:
    found = fitting_zoo(drawn)
    assert "fbnet_c" in found and "mobilenet_v2" not in found  # that has relu6
    assert "mobilenet_v2" in fitting_zoo([*drawn, Architecture.from_text(WITH_SEPARABLE)])


def test_networks_with_gates_do_not_fit_a_space_without(drawn: list[Architecture]) -> None:
    separable = Architecture.from_text(WITH_SEPARABLE)
    assert "mnasnet_a1" in fitting_zoo([*drawn, separable])
    plain = [one for one in drawn if "_se" not in one.to_text()]
    assert plain and "fbnet_c" in fitting_zoo(plain)
    assert "mnasnet_a1" not in fitting_zoo([*plain, separable])


WITH_SEPARABLE = (
    "32x32 stem_k3_s2_c8_relu6 | ds_k3_s1_c8_relu6 | ir_k3_s2_e6_c16_relu6 | head_c32_relu6"
)


def test_no_architectures_is_an_error() -> None:
    with pytest.raises(InputError, match="architectures"):
        find_needs([], parse_target("host/cpu@torch-eager"))


def test_a_guess_grows_with_work_and_with_slower_units() -> None:
    texts = ("conv 8x8x8 -> 8x8x8", "conv 64x8x8 -> 64x8x8", "conv 64x8x8 -> 64x8x8 k3")
    table = KernelTable.of([kernel_from_text(text) for text in texts])
    cpu, gpu, ane = (rough_ms(table, unit) for unit in ("cpu", "gpu", "ane"))
    assert all(one < other for one, other in pairwise(cpu.tolist()))
    assert (cpu > gpu).all() and (gpu > ane).all() and (ane > 0).all()


def test_seconds_are_loading_warming_up_and_calls() -> None:
    phone, host = parse_target("iphone-13/ane"), parse_target("host/cpu@torch-eager")
    assert timing_seconds(phone, "op", 0.1) == pytest.approx(1.5 + 1 + 200 * 1e-4)
    assert timing_seconds(phone, "network", 20.0) == pytest.approx(1.5 + 1 + 2)
    assert timing_seconds(phone, "network", 500.0) == pytest.approx(1.5 + 5 + 25)
    assert timing_seconds(host, "network", 10.0) == pytest.approx(0.9)
    assert timing_seconds(host, "op", 1.0) == pytest.approx(0.36)


def test_descriptions_are_of_the_networks(phone_needs: Needs, drawn: list[Architecture]) -> None:
    ms, count, slow, px = np.exp(phone_needs.networks.described).T
    ops = OpTable.of(drawn[0].ops())
    assert (ms[0], count[0]) == pytest.approx((phone_needs.networks.ms[0], len(ops)))
    assert slow[0] == pytest.approx(1 + ops.has_act("hswish", "hsigmoid", "sigmoid").sum())
    assert px[0] == pytest.approx(drawn[0].resolution[0] ** 2)
