"""Limits are held, unidentified choices stay away, and batches equal the single path."""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmette.latency import TARGETS, LatencyPredictor, load_predictor
from palmette.search.code_map import CodeMap
from palmette.search.evolution import Front, evolve
from palmette.search.limits import Limits
from palmette.search.objectives.precision import value_bytes
from palmette.search.objectives.quantities import NAMES, quantities_of
from palmette.search.problem import SearchProblem, architecture_of, describe, identified, pose
from palmette.space import InputError, SearchSpace, presets
from palmette.train import AccuracyPrior
from tests.sweep import sweep

# budgets that part of the small space keeps
BUDGETS = {"iphone-11/ane": 6.0, "iphone-13/ane": 0.68, "iphone-11/gpu": 12.0, "iphone-x/cpu": 16.0}
TIGHT = Limits(6.0, 0.8, params_m=2.5, macs_m=150.0)


def every_code(space: SearchSpace) -> Any:
    counts = space.cardinalities.tolist()
    return np.stack(np.unravel_index(np.arange(math.prod(counts)), counts), axis=1)


def front_of(problem: SearchProblem) -> Front:
    return evolve(problem, evaluations=3000, seed=1)


@pytest.fixture(scope="module")
def tight(small_space: SearchSpace) -> SearchProblem:
    return pose(small_space, load_predictor("iphone-11/ane"), TIGHT)


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["budget_ms", *NAMES])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, -math.inf])
def test_a_limit_that_is_not_positive_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{name}: must be positive"):
        Limits(**{name: value})


@pytest.mark.parametrize("value", [0.5, 1.0, 0.0, 1.5, -0.8, math.nan])
def test_a_confidence_outside_a_half_to_one_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="^confidence: must be above 0.5 and below 1"):
        Limits(confidence=value)


@pytest.mark.parametrize("value", [-0.1, 11.0, math.nan, math.inf])
def test_a_lam_outside_nought_to_ten_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="^lam: must be from 0 to 10"):
        Limits(lam=value)


@pytest.mark.parametrize("target", BUDGETS)
@pytest.mark.parametrize("confidence", [0.55, 0.8, 0.95])
def test_every_network_of_a_front_holds_the_budget_at_the_confidence(
    small_space: SearchSpace, target: str, confidence: float
) -> None:
    predictor = load_predictor(target)
    budget = 1.3 * BUDGETS[target]
    problem = pose(small_space, predictor, Limits(budget, confidence))
    front = front_of(problem)
    assert len(front) > 3
    assert problem.candidates(front.codes).upper_ms.max() <= budget
    some = problem.space.decode_batch(front.codes[:: max(1, len(front) // 5)])
    alone = predictor.predict_interval(some, confidence, two_sided=False)
    assert alone.upper_ms.max() <= budget * (1 + 1e-9)


def test_the_limits_of_parameters_and_macs_hold_on_the_front(tight: SearchProblem) -> None:
    free = replace(tight, limits=Limits(6.0))
    # both limits bite: without them the front breaks them
    found = free.candidates(front_of(free).codes)
    assert found.quantities["params_m"].max() > 2.5
    assert found.quantities["macs_m"].max() > 150
    for architecture in tight.space.decode_batch(front_of(tight).codes):
        assert architecture.params() <= 2.5e6
        assert architecture.macs() <= 150e6


def test_a_violation_is_positive_exactly_when_something_is_broken(tight: SearchProblem) -> None:
    found = tight.candidates(every_code(tight.space))
    params, macs = found.quantities["params_m"], found.quantities["macs_m"]
    broken = np.stack([found.upper_ms > 6.0, params > 2.5, macs > 150, found.guarded])
    assert broken[:3].any(axis=1).all() and not broken[:3].all(axis=1).any()
    np.testing.assert_array_equal(found.violation > 0, broken.any(axis=0))
    assert (found.violation >= 0).all()


def test_structures_that_the_prior_may_not_judge_are_violations(small_toml: str) -> None:
    text = small_toml.replace("channels = 40", "channels = [40, 400]")
    space = SearchSpace.from_toml(text, "wide")
    problem = pose(space, load_predictor("iphone-11/ane"), Limits(100.0))
    codes = problem.space.sample(60, np.random.default_rng(0))
    prior = AccuracyPrior.load().evaluate(problem.space.decode_batch(codes))
    assert 0 < (prior.violation > 0).sum() < len(codes)
    np.testing.assert_array_equal(
        problem.candidates(codes).violation > 0, (prior.violation > 0) | prior.guarded
    )


@given(st.integers(0, 10_000), st.floats(0.51, 0.98), st.floats(0.001, 0.01))
def test_more_confidence_costs_more_milliseconds(
    tight: SearchProblem, seed: int, confidence: float, more: float
) -> None:
    codes = tight.space.sample(4, np.random.default_rng(seed))
    low = replace(tight, limits=Limits(confidence=confidence)).candidates(codes)
    high = replace(tight, limits=Limits(confidence=confidence + more)).candidates(codes)
    np.testing.assert_array_equal(low.ms, high.ms)
    assert (low.ms < low.upper_ms).all()
    assert (low.upper_ms < high.upper_ms).all()


@pytest.mark.parametrize("target", BUDGETS)
def test_no_network_of_a_front_has_an_active_guard(small_space: SearchSpace, target: str) -> None:
    problem = pose(small_space, load_predictor(target), Limits(2 * BUDGETS[target]))
    codes = front_of(problem).codes
    assert not problem.candidates(codes).guarded.any()
    prior = AccuracyPrior.load()
    active = [prior.active_guards(each) for each in problem.space.decode_batch(codes[::5])]
    assert not any(active)


def test_a_network_from_which_a_guard_withholds_a_reward_is_not_feasible(small_toml: str) -> None:
    # the prior counts only so many parameters after the blocks
    space = SearchSpace.from_toml(
        small_toml.replace("channels = 1280", "channels = [1280, 8000]"), "long head"
    )
    problem = pose(space, load_predictor("iphone-11/ane"), Limits(100.0))
    codes = every_code(problem.space)
    found = problem.candidates(codes)
    assert 0 < found.guarded.sum() < len(codes)
    assert (found.violation[found.guarded] > 0).all()
    head = problem.space.column["head.channels"]
    assert (front_of(problem).codes[:, head] == 0).all()


# --- batches against single networks --------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "recipe", "extrapolate"),
    [
        ("iphone-11/ane", None, False),
        ("iphone-11/ane", "timm_ra", True),
        ("iphone-13/ane", "google_tpu", False),
        ("iphone-x/cpu", None, True),
    ],
)
def test_candidates_equal_the_estimates_of_each_network_alone(
    small_space: SearchSpace, target: str, recipe: str | None, extrapolate: bool
) -> None:
    predictor = load_predictor(target)
    limits = Limits(1e3, 0.7)
    problem = pose(small_space, predictor, limits, recipe=recipe, extrapolate=extrapolate)
    codes = problem.space.sample(12, np.random.default_rng(5))
    found, networks = problem.candidates(codes), problem.space.decode_batch(codes)
    time = predictor.predict_interval(networks, 0.7, two_sided=False)
    accuracy = AccuracyPrior.load().evaluate(networks, recipe)
    alone = {
        "ms": time.ms,
        "lower_ms": time.lower_ms,
        "upper_ms": time.upper_ms,
        "top1": accuracy.top1,
        "sigma": accuracy.sigma,
        "guarded": accuracy.guarded,
        "outside": [predictor.outside(network) for network in networks],
    }
    named = {field.name for field in fields(found)}
    assert set(alone) | {"violation", "quantities", "precision"} == named
    for name, values in alone.items():
        np.testing.assert_allclose(getattr(found, name), values, rtol=1e-9, err_msg=name)
    for index, network in enumerate(networks):
        one = {name: values[index] for name, values in found.quantities.items()}
        assert one == quantities_of(network, value_bytes=value_bytes(predictor.model_.target))
    assert not found.precision.any()


def test_objectives_are_the_milliseconds_and_the_score_to_be_raised(tight: SearchProblem) -> None:
    problem = replace(tight, limits=replace(TIGHT, lam=2.0))
    codes = problem.space.sample(20, np.random.default_rng(2))
    found, evaluation = problem.candidates(codes), problem.evaluate(codes)
    np.testing.assert_array_equal(evaluation.objectives[:, 0], found.ms)
    np.testing.assert_allclose(-evaluation.objectives[:, 1], found.top1 - 2.0 * found.sigma)
    np.testing.assert_array_equal(evaluation.violation, found.violation)


@given(st.data())
def test_codes_of_a_restricted_space_are_the_same_networks_in_the_full_one(
    small_space: SearchSpace, data: st.DataObject
) -> None:
    restricted = small_space
    for gene in small_space.genes:
        subsets = st.lists(st.sampled_from(gene.choices), min_size=1, unique=True)
        restricted = restricted.restrict(gene.name, data.draw(subsets, label=gene.name))
    mapped = CodeMap.between(restricted, small_space)
    code = [data.draw(st.integers(0, count - 1)) for count in restricted.cardinalities.tolist()]
    codes = np.array([code, code], dtype=np.int64).reshape(2, len(code))
    full = mapped.full(codes)
    assert full.shape == (2, len(small_space.genes))
    assert small_space.decode(full[1]) == restricted.decode(codes[1])
    other = [[data.draw(st.integers(0, n - 1)) for n in small_space.cardinalities.tolist()]]
    back, inside = mapped.restricted(np.concatenate([full, np.array(other, dtype=np.int64)]))
    np.testing.assert_array_equal(back[:2], codes)
    taken = dict(zip(small_space.genes, other[0], strict=True))
    allowed = (restricted.sections[g.section][g.key] for g in taken)
    kept = [g.choices[i] in some for (g, i), some in zip(taken.items(), allowed, strict=True)]
    assert inside.tolist() == [True, True, all(kept)]


def test_rows_describe_networks_that_they_give_back(tight: SearchProblem) -> None:
    codes = front_of(tight).codes[:4]
    rows = describe(tight, codes)
    found = tight.candidates(codes)
    for index, (row, network) in enumerate(zip(rows, tight.space.decode_batch(codes), strict=True)):
        assert architecture_of(row) == network
        assert row["id"] == network.id
        assert row["ms_at_confidence"] == found.upper_ms[index]
        assert row["top1_high"] - row["top1"] == pytest.approx(1.2815515655446 * found.sigma[index])
        assert row["top1"] - row["top1_low"] == pytest.approx(row["top1_high"] - row["top1"])
        assert row["score"] == pytest.approx(row["top1"] - 0.5 * found.sigma[index])
        assert row["resolution"] == network.resolution[0]


# --- choices that a target cannot identify --------------------------------------------------------


def test_choices_that_no_timing_of_the_target_shows_are_barred_by_name(
    tight: SearchProblem,
) -> None:
    assert set(tight.barred) == {
        "network.resolution=160",
        "network.activation=hswish",
        "stage2.kernel=7",
    }


@pytest.mark.sweep
def test_a_barred_choice_is_on_no_front_of_the_preset() -> None:
    space = SearchSpace.preset("mobilenet_v2")
    problem = pose(space, load_predictor("iphone-11/ane"), Limits(6.0))
    front = front_of(problem)
    networks = problem.space.decode_batch(front.codes)
    assert len(networks) > 10
    for network in networks:
        text = network.to_text()
        assert "hswish" not in text and "_k7_" not in text and network.resolution[0] >= 192


def test_extrapolating_brings_the_barred_choices_back(small_space: SearchSpace) -> None:
    predictor = load_predictor("iphone-11/ane")
    problem = pose(small_space, predictor, Limits(6.0), extrapolate=True)
    assert problem.space == small_space
    assert problem.barred == ()
    assert any(n.resolution[0] == 160 for n in problem.space.decode_batch(front_of(problem).codes))


@pytest.mark.parametrize("target", TARGETS)
def test_what_stays_of_a_space_is_what_the_timings_identify(
    small_space: SearchSpace, target: str
) -> None:
    predictor = load_predictor(target)
    space, barred = identified(small_space, predictor)
    support = predictor.support_
    for stage in ("stage2", "stage3"):
        assert set(space.sections[stage]["kernel"]) <= set(support.kernels)
    assert set(space.sections["network"]["activation"]) <= set(support.activations)
    assert len(barred) == sum(
        len(choices) - len(space.sections[section][key])
        for section, table in small_space.sections.items()
        for key, choices in table.items()
    )


def test_blocks_whose_ops_no_timing_shows_are_barred_by_name(small_toml: str) -> None:
    text = small_toml.replace("channels = 40\n", 'channels = 40\nblock = ["ir", "ghost", "uir"]\n')
    space = SearchSpace.from_toml(text.replace("kernel = [3, 5]\n", "kernel = 3\n"), "blocks")
    # the iPhone 13's timings show concatenations, those of the iPhone 12 none
    for target, barred in {"iphone-12/ane": ["stage3.block=ghost"], "iphone-13/ane": []}.items():
        searched, names = identified(space, load_predictor(target))
        assert [name for name in names if "block" in name] == barred
        assert ("ghost" in searched.sections["stage3"]["block"]) == (not barred)
    only = SearchSpace.from_toml(text.replace('["ir", "ghost", "uir"]', '"ghost"'), "ghosts")
    with pytest.raises(InputError, match="identify none of stage3.block = .'ghost'.; --extra"):
        identified(only, load_predictor("iphone-12/ane"))


@pytest.mark.parametrize(
    ("old", "new", "gene"),
    [
        ("[160, 192, 224]", "160", "network.resolution"),
        ("[160, 192, 224]", "[96, 128]", "network.resolution"),
        ('["relu", "relu6", "hswish"]', '"hswish"', "network.activation"),
        ("kernel = [3, 5, 7]", "kernel = 7", "stage2.kernel"),
    ],
)
def test_a_space_of_which_nothing_is_identified_is_refused(
    small_toml: str, old: str, new: str, gene: str
) -> None:
    """Also where the choice is the only one, so that no gene bears it."""
    space = SearchSpace.from_toml(small_toml.replace(old, new), "odd")
    with pytest.raises(InputError, match=f"'odd': the timings of .* none of {gene} = ") as error:
        pose(space, load_predictor("iphone-11/ane"), Limits(6.0))
    assert "--extrapolate" in str(error.value)
    pose(space, load_predictor("iphone-11/ane"), Limits(60.0), extrapolate=True)


def test_a_space_with_nothing_to_choose_is_refused(small_toml: str) -> None:
    text = re.sub(r"\[(?=[\"0-9])([^,\]]*),[^\]]*\]", r"\1", small_toml)
    text = text.replace("resolution = 160", "resolution = 192")
    space = SearchSpace.from_toml(text, "one")
    assert space.size == 1
    with pytest.raises(InputError, match="'one': one network is left"):
        pose(space, load_predictor("iphone-11/ane"), Limits(6.0))


# --- budgets that nothing fits --------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
def test_the_fastest_network_of_a_small_space_is_found(
    small_space: SearchSpace, target: str
) -> None:
    problem = pose(small_space, load_predictor(target), Limits(1e3))
    found = problem.candidates(problem.fastest()[None, :])
    everything = problem.candidates(every_code(problem.space))
    assert found.upper_ms[0] == everything.upper_ms[everything.violation == 0].min()


def test_the_fastest_network_is_one_that_the_prior_may_judge(small_toml: str) -> None:
    # from 8 to 40 channels is more than networks widen by
    text = small_toml.replace("channels = [24, 32]", "channels = [8, 32]")
    space = SearchSpace.from_toml(text, "steep")
    problem = pose(space, load_predictor("iphone-11/ane"), Limits(100.0))
    everything = problem.candidates(every_code(problem.space))
    judged = everything.violation == 0
    assert everything.upper_ms.min() < everything.upper_ms[judged].min()
    found = problem.candidates(problem.fastest()[None, :])
    assert found.upper_ms[0] == everything.upper_ms[judged].min()


def told_fastest(space: SearchSpace, predictor: LatencyPredictor, budget_ms: float) -> float:
    with pytest.raises(InputError, match="the fastest network of space") as error:
        pose(space, predictor, Limits(budget_ms))
    told = re.search(r"takes ([0-9.e+-]+) ms", str(error.value))
    assert told is not None
    return float(told[1])


@pytest.mark.parametrize("target", TARGETS)
def test_an_impossible_budget_tells_the_fastest_and_that_one_is_possible(
    small_space: SearchSpace, target: str
) -> None:
    predictor = load_predictor(target)
    told = told_fastest(small_space, predictor, 1e-6)
    assert len(front_of(pose(small_space, predictor, Limits(told)))) >= 1
    # and it is not told too high
    assert told_fastest(small_space, predictor, 0.998 * told) == told


@pytest.mark.sweep
def test_the_fastest_of_the_preset_is_told_so_that_it_can_be_searched() -> None:
    predictor = load_predictor("iphone-13/ane")
    space = SearchSpace.preset("mobilenet_v2")
    pose(space, predictor, Limits(told_fastest(space, predictor, 0.1)))


def test_no_change_of_one_gene_makes_the_fastest_network_of_the_preset_faster() -> None:
    problem = pose(SearchSpace.preset("mobilenet_v2"), load_predictor("iphone-13/ane"), Limits(1e3))
    fastest = problem.fastest()
    around = problem.candidates(problem.space.neighbours(fastest))
    least = problem.candidates(fastest[None, :]).upper_ms[0]
    assert around.upper_ms[around.violation == 0].min() >= least
    samples = problem.space.sample(20_000, np.random.default_rng(9))
    assert problem.candidates(samples).upper_ms.min() > least


@pytest.mark.parametrize("limit", NAMES)
def test_a_limit_that_no_network_keeps_is_told_with_the_nearest(
    small_space: SearchSpace, limit: str
) -> None:
    with pytest.raises(InputError, match=f"keeps all limits; the nearest has .*{limit} ") as error:
        pose(small_space, load_predictor("iphone-11/ane"), Limits(6.0, **{limit: 0.001}))
    assert "guards" not in str(error.value)


def test_a_space_of_guarded_networks_is_told_the_guard(small_toml: str) -> None:
    space = SearchSpace.from_toml(small_toml.replace("channels = 1280", "channels = 8000"), "long")
    with pytest.raises(InputError, match="guards of the accuracy prior: head: of"):
        pose(space, load_predictor("iphone-11/ane"), Limits(100.0))


# that of the main job, and the cheapest; the tables of all are those of tests/space (the sweeps)
@pytest.mark.parametrize("name", sweep(presets(), ("mobilenet_v2", "fbnet")))
def test_every_preset_can_be_searched_on_the_modern_neural_engine(name: str) -> None:
    space = SearchSpace.preset(name)
    problem = pose(space, load_predictor("iphone-13/ane"), Limits(2.0))
    assert len(problem.space.genes) > 10
