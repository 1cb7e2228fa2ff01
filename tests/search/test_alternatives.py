"""Every change of one gene is listed with the two networks' own estimates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from palmette.latency import load_predictor
from palmette.search import Goal
from palmette.search.alternatives import alternatives, best_rates
from palmette.search.limits import Limits
from palmette.search.objectives.pose_joined import pose_joined
from palmette.search.problem import SearchProblem, pose
from palmette.space import InputError, SearchSpace
from palmette.train import AccuracyPrior


@pytest.fixture(scope="module")
def problem(small_space: SearchSpace) -> SearchProblem:
    return pose(small_space, load_predictor("iphone-11/ane"), Limits(6.0))


def test_each_row_is_the_network_with_that_one_choice(problem: SearchProblem) -> None:
    space = problem.space
    code = space.sample(1, np.random.default_rng(0))[0]
    table = alternatives(problem, code)
    assert len(table) == sum(space.cardinalities - 1)
    assert list(table)[:4] == ["stage", "gene", "chosen", "alternative"]
    predictor, prior = problem.latency.predictor, AccuracyPrior.load()
    own = space.decode(code)
    own_ms, own_top1 = predictor.predict([own])[0], prior.report(own)["top1"]
    for row in table.itertuples():
        column = space.column[row.gene]
        choices = space.genes[column].choices
        assert row.chosen == choices[code[column]]
        changed = code.copy()
        changed[column] = choices.index(row.alternative)
        other = space.decode(changed)
        assert row.ms == pytest.approx(predictor.predict([other])[0], rel=1e-9)
        assert row.d_ms == pytest.approx(row.ms - own_ms, abs=1e-9)
        assert row.top1 == pytest.approx(prior.report(other)["top1"], abs=1e-9)
        assert row.d_points == pytest.approx(row.top1 - own_top1, abs=1e-9)
        assert row.feasible == (problem.candidates(changed[None, :]).violation[0] <= 0)
        assert row.gene.startswith(f"{row.stage}.")


def test_a_code_of_another_space_is_refused(problem: SearchProblem) -> None:
    with pytest.raises(InputError, match=r"^code: must be \d+ indices"):
        alternatives(problem, np.array([0, 1]))


def test_of_several_targets_the_load_is_there_and_ms_are_of_the_one_that_decides(
    small_space: SearchSpace,
) -> None:
    names = {"iphone-11/ane": 6.0, "iphone-11/gpu": 1000.0}
    goals = [(Goal(name, ms), load_predictor(name)) for name, ms in names.items()]
    joined = pose_joined(small_space, goals, "worst", Limits(1.0))
    code = joined.space.sample(1, np.random.default_rng(0))[0]
    table = alternatives(joined, code)
    assert np.allclose(table["ms"], table["load"] * 6.0)  # the GPU has time to spare
    assert np.allclose(table["d_ms"], table["d_load"] * 6.0)
    rates = best_rates(table)
    assert set(rates["way"]) == {"saving", "gaining"}


def changes(rows: list[tuple[str, float, float, bool]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["stage", "d_ms", "d_points", "feasible"])


def test_the_best_rates_of_a_stage_worked_by_hand() -> None:
    table = changes(
        [
            ("stem", -1.0, -2.0, True),  # 2 points a ms
            ("stem", -2.0, -1.0, True),  # 0.5: the cheapest saving
            ("stem", 1.0, 0.5, True),  # 0.5
            ("stem", 0.5, 0.5, True),  # 1: the best gain
            ("head", -1.0, 0.1, False),  # saves and gains, but may not be
            ("head", -1.0, -3.0, True),  # the only saving that may
        ]
    )
    rates = best_rates(table)
    assert rates[["stage", "way", "points_per_ms"]].values.tolist() == [
        ["stem", "saving", 0.5],
        ["stem", "gaining", 1.0],
        ["head", "gaining", np.inf],
        ["head", "saving", 3.0],
    ]


def test_a_change_that_neither_saves_nor_gains_has_no_rate() -> None:
    rates = best_rates(changes([("stem", 1.0, -1.0, True), ("head", 0.0, 0.0, True)]))
    assert rates.empty
    assert list(rates)[:3] == ["stage", "way", "points_per_ms"]


def test_a_table_of_something_else_is_refused() -> None:
    with pytest.raises(InputError, match="must be of alternatives"):
        best_rates(pd.DataFrame({"ms": [1.0]}))
