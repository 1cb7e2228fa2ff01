"""What a table is fitted to: ops where they were timed, else whole networks; each target alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from palmette.latency import LatencyPredictor, fit, parse_target, read_timing_tables
from palmette.latency.fit_targets import fit_every, fit_target, timed_per_op
from palmette.latency.per_op.op_cost import OP_MODELS
from palmette.latency.per_op.op_timed import OpTimedModel
from palmette.latency.synthetic import target_of
from palmette.latency.whole.forms import FAMILIES, UNIT_FAMILIES
from palmette.latency.whole.model import TargetModel
from palmette.space import InputError

MINE = "my-phone/ane@coreml-ios18"
NETWORKS = {
    "mobilenet_v2": 0.71,
    "mobilenet_v2@192x192": 0.63,
    "mobilenet_v3_large": 0.75,
    "efficientnet_b0": 0.93,
    "fbnet_c": 0.80,
    "resnet50": 2.1,
}
Table = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], pd.DataFrame]:
    """Whole networks timed on a phone that nobody knows, by its target."""

    def table(target: str) -> pd.DataFrame:
        path = tmp_path_factory.mktemp("mine") / "table.csv"
        rows = [f"network,{name},{target},{ms},me" for name, ms in NETWORKS.items()]
        header = "subject_kind,subject,target,latency_ms,source"
        path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
        return read_timing_tables([path]).rows

    return table


@pytest.mark.parametrize("unit", UNIT_FAMILIES)
def test_a_target_of_ones_own_with_networks_alone_has_the_forms_of_its_unit(
    mine: Callable[[str], pd.DataFrame], unit: str
) -> None:
    name = f"my-phone/{unit}@coreml-ios18"
    predictor = LatencyPredictor(name).fit(mine(name))
    assert isinstance(predictor.model_, TargetModel)
    (state,) = predictor.model_.states
    forms = FAMILIES[UNIT_FAMILIES[unit]].forms
    assert tuple(component.form.name for component in state.components) == forms
    assert str(predictor.model_.target) == name and predictor.compared_ == {}
    error = predictor.predict(list(NETWORKS)) / np.array(list(NETWORKS.values())) - 1
    assert np.abs(error).mean() < 0.25  # it was fitted to them; one form for phones and servers
    assert len(predictor.held_out_errors_) == len(NETWORKS)


def test_a_target_of_ones_own_is_fitted_by_its_own_timings_alone(
    mine: Callable[[str], pd.DataFrame], timings: pd.DataFrame
) -> None:
    alone = LatencyPredictor(MINE).fit(mine(MINE))
    together = pd.concat([timings, mine(MINE)], ignore_index=True)
    beside = LatencyPredictor(MINE).fit(together)
    assert beside.to_dict() == alone.to_dict()


@pytest.mark.sweep
def test_known_targets_do_not_change_beside_one_of_ones_own(
    mine: Callable[[str], pd.DataFrame],
    timings: pd.DataFrame,
    refitted: dict[str, LatencyPredictor],
) -> None:
    modern = timings[timings["target"].str.contains("ios16")]
    together = pd.concat([mine(MINE), modern], ignore_index=True)
    found = fit(together)
    assert list(found) == [*(n for n in refitted if "ios16" in n), MINE]  # known ones first
    for name in found:
        if name != MINE:
            assert found[name].to_dict() == refitted[name].to_dict()
    assert found[MINE].to_dict() == LatencyPredictor(MINE).fit(together).to_dict()


def test_ops_decide_how_a_target_is_fitted(
    made_rows: pd.DataFrame, made_phone: Any, mine: Callable[[str], pd.DataFrame]
) -> None:
    rows = pd.concat([made_rows, mine(MINE)], ignore_index=True)
    assert timed_per_op(rows, made_phone.target) and not timed_per_op(rows, MINE)
    chain = made_rows.iloc[:1].assign(subject_kind="chain", target=MINE)
    assert timed_per_op(pd.concat([rows, chain]), MINE)
    both = {
        name: fit_target(rows, parse_target(name), ("parametric",))
        for name in (made_phone.target, MINE)
    }
    assert isinstance(both[made_phone.target].model, OpTimedModel)
    assert isinstance(both[MINE].model, TargetModel)


def test_one_target_of_a_table_can_be_fitted_alone(
    made_rows: pd.DataFrame, made_phone: Any, mine: Callable[[str], pd.DataFrame]
) -> None:
    rows = pd.concat([made_rows, mine(MINE)], ignore_index=True)
    found = fit(rows, MINE)
    assert list(found) == [MINE] and found[MINE].target == MINE
    with pytest.raises(InputError) as caught:
        fit(rows, "other-phone/cpu@x")
    assert str(caught.value) == (
        "target 'other-phone/cpu@x': the table has no timings of it; it has those of"
        f" {made_phone.target}, {MINE}"
    )
    with pytest.raises(InputError, match="must be device/unit@runtime"):
        fit(rows, "other phone")


@pytest.mark.sweep
def test_look_up_competes_if_it_is_asked_to(made_rows: pd.DataFrame, made_phone: Any) -> None:
    (predictor,) = fit(made_rows, made_phone.target, lookup=True).values()
    assert set(predictor.compared_) == set(OP_MODELS)
    assert predictor.model_name in OP_MODELS


def test_too_few_networks_of_ones_own_are_refused(mine: Callable[[str], pd.DataFrame]) -> None:
    few = mine(MINE).iloc[:4]
    with pytest.raises(InputError, match=f"target '{MINE}': 3 networks timed that its unit runs"):
        fit_every(few)


def test_too_few_ops_say_what_is_missing_and_no_other_fit_takes_their_place(
    made_rows: pd.DataFrame, mine: Callable[[str], pd.DataFrame]
) -> None:
    ops = made_rows[made_rows["subject_kind"] == "op"].iloc[:5].assign(target=MINE, part_of="")
    with pytest.raises(InputError) as caught:
        LatencyPredictor(MINE).fit(pd.concat([mine(MINE), ops]))
    assert str(caught.value) == (
        f"target '{MINE}': 5 timed ops and networks of 5 families can be used; what an op costs"
        " needs at least 12 ops, and how their sum becomes a network's time at least 4 families"
    )


def test_the_order_of_rows_does_not_matter(
    mine: Callable[[str], pd.DataFrame], made_rows: pd.DataFrame, made_phone: Any
) -> None:
    rows = mine(MINE)
    shuffled: Sequence[Any] = rows.sample(frac=1, random_state=1)
    assert (
        LatencyPredictor(MINE).fit(shuffled).to_dict() == LatencyPredictor(MINE).fit(rows).to_dict()
    )
    networks = ["mobilenet_v2", "fbnet_c"]
    one, other = (
        LatencyPredictor(made_phone.target, ("parametric",)).fit(table).predict(networks)
        for table in (made_rows, made_rows.sample(frac=1, random_state=1))
    )
    assert one == pytest.approx(other, rel=1e-6)


def test_a_relative_with_timings_per_op_does_not_disturb_a_target_of_whole_networks(
    timings: pd.DataFrame, made_rows: pd.DataFrame
) -> None:
    """Its networks may be known by their timed ops alone."""
    relative, target = "iphone-12/ane@coreml-ios16", "iphone-13/ane@coreml-ios16"
    alone = timings[timings["target"] == target]
    op = "conv 8x8x8 -> 8x8x8"
    odd = made_rows.iloc[:2].assign(
        target=relative,
        subject_kind=["op", "network"],
        subject=[op, "known by its ops"],
        part_of=["known by its ops", ""],
    )
    both = pd.concat([alone, odd], ignore_index=True)
    found = fit_target(both, parse_target(target))
    assert found.held_out_errors == fit_target(alone, parse_target(target)).held_out_errors


def test_nothing_is_fitted_to_a_real_phone_and_the_synthetic_one_together(
    mine: Callable[[str], pd.DataFrame],
) -> None:
    real, made_up = "my-phone/ane@coreml-ios18", target_of("ane")
    both = pd.concat([mine(real), mine(made_up)])
    for target in (None, real, made_up):
        with pytest.raises(InputError, match="the timings: synthetic-phone/ane@synthetic is made"):
            fit(both, target)
    for target, like in ((real, made_up), (made_up, "iphone-13/ane")):
        with pytest.raises(InputError, match="--like: synthetic-phone/ane@synthetic is made up"):
            fit(mine(target), target, like)
