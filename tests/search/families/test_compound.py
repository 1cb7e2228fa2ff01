"""Compound scaling: the base at 0, rising times, the largest member inside a budget."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.latency import TARGETS, load_predictor
from palmette.search import Coefficients, fit_coefficients, scale_to_budget, shrink
from palmette.search.families.compound import PRECISION_PHI, member
from palmette.space import MOBILENET_LIKE, ZOO, Architecture, InputError, load
from palmette.train import violations

Upper = Callable[..., float]
DEFAULT = Coefficients()


@pytest.mark.parametrize("name", [name for name in ZOO if name.startswith(("mob", "eff", "ghost"))])
def test_the_member_at_0_is_the_base(name: str) -> None:
    assert member(load(name), 0.0, DEFAULT) == load(name)


def test_members_by_hand() -> None:
    base = Architecture.from_text(
        "224x128 stem_k3_s2_c32_relu | ds_r1_k3_s1_c16_relu | ir_r3_k3_s2_e6_c24_relu | head_c1280"
    )
    # sides x1.15: 257.6 and 147.2 to eights; widths x1.1: 35.2, 17.6, 26.4, 1408; blocks x1.2: 3.6
    assert member(base, 1.0, DEFAULT).to_text() == (
        "256x144 stem_k3_s2_c32_relu | ds_r1_k3_s1_c16_relu | ir_r4_k3_s2_e6_c24_relu | head_c1408"
    )
    # x0.756: 169.4 and 96.8; x0.826: 26.4, 13.2, 19.8, 1057.9; x0.694: 2.1 blocks
    assert member(base, -2.0, DEFAULT).to_text() == (
        "168x96 stem_k3_s2_c24_relu | ds_r1_k3_s1_c16_relu | ir_r2_k3_s2_e6_c24_relu | head_c1056"
    )


@given(st.sampled_from(MOBILENET_LIKE), st.floats(-3, 1.5), st.floats(0, 1))
@settings(max_examples=12)
def test_a_larger_phi_is_never_a_smaller_network(name: str, phi: float, more: float) -> None:
    small, large = (member(load(name), value, DEFAULT) for value in (phi, phi + more))
    assert small.resolution <= large.resolution
    assert small.stem.channels <= large.stem.channels
    for before, after in zip(small.stages, large.stages, strict=True):
        assert len(before) <= len(after)
        assert before[-1].out_channels <= after[-1].out_channels
    assert small.head.classes == large.head.classes == 1000


@given(st.sampled_from(sorted(TARGETS)), st.floats(0.9, 1.2))
@settings(max_examples=4)
def test_the_largest_member_inside_the_budget_is_found(target: str, share: float) -> None:
    base, predictor = load("mobilenet_v3_small"), load_predictor(target)
    interval = predictor.predict_interval([base], 0.8, two_sided=False)
    budget = share * float(interval.upper_ms[0])
    try:
        found = scale_to_budget(base, predictor, budget)
    except InputError as error:
        assert "no member of the family that can be judged keeps" in str(error)
        return
    assert found.row["ms_at_confidence"].item() <= budget
    assert member(base, found.phi, DEFAULT) == found.architecture
    following = member(base, found.phi + PRECISION_PHI, DEFAULT)
    assert following != found.architecture
    after = predictor.predict_interval([following], 0.8, two_sided=False)
    assert float(after.upper_ms[0]) > budget


def test_the_bases_own_time_allows_the_base(tiny: Architecture, upper_ms: Upper) -> None:
    found = scale_to_budget(tiny, load_predictor("iphone-11/ane"), upper_ms(tiny, "iphone-11/ane"))
    assert found.architecture == tiny and found.phi >= 0


def test_a_budget_below_every_member_is_told_with_the_fastest(tiny: Architecture) -> None:
    with pytest.raises(InputError, match=r"keeps 0\.001 ms; the fastest, at phi -\d"):
        scale_to_budget(tiny, load_predictor("iphone-11/ane"), 0.001)


def test_a_large_budget_gives_no_network_that_the_prior_must_not_judge(tiny: Architecture) -> None:
    """Of 2 blocks at output stride 8 more than 8 are not credible: 1.5^phi < 4.25."""
    predictor = load_predictor("iphone-11/cpu")
    deeper = Coefficients(1.5, 1.0, 1.0)
    found = scale_to_budget(tiny, predictor, 1e6, coefficients=deeper)
    assert violations(found.architecture) == []
    assert found.phi == pytest.approx(math.log(4.25) / math.log(1.5), abs=1e-5)
    following = member(tiny, found.phi + PRECISION_PHI, deeper)
    assert violations(following) != []


def test_a_budget_without_an_end_is_refused(tiny: Architecture) -> None:
    with pytest.raises(InputError, match="budget_ms: must be a positive number, got inf"):
        scale_to_budget(tiny, load_predictor("iphone-11/cpu"), float("inf"))
    with pytest.raises(InputError, match="budget_ms: must be a positive number, got inf"):
        shrink(tiny, load_predictor("iphone-11/cpu"), float("inf"))


def test_fitted_coefficients_double_the_time_and_none_in_reach_scores_better(
    tiny: Architecture,
) -> None:
    """With width alone worth anything, the widest member that takes twice the time."""
    predictor = load_predictor("iphone-11/cpu")
    once, grid = float(predictor.predict([tiny])[0]), (1.0, 1.2, 1.3, 1.4, 1.5)

    def width(networks: Any) -> Any:
        return [network.stages[-1][-1].out_channels for network in networks], [0.0] * len(networks)

    found = fit_coefficients(tiny, predictor, grid=grid, accuracy=width)
    network = member(tiny, 1.0, found)
    assert 1.9 <= float(predictor.predict([network])[0]) / once <= 2.1
    alone = [member(tiny, 1.0, Coefficients(1.0, beta, 1.0)) for beta in grid[1:]]
    wide = [
        one.stages[-1][-1].out_channels
        for one in alone
        if float(predictor.predict([one])[0]) / once <= 1.9
    ]
    assert network.stages[-1][-1].out_channels >= max(wide)


@pytest.mark.parametrize(
    ("values", "words"),
    [((0.9, 1.1, 1.1), "alpha: must be from 1 to 4"), ((1.0, 1.0, 1.0), "one must be above 1")],
)
def test_coefficients_that_make_no_family_are_refused(
    values: tuple[float, float, float], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        Coefficients(*values)
