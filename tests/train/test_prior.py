"""The shipped prior: estimates, intervals, recipes, and its file."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from palmette.space import MOBILENET_LIKE, ZOO, InputError, load
from palmette.train import TIE_POINTS, AccuracyPrior
from palmette.train.formula import jackknife_variance


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    """The shipped file as plain values."""
    text = (files("palmette.train") / "data" / "accuracy_prior.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


# Estimates


@pytest.mark.parametrize(
    ("name", "recipe", "top1"),
    [
        ("mobilenet_v2", None, 73.29),
        ("mobilenet_v2", "tf_slim", 71.54),
        ("efficientnet_b0", None, 77.28),
    ],
)
def test_shipped_coefficients_give_their_published_estimates(
    name: str, recipe: str | None, top1: float
) -> None:
    assert AccuracyPrior.load().predict([load(name)], recipe)[0][0] == pytest.approx(top1, abs=0.01)


def test_every_mobilenet_like_network_lies_within_its_interval_under_its_own_recipe() -> None:
    # eight intervals of 80 % would miss one or two on new networks; these are of the fit
    for name in MOBILENET_LIKE:
        reference = ZOO[name]
        _, lower, upper = AccuracyPrior.load().predict([load(name)], reference.recipe)
        assert lower[0] < reference.top1 < upper[0], name


def test_no_architectures_give_empty_arrays() -> None:
    assert [array.shape for array in AccuracyPrior.load().predict([])] == [(0,), (0,), (0,)]


# Uncertainty


def test_interval_is_the_normal_one_of_80_percent() -> None:
    batch = AccuracyPrior.load().evaluate([load("mobilenet_v2")])
    lower, upper = batch.interval()
    share = math.erf((upper[0] - batch.top1[0]) / batch.sigma[0] / math.sqrt(2))
    assert share == pytest.approx(0.8, abs=1e-9)
    assert batch.top1[0] - lower[0] == pytest.approx(upper[0] - batch.top1[0])


def test_sigma_is_residual_and_jackknife_in_squares_inside_the_hull(data: dict[str, Any]) -> None:
    prior, network = AccuracyPrior.load(), load("mobilenet_v2")
    left_out = []
    for member in data["jackknife_members"].values():
        alone = AccuracyPrior.from_dict({**data, "center": member, "jackknife_members": {}})
        left_out.append(alone.evaluate([network]).top1[0])
    mean = sum(left_out) / 18
    jackknife = 17 / 18 * sum((value - mean) ** 2 for value in left_out)
    sigma = prior.evaluate([network]).sigma[0]
    assert sigma == pytest.approx(math.sqrt(1.7**2 + jackknife), abs=1e-9)
    assert sigma > 1.7


def test_jackknife_variance_of_three_fits_by_hand() -> None:
    errors = np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]])
    np.testing.assert_allclose(jackknife_variance(errors), [2 / 3 * (4 + 1 + 9), 0.0])


def test_an_oblong_image_is_the_square_of_its_area_with_a_wider_interval() -> None:
    prior, network = AccuracyPrior.load(), load("mobilenet_v2")
    sizes = [(192, 192), (128, 288), (288, 128)]  # one area
    square, wide, tall = (
        prior.evaluate([network.with_resolution(*size)], "tf_slim") for size in sizes
    )
    assert wide.top1[0] == pytest.approx(square.top1[0], abs=1e-9) == tall.top1[0]
    assert wide.sigma[0] == tall.sigma[0]
    # half of what the squares of its sides differ by, in squares
    short, long = (
        prior.evaluate([network.with_resolution(side)], "tf_slim").top1[0] for side in (128, 288)
    )
    added = math.sqrt(wide.sigma[0] ** 2 - square.sigma[0] ** 2)
    assert added == pytest.approx((long - short) / 2, rel=1e-6)
    assert added > 1


def test_score_is_the_estimate_less_half_a_sigma() -> None:
    prior, networks = AccuracyPrior.load(), [load("mobilenet_v1"), load("efficientnet_b0")]
    batch = prior.evaluate(networks, "tf_slim")
    np.testing.assert_allclose(prior.score(networks, "tf_slim"), batch.top1 - 0.5 * batch.sigma)
    np.testing.assert_allclose(prior.score(networks, "tf_slim", lam=0.0), batch.top1)


# Recipes


def test_a_recipe_scales_the_error() -> None:
    prior, networks = AccuracyPrior.load(), [load("mobilenet_v2")]
    plain, slim = (100 - prior.predict(networks, r)[0][0] for r in (None, "tf_slim"))
    assert slim / plain == pytest.approx(math.exp(prior.recipes["tf_slim"]), rel=1e-12)


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="recipe 'magic' is unknown; known: anb, .*tf_slim"):
        AccuracyPrior.load().predict([load("mobilenet_v2")], "magic")


def test_every_recipe_of_the_zoo_is_known() -> None:
    known = {*AccuracyPrior.load().recipes, ""}  # blank: none of those
    assert {reference.recipe for reference in ZOO.values()} <= known


# Report and file


def test_report_is_plain_and_names_rung_recipe_error_and_guards() -> None:
    prior = AccuracyPrior.load()
    report = prior.report(load("mobilenet_v3_large"), "google_tpu")
    assert json.loads(json.dumps(report)) == report
    assert (report["rung"], report["recipe"]) == ("prior", "google_tpu")
    assert (report["cross_validated_mae"], report["interval_confidence"]) == (1.3, 0.8)
    assert report["lower"] < report["top1"] < report["upper"]
    assert report["tie_points"] == TIE_POINTS == 0.5
    assert [guard.split(":")[0] for guard in report["active_guards"]] == ["head"]
    assert prior.report(load("mobilenet_v2"))["recipe"] == "mean recipe"


def test_shipped_file_says_where_it_comes_from(data: dict[str, Any]) -> None:
    assert data["format"] == "palmette/accuracy-prior@1"
    assert "CC-BY-NC" in data["source"] and "Apache-2.0" in data["source"]
    assert len(data["jackknife_members"]) == 18


def test_the_shipped_prior_is_read_once() -> None:
    assert AccuracyPrior.load() is AccuracyPrior.load()


@pytest.mark.parametrize("damage", ["format", "center", "hull", "recipe_u", "jackknife_members"])
def test_a_file_without_a_key_is_refused(data: dict[str, Any], damage: str) -> None:
    broken = {key: value for key, value in data.items() if key != damage}
    with pytest.raises(InputError, match="mine.json"):
        AccuracyPrior.from_dict(broken, "mine.json")


@pytest.mark.parametrize("value", ["much", [1.0], None, [1.0, -1.0, 2.0]])
def test_a_coefficient_that_is_no_number_is_refused(data: dict[str, Any], value: Any) -> None:
    broken = copy.deepcopy(data)
    broken["center"]["terms"]["lb"] = value
    with pytest.raises(InputError, match="a coefficient is missing or no number"):
        AccuracyPrior.from_dict(broken)


def test_importing_and_loading_needs_no_torch() -> None:
    code = (
        "import sys; from palmette.train import AccuracyPrior; AccuracyPrior.load();"
        " sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
