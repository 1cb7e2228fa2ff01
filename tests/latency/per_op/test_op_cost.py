"""Cost models of kernels: planted truth, strict growth, the same numbers after JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

from palmette.latency.per_op.kernels import FAST_CONVS, WORK, FastConv, Kernel, KernelTable
from palmette.latency.per_op.op_cost import (
    OP_MODELS,
    STRICT_MODELS,
    NearestOps,
    OpModel,
    ParametricOps,
    PowerOps,
    TreeOps,
    fit_op_models,
)
from palmette.latency.per_op.trees import BoostedTrees
from palmette.space import InputError, Op

Floats = NDArray[np.float64]

ADD = "add"


def kernel(kind: str, width: int, area: int, window: int, fused: Sequence[str] = ()) -> Kernel:
    """A kernel of one of five kinds; `fused` names additions or products behind it."""
    wide = (2 * width, area, area)
    read = (width, area, area)
    mains = {
        "dense": Op("conv", (read,), wide, (window, window), act="relu"),
        "depthwise": Op("conv", (read,), read, (window, window), groups=width),
        "grouped": Op("conv", (wide,), wide, (window, window), groups=2, act="relu"),
        "pool": Op("pool", (read,), read, (window, window)),
        "linear": Op("linear", ((width,),), (2 * width,)),
    }
    main = mains[kind]
    return (main, *(Op(name, (main.output, main.output), main.output) for name in fused))


KINDS = ("dense", "depthwise", "grouped", "pool", "linear")


def sample(count: int, seed: int = 0) -> list[Kernel]:
    """Random kernels of all kinds."""
    random = np.random.default_rng(seed)
    return [
        kernel(
            KINDS[random.integers(len(KINDS))],
            int(random.integers(2, 200)),
            int(random.choice([7, 14, 28, 56])),
            int(random.choice([1, 3, 5, 7])),
            (ADD,) * int(random.integers(0, 2)),
        )
        for _ in range(count)
    ]


def truth_ms(kernels: Sequence[Kernel]) -> Floats:
    """A made phone: a start, a price of MACs by sort, a price of traffic."""
    table = KernelTable.of(kernels)
    price = np.where(
        table.is_sort("depthwise"), 2e-8, np.where(table.is_sort("grouped"), 8e-9, 4e-9)
    )
    ms: Floats = 0.01 + price * table.column("padded") + 2e-8 * table.column("moved")
    return ms


@pytest.fixture(scope="module")
def models() -> dict[str, OpModel]:
    """All models, fitted to noisy timings of the made phone."""
    kernels = sample(600)
    noise = np.exp(np.random.default_rng(1).normal(0, 0.03, len(kernels)))
    return fit_op_models(kernels, truth_ms(kernels) * noise, OP_MODELS)


def test_columns_of_a_kernel_by_hand() -> None:
    texts = ("conv 6x8x8 -> 10x4x4 k3 s2 hswish", "add 10x4x4 + 10x4x4 -> 10x4x4")
    table = KernelTable.of([tuple(map(Op.from_text, texts))])
    columns = {name: table.column(name).item() for name in WORK}
    assert columns == {
        "macs": 160 * 54,
        "padded": 16 * 12 * 8 * 9,
        "read": 384,
        "written": 160,
        "moved": 384 + 160 + 10 * 55 + 160,
        "weights": 550,
        "in_channels": 6,
        "out_channels": 10,
        "group_channels": 6,
        "reduction": 54,
        "in_area": 64,
        "area": 16,
        "window": 9,
        "inputs": 2,  # one of the addition comes from the kernel itself
        "fused": 160,
    }
    assert table.slow.tolist() == [1.0]


def test_the_fast_algorithm_counts_less_from_its_shape_on() -> None:
    rule = FastConv(4 / 9, 64, 256)

    def share(channels: int, area: int, window: int = 3) -> float:
        read = (channels, area, area)
        table = KernelTable.of([(Op("conv", (read,), read, (window, window)),)])
        return float((rule.macs(table) / table.column("macs"))[0])

    assert share(64, 16) == share(128, 32) == pytest.approx(4 / 9)
    assert share(64, 16, 5) == share(32, 16) == share(64, 8) == 1.0
    assert share(48, 16) == pytest.approx(4 / 9 * (64 / 48) ** 2)  # filled up: cheaper all the same


@pytest.mark.parametrize("name", OP_MODELS)
def test_planted_costs_are_found_on_kernels_never_timed(
    models: dict[str, OpModel], name: str
) -> None:
    fresh = sample(200, seed=2)
    error = np.abs(np.log(models[name].op_ms(fresh) / truth_ms(fresh)))
    assert np.median(error) < {"parametric": 0.05, "nearest": 0.1}.get(name, 0.08)


def test_planted_prices_and_the_rule_of_the_fast_algorithm_are_found() -> None:
    kernels = [k for k in sample(1500, seed=3) if k[0].kind == "conv" and k[0].groups == 1]
    table, rule = KernelTable.of(kernels), FastConv(16 / 36, 64, 256)
    model = ParametricOps().fit(table, 0.01 + 5e-9 * rule.macs(table))
    assert model.fast_ == rule and rule in FAST_CONVS
    assert model.prices_[:2] == pytest.approx([0.01, 5e-9], rel=0.1)


@pytest.mark.parametrize("name", STRICT_MODELS)
@given(
    kind=st.sampled_from(KINDS),
    width=st.integers(2, 700),  # one channel in a group of its own is a dense convolution
    area=st.integers(3, 120),
    window=st.sampled_from([1, 3, 5]),
    fused=st.integers(0, 2),
    step=st.integers(1, 40),
)
@settings(max_examples=150)
def test_a_larger_kernel_costs_strictly_more(
    models: dict[str, OpModel],
    name: str,
    kind: str,
    width: int,
    area: int,
    window: int,
    fused: int,
    step: int,
) -> None:
    behind = (ADD,) * fused
    base = kernel(kind, width, area, window, behind)
    larger = [kernel(kind, width + step, area, window, behind)]
    if kind != "linear":
        larger += [kernel(kind, width, area + step, window, behind)]
    if kind not in ("linear", "pool"):
        larger += [kernel(kind, width, area, window + 2, behind)]
    ms = models[name].op_ms([base, *larger])
    assert (ms[1:] > ms[0]).all()


@pytest.mark.parametrize("name", OP_MODELS)
def test_costs_are_positive_and_finite_far_outside_of_what_was_timed(
    models: dict[str, OpModel], name: str
) -> None:
    texts = ("add 8x2x2 + 8x2x2 -> 8x2x2", "permute 4096x128x128 -> 4096x128x128", "linear 9 -> 1")
    far = [(Op.from_text(text),) for text in texts]
    ms = models[name].op_ms([*far, kernel("dense", 4000, 512, 31)])
    assert (np.isfinite(ms) & (ms > 0)).all()


def test_nearest_gives_back_the_median_of_what_was_timed() -> None:
    kernels = sample(60, seed=4)
    ms = truth_ms(kernels)
    repeats = [*kernels, kernels[0], kernels[0]]
    model = NearestOps().fit(repeats, np.array([*ms, ms[0] * 1.2, ms[0] * 1.1]))
    others = [at for at, one in enumerate(kernels) if kernels.count(one) == 1 and at]
    assert model.op_ms(kernels)[others] == pytest.approx(ms[others], rel=1e-6)
    assert model.op_ms(kernels[:1])[0] == pytest.approx(1.1 * ms[0], rel=1e-6)


def test_prices_are_found_from_sums_of_kernels() -> None:
    kernels = [one for one in sample(400, seed=8) if one[0].kind != "linear"]
    group = np.arange(len(kernels)) // 3
    price = np.where(KernelTable.of(kernels).is_sort("depthwise"), 3e-8, 5e-9)
    true = 0.01 + price * KernelTable.of(kernels).column("padded")
    model = ParametricOps().fit_sums(kernels, group, np.bincount(group, true))
    assert np.abs(np.log(model.op_ms(kernels) / true)).mean() < 0.15
    alone = ParametricOps().fit_sums(kernels, np.arange(len(kernels)), true)
    assert np.abs(np.log(alone.op_ms(kernels) / true)).mean() < 0.1


def test_few_rows_are_enough_for_every_model() -> None:
    few = fit_op_models(sample(5), truth_ms(sample(5)), OP_MODELS)
    for model in few.values():
        assert (model.op_ms(sample(9, seed=5)) > 0).all()


def test_a_slope_of_the_backbone_is_needed() -> None:
    kernels = sample(40)
    for wrong in ({"slope": 0.0}, {"slope": 1.5}, {"share": 0.0}):
        with pytest.raises(InputError, match=f"{next(iter(wrong))} must be above 0"):
            TreeOps(**wrong).fit(kernels, truth_ms(kernels))


@pytest.mark.parametrize("wrong", [np.nan, 0.0, -1.0, np.inf])
def test_bad_milliseconds_are_refused(wrong: float) -> None:
    kernels = sample(3)
    with pytest.raises(InputError, match="positive and finite"):
        ParametricOps().fit(kernels, np.array([1.0, wrong, 1.0]))
    with pytest.raises(InputError, match="3 kernels need as many ms"):
        ParametricOps().fit(kernels, np.array([1.0]))
    with pytest.raises(InputError, match="needs one or more"):
        ParametricOps().fit([], np.array([]))


CLASSES = {"parametric": ParametricOps, "power": PowerOps, "trees": TreeOps, "nearest": NearestOps}


@pytest.mark.parametrize("name", OP_MODELS)
def test_a_model_comes_back_from_json_to_the_last_digits(
    models: dict[str, OpModel], name: str
) -> None:
    model: Any = models[name]
    again: Any = CLASSES[name].from_dict(json.loads(json.dumps(model.to_dict())))
    fresh = [*sample(100, seed=6), *sample(30)]  # never timed, and timed
    assert np.allclose(again.op_ms(fresh), model.op_ms(fresh), rtol=1e-12, atol=0)
    assert again.to_dict() == model.to_dict()


# scikit-learn's conventions

ESTIMATORS = [ParametricOps(), PowerOps(), TreeOps(slope=0.3), NearestOps(7)]


@pytest.mark.parametrize("model", ESTIMATORS)
@pytest.mark.parametrize(
    "check",
    # the others fit arrays: these models fit kernels, which are ops and no array
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_estimators_unfitted,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_set_params,
        estimator_checks.check_valid_tag_types,
    ],
)
def test_models_pass_the_checks_of_scikit_learn_that_need_no_arrays(model: Any, check: Any) -> None:
    check(type(model).__name__, model)


@pytest.mark.parametrize("model", ESTIMATORS)
def test_an_unfitted_model_says_so(model: Any) -> None:
    for ask in (lambda: model.op_ms(sample(2)), lambda: model.predict(sample(2)), model.to_dict):
        with pytest.raises(NotFittedError, match=f"This {type(model).__name__} instance is not"):
            ask()


@pytest.mark.parametrize("model", ESTIMATORS)
def test_a_fit_returns_the_model_keeps_its_parameters_and_can_be_repeated(model: Any) -> None:
    kernels, fresh = sample(60), sample(40, seed=1)
    ms, model, before = truth_ms(kernels), clone(model), model.get_params()
    assert model.fit(kernels, ms) is model
    assert model.get_params() == before
    found = model.op_ms(fresh)
    assert all(name.endswith("_") for name in set(vars(model)) - set(before))
    model.fit(sample(50, seed=2), truth_ms(sample(50, seed=2)))  # what was fitted before is gone
    assert np.array_equal(model.fit(kernels, ms).op_ms(fresh), found)
    assert np.array_equal(model.predict(fresh), found)
    assert model.score(kernels, ms) > 0.9


def test_kernels_and_their_table_are_the_same_to_a_model(models: dict[str, OpModel]) -> None:
    fresh = sample(20, seed=3)
    for model in models.values():
        assert np.array_equal(model.op_ms(fresh), model.op_ms(KernelTable.of(fresh)))


@pytest.fixture(scope="module")
def boosted() -> tuple[HistGradientBoostingRegressor, Floats]:
    """scikit-learn's own trees on rows with ties, and the rows."""
    random = np.random.default_rng(7)
    rows = np.round(random.normal(size=(400, 4)), 1)
    targets = rows[:, 0] + np.sin(3 * rows[:, 1]) + random.normal(0, 0.1, 400)
    model = HistGradientBoostingRegressor(max_iter=40, monotonic_cst=[1, 0, 0, 0], random_state=0)
    return model.fit(rows, targets), rows


def test_trees_equal_those_of_scikit_learn(
    boosted: tuple[HistGradientBoostingRegressor, Floats],
) -> None:
    model, rows = boosted
    ours = BoostedTrees.of(model)
    between = np.random.default_rng(8).normal(0, 2, (500, 4))
    for given_rows in (rows, between, between * 1e6):
        assert np.abs(ours.predict(given_rows) - model.predict(given_rows)).max() < 1e-9
    again = BoostedTrees.from_dict(json.loads(json.dumps(ours.to_dict())))
    assert np.array_equal(again.predict(between), ours.predict(between))


def test_trees_do_not_fall_along_rising_features() -> None:
    random = np.random.default_rng(9)
    rows = random.normal(size=(300, 2))
    trees = BoostedTrees.fit(rows, -rows[:, 0] + rows[:, 1], [True, False], trees=30)
    line = np.stack([np.linspace(-3, 3, 50), np.zeros(50)], axis=1)
    assert (np.diff(trees.predict(line)) >= 0).all()
    across = trees.predict(line[:, ::-1])
    assert across[-1] - across[0] > 2.0  # and follow the other


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("left", lambda values: [0] * len(values)),  # a walk in circles
        ("right", lambda values: [len(values) + 5] * len(values)),
        ("values", lambda values: [float("nan"), *values[1:]]),
        ("values", lambda values: values[1:]),
        ("roots", lambda values: [-1]),
        ("features", lambda values: [-1] * len(values)),
    ],
)
def test_malformed_trees_are_refused(
    boosted: tuple[HistGradientBoostingRegressor, Floats], name: str, change: Any
) -> None:
    data = BoostedTrees.of(boosted[0]).to_dict()
    with pytest.raises((ValueError, TypeError)):
        BoostedTrees.from_dict({**data, name: change(data[name])})


def test_malformed_models_are_refused(models: dict[str, OpModel]) -> None:
    parametric: Any = models["parametric"]
    data = parametric.to_dict()
    with pytest.raises(ValueError, match="not negative"):
        ParametricOps.from_dict({**data, "prices": {**data["prices"], "macs": -1.0}})
    with pytest.raises(ValueError, match="share of 1/9"):
        ParametricOps.from_dict({**data, "fast_conv": [0.01, 64, 64]})
    trees: Any = models["trees"]
    with pytest.raises(ValueError, match="slope and share"):
        TreeOps.from_dict({**trees.to_dict(), "slope": 0.0})
    power: Any = models["power"]
    laws = power.to_dict()["laws"]
    law = {**laws["0"], "exponents": (-np.array(laws["0"]["exponents"])).tolist()}
    with pytest.raises(ValueError, match="exponents must be"):
        PowerOps.from_dict({**power.to_dict(), "laws": {"0": law}})


Change = Callable[[Any], Any]
SHORTER: Change = lambda values: values[:-1]  # noqa: E731
NARROWER: Change = lambda values: [row[:-1] for row in values]  # noqa: E731


@pytest.mark.parametrize(
    ("name", "path", "change"),
    [
        ("parametric", ("prices",), lambda prices: {n: prices[n] for n in list(prices)[1:]}),
        ("parametric", ("prices", "start"), lambda _: math.nan),
        ("parametric", ("prices", "start"), lambda _: "cheap"),
        ("parametric", ("fast_conv",), SHORTER),
        ("power", ("laws",), lambda laws: {"9": laws["0"]}),
        ("power", ("laws",), lambda laws: {"first": laws["0"]}),
        ("power", ("laws", "0", "exponents"), NARROWER),
        ("power", ("laws", "0", "exponents"), SHORTER),
        ("power", ("laws", "0", "logs"), SHORTER),
        ("power", ("laws", "0", "logs", 0), lambda _: math.inf),
        ("power", ("laws", "0", "traits"), SHORTER),
        ("power", ("laws", "0", "traits", 0), lambda _: math.nan),
        ("trees", ("trees", "values"), SHORTER),
        ("trees", ("trees", "features"), lambda features: [99] * len(features)),
        ("trees", ("share",), lambda _: 1.5),
        ("trees", ("backbone", "parametric", "prices", "macs"), lambda _: -1.0),
        ("nearest", ("neighbours",), lambda _: 0),
        ("nearest", ("neighbours",), lambda _: 2.5),
        ("nearest", ("points",), SHORTER),
        ("nearest", ("points",), NARROWER),
        ("nearest", ("points", 0, 0), lambda _: math.nan),
        ("nearest", ("logs",), SHORTER),
        ("nearest", ("logs", 0), lambda _: math.inf),
        ("nearest", ("backbone", "laws", "0", "exponents"), NARROWER),
    ],
)
def test_a_malformed_model_is_refused_when_it_is_read(
    models: dict[str, OpModel], name: str, path: tuple[Any, ...], change: Change
) -> None:
    model: Any = models[name]
    data = json.loads(json.dumps(model.to_dict()))
    parent = data
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = change(parent[path[-1]])
    with pytest.raises((KeyError, TypeError, ValueError)):
        CLASSES[name].from_dict(data)


def test_nearest_kernels_without_any_are_refused(models: dict[str, OpModel]) -> None:
    model: Any = models["nearest"]
    with pytest.raises(ValueError, match="points must be"):
        NearestOps.from_dict({**model.to_dict(), "points": [], "logs": []})


def test_a_different_activation_may_cost_less_but_is_told_apart() -> None:
    kernels = [kernel("dense", width, 14, 1) for width in range(4, 200, 2)]
    slow = [(replace(one[0], act="hswish"),) for one in kernels]
    ms = truth_ms(kernels)
    model = PowerOps().fit([*kernels, *slow], np.concatenate([ms, 1.5 * ms]))
    ratio = model.op_ms(slow) / model.op_ms(kernels)
    assert ratio == pytest.approx(np.full(len(ratio), 1.5), rel=0.03)
