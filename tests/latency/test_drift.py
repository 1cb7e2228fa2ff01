"""Two tables of one device, made with a known truth: what moved is found, and noise is not."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from palmette import cli
from palmette.latency import SUSTAINED, load_predictor
from palmette.latency.drift import Chosen, compare, kept_budgets
from palmette.latency.drift.budget import BY_OPS, FITTED, TIMED, UNKNOWN
from palmette.latency.drift.compare import UnitComparison, adjusted
from palmette.latency.drift.noise import LEAST_SPREAD, RUN_SPREAD, calls_open, noise_of
from palmette.latency.drift.pairs import network_id, paired, sort_of
from palmette.latency.passports import COLUMNS, typical_ms
from palmette.latency.timings import RULES
from palmette.space import MOBILENET_LIKE, InputError, load

IOS16, IOS18 = "iphone-13/ane@coreml-ios16", "iphone-13/ane@coreml-ios18"
NOISE = 0.03
DRAWS = 200

OPS = [
    text
    for c in (16, 64, 128)
    for s in (7, 14, 28)
    for text in (
        f"conv {c}x{s}x{s} -> {c}x{s}x{s} k3 g{c}",
        f"conv {c}x{s}x{s} -> {2 * c}x{s}x{s}",
        f"conv {c}x{s}x{s} -> {c}x{s}x{s} k3",
    )
]
TRUE_MS = dict(
    zip(OPS, np.exp(np.random.default_rng(7).uniform(-1.5, 1.5, len(OPS))).tolist(), strict=True)
)
Change = Callable[[str, float], float]


def framed(rows: Sequence[dict[str, Any]], **cells: Any) -> pd.DataFrame:
    """A table as `read_timings` gives it."""
    table = pd.DataFrame([{"source": "me", "target": IOS16, **row, **cells} for row in rows])
    blank = {name: math.nan if name.endswith("_ms") else "" for name in RULES}
    return table.assign(**{name: blank[name] for name in RULES if name not in table})[list(RULES)]


def timed(
    seed: int,
    change: Change = lambda _, ms: ms,
    *,
    noise: float = NOISE,
    anchors: int = 4,
    **cells: Any,
) -> pd.DataFrame:
    """The ops on a phone with noise; every sixth is an anchor that is timed `anchors` times."""
    table = untimed(anchors)
    true = np.array([change(text, TRUE_MS[text]) for text in table["subject"]])
    off = np.exp(noise * np.random.default_rng(seed).standard_normal(len(table)))
    return table.assign(latency_ms=true * off, **cells)


@cache
def untimed(anchors: int) -> pd.DataFrame:
    """The table without its milliseconds."""
    names = [name for at, name in enumerate(OPS) for _ in range(1 if at % 6 else anchors)]
    return framed([{"subject_kind": "op", "subject": name} for name in names])


def compared(seed: int, change: Change, **options: Any) -> UnitComparison:
    (unit,) = compare(timed(2 * seed, **options), timed(2 * seed + 1, change, **options)).units
    return unit


def same(_: str, ms: float) -> float:
    return ms


# What moved


def test_no_change_is_not_reported_in_95_of_100_draws() -> None:
    reported = [compared(seed, same).moved for seed in range(DRAWS)]
    assert sum(reported) <= 0.05 * DRAWS


@pytest.mark.parametrize("anchors", [1, 4])
def test_one_factor_is_found_for_what_it_is(anchors: int) -> None:
    units = [compared(seed, lambda _, ms: 1.15 * ms, anchors=anchors) for seed in range(20)]
    factors = [unit.causes.factor for unit in units if unit.causes]
    assert all(1.1 < factor.value < 1.2 for factor in factors)
    assert sum(factor.lower < 1.15 < factor.upper for factor in factors) >= 17
    verdicts = [unit.verdict for unit in units]
    assert verdicts.count("moved: everything by one factor") >= 19


def test_a_floor_that_rose_is_found_with_its_milliseconds() -> None:
    for seed in range(10):
        causes = compared(seed, lambda _, ms: ms + 0.15).causes
        assert causes is not None and causes.floor_ms is not None and not causes.factor_moved
        assert causes.floor_ms.value == pytest.approx(0.15, abs=0.03)
        assert "factor" not in compared(seed, lambda _, ms: ms + 0.15).verdict


def test_a_floor_that_fell_is_found_too() -> None:
    causes = compared(1, lambda _, ms: ms - 0.1).causes
    assert causes is not None and causes.floor_ms is not None
    assert causes.floor_ms.value == pytest.approx(-0.1, abs=0.02)


def test_ops_timed_inside_networks_have_no_floor_of_their_own() -> None:
    tables = [timed(seed, part_of="net") for seed in (1, 2)]
    (unit,) = compare(tables[0], tables[1].assign(latency_ms=tables[1]["latency_ms"] + 0.15)).units
    assert unit.causes is not None and unit.causes.floor_ms is None


def test_a_kind_of_op_that_moved_is_named_and_the_others_are_not() -> None:
    def change(text: str, ms: float) -> float:
        return 1.3 * ms if sort_of("op", text) == "depthwise" else ms

    for seed in range(10):
        causes = compared(seed, change).causes
        assert causes is not None and set(causes.kinds) == {"depthwise"}
        assert causes.kinds["depthwise"].value == pytest.approx(1.3, rel=0.06)
        assert not causes.factor_moved


def test_a_factor_a_kind_and_the_floor_are_told_apart() -> None:
    def change(text: str, ms: float) -> float:
        return 0.8 * ms * (1.4 if sort_of("op", text) == "dense conv" else 1) + 0.1

    causes = compared(3, change).causes
    assert causes is not None and causes.floor_ms is not None
    assert causes.factor.value == pytest.approx(0.8, rel=0.05) and causes.factor_moved
    assert causes.kinds["dense conv"].value == pytest.approx(1.4, rel=0.06)
    assert causes.floor_ms.value == pytest.approx(0.1, abs=0.03)


def test_nothing_moved_between_a_table_and_itself() -> None:
    unit = compare(timed(1), timed(1)).units[0]
    assert not unit.moved and unit.verdict == "nothing moved beyond noise"
    json.dumps(unit.to_dict(), allow_nan=False)


def test_units_are_compared_each_by_itself_and_counted_together() -> None:
    def units(seed: int, change: Change) -> pd.DataFrame:
        gpu = IOS16.replace("ane", "gpu")
        return pd.concat([timed(seed), timed(seed + 1, change, target=gpu)])

    found = compare(units(20, same), units(30, lambda _, ms: 1.3 * ms)).units
    assert [unit.found.name for unit in found] == ["iphone-13/ane", "iphone-13/gpu"]
    assert [unit.moved for unit in found] == [False, True]
    p = np.array([row.p for unit in found for row in unit.rows])
    assert [row.q for unit in found for row in unit.rows] == pytest.approx(adjusted(p).tolist())


def test_a_small_factor_is_one_that_runs_always_differ_by() -> None:
    unit = compared(4, lambda _, ms: 1.04 * ms, noise=0.01)
    assert not unit.moved and "within the 8% that one phone's runs differ by" in unit.verdict
    factor = unit.to_dict()["factor"]
    assert factor["within_runs"] and not factor["moved"]


def test_one_thing_that_moved_by_itself_is_named() -> None:
    def change(text: str, ms: float) -> float:
        return 1.5 * ms if text == OPS[10] else ms

    unit = compared(5, change)
    assert [row.pair.key[1] for row in unit.rows if row.moved] == [OPS[10]]
    assert unit.verdict == f"moved: 1 of {len(OPS)} things, each by itself"
    (row,) = [row for row in unit.rows if row.moved]
    assert row.lower < 1.5 < row.upper and row is unit.rows[0]


def test_a_thing_that_changed_its_unit_is_told_apart_from_all_others() -> None:
    tables = [timed(seed, placement="ane") for seed in (1, 2)]
    moved = tables[1]["subject"].isin(OPS[:6])
    tables[1].loc[moved, "latency_ms"] *= 5
    tables[1].loc[moved, "placement"] = "gpu"
    found = compare(*tables).units[0].to_dict()
    changed = found["placement_changed"]
    assert {row["subject"] for row in changed} == set(OPS[:6])
    assert {(row["first"], row["second"]) for row in changed} == {("ane", "gpu")}
    assert found["factor"]["value"] == pytest.approx(1, abs=0.03) and not found["factor"]["moved"]


@pytest.mark.parametrize(
    ("a", "b", "moved"),
    [
        ("ane 52, cpu 3", "ane 52, cpu 3", False),
        ("ane 52, cpu 3", "ane 51, cpu 3", False),  # another converter counts one op less
        ("ane 52, cpu 3", "ane 48, cpu 7", True),
        ("ane 52", "gpu 52", True),
        ("ane", "gpu", True),
        ("", "gpu 52", False),
    ],
)
def test_a_unit_has_changed_if_a_share_of_the_ops_ran_elsewhere(
    a: str, b: str, moved: bool
) -> None:
    tables = [timed(1, placement=text)[:1] for text in (a, b)]
    assert compare(*tables).units[0].rows[0].pair.moved_unit == moved


def test_few_pairs_say_only_what_each_did() -> None:
    few = timed(1)[:1], timed(2)[:1]
    (unit,) = compare(*few).units
    assert unit.causes is None and unit.verdict.startswith("too few pairs")
    (unit,) = compare(few[0], few[1].assign(latency_ms=9.0)).units
    assert unit.verdict == "moved: 1 of 1 things, each by itself"


def test_swapping_the_tables_turns_all_ratios_over() -> None:
    first, second = timed(1), timed(2, lambda _, ms: 1.2 * ms)
    there, back = (compare(*pair).units[0] for pair in ((first, second), (second, first)))
    ratios = [
        {row.pair.key: (row.pair.ratio, row.p) for row in unit.rows} for unit in (there, back)
    ]
    for key, (ratio, p) in ratios[0].items():
        assert ratios[1][key] == (pytest.approx(1 / ratio), pytest.approx(p))
    assert there.causes is not None and back.causes is not None
    assert there.causes.factor.value * back.causes.factor.value == pytest.approx(1, abs=0.01)
    assert there.verdict == back.verdict


# Noise


def test_noise_is_the_spread_of_repeats_pooled() -> None:
    low, high = 1.0, math.exp(0.2)  # each pair is 0.1 off its mean: variance 0.02 with one degree
    noise = noise_of([[low, high]] * 5 + [[7.0]])
    assert noise.measured and noise.dof == 5
    assert noise.spread == pytest.approx(math.sqrt(0.02))
    assert noise.of(4, 0.0) == pytest.approx(math.sqrt(0.02) / 2)


def test_repeats_that_are_all_equal_leave_some_noise() -> None:
    assert noise_of([[1.0, 1.0]] * 9).spread == LEAST_SPREAD


def test_noise_is_what_is_known_of_phones_where_a_table_repeats_little() -> None:
    noise = noise_of([[1.0, 1.0001]] * 4)
    assert noise.spread == RUN_SPREAD and not noise.measured
    assert noise.of(4, 0.0) == RUN_SPREAD  # nobody knows whether repeats in one run make it less
    assert noise.of(1, 0.5) == 0.5


def test_what_calls_leave_open_is_the_standard_error_of_their_median() -> None:
    p90 = math.exp(2.5631031310892007)  # deciles one standard deviation of the log apart each
    assert calls_open(1.0, p90, "1") == pytest.approx(1.2533, abs=1e-4)
    assert calls_open(1.0, p90, "100") == pytest.approx(0.12533, abs=1e-5)
    assert calls_open(math.nan, 2.0, "100") == calls_open(2.0, 1.0, "") == 0.0


def test_p_values_are_adjusted_as_benjamini_and_hochberg_do() -> None:
    p = np.array([0.03, 0.01, 0.5, 0.02])
    assert adjusted(p).tolist() == pytest.approx([0.04, 0.04, 0.5, 0.04])


def test_without_repeats_a_single_thing_must_move_far() -> None:
    def change(by: float) -> Change:
        return lambda text, ms: by * ms if text == OPS[10] else ms

    few = compared(5, change(1.15), anchors=1, noise=0.01)
    assert not few.moved
    far = compared(5, change(2.0), anchors=1, noise=0.01)
    assert [row.pair.key[1] for row in far.rows if row.moved] == [OPS[10]]


# What is compared


def test_the_same_thing_on_two_runtimes_is_compared_and_said() -> None:
    found = compare(timed(1, os_build="20G75"), timed(2, target=IOS18, os_build="22B91"))
    assert found.to_dict()["units"][0]["targets"] == [IOS16, IOS18]
    assert ("os_build", ["20G75"], ["22B91"]) in found.passports


def test_two_devices_or_two_runtimes_of_one_are_refused() -> None:
    with pytest.raises(InputError, match="the first table is of iphone-13/ane, the second of ipho"):
        compare(timed(1), timed(2, target="iphone-12/ane@coreml-ios16"))
    both = pd.concat([timed(1), timed(2, target=IOS18)])
    with pytest.raises(InputError, match="second table has timings of .*ios16 and of .*ios18"):
        compare(timed(1), both)


def test_what_was_timed_otherwise_is_no_pair() -> None:
    image = timed(2, input_kind="image", requested_units="cpuAndNeuralEngine")
    tensor = timed(1, input_kind="tensor", requested_units="ane")  # two names of one unit
    image.loc[0, "input_kind"] = "tensor"
    image.loc[1:, "input_kind"] = ["image"] * (len(image) - 1)
    image = image[~image["subject"].isin([OPS[0]]) | (image.index == 0)]
    unit = compare(tensor, image).units[0]
    assert [row.pair.key[1] for row in unit.rows] == [OPS[0]]
    words = "input_kind is tensor in the first table, but image in the second"
    assert len(unit.found.left_out) == len(OPS) - 1 and words in unit.found.left_out[0]
    gpu = IOS16.replace("ane", "gpu")
    both = [pd.concat([timed(seed, target=gpu), part]) for seed, part in ((8, tensor), (9, image))]
    both[1] = both[1][~((both[1]["input_kind"] == "tensor") & (both[1]["target"] == IOS16))]
    ane, other = compare(*both).units  # told, if nothing of a unit can be compared
    assert len(ane.rows) == 0 and len(ane.found.left_out) == len(OPS) - 1 and len(other.rows) > 9
    with pytest.raises(InputError, match="nothing to compare: .*input_kind is tensor"):
        compare(tensor, image[image["input_kind"] == "image"])


def test_repeats_with_a_whole_passport_count_as_they_do_in_a_fit() -> None:
    whole = dict.fromkeys(COLUMNS, "1")
    rows = [network_rows(mobilenet_v2=ms)[0] for ms in (1.0, 4.0)]
    twice = framed([{**rows[0], **whole}, {**rows[1], **dict.fromkeys(COLUMNS, "")}])
    (pair,) = paired(twice, twice)[0].pairs
    assert pair.a.ms == pytest.approx(4 ** (1 / 3)) == pytest.approx(typical_ms(twice))


def test_what_only_one_table_has_is_counted() -> None:
    few = timed(2)
    unit = compare(timed(1), few[few["subject"].isin(OPS[3:])]).units[0]
    assert unit.found.alone == (3, 0) and len(unit.rows) == len(OPS) - 3


def test_kinds_of_ops_and_blocks_have_names() -> None:
    sorts = [sort_of("op", text) for text in OPS[:3]]
    assert sorts == ["depthwise", "pointwise conv", "dense conv"]
    assert sort_of("chain", "4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24") == "block ir"
    assert sort_of("op", "pool 8x9x9 -> 8x9x9 k3") == "pool"
    assert sort_of("network", "mobilenet_v2") == "network"
    assert sort_of("probe", "4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24 + 3*hswish@fp32") == "probe"


def test_sustained_times_are_compared_by_themselves() -> None:
    first, second = (timed(seed).assign(latency_ms=1.0) for seed in (1, 2))
    first["sustained_ms"], second["sustained_ms"] = (
        timed(1)["latency_ms"],
        1.5 * timed(2)["latency_ms"],
    )
    assert not compare(first, second).units[0].moved
    (unit,) = compare(first, second, SUSTAINED).units
    assert unit.causes is not None and unit.causes.factor.value == pytest.approx(1.5, rel=0.03)


# Budgets


@pytest.fixture(scope="module")
def slower() -> UnitComparison:
    """A phone on which everything takes 1.3 times as long."""
    return compared(6, lambda _, ms: 1.3 * ms)


V2 = Chosen("mobilenet_v2", "mobilenet_v2", 0.70, 0.80)


def network_rows(**ms: float) -> list[dict[str, Any]]:
    return [
        {"subject_kind": "network", "subject": name, "latency_ms": one} for name, one in ms.items()
    ]


def test_a_network_that_was_timed_again_is_judged_by_that() -> None:
    first, second = timed(1, anchors=1), timed(2, anchors=1)
    second = pd.concat([second, framed(network_rows(mobilenet_v2=0.85))])
    text = load("mobilenet_v2").to_text()
    chosen = [Chosen("pick", text, 0.7, 0.8)]
    unit = compare(first, second).units[0]
    for budget, kept in ((1.0, True), (0.86, False)):
        (found,) = kept_budgets(unit, second, chosen, budget, 0.8)
        assert (found.how, found.after_ms) == (TIMED, pytest.approx(0.85))
        # 0.8416 standard deviations above the middle of a normal distribution lie 20 %
        assert found.after_at_confidence == pytest.approx(
            0.85 * math.exp(0.8416 * RUN_SPREAD), 1e-3
        )
        assert (found.kept_before, found.kept) == (True, kept)


def test_a_network_that_nobody_timed_is_judged_by_its_ops(slower: UnitComparison) -> None:
    predictor = load_predictor(IOS16)
    (found,) = kept_budgets(slower, timed(13), [V2], 0.85, 0.8, predictor)
    assert found.how == BY_OPS
    assert found.after_ms == pytest.approx(1.3 * 0.70, rel=0.03)
    assert found.after_at_confidence == pytest.approx(1.3 * 0.80, rel=0.05)
    assert (found.kept_before, found.kept) == (True, False)


def test_ops_that_were_timed_twice_count_as_they_were_timed() -> None:
    ops = [op.to_text() for op in load("mobilenet_v2").ops()]
    first = framed(
        [{"subject_kind": "op", "subject": text, "latency_ms": 1.0} for text in dict.fromkeys(ops)]
    )
    (unit,) = compare(first, first.assign(latency_ms=1.5)).units
    predictor = load_predictor(IOS16)
    (found,) = kept_budgets(unit, first, [V2], 0.9, 0.8, predictor)
    assert found.after_ms == pytest.approx(1.5 * 0.70, rel=1e-6)
    share = float(predictor.breakdown("mobilenet_v2")["share"].sum())
    assert found.note == f"{share:.0%} of its time is in ops timed twice"
    inside = [first.assign(part_of=name) for name in ("one", "another")]
    ratios = zip(inside, (1.2, 1.5 * 1.5 / 1.2), strict=True)
    after = pd.concat([rows.assign(latency_ms=ratio) for rows, ratio in ratios])
    (unit,) = compare(pd.concat(inside), after).units
    (found,) = kept_budgets(unit, first, [V2], 0.9, 0.8, predictor)
    assert unit.causes is not None
    rest = (1 - share) * unit.causes.factor.value
    assert found.after_ms == pytest.approx((1.5 * share + rest) * 0.70, rel=1e-6)


def test_a_network_is_judged_by_a_fit_of_the_second_table_where_it_has_enough(
    timings: pd.DataFrame,
) -> None:
    own = timings[
        (timings["target"] == "iphone-11/cpu@coreml-ios13")
        & timings["subject"].isin(MOBILENET_LIKE)
        & (timings["subject"] != "mobilenet_v2")
    ].assign(target="my-phone/cpu@coreml-ios18")
    (unit,) = compare(own, own.assign(latency_ms=1.2 * own["latency_ms"])).units
    (found,) = kept_budgets(unit, own, [V2], 100.0, 0.8)
    assert found.how == FITTED and found.kept and 10 < found.after_ms < 30


def test_a_network_of_which_nothing_is_known_is_not_judged(slower: UnitComparison) -> None:
    (found,) = kept_budgets(slower, timed(13), [Chosen("x", "mobilenet_v2")], 1.0, 0.8)
    assert found.how == UNKNOWN and found.kept is None
    assert "no prediction by the first table; no predictor either" in found.note
    assert found.to_dict()["after_ms"] is None


def test_budgets_out_of_range_are_refused(slower: UnitComparison) -> None:
    for budget, confidence in ((0.0, 0.8), (math.inf, 0.8), (1.0, 0.5), (1.0, 1.0)):
        with pytest.raises(InputError, match="budget_ms|confidence"):
            kept_budgets(slower, timed(13), [V2], budget, confidence)


def test_one_network_has_one_id_however_it_is_named() -> None:
    text = load("mobilenet_v2").with_resolution(192, 192).to_text()
    assert network_id("mobilenet_v2@192x192") == network_id(text) != network_id("mobilenet_v2")
    assert network_id("squeezenet_v1.1_as_timed") == "squeezenet_v1.1_as_timed"


# The command


def called(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["palmette", "latency", "compare", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert isinstance(end.value.code, int)
    return end.value.code


def test_the_command_prints_what_moved_and_whether_a_budget_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    timed(1, os_build="20G75").to_csv("a.csv", index=False)
    timed(2, lambda _, ms: 1.3 * ms, target=IOS18, os_build="22B91").to_csv("b.csv", index=False)
    network = ("--network", "mobilenet_v2", "--budget-ms", "0.8")
    assert called(monkeypatch, "a.csv", "b.csv", *network) == 0
    out = capsys.readouterr().out
    for words in (
        "os_build: 20G75 in the first, 22B91 in the second",
        "runtimes differ: coreml-ios16, coreml-ios18",
        "iphone-13/ane: moved: everything by one factor",
        "broken",
    ):
        assert words in out
    assert called(monkeypatch, "a.csv", "b.csv", *network, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["quantity"] == "latency" and found["budget"][0]["kept"] is False
    assert found["units"][0]["factor"]["value"] == pytest.approx(1.3, rel=0.03)
    assert len(found["units"][0]["rows"]) == len(OPS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--network", "mobilenet_v2"), "--network and --budget-ms belong together"),
        (("--network", "x", "--run", "y", "--budget-ms", "1"), "--run or --network, not both"),
        (("--confidence", "0.9"), "--confidence: has no meaning without --network; leave it out"),
        (("--run", "x", "--confidence", "7"), "--confidence: has no meaning with --run, which has"),
        (("--sustained",), "no row has sustained_ms"),
        (("--run", "nowhere"), "holds no run"),
        (("--network", "mobilenet_v9", "--budget-ms", "1"), "network 'mobilenet_v9' is unknown"),
    ],
)
def test_wrong_commands_end_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    timed(1).to_csv("a.csv", index=False)
    assert called(monkeypatch, "a.csv", "a.csv", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
