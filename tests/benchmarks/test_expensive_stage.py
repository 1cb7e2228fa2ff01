"""The benchmark of expensive measurements: what it resumes from, and how it compares."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from palmette.space import InputError

MADE = {"target": "iphone-13/ane", "data": "abc", "code": "1"}
TABLE = {("tpe", "warm", 3, 100): 0.91, ("palmette", "cold", 0, 20): 0.875}


def test_what_was_written_is_read_again(benchmark: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "shares.csv"
    assert benchmark.read_shares(path, MADE) == {}
    benchmark.write_shares(path, TABLE, MADE)
    assert benchmark.read_shares(path, MADE) == TABLE


@pytest.mark.parametrize("name", MADE)
def test_rows_that_something_else_made_are_refused(
    benchmark: ModuleType, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "shares.csv"
    benchmark.write_shares(path, TABLE, {**MADE, name: "other"})
    with pytest.raises(
        InputError, match=f"was made with another {name}; name the samplers that run"
    ):
        benchmark.read_shares(path, MADE)
    if name == "code":
        assert set(benchmark.read_shares(path, MADE, ["tpe"])) == {("palmette", "cold", 0, 20)}
    else:
        with pytest.raises(InputError):
            benchmark.read_shares(path, MADE, ["tpe"])


def test_a_table_says_target_data_and_code(benchmark: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a")
    made = benchmark.about(tmp_path / "data.csv", "iphone-11/cpu")
    (tmp_path / "data.csv").write_text("b")
    other = benchmark.about(tmp_path / "data.csv", "iphone-11/ane")
    assert {name for name in made if made[name] != other[name]} == {"target", "data"}


def test_every_sampler_gets_both_starts_and_gp_only_short_runs(benchmark: ModuleType) -> None:
    runs = list(benchmark.arms(3, 2, 500))
    assert len(runs) == len(set(runs))
    short = [arm for arm, count in runs if count == 100]
    assert len(short) == 2 * (3 * (len(benchmark.SAMPLERS) - 1) + 2)
    assert {arm.sampler for arm, count in runs if count == 500}.isdisjoint({"gp", "palmette_blind"})


def test_differences_are_paired_by_seed_and_start(benchmark: ModuleType) -> None:
    table = {}
    for seed in range(20):
        for start in ("warm", "cold"):
            level = 0.8 + 0.01 * seed
            table["palmette", start, seed, 100] = level
            table["tpe", start, seed, 100] = level - 0.05 + 0.001 * (seed % 2)
    table["gp", "cold", 0, 100] = 0.5
    rows = {(row["start"], row["sampler"]): row for row in benchmark.compared(table)}
    row = rows["cold", "tpe"]
    assert row["ours_more"] == pytest.approx(0.0495)
    # seeds differ by 0.19, differences within a seed by 0.001: paired, the interval is narrow
    assert 0.049 < row["low"] < row["ours_more"] < row["high"] < 0.05
    assert "ours_more" not in rows["cold", "palmette"] and "ours_more" not in rows["cold", "gp"]
