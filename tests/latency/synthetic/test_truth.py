import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.latency.chains import Chain
from palmette.latency.synthetic import DEVICE, MACHINE, RUNTIME, SOURCE, is_synthetic, target_of
from palmette.latency.synthetic.truth import truth, truth_ms, truth_of_codes
from palmette.latency.synthetic.units import TRANSFER_MS, UNITS
from palmette.latency.targets import TARGETS, parse_target
from palmette.space import InputError, Op, SearchSpace, compile_space

SPACE = """
format = "palmette/space@1"
[network]
resolution = [32, 40]
activation = ["relu", "hswish"]
[stem]
channels = [8, 16]
[[stages]]
stride = 2
channels = [12, 24]
kernel = [3, 5, 7]
expansion = [2, 3]
depth = [1, 2]
se = [0, 0.25]
[head]
channels = 32
"""


def conv(channels: int, out: int, side: int = 56, kernel: int = 1, groups: int = 1) -> Op:
    shape = (channels, side, side)
    return Op("conv", (shape,), (out, side, side), (kernel, kernel), groups=groups)


def test_a_call_of_one_convolution_by_hand() -> None:
    macs, moved = 64 * 64 * 56 * 56, 2 * (2 * 64 * 56 * 56 + 64 * 65)
    kernel_ms = 0.002 + max(macs / 2.5e9, moved / 120e6)
    assert truth_ms([conv(64, 64)]) == pytest.approx(0.12 + kernel_ms, rel=1e-12)


@pytest.mark.parametrize(("unit", "lanes"), [("ane", 16), ("gpu", 8), ("cpu", 4)])
def test_channels_cost_as_much_as_whole_lanes_of_them(unit: str, lanes: int) -> None:
    busy = [truth([conv(c, c, 64, 5)], unit).busy_ms for c in (lanes + 1, 2 * lanes, 2 * lanes + 1)]
    assert busy[1] == pytest.approx(busy[0], rel=0.02)  # weights are not filled up
    assert busy[2] > 1.3 * busy[1]


def test_windows_of_depthwise_convolutions_cost_steps() -> None:
    busy = [truth([conv(256, 256, 28, k, 256)]).busy_ms for k in (2, 3, 4, 5, 6, 7)]
    for within, beyond in ((1, 2), (3, 4)):
        assert busy[within] == pytest.approx(busy[within - 1]) and busy[beyond] > 1.2 * busy[within]
    assert busy[5] == pytest.approx(busy[4])


def test_a_kernel_that_does_not_fit_on_the_chip_moves_at_a_slower_rate() -> None:
    act = [Op("act", ((c, 112, 112),), (c, 112, 112), act="relu") for c in (32, 48)]
    small, large = (truth([op]).busy_ms - UNITS["ane"].start_ms for op in act)
    assert large == pytest.approx(1.5 * 48 / 32 * small)


def test_an_addition_behind_its_convolution_costs_what_it_reads() -> None:
    add = Op("add", ((64, 56, 56),) * 2, (64, 56, 56))
    joined, alone = truth([conv(64, 64), add]), truth([add])
    assert joined.op_ms[1] == pytest.approx(2 * 64 * 56 * 56 / 120e6)
    assert alone.busy_ms == pytest.approx(0.002 + 3 * joined.op_ms[1])


def test_ops_that_the_neural_engine_refuses_run_on_the_cpu_and_pay_for_the_way() -> None:
    middle = Op("permute", ((64, 56, 56),), (64, 56, 56))
    found = truth([conv(64, 64), middle, conv(64, 64)])
    assert found.units == ("ane", "cpu", "ane") and found.changes == 2
    assert found.idle_ms == pytest.approx(0.12 + 2 * TRANSFER_MS)
    assert found.op_ms[1] == truth([middle], "cpu").busy_ms


def test_an_op_that_is_kept_off_the_neural_engine_costs_the_way_there_and_back() -> None:
    ops = [conv(64, 64)] * 5
    kept = [truth(ops, forced=range(1, 1 + count)) for count in (0, 1, 2)]
    assert [one.changes for one in kept] == [0, 2, 2]
    on_cpu, on_ane = truth(ops[:1], "cpu").busy_ms, truth(ops[:1]).busy_ms
    assert kept[1].ms() - kept[0].ms() == pytest.approx(2 * TRANSFER_MS + on_cpu - on_ane)


def test_the_floor_of_a_network_that_runs_on_the_cpu_alone_is_the_cpus() -> None:
    found = truth([Op("softmax", ((10,),), (10,))])
    assert found.units == ("cpu",) and found.idle_ms == UNITS["cpu"].floor_ms


def test_without_a_pause_busy_units_slow_down_with_their_share_of_the_time() -> None:
    little, much, most = (truth([conv(c, c)] * n) for c, n in ((64, 2), (128, 20), (256, 20)))
    assert little.ms("sustained") == little.ms() and little.busy_ms < little.idle_ms
    assert 1.2 < much.ms("sustained") / much.ms() < most.ms("sustained") / most.ms() < 1.75
    for cost in (much, most):
        busy_ms = cost.ms("sustained") - cost.idle_ms
        heat = busy_ms / cost.ms("sustained")
        assert busy_ms / cost.busy_ms == pytest.approx(1 + 1.5 * (heat - 0.5))


def test_thirty_calls_a_second_of_a_small_network_only_wake_the_unit() -> None:
    ops = [conv(64, 64)] * 20
    assert truth_ms(ops, mode="paced") == pytest.approx(truth_ms(ops) + UNITS["ane"].wake_ms)


@settings(max_examples=30)
@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([1, 3, 5, 7]))
def test_more_work_never_costs_less(channels: int, out: int, kernel: int) -> None:
    less = [truth_ms([conv(channels, out, 14, kernel)], unit) for unit in UNITS]
    for more in (
        conv(channels + 1, out, 14, kernel),
        conv(channels, out + 1, 14, kernel),
        conv(channels, out, 15, kernel),
        conv(channels, out, 14, kernel + 2),
    ):
        assert all(
            truth_ms([more], unit) > 0.999999 * ms for unit, ms in zip(UNITS, less, strict=True)
        )


def test_a_compiled_space_has_the_truth_of_every_network(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    space = SearchSpace.from_toml(SPACE, "tiny")
    compiled = compile_space(space, tmp_path_factory.mktemp("cache"))
    codes = space.sample(12, np.random.default_rng(0))
    for mode in ("burst", "sustained", "paced"):
        alone = [truth_ms(one.ops(), mode=mode) for one in space.decode_batch(codes)]
        assert truth_of_codes(compiled, codes, mode=mode) == pytest.approx(alone, rel=1e-12)


def test_a_space_whose_ops_leave_the_unit_has_no_table() -> None:
    space = SearchSpace.from_toml(SPACE.replace('"hswish"', '"gelu"'), "tiny")
    with pytest.raises(InputError, match="leave the ane"):
        truth_of_codes(compile_space(space), np.zeros((1, len(space.genes)), dtype=np.int64))


def test_unknown_units_and_empty_networks_are_refused() -> None:
    with pytest.raises(InputError, match="unit must be one of ane, gpu, cpu, got 'npu'"):
        truth([conv(8, 8)], "npu")
    with pytest.raises(InputError, match="no ops"):
        truth([])
    with pytest.raises(InputError, match="mode must be one of"):
        truth([conv(8, 8)]).ms("hot")


def test_the_slope_of_a_chain_is_its_block_and_the_rest_the_floor() -> None:
    two, six = (Chain.from_text(f"{n}*(ir_k3_s1_e6_c24_relu)@28x28x24").ops() for n in (2, 6))
    slope = (truth_ms(six) - truth_ms(two)) / 4
    assert truth_ms(two) - 2 * slope == pytest.approx(UNITS["ane"].floor_ms)


def test_everything_of_it_is_labelled() -> None:
    assert all(map(is_synthetic, (DEVICE, RUNTIME, MACHINE, SOURCE, target_of("ane"))))
    assert str(parse_target(target_of("gpu"))) == "synthetic-phone/gpu@synthetic"
    assert not any(map(is_synthetic, [*TARGETS, "iPhone12,1"]))
