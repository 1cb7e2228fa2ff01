"""A target fitted to timings per op: what is chosen, what is known, what was compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from palmette.latency import LatencyPredictor, parse_target
from palmette.latency.effects import CHANGES, RESOLUTION_REACH
from palmette.latency.per_op.kernels import KernelTable
from palmette.latency.per_op.network_cost import TimedKernels, choose
from palmette.latency.per_op.op_cost import STRICT_MODELS
from palmette.latency.per_op.op_fit import LEAST_SHAPES, OpFit, fit_op_target, fit_ops, support
from palmette.latency.per_op.op_timings import OpTimings, gather
from palmette.latency.timings import INCOMPLETE
from palmette.space import CompiledSpace, InputError, Op

Read = Callable[[Sequence[str]], pd.DataFrame]


def test_the_model_is_chosen_on_networks_and_all_that_were_compared_are_told(
    made_fit: OpFit,
) -> None:
    fitted = made_fit.fitted
    assert list(fitted.compared) == list(STRICT_MODELS) == list(made_fit.models)
    best = choose(made_fit.models, made_fit.timings.kernels)
    assert fitted.model.name == best.name
    assert fitted.held_out_errors == dict(
        zip(made_fit.timings.names, best.errors.tolist(), strict=True)
    )
    for name, mape in fitted.compared.items():
        assert mape == made_fit.models[name].held_out_mape < 3
    assert fitted.left_out == ()


def test_a_target_may_be_fitted_with_one_op_model_alone(
    made_rows: pd.DataFrame, made_phone: Any, made_fit: OpFit
) -> None:
    predictor = LatencyPredictor(made_phone.target, ("power",)).fit(made_rows)
    assert predictor.model_name == "power" and list(predictor.compared_) == ["power"]
    expected = fit_ops(made_fit.timings, made_fit.models["power"])
    assert predictor.timings_hash_ == expected.timings_hash
    assert predictor.predict(["fbnet_c"]) == pytest.approx(
        expected.model.predict([_ops("fbnet_c")])
    )
    assert predictor.to_dict()["compared"] == dict(predictor.compared_)


def _ops(name: str) -> Any:
    from palmette.latency.op_lists import network_ops
    from palmette.space import OpTable

    return OpTable.of(network_ops(name))


def test_an_unknown_op_model_is_refused(made_rows: pd.DataFrame, made_phone: Any) -> None:
    with pytest.raises(InputError, match="unknown op models: .*forest"):
        LatencyPredictor(made_phone.target, ("forest",)).fit(made_rows)


def test_whole_families_are_held_out_not_networks(made_fit: OpFit) -> None:
    uncertainty = made_fit.fitted.uncertainty
    assert "families" in uncertainty.method
    assert uncertainty.networks == (4, 4)  # twenty networks of four families count as four


def test_a_network_left_out_is_not_calibrated_on_and_said(
    made_rows: pd.DataFrame, made_phone: Any
) -> None:
    rows = made_rows.assign(flags=np.where(made_rows["subject"] == "net7", INCOMPLETE, ""))
    predictor = LatencyPredictor(made_phone.target, ("parametric",)).fit(rows)
    assert predictor.left_out_ == ("network net7: one of its timed ops is missing",)
    assert len(predictor.held_out_errors_) == 19 and "net7" not in predictor.held_out_errors_
    assert predictor.model_.networks == 19


def test_the_hash_changes_with_any_timing_and_not_with_the_order_of_rows(
    made_rows: pd.DataFrame, made_phone: Any
) -> None:
    from palmette.latency.per_op.op_fit import _digest

    target = parse_target(made_phone.target)
    base = _digest(gather(made_rows, target))
    assert len(base) == 16
    for kind in ("op", "network"):
        place = made_rows.index[made_rows["subject_kind"] == kind][5]
        changed = made_rows.copy()
        changed.loc[place, "latency_ms"] *= 1.01
        assert _digest(gather(changed, target)) != base
    first = made_rows[made_rows["subject_kind"] == "network"].sample(frac=1, random_state=0)
    rest = made_rows[made_rows["subject_kind"] == "op"]
    assert _digest(gather(pd.concat([rest, first]), target)) == base


def test_effects_span_the_fits_without_each_fold(made_fit: OpFit) -> None:
    effects = {effect.name: effect for effect in made_fit.fitted.effects}
    assert list(effects) == list(CHANGES)
    for effect in effects.values():
        assert effect.low <= effect.change <= effect.high
    for name in ("kernel 3->5", "width +25%", "depth +1 per stage", "resolution 224->256"):
        assert effects[name].change > 0
    assert effects["width -25%"].change < 0 and effects["expansion 6->3"].change < 0


# What the timings can tell


def timed(*texts: str) -> TimedKernels:
    kernels = KernelTable.of([(Op.from_text(text),) for text in texts])
    return TimedKernels(kernels, np.ones(len(texts)), np.full(len(texts), ""))


def depthwise(kernel: int, count: int, act: str = "relu") -> list[str]:
    return [
        f"conv {8 * n}x14x14 -> {8 * n}x14x14 k{kernel} g{8 * n} {act}" for n in range(1, count + 1)
    ]


def test_a_choice_is_identified_by_enough_shapes_of_it() -> None:
    found = support(timed(*depthwise(3, LEAST_SHAPES), *depthwise(5, LEAST_SHAPES - 1, "swish")))
    assert found.kernels == (3,) and found.activations == ("relu",)
    assert not found.squeeze_excitation
    again = support(timed(*depthwise(5, LEAST_SHAPES - 1), *depthwise(5, LEAST_SHAPES - 1)))
    assert again.kernels == ()  # a shape counts once, however often it was timed


def test_gates_are_products_by_themselves_or_behind_a_kernel() -> None:
    products = [f"mul {n}x7x7 + {n}x1x1 -> {n}x7x7" for n in range(1, LEAST_SHAPES + 1)]
    assert support(timed(*products)).squeeze_excitation
    behind = KernelTable.of(
        [
            tuple(
                map(Op.from_text, (f"conv {n}x7x7 -> {n}x7x7", f"mul {n}x7x7 + {n}x7x7 -> {n}x7x7"))
            )
            for n in range(1, LEAST_SHAPES + 1)
        ]
    )
    assert support(replace(timed(*products), kernels=behind)).squeeze_excitation


def test_resolutions_are_those_of_the_first_convolutions() -> None:
    images = [f"conv 3x{side}x{side} -> 8x{side}x{side}" for side in (160, 224)]
    found = support(timed(*images, *depthwise(3, 2)))
    assert found.resolutions == (round(160 / RESOLUTION_REACH), round(224 * RESOLUTION_REACH))
    without = support(timed(*depthwise(3, 2)))
    assert without.resolutions == (round(14 / RESOLUTION_REACH), round(14 * RESOLUTION_REACH))


def test_networks_that_were_timed_whole_show_sides_of_images_too() -> None:
    stem = [Op("conv", ((3, 2 * n, 2 * n),), (16, n, n), (3, 3), (2, 2)) for n in (40, 112)]
    found = support(timed(*depthwise(3, 2)), KernelTable.of([(op,) for op in stem]))
    assert found.resolutions == (round(80 / RESOLUTION_REACH), round(224 * RESOLUTION_REACH))


# Chains


@pytest.mark.sweep
@pytest.mark.parametrize("with_ops", [True, False], ids=["with ops", "chains alone"])
def test_a_planted_phone_is_recovered_from_chains(
    small: CompiledSpace, made_phone_of: Any, made_table: Read, with_ops: bool
) -> None:
    from palmette.latency.chains import Chain

    call_ms = 0.05
    phone = made_phone_of("made-host/cpu@plain", 1.0, call_ms)
    codes = small.space.sample(28, np.random.default_rng(4))
    networks = small.space.decode_batch(codes)
    rows = [
        phone.row("network", net.to_text(), phone.ms(net.ops()), "", f"family{at % 4}")
        for at, net in enumerate(networks[:8])
    ]
    for channels, side in ((8, 50), (16, 48), (16, 25), (24, 25), (24, 24)):
        for block in (
            f"ir_r1_k5_s1_e3_c{channels}_relu6",
            f"ir_r1_k3_s1_e3_c{channels}_hswish_se0.25",
            f"ds_r1_k3_s1_c{channels}_relu6",
            f"cn_r1_k3_s1_c{channels}_hswish",
        ):
            for depth in (2, 6):
                chain = Chain.from_text(f"{depth}*({block})@{side}x{side}x{channels}")
                ms = float(phone.kernel_ms([(op,) for op in chain.ops()]).sum()) + call_ms
                rows.append(phone.row("chain", chain.to_text(), ms))
    if with_ops:
        ops = list(dict.fromkeys(op for net in networks[:8] for op in net.ops()))
        times = phone.kernel_ms([(op,) for op in ops]) + call_ms
        pairs = zip(ops, times.tolist(), strict=True)
        rows += [phone.row("op", op.to_text(), ms) for op, ms in pairs]
    found = fit_op_target(made_table(rows), parse_target(phone.target), ("parametric", "power"))
    assert found.timings.call_ms == pytest.approx(call_ms, rel=1e-3)
    fresh = networks[8:]
    true = np.array([phone.ms(net.ops()) for net in fresh])
    predicted = found.fitted.model.predict([_table(net.ops()) for net in fresh])
    error = np.abs(predicted / true - 1)
    # chains show no strided kernel, no image and no classifier: all guessed from their like
    assert error.mean() < (0.05 if with_ops else 0.12)
    assert math.isfinite(found.fitted.uncertainty.spread[0])


def _table(ops: Sequence[Op]) -> Any:
    from palmette.space import OpTable

    return OpTable.of(ops)


def test_timings_know_all_their_kernels(made_fit: OpFit, made_rows: pd.DataFrame) -> None:
    timings: OpTimings = made_fit.timings
    assert len(timings.kernels) == (made_rows["subject_kind"] == "op").sum()
    assert timings.sums.shape == (20, 6)
