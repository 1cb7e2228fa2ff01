"""Forms: rooflines by hand, physical floors, and that no shipped price makes an op free."""

from collections.abc import Callable

import numpy as np
import pytest

from palmette.latency import LatencyPredictor, find_target
from palmette.latency.targets import ELEMENT_FLOOR_MS, TARGETS
from palmette.latency.whole.features import FEATURES
from palmette.latency.whole.forms import FAMILIES, FORMS, Form, floor_ms
from palmette.space import Op, OpTable

COMPUTE = "conv 100x10x10 -> 100x10x10"  # 1 M MACs, 0.02 M elements
MOVING = "pool 100x100x100 -> 100x50x50 k2 s2"  # no MACs, 1 M elements read


@pytest.fixture
def roofline() -> Form:
    return Form("made", ("weights",), ("macs_point", "macs_dense"), ("elements",))


def test_a_roofline_charges_the_dearer_of_computing_and_moving(
    roofline: Form, ops_of_texts: Callable[..., OpTable]
) -> None:
    matrix = roofline.matrix(ops_of_texts(COMPUTE, MOVING))
    assert matrix.tolist() == [[101 * 100 / 1e6, 1.0, 0.0, 0.02], [0.0, 0.0, 0.0, 1.0]]
    prices = np.array([10.0, 3.0, 1.0, 5.0])
    # 3 ms of computing against 0.1 of moving; nothing against 5 ms
    counted = roofline.active(matrix, prices)
    assert counted.tolist() == [[0.0101, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    assert (counted @ prices).tolist() == pytest.approx([0.101 + 3.0, 5.0])
    # moving at 200 ms: 4 ms against 3
    assert (roofline.active(matrix, np.array([10.0, 3.0, 1.0, 200.0])))[0, 1:].tolist() == [
        0.0,
        0.0,
        0.02,
    ]


def test_a_linear_form_counts_everything(ops_of_texts: Callable[..., OpTable]) -> None:
    form = FORMS["ane_ios16"]
    matrix = form.matrix(ops_of_texts(COMPUTE, MOVING))
    assert form.active(matrix, np.ones(4)) is matrix


def test_active_leaves_its_argument_alone(
    roofline: Form, ops_of_texts: Callable[..., OpTable]
) -> None:
    matrix = roofline.matrix(ops_of_texts(COMPUTE, MOVING))
    before = matrix.copy()
    roofline.active(matrix, np.ones(4))
    assert np.array_equal(matrix, before)


def test_the_floor_is_the_peak_rate_plus_the_traffic(
    ops_of_texts: Callable[..., OpTable],
) -> None:
    target = find_target("iphone-11/gpu")
    assert target.mac_floor_ms == pytest.approx(1 / 690, rel=1e-12)  # 0.69 TMAC/s
    moved = (2 * 100 * 100 + 101 * 100) / 1e6
    expected = 1 / 690 + moved * ELEMENT_FLOOR_MS
    assert floor_ms(ops_of_texts(COMPUTE), target).tolist() == pytest.approx([expected])


def test_forms_families_and_targets_name_only_what_exists() -> None:
    for form in FORMS.values():
        assert set(form.features) <= set(FEATURES)
        assert len(set(form.features)) == len(form.features)
        assert bool(form.compute) == bool(form.moved)
    for family in FAMILIES.values():
        assert set(family.forms) <= set(FORMS)
        for feature, other in family.fallback:
            assert feature in FEATURES and other in FAMILIES
    assert {target.family for target in TARGETS.values()} - {""} == set(FAMILIES)


def test_no_op_of_any_known_network_is_free_on_any_target(
    shipped: dict[str, LatencyPredictor], all_networks: dict[str, tuple[Op, ...]]
) -> None:
    every = OpTable.of(list({op: None for ops in all_networks.values() for op in ops}))
    for name, predictor in shipped.items():
        for state in predictor.model_.states:
            for component in state.components:
                floor = floor_ms(every, component.target)
                assert (floor > 0).all()
                assert (component.op_ms(every) >= floor).all(), (name, component.form.name)
                assert component.constant_ms > 0
                assert min(component.prices_ms) > 0
