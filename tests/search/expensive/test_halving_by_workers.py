"""Successive halving by worker processes: a rung goes on from what another process trained."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from palmette.search.expensive.halving import Contender, Halving, halve, rungs_of
from palmette.search.trials.here import Here
from palmette.search.trials.processes import Processes
from palmette.search.trials.rungs import ProxyEvaluator
from palmette.train.datasets import open_data
from palmette.train.recipe import load_recipe

RECIPE = load_recipe("quick").changed(epochs=3, batch=32, schedule__warmup_epochs=0.5)
NETS = [f"16x16 stem_k3_s2_c8_relu | ir_r1_k3_s2_e2_c{width}_relu | head" for width in (8, 12, 16)]


@pytest.mark.sweep
def test_two_processes_that_share_a_folder_give_the_table_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums depend on the number of threads
    data = open_data("procedural:160", side=16)

    def table(folder: Path, executor: type[Here] | type[Processes]) -> pd.DataFrame:
        evaluator = ProxyEvaluator(
            "procedural:160", data.fingerprint, RECIPE, 16, folder=str(folder), device="cpu"
        )
        contenders = [Contender(at, text, 5.0 + at) for at, text in enumerate(NETS)]
        halving = Halving(contenders, rungs_of(3), seed=2)
        more = {} if executor is Here else {"workers": 2}
        with executor(evaluator, **more) as workers:
            return halve(halving, workers)

    apart = table(tmp_path / "apart", Processes)
    assert apart.equals(table(tmp_path / "one", Here))
    assert apart["promoted"].sum() == 1 and apart["epochs"].tolist() == [1, 1, 1, 3]
    logs = sorted((tmp_path / "apart").rglob("log.csv"))
    assert sorted(len(pd.read_csv(log)) for log in logs) == [1, 1, 3]
