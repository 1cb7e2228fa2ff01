"""A run in few words: picks beside references under the same predictor, as text and as JSON."""

from __future__ import annotations

import json
import re
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palmette.latency import LatencyPredictor, fit, published_timings, read_timings
from palmette.search import (
    Run,
    comparison,
    default_folder,
    export_pick,
    guard_lines,
    run,
    summary,
)
from palmette.search.references import references
from palmette.search.timed import timed_ms
from palmette.space import MOBILENET_LIKE, InputError, load
from palmette.train import AccuracyPrior

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def rows(finished: Run) -> Rows:
    return comparison(finished)


@pytest.fixture(scope="module")
def restricted(small_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with every limit and another weight of the uncertainty."""
    options = {"params_m": 5.0, "macs_m": 250.0, "lam": 2.0, "recipe": "timm_ra"}
    options |= {"package_mb": 4.5, "peak_memory_mb": 3.5, "precision": "int8,float16"}
    folder = tmp_path_factory.mktemp("restricted") / "run"
    return run("iphone-11/ane", 40.0, folder, space=str(small_file), evaluations=1000, **options)


def reject(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


# --- reference networks ---------------------------------------------------------------------------


def test_references_are_the_eight_under_the_runs_predictors(finished: Run) -> None:
    predictor = finished.problem.latency.predictor
    table = references(predictor, "timm_ra", 0.9, 1.5).set_index("network")
    assert set(table.index) == set(MOBILENET_LIKE)
    assert table["ms"].is_monotonic_increasing
    networks = [load(name) for name in table.index]
    time = predictor.predict_interval(networks, 0.9, two_sided=False)
    accuracy = AccuracyPrior.load().evaluate(networks, "timm_ra")
    np.testing.assert_allclose(table["ms_at_confidence"], time.upper_ms)
    np.testing.assert_allclose(table["top1"], accuracy.top1)
    np.testing.assert_allclose(table["score"], accuracy.top1 - 1.5 * accuracy.sigma)
    assert table.loc["mobilenet_v2", "published_top1"] == 71.8
    assert table.loc["mobilenet_v2", "params_m"] == pytest.approx(3.505, abs=1e-3)
    assert table.loc["mobilenet_v2", "macs_m"] == pytest.approx(300.8, abs=0.1)


# --- the table ------------------------------------------------------------------------------------


def test_rows_are_sorted_by_milliseconds_and_hold_every_reference(rows: Rows) -> None:
    assert [row["ms"] for row in rows] == sorted(row["ms"] for row in rows)
    assert set(MOBILENET_LIKE) <= {row["name"] for row in rows}


def test_the_pick_is_one_row_and_called_so(finished: Run, rows: Rows) -> None:
    (pick,) = [row for row in rows if row["verdict"] == "pick"]
    assert pick["name"] == f"pick {finished.pick.id[:8]}"


def test_both_ends_of_the_front_are_shown(finished: Run, rows: Rows) -> None:
    shown = [row["name"].split()[-1] for row in rows if row["published"] is None]
    ids = [text[:8] for text in finished.front["id"]]
    assert shown[0] == ids[0]
    assert shown[-1] == ids[-1]
    assert 6 <= len(shown) <= 7


def test_a_front_of_one_network_is_a_table_too(finished: Run) -> None:
    one = finished.front[finished.front["pick"]].reset_index(drop=True)
    names = [row["name"] for row in comparison(replace(finished, front=one))]
    assert len(names) == len(MOBILENET_LIKE) + 1


def verdicts(found: Run) -> dict[str, str]:
    return {row["name"]: row["verdict"] for row in comparison(found)}


@pytest.mark.parametrize("budget", [4.0, 6.0, 12.0])
def test_a_reference_is_over_budget_by_its_timing_or_else_by_its_time_at_confidence(
    finished: Run, budget: float
) -> None:
    table = comparison(replace(finished, config=replace(finished.config, budget_ms=budget)))
    rows = [row for row in table if row["name"] in MOBILENET_LIKE]
    for row in rows:
        ms = row["ms_at_confidence"] if row["timed_ms"] is None else row["timed_ms"]
        assert (row["verdict"] == "over budget") == (ms > budget), row
    over = [row["name"] for row in rows if row["verdict"] == "over budget"]
    assert len(over) == len(MOBILENET_LIKE) if budget == 4.0 else len(over) < len(MOBILENET_LIKE)


def test_a_timing_is_that_of_the_published_table(rows: Rows) -> None:
    timings = published_timings()
    own = timings[timings["target"] == "iphone-11/ane@coreml-ios13"]
    timed = {row["name"]: row["timed_ms"] for row in rows if row["timed_ms"] is not None}
    assert len(timed) >= 4
    for name, ms in timed.items():
        assert ms in own.loc[own["subject"] == name, "latency_ms"].tolist()


def test_timings_of_the_users_own_predictor_stand_in_the_table_and_decide(
    finished: Run, tmp_path: Path
) -> None:
    """Of references and of the front, by whatever name they were timed under."""
    front = finished.front[~finished.front["pick"]]
    slow, budget = str(front["architecture"].iloc[0]), finished.config.budget_ms
    target = "iphone-15/ane@coreml-ios18"
    mine = {
        "mobilenet_v2": 0.9 * budget,
        "mobilenet_v3_large@224x224": 1.1 * budget,
        load("efficientnet_b0").to_text(): 1.2 * budget,
        slow: 1.3 * budget,
        "shufflenet_v2_1.0": 0.5 * budget,
    }
    rows = [f"network,{name},{target},{ms:.4f},mine" for name, ms in mine.items()]
    head = "subject_kind,subject,target,latency_ms,source"
    (tmp_path / "mine.csv").write_text("\n".join([head, *rows]))
    found = fit(read_timings(tmp_path / "mine.csv"), target, like="iphone-13/ane")[target]
    found.write(tmp_path / "mine.json")
    predictor = LatencyPredictor.read(tmp_path / "mine.json")
    latency = replace(finished.problem.latency, predictor=predictor)
    table = comparison(replace(finished, problem=replace(finished.problem, latency=latency)))
    timed = {row["name"]: row["timed_ms"] for row in table if row["timed_ms"] is not None}
    name = f"front {front['id'].iloc[0][:8]}"
    assert timed == pytest.approx(
        {
            "mobilenet_v2": 0.9 * budget,
            "mobilenet_v3_large": 1.1 * budget,
            "efficientnet_b0": 1.2 * budget,
            name: 1.3 * budget,
        },
        abs=1e-4,
    )
    over = {row["name"] for row in table if row["verdict"] == "over budget"}
    assert over & set(timed) == set(timed) - {"mobilenet_v2"}


def test_an_own_timing_stands_before_the_published_one(finished: Run) -> None:
    predictor = copy(finished.problem.latency.predictor)
    published = timed_ms(predictor)
    predictor.timed_ms_ = {"mobilenet_v2": 1.25}
    own = timed_ms(predictor)
    assert own == published | {load("mobilenet_v2").id: 1.25} and own != published


def test_a_network_timed_by_its_kernels_may_have_any_name(finished: Run) -> None:
    predictor = copy(finished.problem.latency.predictor)
    published = timed_ms(predictor)
    predictor.timed_ms_ = {"mine|too": 1.0, "mobilenet_v2@big": 1.0, "mine.csv": 1.0}
    assert timed_ms(predictor) == published


def test_a_reference_that_breaks_another_limit_is_said_to(restricted: Run) -> None:
    found = verdicts(restricted)
    assert found["efficientnet_b0"] == "over params_m"  # 5.3 M, 390 M
    assert found["mobilenet_v2"] == "over macs_m"  # 3.5 M, 301 M
    assert re.fullmatch(r"[+-]\d+\.\d", found["mobilenet_v3_small"])


def test_the_lines_name_every_limit_and_what_is_not_known_of_fewer_bits(restricted: Run) -> None:
    lines = guard_lines(restricted)
    limits = "params_m at most 5, macs_m at most 250, package_mb at most 4.5, peak_memory_mb at"
    assert any(limits in line for line in lines)
    (line,) = (line for line in lines if line.startswith("precision of the weights"))
    front = restricted.front
    assert set(front["precision"]) <= {"float16", "int8"}
    for name, count in front["precision"].value_counts().items():
        assert f"{name} {count}" in line
    assert "milliseconds and top-1 are those of half precision" in line
    assert front["package_mb"].max() <= 4.5 and front["peak_memory_mb"].max() <= 3.5


@pytest.mark.sweep
def test_a_pick_of_fewer_bits_is_exported_with_them(restricted: Run, tmp_path: Path) -> None:
    row = restricted.front["precision"].eq("int8").idxmax()
    assert restricted.front.loc[row, "precision"] == "int8"
    front = restricted.front.assign(pick=restricted.front.index == row)
    package = export_pick(replace(restricted, front=front))
    assert package.name.endswith("-int8.mlpackage")
    written = sum(file.stat().st_size for file in package.rglob("*") if file.is_file())
    assert written == pytest.approx(front.loc[row, "package_mb"] * 1e6, rel=0.02)


def test_a_verdict_is_the_difference_of_scores_or_a_tie(restricted: Run) -> None:
    """The reference is scored as the picks are: with the run's weight of the uncertainty."""
    small = load("mobilenet_v3_small")
    accuracy = AccuracyPrior.load().evaluate([small], "timm_ra")
    pick = restricted.front[restricted.front["pick"]].iloc[0]
    difference = float(accuracy.top1[0] - 2.0 * accuracy.sigma[0] - pick["score"])
    assert abs(difference) > 0.5
    assert verdicts(restricted)["mobilenet_v3_small"] == f"{difference:+.1f}"
    for row in restricted.front.to_dict("records"):
        verdict = verdicts(restricted).get(f"front {row['id'][:8]}")
        tie = abs(row["score"] - pick["score"]) < 0.5
        assert verdict is None or (verdict == "tie") == tie


# --- words ----------------------------------------------------------------------------------------


def test_the_lines_name_the_rung_its_error_ties_and_what_was_barred(finished: Run) -> None:
    text = "\n".join(guard_lines(finished))
    for words in (
        "published prior, mean of the training recipes",
        "MAE 1.3 points",
        "below 0.5 points are ties",
        "network.resolution=160",
        "stage2.kernel=7",
        f": {finished.guards['outside_timed']} of {len(finished.front)};",
    ):
        assert words in text


def test_guards_that_had_nothing_to_do_have_a_line_only_where_every_one_is_asked_for(
    finished: Run,
) -> None:
    lines, every = guard_lines(finished), guard_lines(finished, every=True)
    assert [line for line in every if line in lines] == lines
    assert not any(line.endswith(": none") or ": 0 and 0 of" in line for line in lines)
    assert [line.rpartition(": ")[2] for line in every if line not in lines] == [
        f"0 and 0 of {len(finished.front)}",
        "none",
        "none",
    ]
    inside = replace(finished, front=finished.front.assign(outside_timed=False))
    assert not any("than any that was timed" in line for line in guard_lines(inside))


def test_the_lines_name_families_whose_estimates_were_widened(finished: Run) -> None:
    front = finished.front.assign(
        architecture=[load("mobileone_s1").to_text(), *finished.front["architecture"][1:]]
    )
    found = replace(finished, front=front)
    assert found.guards["widened_families"] == {"one": 1.0}
    assert "published networks: one (up to 100% of a network)" in "\n".join(guard_lines(found))


def test_the_lines_name_the_recipe_and_that_nothing_was_barred(
    small_file: Path, tmp_path: Path
) -> None:
    options = {"space": str(small_file), "recipe": "timm_ra", "extrapolate": True}
    found = run("iphone-11/ane", 6.0, tmp_path, evaluations=1000, **options)
    text = "\n".join(guard_lines(found))
    assert "recipe timm_ra" in text
    assert "barred" not in text
    assert "barred: none" in "\n".join(guard_lines(found, every=True))


def test_a_target_with_few_timings_is_named_first(small_file: Path, tmp_path: Path) -> None:
    options = {"space": str(small_file), "extrapolate": True}
    found = run("iphone-15-pro/ane", 2.0, tmp_path, evaluations=1000, **options)
    assert guard_lines(found)[0].startswith("iphone-15-pro/ane@coreml-ios17: 2 anchors: few")
    assert summary(found)["anchors"] == 2


# --- JSON -----------------------------------------------------------------------------------------


def test_the_summary_is_json_without_infinities(finished: Run) -> None:
    text = json.dumps(summary(finished))
    found = json.loads(text, parse_constant=reject)
    assert found["folder"] == str(finished.folder.path)
    assert found["config"]["params_m"] is None
    assert found["config"]["budget_ms"] == 6.0
    assert found["pick"]["id"] == finished.pick.id
    assert [row["ms"] for row in found["front"]] == finished.front["ms"].tolist()
    assert found["comparison"] == comparison(finished)
    assert found["guards"] == finished.guards


# --- folders and packages -------------------------------------------------------------------------


def test_the_default_folder_is_named_by_target_and_budget_and_never_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_folder("iphone-13/ane@coreml-ios16", 0.9) == Path("runs/iphone-13-ane-0.9ms")
    for expected in ("iphone-13-ane-6ms", "iphone-13-ane-6ms-2", "iphone-13-ane-6ms-3"):
        folder = default_folder("iphone-13/ane", 6.0)
        assert folder == Path("runs") / expected
        folder.mkdir(parents=True)


def test_the_default_folder_of_an_unknown_target_is_refused() -> None:
    with pytest.raises(InputError, match="known: iphone-11/cpu"):
        default_folder("iphone-99/ane", 1.0)


def test_the_pick_is_exported_into_the_runs_folder_with_its_prediction(
    finished: Run, copied: Path
) -> None:
    import coremltools

    found = replace(finished, folder=replace(finished.folder, path=copied))
    package = export_pick(found)
    pick = finished.front[finished.front["pick"]].iloc[0]
    assert package == copied / "models" / f"{pick['id']}.mlmodel"
    metadata = coremltools.utils.load_spec(str(package)).description.metadata.userDefined
    assert metadata["target"] == "iphone-11/ane@coreml-ios13"
    assert float(metadata["predicted_ms"]) == pytest.approx(pick["ms"], rel=1e-3)
    low, high = (float(metadata[f"predicted_ms_{end}"]) for end in ("lower", "upper"))
    assert low < float(metadata["predicted_ms"]) < high
    assert metadata["predictor"] == found.problem.latency.predictor.timings_hash_
    assert metadata["accuracy_rung"] == "prior, mean recipe"
