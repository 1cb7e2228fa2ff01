"""What a fleet shares, of made times and accuracies: the choice, its proof, the manifest."""

from __future__ import annotations

import json
import math
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palmette.latency import parse_target
from palmette.latency.phones import machines
from palmette.search.bundle import Fleet, Portfolio, choose, proof_lines, report
from palmette.search.bundle.fleet import PhoneUnit
from palmette.search.bundle.manifest import check_phones, manifest, packages
from palmette.search.bundle.phones import served_by
from palmette.space import Architecture, InputError

GOLDEN = Path(__file__).with_name("manifest.json")
TARGETS = ("iphone-11/gpu", "iphone-11/ane", "iphone-13/ane")
SMALL, MIDDLE, LARGE = (
    Architecture.from_text(f"32x32 stem_k3_s2_c8_relu | ds_k3_s2_c{c}_relu | head_c32_n10")
    for c in (8, 16, 24)
)


def made_fleet(targets: tuple[str, ...] = TARGETS) -> Fleet:
    """Three networks; the middle one is too slow for the iPhone 13, the large one for the GPU."""
    units = tuple(PhoneUnit(parse_target(target), 2.0, 0.95) for target in targets)
    ms = np.array([[0.5, 0.4, 0.3], [1.0, 0.8, 1.9], [1.8, 1.4, 0.9]])
    upper = ms * 1.25
    keeps = upper <= 2.0
    top1 = np.array([70.0, 70.4, 71.0])
    columns = slice(0, len(targets))
    return Fleet(
        units,
        (SMALL, MIDDLE, LARGE),
        top1,
        ms[:, columns],
        (ms / 1.25)[:, columns],
        upper[:, columns],
        keeps[:, columns],
        0.95,
        "prior, mean recipe",
    )


def made(portfolio: Portfolio) -> dict[str, dict[str, Any]]:
    return {
        package.name: {"weights": "untrained", "bytes": 10, "sha256": "0" * 64}
        for package in packages(portfolio)
    }


def test_a_phone_loses_against_its_own_best_alone() -> None:
    np.testing.assert_allclose(made_fleet().best_top1, [70.4, 71.0, 71.0])
    assert made_fleet().losses[1].tolist() == pytest.approx([0.0, 0.6, math.inf])


def test_the_fewest_backbones_are_chosen_and_each_phone_takes_its_best_of_them() -> None:
    found = choose(made_fleet(), 0.5)
    assert found.backbones == (MIDDLE, LARGE) and found.fewest == 2
    assert [share.network for share in found.shares] == [MIDDLE, LARGE, LARGE]
    assert found.worst_loss == 0.0 and found.least_loss == (1.0, 0.0, 0.0)
    alone = choose(made_fleet(), 1.0)
    assert alone.backbones == (SMALL,) and alone.worst_loss == 1.0


def test_too_few_backbones_are_answered_with_what_would_do() -> None:
    with pytest.raises(InputError) as error:
        choose(made_fleet(), 0.5, backbones=1)
    assert str(error.value) == (
        "backbones: 1 does not suffice for 0.5 points, 2 are the fewest; 1 loses 1.000 points or"
        " more (on iphone-11/ane, iphone-13/ane): give --backbones 2, or --max-loss 1"
    )
    assert choose(made_fleet(), 1.0, backbones=1).fewest == 1


def test_bad_numbers_are_refused() -> None:
    for numbers, word in (
        ((-0.1,), "max_loss"),
        ((math.nan,), "max_loss"),
        ((0.5, 0), "backbones"),
    ):
        with pytest.raises(InputError, match=word):
            choose(made_fleet(), *numbers)


def test_the_proof_names_phones_that_no_network_serves_together() -> None:
    found = choose(made_fleet(), 0.5)
    assert found.weights is not None and sum(found.weights) > 1
    serves = made_fleet().losses <= 0.5
    assert ((serves @ np.array(found.weights)) <= 1).all()
    text = "\n".join(proof_lines(found))
    assert "within 0.5 points: 2" in text and "why 1 can't do" in text
    assert "1: 1.000, 2: 0.000, 3: 0.000" in text


def test_targets_that_share_an_alias_are_told_apart() -> None:
    targets = ("iphone-15/ane@coreml-ios17", "iphone-15/ane@coreml-ios18", "iphone-13/ane")
    found = choose(made_fleet(targets), 0.5)
    assert found.fleet.names == targets
    weights = report(found)["proof"]["weights"]
    assert list(weights) == [str(parse_target(target)) for target in targets]
    assert tuple(weights.values()) == found.weights
    told = next(line for line in proof_lines(found) if line.startswith("why 1 can't do"))
    heavy = [name for name, weight in zip(targets, weights.values(), strict=True) if weight > 0]
    assert len(heavy) > 1 and all(name in told for name in heavy)


def test_a_report_is_json_with_a_row_for_each_phone() -> None:
    data = json.loads(json.dumps(report(choose(made_fleet(), 0.5)), allow_nan=False))
    assert [row["target"] for row in data["phones"]] == [str(parse_target(t)) for t in TARGETS]
    assert data["proof"]["least_worst_loss"] == {"1": 1.0, "2": 0.0, "3": 0.0}
    assert set(data["backbones"]) == {MIDDLE.id, LARGE.id}


# --- manifest -------------------------------------------------------------------------------------


def test_a_backbone_has_a_package_for_each_format_that_its_phones_timed() -> None:
    found = [(p.name, p.minimum_ios) for p in packages(choose(made_fleet(), 0.5))]
    names = (f"{MIDDLE.id}.mlmodel", f"{LARGE.id}.mlmodel", f"{LARGE.id}.mlpackage")
    assert found == list(zip(names, (13, 13, 16), strict=True))


def test_the_manifest_is_the_golden_one() -> None:
    portfolio = choose(made_fleet(), 0.5)
    found = manifest(portfolio, made(portfolio))
    assert found.pop("made_by").startswith("palmette ")
    assert found == json.loads(GOLDEN.read_text("utf-8"))


def test_a_phone_prefers_the_neural_engine_whatever_order_was_asked_for() -> None:
    portfolio = choose(made_fleet(), 0.5)
    choices = manifest(portfolio, made(portfolio))["devices"]["iPhone12,1"]
    assert [choice["unit"] for choice in choices] == ["ane", "gpu"]


def test_phones_with_the_chip_of_a_listed_one_take_its_choice_without_a_promise() -> None:
    found = served_by(["iphone-13", "iphone-14", "iphone-xs"])
    assert found["iPhone14,5"] == ("iphone-13", True)
    assert found["iPhone14,7"] == ("iphone-14", True)
    assert found["iPhone14,2"] == ("iphone-13", False)  # 13 Pro: the first listed with an A15
    assert found["iPhone11,8"] == ("iphone-xs", False)  # XR
    assert "iPhone12,1" not in found


def test_identifiers_are_known_of_every_phone_that_a_target_is_shipped_for() -> None:
    from palmette.latency import TARGETS as SHIPPED

    chips = {machine.phone: machine.chip for machine in machines()}
    assert all(chips[target.device] == target.chip for target in SHIPPED.values())
    identifiers = [machine.identifier for machine in machines()]
    assert len(set(identifiers)) == len(identifiers)


def test_both_tables_of_phones_agree_on_every_chip() -> None:
    rules = tomllib.loads((files("palmette.export") / "data/unit_rules.toml").read_text("utf-8"))
    chips = {phone: chip for chip, phones in rules["chips"].items() for phone in phones}
    assert chips == {machine.phone: machine.chip for machine in machines()}


def test_phones_that_cannot_be_bundled_are_named() -> None:
    for target, message in (
        ("iphone-99/ane@coreml-ios18", "phone 'iphone-99': its machine identifier is not known"),
        ("iphone-xs/gpu@tflite-2.10", "phone iphone-xs/gpu@tflite-2.10: runtime 'tflite-2.10'"),
    ):
        with pytest.raises(InputError) as error:
            check_phones(choose(made_fleet((target,)), 0.5))
        assert str(error.value).startswith(message)
