"""Predictors of timings per op: planted truth, breakdown, hull, storage, what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from palmette.latency import LatencyPredictor
from palmette.latency.per_op.kernels import KernelTable
from palmette.latency.per_op.op_cost import OP_MODELS, STRICT_MODELS
from palmette.latency.per_op.op_timed import (
    HULL_COLUMNS,
    HULL_REACH,
    MOST_OUTSIDE,
    READERS,
    OpHull,
    OpTimedModel,
)
from palmette.latency.whole.forms import floor_ms
from palmette.space import CompiledSpace, InputError, Op, OpTable, load

Predictors = dict[str, LatencyPredictor]
Table = Callable[..., OpTable]


@pytest.fixture(scope="module")
def fresh(small: CompiledSpace) -> list[Any]:
    """Networks of the small space, most of which were never timed."""
    return small.space.decode_batch(small.space.sample(40, np.random.default_rng(9)))


# What it predicts


@pytest.mark.parametrize("name", STRICT_MODELS)
def test_a_planted_phone_is_recovered_on_networks_never_timed(
    made: Predictors, made_phone: Any, fresh: list[Any], name: str
) -> None:
    true = np.array([made_phone.ms(network.ops()) for network in fresh])
    error = np.abs(made[name].predict(fresh) / true - 1)
    assert error.mean() < 0.02 and error.max() < 0.05
    assert made[name].mape < 3  # whole families held out, four of them
    interval = made[name].predict_interval(fresh, 0.9)
    inside = (interval.lower_ms <= true) & (true <= interval.upper_ms)
    assert inside.mean() > 0.8


def test_the_calibration_of_a_planted_phone_is_found(made: Predictors, made_phone: Any) -> None:
    model: Any = made["parametric"].model_
    assert model.scale == pytest.approx(made_phone.scale, rel=0.05)
    assert model.constant_ms == pytest.approx(made_phone.constant_ms, rel=0.3)
    assert model.networks == 20


@pytest.mark.parametrize("name", STRICT_MODELS)
def test_a_breakdown_adds_up_to_the_prediction_less_the_constant(
    made: Predictors, fresh: list[Any], name: str
) -> None:
    for network in fresh[:5]:
        parts = made[name].breakdown(network)
        ms = made[name].predict([network])[0]
        constant_ms = made[name].model_.constant_ms
        assert parts["ms"].sum() == pytest.approx(ms - constant_ms, rel=1e-9)
        assert parts["share"].sum() == pytest.approx(1 - constant_ms / ms, rel=1e-9)
        assert parts["op"].tolist() == [op.to_text() for op in network.ops()]
        assert (parts["ms"] > 0).all()


def test_a_kernels_time_stands_at_its_main_op_and_the_rest_at_its_floor(
    made_models: dict[str, OpTimedModel], ops_of_texts: Table
) -> None:
    texts = ("conv 16x25x25 -> 24x25x25", "add 24x25x25 + 24x25x25 -> 24x25x25")
    ops = ops_of_texts(*texts)
    for model in made_models.values():
        values = model.channels(ops)
        kernel = KernelTable.of([tuple(map(Op.from_text, texts))])
        assert values[0, 0] == pytest.approx(model.scale * model.ops.op_ms(kernel)[0], rel=1e-12)
        assert values[1, 0] == floor_ms(ops, model.target)[1]
        alone = model.channels(ops, np.array([0, 1]))[:, 0]
        assert alone.sum() > values[:, 0].sum()  # started by itself it costs more


def test_a_slow_activation_costs_its_extra_once_a_kernel(
    made_models: dict[str, OpTimedModel], ops_of_texts: Table
) -> None:
    model = replace(made_models["parametric"], slow_ms=0.7)
    without = replace(model, slow_ms=0.0)
    ops = ops_of_texts(
        "conv 8x9x9 -> 8x9x9 hswish", "conv 8x9x9 -> 8x9x9", "act 8x9x9 -> 8x9x9 gelu"
    )
    extra = model.channels(ops)[:, 0] - without.channels(ops)[:, 0]
    assert extra == pytest.approx([0.7, 0.0, 0.7])


def test_no_ops_cost_nothing_but_the_constant(made_models: dict[str, OpTimedModel]) -> None:
    none = OpTable.of(())
    for model in made_models.values():
        assert model.channels(none).shape == (0, 2)
        assert model.predict([none]).tolist() == [model.constant_ms]
        assert model.predict([]).shape == (0,)
        assert model.placement_of(none) == "native"


def test_a_network_without_a_kernel_of_its_own_is_predicted_too(
    made_models: dict[str, OpTimedModel], ops_of_texts: Table
) -> None:
    gate = ops_of_texts("mul 8x4x4 + 8x1x1 -> 8x4x4")
    for model in made_models.values():
        assert model.predict([gate])[0] > model.constant_ms


# What lies outside the timed shapes


def hull_of(*texts: str) -> OpHull:
    return OpHull.of(KernelTable.of([(Op.from_text(text),) for text in texts]))


@pytest.mark.parametrize(
    ("text", "outside"),
    [
        ("conv 16x8x8 -> 16x8x8", False),
        ("conv 17x8x8 -> 17x8x8", False),  # 1.13 times the MACs
        ("conv 20x8x8 -> 20x8x8", True),
        ("conv 14x8x8 -> 16x8x8", False),
        ("conv 10x8x8 -> 16x8x8", True),
        ("conv 16x8x8 -> 16x8x8 k3", True),
        ("conv 16x8x8 -> 16x8x8 g2", True),  # of a sort that was not timed
        ("conv 16x8x8 -> 16x8x8 k3 g16", True),
        ("linear 16 -> 16", True),
    ],
)
def test_a_kernel_is_outside_with_more_or_less_work_than_all_of_its_sort(
    text: str, outside: bool
) -> None:
    kernels = KernelTable.of([(Op.from_text(text),)])
    assert hull_of("conv 16x8x8 -> 16x8x8").outside(kernels).tolist() == [outside]


def test_the_hull_is_the_least_and_most_of_each_sort_with_a_reach() -> None:
    hull = hull_of("conv 16x8x8 -> 16x8x8", "conv 16x8x8 -> 64x8x8", "linear 8 -> 8")
    assert set(hull.ranges) == {"conv", "linear"}
    macs, _, weights = hull.ranges["conv"]
    assert macs == (64 * 256, 64 * 1024) and weights == (16 * 17, 64 * 17)
    between = KernelTable.of([(Op.from_text("conv 16x8x8 -> 40x8x8"),)])
    assert not hull.outside(between).any()
    assert len(HULL_COLUMNS) == 3 and HULL_REACH > 1


@pytest.mark.parametrize("name", STRICT_MODELS)
def test_timed_networks_are_inside(
    made: Predictors, made_rows: pd.DataFrame, small: CompiledSpace, name: str
) -> None:
    timed = small.space.decode_batch(small.space.sample(20, np.random.default_rng(0)))
    assert [made[name].outside(network) for network in timed] == [False] * 20
    model = made[name].model_
    for network in timed:
        assert (model.channels(OpTable.of(network.ops()))[:, 1] == 0).all()


@pytest.mark.parametrize("name", STRICT_MODELS)
def test_a_network_much_larger_than_the_timed_ones_is_outside(
    made: Predictors, small: CompiledSpace, name: str
) -> None:
    timed = small.space.decode(small.space.sample(1, np.random.default_rng(0))[0])
    large = ["mobilenet_v2", "resnet50", load("mobilenet_v2").with_resolution(448)]
    assert not made[name].outside(timed)
    assert all(made[name].outside(network) for network in large)
    interval = made[name].predict_interval([timed, *large])
    factors = interval.upper_ms / interval.ms
    assert (factors[1:] > 1.1 * factors[0]).all()


@pytest.mark.parametrize("name", STRICT_MODELS)
def test_a_network_of_kernels_whose_shapes_were_never_timed_is_outside(
    made: Predictors, small: CompiledSpace, name: str
) -> None:
    network = small.space.decode(small.space.sample(1, np.random.default_rng(0))[0])
    ops = network.ops()
    head = next(op for op in ops if op.kind == "linear")
    dense = Op("conv", ((48, 25, 25),), (48, 25, 25), (7, 7))  # as much work as the whole network
    strange = (*ops[:-1], dense, head)
    model = made[name].model_
    sums = model.channels(OpTable.of(strange)).sum(axis=0)
    assert sums[1] > MOST_OUTSIDE * model.combine(sums) and model.strays(sums)
    assert made[name].outside(strange) and not made[name].outside(ops)
    # a little of it may be
    few = np.array([1.0, 0.05])
    assert not model.strays(few) and model.strays(np.array([1.0, 0.9]))


# Storage


@pytest.mark.parametrize("name", STRICT_MODELS)
def test_a_predictor_comes_back_from_its_file(
    made: Predictors, fresh: list[Any], name: str, tmp_path: Path
) -> None:
    path = tmp_path / made[name].file_name
    made[name].write(path)
    again = LatencyPredictor.read(path)
    assert path.name == "made-phone-gpu-tflite-1.0.json"
    assert again.target == made[name].target and again.model_name == name
    assert again.to_dict() == made[name].to_dict()
    one, other = (p.predict_interval([*fresh, "resnet50"]) for p in (made[name], again))
    for bound in ("ms", "lower_ms", "upper_ms"):
        assert getattr(one, bound) == pytest.approx(getattr(other, bound), rel=1e-9)
    assert [made[name].outside(n) for n in fresh] == [again.outside(n) for n in fresh]


def test_a_predictor_that_looks_kernels_up_comes_back_too(
    made_rows: pd.DataFrame, made_phone: Any, fresh: list[Any], tmp_path: Path
) -> None:
    predictor = LatencyPredictor(made_phone.target, ("nearest",)).fit(made_rows)
    predictor.write(tmp_path / "it.json")
    again = LatencyPredictor.read(tmp_path / "it.json")
    assert again.predict(fresh) == pytest.approx(predictor.predict(fresh), rel=1e-9)
    assert not again.model_.strict


def test_a_file_is_read_and_predicts_without_the_trees_of_scikit_learn(
    made: Predictors, tmp_path: Path
) -> None:
    made["trees"].write(tmp_path / "it.json")
    code = (
        "import sys; from pathlib import Path; from palmette.latency import LatencyPredictor;"
        f"p = LatencyPredictor.read(Path({str(tmp_path / 'it.json')!r}));"
        "from palmette.space import Op; ops = (Op.from_text('conv 3x96x96 -> 8x48x48 k3 s2'),);"
        "print(p.predict([ops])[0]); print([m for m in sys.modules if 'sklearn.ensemble' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ms, loaded = done.stdout.split("\n", 1)
    ops = (Op.from_text("conv 3x96x96 -> 8x48x48 k3 s2"),)
    assert float(ms) == pytest.approx(made["trees"].predict([ops])[0], rel=1e-9)
    assert loaded.strip() == "[]"


def test_every_op_model_has_a_reader() -> None:
    assert set(READERS) == set(OP_MODELS)


@pytest.fixture(scope="module")
def stored(made: Predictors) -> str:
    """JSON of the predictor with all op models in it."""
    return json.dumps(made["trees"].to_dict())


def altered(stored: str, path: tuple[Any, ...], value: Any) -> str:
    data = json.loads(stored)
    parent = data
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return json.dumps(data)


def refused(content: str) -> None:
    with pytest.raises(InputError) as caught:
        LatencyPredictor.from_json(content, "it.json")
    said = str(caught.value)
    assert said.startswith("it.json: malformed predictor (") and "\n" not in said


LAWS = ("model", "ops", "backbone", "laws", "0")
TREES = ("model", "ops", "trees")
ENDLESS = 10**400


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model", "kind"), "opps"),
        (("model", "name"), "forest"),
        (("model", "name"), "nearest"),  # not what is stored
        (("model", "name"), None),
        (("model", "target"), "made-phone/npu@x"),
        (("model", "scale"), -1.0),
        (("model", "scale"), 0.0),
        (("model", "scale"), float("nan")),
        (("model", "scale"), "1"),
        (("model", "constant_ms"), -0.1),
        (("model", "constant_ms"), float("inf")),
        (("model", "slow_ms"), -1e-9),
        (("model", "slow_ms"), True),
        (("model", "networks"), 0),
        (("model", "networks"), 2.5),
        (("model", "hull"), None),
        (("model", "hull"), []),
        (("model", "hull", "conv"), [[1.0, 2.0]]),
        (("model", "hull", "conv"), {"macs": [1.0, 2.0]}),
        (("model", "hull", "conv", 0), [2.0, 1.0]),
        (("model", "hull", "conv", 0), [1.0, float("nan")]),
        (("model", "hull", "conv", 0), [1.0, 2.0, 3.0]),
        (("model", "hull", "conv", 0), ["a", "b"]),
        (("model", "hull", "magic"), [[1.0, 2.0]] * 3),
        (("model", "ops"), None),
        (("model", "ops"), []),
        (("model", "ops", "slope"), 0.0),
        (("model", "ops", "share"), 2.0),
        (("model", "ops", "backbone", "parametric", "prices", "start"), -1.0),
        pytest.param(
            ("model", "ops", "backbone", "parametric", "prices", "start"), ENDLESS, id="price"
        ),
        ((*LAWS, "exponents"), [[0.5]]),
        ((*LAWS, "exponents"), 0.5),
        ((*LAWS, "exponents"), [[0.5], [0.5, 0.5]]),
        ((*LAWS, "logs"), [float("nan")] * 2),
        pytest.param((*LAWS, "logs"), [ENDLESS] * 2, id="logs"),
        ((*LAWS, "traits"), [0.0]),
        ((*LAWS, "traits"), None),
        ((*TREES, "features"), [0]),
        ((*TREES, "roots"), [10**9]),
        pytest.param((*TREES, "roots"), [ENDLESS], id="roots"),
        ((*TREES, "base"), float("nan")),
        ((*TREES, "values"), "many"),
        (TREES, {}),
    ],
)
def test_malformed_json_is_refused_in_one_line(
    stored: str, path: tuple[Any, ...], value: Any
) -> None:
    LatencyPredictor.from_json(stored, "it.json")
    refused(altered(stored, path, value))


def test_a_missing_key_is_refused(stored: str) -> None:
    model = json.loads(stored)["model"]
    for path in [("model", key) for key in model if key != "kind"] + [
        (*TREES, key) for key in model["ops"]["trees"]
    ]:
        data = json.loads(stored)
        parent = data
        for key in path[:-1]:
            parent = parent[key]
        del parent[path[-1]]
        refused(json.dumps(data))


def test_a_large_file_has_a_line_for_each_entry_and_a_small_one_is_read_by_eye(
    made: Predictors, tmp_path: Path
) -> None:
    for name, lines in (("trees", 12), ("parametric", 200)):
        made[name].write(tmp_path / "it.json")
        content = (tmp_path / "it.json").read_text("utf-8")
        assert content.startswith("{\n") and content.endswith("\n}\n")
        assert (content.count("\n") < 20) == (lines < 20)
        assert json.loads(content) == json.loads(json.dumps(made[name].to_dict()))
