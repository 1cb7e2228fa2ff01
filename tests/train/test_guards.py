"""What a search can't cash in on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmette.space import MOBILENET_LIKE, Architecture, load
from palmette.train import AccuracyPrior, violations
from palmette.train.guards import depth_limit

V2 = (
    "224x224 stem_k3_s2_c32_relu6 | ds_r1_k3_s1_c16_relu6 | ir_r2_k3_s2_e6_c24_relu6"
    " | ir_r3_k3_s2_e6_c32_relu6 | ir_r4_k3_s2_e6_c64_relu6 | ir_r3_k3_s1_e6_c96_relu6"
    " | ir_r3_k3_s2_e6_c160_relu6 | ir_r1_k3_s1_e6_c320_relu6 | head_c1280_relu6"
)


def bare(text: str) -> float:
    prior = AccuracyPrior.load()
    return prior.formula(prior.features(Architecture.from_text(text)))


def guarded(text: str) -> float:
    return float(AccuracyPrior.load().evaluate([Architecture.from_text(text)]).top1[0])


def active(text: str) -> list[str]:
    return AccuracyPrior.load().active_guards(Architecture.from_text(text))


def with_depth(stage: int, depth: int) -> Architecture:
    base = Architecture.from_text(V2)
    blocks = base.stages[stage]
    repeat = Architecture.from_text(V2.replace("_r1_", "_r2_")).stages[stage][-1]
    deep = (*blocks, *[repeat] * (depth - len(blocks)))[:depth]
    stages = (*base.stages[:stage], deep, *base.stages[stage + 1 :])
    return Architecture(base.resolution, base.stem, stages, base.head)


# Depth


@given(stage=st.integers(1, 6), extra=st.integers(1, 30))
def test_blocks_past_the_limit_change_nothing_at_all(stage: int, extra: int) -> None:
    limit = 8 if stage in (3, 4) else 4
    prior = AccuracyPrior.load()
    batch = prior.evaluate([with_depth(stage, limit), with_depth(stage, limit + extra)])
    assert batch.top1[0] == batch.top1[1]
    assert batch.sigma[0] == batch.sigma[1]
    assert batch.guarded.tolist() == [False, True]


@pytest.mark.parametrize("stage", [1, 2, 3, 4, 5, 6])
def test_blocks_up_to_the_limit_count(stage: int) -> None:
    limit = 8 if stage in (3, 4) else 4
    prior = AccuracyPrior.load()
    for depth in range(len(with_depth(stage, 1).stages[stage]), limit + 1):
        architecture = with_depth(stage, depth)
        formula = prior.formula(prior.features(architecture))
        assert prior.evaluate([architecture]).top1[0] == pytest.approx(formula, abs=1e-9)


def test_surplus_blocks_are_named() -> None:
    text = V2.replace("ir_r3_k3_s2_e6_c160", "ir_r7_k3_s2_e6_c160")
    assert active(text) == ["depth: 3 blocks past the limit of their stage don't count"]


def test_a_stage_that_halves_its_map_midway_is_limited_at_each_stride() -> None:
    blocks = "ir_r4_k3_s2_e6_c32_relu6 ir_r8_k3_s2_e6_c64_relu6"
    whole = V2.replace("ir_r3_k3_s2_e6_c32_relu6 | ir_r4_k3_s2_e6_c64_relu6", blocks)
    assert not any("depth" in guard for guard in active(whole))


def test_a_1x1_after_a_full_stage_counts_whether_in_it_or_in_its_own() -> None:
    full = V2.replace("ir_r1_k3_s1_e6_c320", "ir_r4_k3_s1_e6_c320")
    within = full.replace("| head", "cn_r1_k1_s1_c640_relu6 | head")
    own = full.replace("| head", "| cn_r1_k1_s1_c640_relu6 | head")
    assert guarded(own) == guarded(within) != guarded(full)


def test_limits_are_eight_at_stride_16_and_four_elsewhere() -> None:
    assert [depth_limit(stride) for stride in (2, 4, 8, 16, 32)] == [4, 4, 4, 8, 4]


# Hull


def test_resolution_beyond_384_px_earns_nothing() -> None:
    hull_end = 224 * math.exp(0.539)
    at_384, at_512 = (guarded(V2.replace("224x224", f"{px}x{px}")) for px in (384, 512))
    features = AccuracyPrior.load().features(Architecture.from_text(V2))
    limit = AccuracyPrior.load().formula({**features, "R": math.log(hull_end / 224)})
    assert at_512 == pytest.approx(limit, abs=1e-9)
    assert at_384 == pytest.approx(at_512, abs=0.01)
    assert any("resolution: R = 0.827" in g for g in active(V2.replace("224x224", "512x512")))


def test_below_the_hull_a_network_still_gets_worse() -> None:
    texts = [V2.replace("224x224", f"{px}x{px}") for px in (96, 80, 64)]
    found = [guarded(text) for text in texts]
    assert found == [pytest.approx(bare(text), abs=1e-9) for text in texts]
    assert found[0] > found[1] > found[2]


def test_an_estimate_never_falls_below_chance() -> None:
    assert guarded(V2.replace("224x224", "17x17")) == 0.1


def test_kernels_beyond_5x5_on_average_earn_parameters_only() -> None:
    five, seven = (V2.replace("k3_s", f"k{k}_s").replace("stem_k7", "stem_k5") for k in (5, 7))
    prior = AccuracyPrior.load()
    features = prior.features(Architecture.from_text(seven))
    assert features["K"] == 2.0
    assert guarded(seven) == pytest.approx(prior.formula({**features, "K": 1.0}), abs=1e-9)
    assert guarded(five) == pytest.approx(bare(five), abs=1e-9)
    assert active(seven) == ["hull: kernels: K = 2.000 counts as 1"]


def test_a_wide_head_earns_next_to_nothing() -> None:
    wide = V2.replace("c1280", "c5120")
    assert bare(wide) > guarded(V2) + 1.5
    assert guarded(V2) < guarded(wide) < guarded(V2) + 0.15
    assert [guard.split(":")[0] for guard in active(wide)] == ["head", "hull"]


def test_1x1_convolutions_before_the_head_count_with_it() -> None:
    stacked = V2.replace("| head", "| cn_r4_k1_s1_c960_relu6 | head")
    more = V2.replace("| head", "| cn_r9_k1_s1_c960_relu6 | head")
    assert bare(more) > bare(stacked) + 0.5
    assert guarded(more) == guarded(stacked)


def test_sigma_grows_with_the_distance_outside_the_hull() -> None:
    prior = AccuracyPrior.load()
    low, high = prior.hull.low[:, 0], prior.hull.high[:, 0]
    inside = (np.maximum(low, -1.0) + np.minimum(high, 1.0)) / 2
    outside = inside.copy()
    outside[0], outside[3] = high[0] + 3.0, low[3] - 4.0
    both = np.stack([inside, outside], axis=1)
    np.testing.assert_allclose(prior.hull.distance(both), [0.0, 5.0], rtol=1e-12)


def test_zoo_networks_keep_their_estimates() -> None:
    # heads that are wider than 0.5 M parameters are cut: MobileNetV3's and FBNet-C's
    cut = {"mobilenet_v3_small", "mobilenet_v3_large", "fbnet_c"}
    prior = AccuracyPrior.load()
    for name in MOBILENET_LIKE:
        architecture = load(name)
        loss = prior.formula(prior.features(architecture)) - prior.evaluate([architecture]).top1[0]
        assert abs(loss) < (0.6 if name in cut else 1e-9), name
        assert bool(prior.active_guards(architecture)) == (name in cut), name


# Structure


@pytest.mark.parametrize("name", MOBILENET_LIKE)
def test_zoo_networks_break_no_structural_rule(name: str) -> None:
    assert violations(load(name)) == []


@pytest.mark.parametrize(
    ("old", "new", "texts", "amount"),
    [
        (
            "k3_s2_e6_c160",
            "k3_s1_e6_c160",
            ["total stride is 16", "no block at output stride 32"],
            1.0 + 1.0,
        ),
        (
            "e6_c96",
            "e6_c56",
            ["stage 5 has 56 channels after 64", "stage 6 has 160 channels after 56"],
            math.log(64 / 56) + math.log(160 / 140),
        ),
        ("e6_c160", "e6_c248", ["stage 6 has 248 channels after 96"], math.log(248 / 240)),
        (
            "ir_r1_k3_s1_e6_c320",
            "ir_r1_k3_s1_e9_c320",
            ["stage 7 expands 160 channels to 1440"],
            math.log(9 / 8),
        ),
        (
            "ir_r1_k3_s1_e6_c320",
            "ir_r1_k3_s1_e0.5_c320",
            ["stage 7 expands 160 channels to 80"],
            math.log(2),
        ),
        ("ir_r3_k3_s2_e6_c160", "ir_r9_k3_s2_e6_c160", ["10 blocks at output stride 32"], 2.0),
    ],
)
def test_each_structural_rule_is_named_and_measured(
    old: str, new: str, texts: list[str], amount: float
) -> None:
    found = violations(Architecture.from_text(V2.replace(old, new)))
    assert [v.text[: len(t)] for v, t in zip(found, texts, strict=True)] == texts
    assert sum(v.amount for v in found) == pytest.approx(amount, abs=1e-12)


def test_the_stem_may_be_wider_than_the_first_stage() -> None:
    assert violations(Architecture.from_text(V2.replace("stem_k3_s2_c32", "stem_k3_s2_c64"))) == []
