"""Blocks that the prior was not fitted to: how they are counted, widened and refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from palmette.space import ZOO, Architecture, InputError, load
from palmette.space.blocks import BLOCKS, Head
from palmette.train import AccuracyPrior, families, violations
from palmette.train.families import Family
from palmette.train.features import laid_out, place_counts

WIDENED = ("ghost", "mix", "gs", "sh", "uir", "one", "rv")
REFUSED = ("cb", "fire", "sx", "rb", "rn")


def network(*stages: str) -> Architecture:
    """A network with these stages at the output strides 16 and 32, between fitted blocks."""
    early = "ds_r2_k3_s2_c24_relu | ir_r2_k3_s2_e4_c40_relu"
    return Architecture.from_text(
        f"224x224 stem_k3_s2_c16_relu | {early} | {' | '.join(stages)} | head_c960_relu"
    )


FITTED = network("ir_r2_k3_s2_e4_c80_relu", "ir_r2_k3_s2_e4_c160_relu")


def sigma(architecture: Architecture) -> float:
    return float(AccuracyPrior.load().evaluate([architecture]).sigma[0])


def features(architecture: Architecture) -> dict[str, float]:
    return AccuracyPrior.load().features(architecture)


# The table


def test_bias_and_spread_of_three_networks_by_hand() -> None:
    family = Family({"a": -1.0, "b": -2.0, "c": -6.0})
    assert family.bias == -3.0
    assert family.spread == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert family.variance == pytest.approx(9 + 7)
    assert family.refusal == ""


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ((), "0 published networks of known layout"),
        ((0.1,), "1 published network of known layout with them can't tell"),
        ((0.1, 0.1), "2 published networks of known layout"),
        ((1.4, 1.4, 1.4), "1.4 points too high, which a search would collect"),
        ((-9.0, 0.0, 9.0), "off by 9.0 points on published networks"),
        ((-5.1, -5.1, -5.1), "off by 5.1 points"),
    ],
)
def test_families_beyond_use_say_why(errors: tuple[float, ...], reason: str) -> None:
    refusal = Family({str(index): error for index, error in enumerate(errors)}).refusal
    assert reason in refusal


@pytest.mark.parametrize("errors", [(1.2, 1.2, 1.2), (-4.9, -4.9, -4.9), (-4.0, 0.0, 4.0)])
def test_families_within_use_are_not_refused(errors: tuple[float, ...]) -> None:
    assert Family({str(index): error for index, error in enumerate(errors)}).refusal == ""


def test_every_kind_is_fitted_accompanies_others_or_is_in_the_table() -> None:
    known = {*families.FITTED_BLOCKS, *families.COMPANIONS, *families.load()}
    assert known >= set(BLOCKS)


def test_the_families_that_widen_are_those_with_enough_networks_and_small_errors() -> None:
    table = families.load()
    assert {name for name, family in table.items() if not family.refusal} >= set(WIDENED)
    assert all(table[name].refusal for name in (*REFUSED, families.GROUPS))


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"format": "other"},
        {"format": families.FORMAT},
        {"format": families.FORMAT, "families": {"one": {"errors": {"a": "much"}}}},
    ],
)
def test_a_broken_table_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="mine.json"):
        families.from_dict(data, "mine.json")


# What is read off the blocks


def counts(text: str) -> list[float]:
    """Number of kxk convolutions, their channels, and the sum of their (k - 3) / 2, of a block
    after 40 channels."""
    place = next(p for p in laid_out(network(text, "ir_r1_k3_s2_e4_c160_relu")) if p.stage == 2)
    found = place_counts(place)
    return [found[0], found[1], found[3]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uir_r1_k5_s2_e4_c80_relu_a3", [2, 40 + 160, 1]),
        ("uir_r1_k5_s2_e4_c80_relu", [1, 160, 1]),
        ("uir_r1_k0_s2_e4_c80_relu_a5", [1, 40, 1]),
        ("uir_r1_k0_s1_e4_c40_relu", [0, 0, 0]),
        ("mix_r1_k3.5.7_s2_e6_c80_relu", [3, 240, 3]),
        ("one_r1_k3_s2_c80_relu_b4", [1, 40, 0]),
        ("one_r1_k5_s2_c80_relu", [1, 40, 1]),
        ("rv_r1_k3_s1_e2_c40_gelu", [1, 40, 0]),
        ("rv_r1_k3_s2_e2_c80_gelu", [2, 80, 0]),
        ("ghost_r1_k5_s1_e3_c40_relu", [2, 60 + 20, 0]),
        ("ghost_r1_k5_s2_e3_c80_relu", [4, 60 + 120 + 40 + 40, 2]),
        ("sh_r1_k3_s1_c40_relu", [1, 20, 0]),
        ("gs_r1_k3_s1_x20_c40_relu_g4", [1, 20, 0]),
    ],
)
def test_kxk_convolutions_of_each_kind(text: str, expected: list[float]) -> None:
    assert counts(text) == expected


def test_reparameterised_blocks_are_read_in_their_merged_form() -> None:
    one, many = (network(f"one_r2_k3_s2_c96_relu_b{b}", "ir_r1_k3_s2_e4_c160_relu") for b in (1, 4))
    assert features(one) == features(many)


def test_a_bottleneck_without_depthwise_is_no_kxk_block() -> None:
    plain = network("ir_r2_k3_s2_e4_c80_relu", "ir_r2_k3_s2_e4_c160_relu")
    fed = network("ir_r2_k3_s2_e4_c80_relu uir_r3_k0_s1_e4_c80_relu", "ir_r2_k3_s2_e4_c160_relu")
    before, after = features(plain), features(fed)
    for name in ("Wear", "Wlat", "D", "SE", "K"):
        assert before[name] == after[name]


def test_1x1_only_bottlenecks_earn_half_a_million_parameters_at_most() -> None:
    prior = AccuracyPrior.load()
    feeds = [
        network("ir_r2_k3_s2_e4_c80_relu", f"ir_r2_k3_s2_e4_c160_relu uir_r{n}_k0_s1_e6_c160_relu")
        for n in (2, 20)
    ]
    batch = prior.evaluate(feeds)
    assert batch.top1[0] == batch.top1[1]
    assert batch.guarded.all()


# Widening


def test_estimates_keep_their_value() -> None:
    prior = AccuracyPrior.load()
    net = network("uir_r2_k3_s2_e4_c80_relu_a3", "uir_r2_k5_s2_e4_c160_relu")
    assert not prior.active_guards(net)
    batch = prior.evaluate([net])
    assert batch.top1[0] == pytest.approx(prior.formula(prior.features(net)), abs=1e-9)


def test_sigma_gains_bias_and_spread_in_squares_by_the_share_of_blocks() -> None:
    # an inverted residual written as a universal bottleneck is the same network to the features
    half = network("uir_r2_k3_s2_e4_c80_relu", "uir_r2_k3_s2_e4_c160_relu")
    assert features(half) == features(FITTED)
    family = families.load()["uir"]
    gained = sigma(half) ** 2 - sigma(FITTED) ** 2
    assert gained == pytest.approx(4 / 8 * (family.bias**2 + family.spread**2), abs=1e-9)
    (row,) = AccuracyPrior.load().widened(half)
    assert (row["family"], row["share"], row["networks"]) == ("uir", 0.5, len(family.errors))
    assert row["variance"] == pytest.approx(gained, abs=1e-9)


def test_two_families_add_up() -> None:
    net = network("uir_r2_k3_s2_e4_c80_relu", "one_r2_k3_s2_c160_relu")
    rows = {row["family"]: row for row in AccuracyPrior.load().widened(net)}
    assert {name: row["share"] for name, row in rows.items()} == {"uir": 0.25, "one": 0.25}


def test_fitted_blocks_are_not_widened() -> None:
    assert AccuracyPrior.load().widened(FITTED) == []


def test_1x1_blocks_do_not_thin_a_family_out() -> None:
    net = network("uir_r2_k3_s2_e4_c80_relu", "uir_r2_k3_s2_e4_c160_relu cn_r9_k1_s1_c160_relu")
    (row,) = AccuracyPrior.load().widened(net)
    assert row["share"] == 0.5


@pytest.mark.parametrize("name", [n for n in ZOO if n.startswith(("mobilenet_v4", "repvit"))])
def test_published_networks_of_a_widened_family_get_estimate_and_reason(name: str) -> None:
    report = AccuracyPrior.load().report(load(name))
    assert [row["family"] for row in report["widened"]] == [
        "uir" if name.startswith("mobilenet") else "rv"
    ]
    assert report["sigma"] > 2.5
    assert report["lower"] < report["top1"] < report["upper"]


# Structure


@pytest.mark.parametrize(
    "block",
    ["uir_r1_k0_s2_e9_c80_relu_a3", "rv_r1_k3_s2_e9_c80_gelu", "gs_r1_k3_s2_x400_c80_relu_g4"],
)
def test_expansions_that_no_kxk_convolution_sees_are_limited_too(block: str) -> None:
    found = violations(network(block, "ir_r1_k3_s2_e4_c160_relu"))
    assert any("expands 40 channels" in violation.text for violation in found)


@pytest.mark.parametrize(
    "block",
    [
        "uir_r1_k3_s2_e8_c80_relu_a3",
        "mix_r1_k3.5.7_s2_e2_c80_relu",
        "rv_r1_k3_s2_e2_c80_gelu",
        "ghost_r1_k3_s2_e6_c80_relu",
        "gs_r1_k3_s2_x20_c80_relu_g4",
        "sh_r1_k3_s2_c80_relu",
        "one_r1_k3_s2_c80_relu",
    ],
)
def test_blocks_as_published_keep_the_rules(block: str) -> None:
    assert violations(network(block, "ir_r1_k3_s2_e4_c160_relu")) == []


def test_blocks_past_the_limit_count_for_nothing_whatever_their_kind() -> None:
    deep, deeper = (
        network("uir_r4_k3_s2_e4_c80_relu_a3", f"uir_r{n}_k3_s2_e4_c160_relu_a3") for n in (4, 9)
    )
    batch = AccuracyPrior.load().evaluate([deep, deeper])
    assert batch.top1[0] == batch.top1[1] and batch.sigma[0] == batch.sigma[1]
    assert batch.guarded.tolist() == [False, True]


# Refusals


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("rb_r1_k3_s2_c80_relu", "not fitted to 'rb' blocks; 1 published network"),
        ("rn_r1_k3_s2_x40_c80_relu", "not fitted to 'rn' blocks; 1 published network"),
        ("sx_r1_k3_s2_c80_relu", "not fitted to 'sx' blocks; 2 published networks"),
        ("mp_r1_k3_s2_c40 fire_r1_k3_sq16_c80_relu", "not fitted to 'fire' blocks; 1 published"),
        ("ir_r1_k3_s2_e4_c80_relu_g2", "in groups, and this 'ir' block has 2; 1 published"),
        ("mp_r1_k3_s2_c40", "'mp' blocks, and judges them in networks with 'gs', 'sh' blocks"),
    ],
)
def test_other_families_are_refused_with_the_reason(block: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        features(network(block, "ir_r1_k3_s2_e4_c160_relu"))


def test_shufflenets_are_judged_with_their_pools_and_gates() -> None:
    networks = [load("shufflenet_v2_1.0"), load("shufflenet_v2_plus_small")]
    assert all(AccuracyPrior.load().predict(networks)[0] > 60)


@dataclass(frozen=True, slots=True)
class Boxes(Head):
    """A head that classifies nothing."""

    kind: ClassVar[str] = "boxes"


def test_heads_that_are_no_classifiers_are_refused() -> None:
    base = load("mobilenet_v2")
    detector = Architecture(base.resolution, base.stem, base.stages, Boxes(1280, "relu6"))
    with pytest.raises(InputError, match="ImageNet top-1 and knows nothing of a 'boxes' head"):
        AccuracyPrior.load().features(detector)
