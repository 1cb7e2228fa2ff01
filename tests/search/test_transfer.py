"""What is picked for one target, run on another: exact times, own limits, no gain over budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from palmette.search import Run, fronts_figure, transfer_figure, transfer_matrix
from palmette.search.code_map import CodeMap
from palmette.search.run_folder import RunFolder
from palmette.search.transfer import BARRED, KEPT, LIMIT, OVER, OWN, names_of
from palmette.space import Architecture, InputError, SearchSpace


@pytest.fixture(scope="module")
def matrix(several: list[Run]) -> pd.DataFrame:
    return transfer_matrix(several)


def entry(matrix: pd.DataFrame, picked_for: str, run_on: str) -> pd.Series:
    return matrix.set_index(["picked_for", "run_on"]).loc[(picked_for, run_on)]


def with_budget(run: Run, budget_ms: float) -> Run:
    """The run, as if it had been asked to keep another budget."""
    limits = replace(run.problem.limits, budget_ms=budget_ms)
    problem = replace(run.problem, limits=limits)
    return replace(run, config=replace(run.config, budget_ms=budget_ms), problem=problem)


def test_an_own_pick_loses_nothing(several: list[Run], matrix: pd.DataFrame) -> None:
    both = pd.concat([matrix, transfer_matrix(several, "front")])
    own = both[both["picked_for"] == both["run_on"]]
    assert own["network"].tolist() == [run.pick.id for run in several] * 2
    assert (own["lost_points"] == 0).all() and (own["verdict"] == OWN).all()
    assert own["in_budget"].all()


def test_an_entry_is_what_the_predictor_says_of_the_pick(
    several: list[Run], matrix: pd.DataFrame
) -> None:
    assert len(matrix) == 4
    rows = iter(matrix.to_dict("records"))
    for run in several:
        for place in several:
            row, predictor = next(rows), place.problem.latency.predictor
            time = predictor.predict_interval([run.pick], place.config.confidence, two_sided=False)
            found = [row["ms"], row["lower_ms"], row["upper_ms"]]
            assert found == pytest.approx([time.ms[0], time.lower_ms[0], time.upper_ms[0]])
            assert row["runs_on"] == predictor.state_of(run.pick)
            assert row["top1"] == run.front.loc[run.front["pick"], "top1"].item()
            assert row["own_top1"] == place.front.loc[place.front["pick"], "top1"].item()
            assert row["in_budget"] == (row["upper_ms"] <= place.config.budget_ms)
            assert Architecture.from_text(row["architecture"]).id == row["network"]


def test_a_pick_over_budget_is_said_so_and_gains_nothing(several: list[Run]) -> None:
    ane, gpu = several
    upper = entry(transfer_matrix(several), "iphone-11/gpu", "iphone-11/ane")["upper_ms"]
    inside = entry(
        transfer_matrix([with_budget(ane, upper * 1.001), gpu]), "iphone-11/gpu", "iphone-11/ane"
    )
    assert inside["in_budget"] and inside["verdict"] in (KEPT, BARRED)
    over = entry(
        transfer_matrix([with_budget(ane, upper * 0.999), gpu]), "iphone-11/gpu", "iphone-11/ane"
    )
    assert not over["in_budget"] and over["verdict"] == OVER
    assert math.isnan(over["lost_points"])


def test_points_are_lost_against_the_own_pick(several: list[Run]) -> None:
    ane, gpu = several
    row = entry(transfer_matrix([ane, with_budget(gpu, 1000.0)]), "iphone-11/ane", "iphone-11/gpu")
    assert row["verdict"] == KEPT  # the GPU's timings identify all that the other's do
    assert row["lost_points"] == row["own_top1"] - row["top1"]


def test_a_network_of_barred_choices_or_beyond_another_limit_is_said_so(
    several: list[Run], small_space: SearchSpace
) -> None:
    ane, gpu = several
    free = with_budget(gpu, 1000.0)
    others = [side for side in (160, 192, 224) if side != ane.pick.resolution[0]]
    space = gpu.problem.space.restrict("network.resolution", others)
    between = CodeMap.between(space, small_space)
    barring = replace(free.problem, space=space, compiled_codes=between)
    limits = replace(free.problem.limits, params_m=0.1)
    for problem, verdict in (
        (barring, BARRED),
        (replace(free.problem, limits=limits), LIMIT),
    ):
        row = entry(
            transfer_matrix([ane, replace(free, problem=problem)]), "iphone-11/ane", "iphone-11/gpu"
        )
        assert row["in_budget"] and row["verdict"] == verdict and math.isnan(row["lost_points"])


def test_of_a_front_the_target_takes_what_it_would_pick_itself(several: list[Run]) -> None:
    ane, gpu = several
    row = entry(transfer_matrix(several, "front"), "iphone-11/gpu", "iphone-11/ane")
    networks = [Architecture.from_text(text) for text in gpu.front["architecture"]]
    score, problem = gpu.front["score"].to_numpy(), ane.problem
    fits = []
    for index, network in enumerate(networks):
        try:
            code = problem.space.encode(network)[None, :]
        except InputError:
            continue
        found = problem.candidates(code)
        if found.violation[0] <= 0:
            fits.append((float(found.ms[0]), score[index], network.id))
    assert fits
    ties = [fit for fit in fits if fit[1] >= max(s for _, s, _ in fits) - 0.5]
    assert (row["network"], row["verdict"]) == (min(ties)[2], KEPT)


def test_where_nothing_of_a_front_fits_the_nearest_stands(several: list[Run]) -> None:
    ane, gpu = several
    row = entry(
        transfer_matrix([ane, with_budget(gpu, 0.001)], "front"), "iphone-11/ane", "iphone-11/gpu"
    )
    networks = [Architecture.from_text(text) for text in ane.front["architecture"]]
    time = gpu.problem.latency.predictor.predict_interval(
        networks, gpu.config.confidence, two_sided=False
    )
    assert row["verdict"] == OVER
    assert row["network"] == networks[int(time.upper_ms.argmin())].id


def test_a_joined_pick_is_carried_but_nothing_is_carried_to_it(
    several: list[Run], joined: Run
) -> None:
    plain = replace(joined, config=replace(joined.config, reward=None))
    matrix = transfer_matrix([*several, plain])
    assert names_of([*several, plain]) == ["iphone-11/ane", "iphone-11/gpu", "weighted of 2"]
    assert len(matrix) == 6
    assert matrix["picked_for"].tolist()[4:] == ["weighted of 2"] * 2
    times = joined.front.loc[joined.front["pick"]].iloc[0]
    found = matrix[matrix["picked_for"] == "weighted of 2"]["ms"]
    assert found.tolist() == pytest.approx([times["ms_iphone-11-ane"], times["ms_iphone-11-gpu"]])


def test_runs_of_one_name_are_told_apart(several: list[Run], joined: Run, tmp_path: Path) -> None:
    """Other seeds or budgets of the same goals: by the folder, and in the end by a number."""
    plain = replace(joined, config=replace(joined.config, reward=None))
    other = replace(plain, folder=RunFolder(tmp_path / "other"))
    full = "weighted of iphone-11/ane+iphone-11/gpu"
    assert names_of([several[0], plain, other]) == [
        "iphone-11/ane",
        f"{full}, run",
        f"{full}, other",
    ]
    assert names_of([plain, plain]) == [f"{full}, run (1)", f"{full}, run (2)"]
    matrix = transfer_matrix([*several, plain, other])
    assert len(matrix) == 8 and len(transfer_figure(matrix).data[0].y) == 4
    traces = fronts_figure([plain, other], "load").data
    assert [trace.name for trace in traces] == [f"{full}, run", f"{full}, other"]


@dataclass(frozen=True)
class Measured:
    """An accuracy of the user's own images, as far as a figure asks."""

    id: str
    label: str = "function mine"


def test_one_source_of_accuracies_is_the_same_for_matrix_and_figure(several: list[Run]) -> None:
    """The words of two functions or supernets may be the same: what counts is what they are."""
    one, other = (
        replace(run, problem=replace(run.problem, accuracy=Measured(name)))  # type: ignore[arg-type]
        for run, name in zip(several, ("1a", "2b"), strict=True)
    )
    with pytest.raises(InputError, match=r"\(function mine, 2b\) are not those of"):
        fronts_figure([one, other])
    with pytest.raises(InputError, match="function mine, 2b"):
        transfer_matrix([one, other])


def test_fronts_of_two_lambdas_are_not_carried_but_picks_are(several: list[Run]) -> None:
    ane, gpu = several
    careful = replace(gpu, config=replace(gpu.config, lam=3.0))
    assert len(transfer_matrix([ane, careful])) == 4
    with pytest.raises(InputError, match=r"its lambda \(3\) is not that of .* \(0.5\)"):
        transfer_matrix([ane, careful], "front")


def test_one_run_alone_and_what_is_no_run_are_refused(several: list[Run]) -> None:
    for wrong, kind in ((several[0], "Run"), (["runs/one"], "str"), (3, "int")):
        for draw in (transfer_matrix, fronts_figure):
            with pytest.raises(InputError, match=f"give a list of finished runs, .* got {kind}"):
                draw(wrong)  # type: ignore[operator]
    assert len(transfer_matrix(iter(several))) == 4  # nor need it be a list


def test_a_run_with_a_reward_holds_no_budget_and_no_line_shows_one(several: list[Run]) -> None:
    ane, gpu = several
    free = replace(gpu, config=replace(gpu.config, reward="mnasnet"))
    assert [line.x0 for line in fronts_figure([ane, free]).layout.shapes] == [6.0]
    assert not fronts_figure([free], "load").layout.shapes


def test_runs_that_do_not_compare_are_refused(
    several: list[Run], joined: Run, finished: Run
) -> None:
    ane, gpu = several
    plain = replace(joined, config=replace(joined.config, reward=None))
    other = replace(gpu, config=replace(gpu.config, space="mnasnet"))
    for runs, words in (
        ([], "give finished runs"),
        ([plain], "one at least of one target"),
        ([ane, finished], "another run is for iphone-11/ane@coreml-ios13 too"),
        ([ane, other], "points compare within one source"),
        ([ane, joined], "picks by a reward"),
    ):
        with pytest.raises(InputError, match=words):
            transfer_matrix(runs)
    with pytest.raises(InputError, match="carried: must be pick or front, got 'all'"):
        transfer_matrix(several, "all")  # type: ignore[arg-type]


def test_the_heatmap_has_the_losses_and_words_for_what_is_not_allowed() -> None:
    pairs = [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b"), ("c", "a"), ("c", "b")]
    frame = pd.DataFrame(pairs, columns=["picked_for", "run_on"])
    frame["lost_points"] = [0.0, 0.75, math.nan, 0.0, -0.04, math.nan]
    frame["verdict"] = [OWN, KEPT, OVER, OWN, KEPT, BARRED]
    frame["ms"] = [0.8, 1.5, 2.0, 1.8, 0.7, 1.0]
    frame["upper_ms"] = [0.9, 1.6, 2.5, 1.9, 0.8, 1.2]
    frame["budget_ms"] = [1.0, 2.0] * 3
    heat, words = transfer_figure(frame).data
    drawn = np.array(heat.z, dtype=float)
    np.testing.assert_array_equal(drawn, [[0.0, 0.75], [math.nan, 0.0], [-0.04, math.nan]])
    assert (list(heat.x), list(heat.y)) == (["a", "b"], ["a", "b", "c"])
    assert list(words.text) == [
        "<b>0.0</b><br>90% of the budget",
        "<b>0.8</b><br>80% of the budget",
        "250% of the budget",
        "<b>0.0</b><br>95% of the budget",
        "<b>0.0</b><br>80% of the budget",
        "has barred choices<br>60% of the budget",
    ]
    assert "b on a: over budget" in words.hovertext[2]
    for wrong in (frame[:0], pd.concat([frame, frame[:1]])):
        with pytest.raises(InputError, match="each pair of 'picked_for' and 'run_on' once"):
            transfer_figure(wrong)
    with pytest.raises(InputError, match="column 'ms' is missing"):
        transfer_figure(frame.drop(columns="ms"))


def test_fronts_of_several_targets_stand_in_one_figure(several: list[Run], joined: Run) -> None:
    figure = fronts_figure(several)
    assert [trace.name for trace in figure.data] == ["iphone-11/ane", "iphone-11/gpu"]
    assert [line.x0 for line in figure.layout.shapes] == [6.0, 14.0]
    assert figure.layout.xaxis.type == "log"
    for trace, run in zip(figure.data, several, strict=True):
        np.testing.assert_array_equal(trace.x, run.front["ms"])
        assert np.argmax(trace.marker.size) == np.flatnonzero(run.front["pick"])[0]
    loads = fronts_figure([*several, joined], "load").data
    np.testing.assert_allclose(loads[1].x, several[1].front["ms"] / 14.0)
    np.testing.assert_array_equal(loads[2].x, joined.front["load"])
    with pytest.raises(InputError, match="draw it by load"):
        fronts_figure([*several, joined])
    with pytest.raises(InputError, match="scale: must be ms or load"):
        fronts_figure(several, "share")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="give finished runs"):
        fronts_figure([])
