"""A run whose phone was timed again: what it chose, held against its budget by a second table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from palmette.latency import LatencyPredictor, load_predictor, parse_target
from palmette.latency.drift import Chosen, Comparison, Kept, compare, kept_budgets
from palmette.latency.quantity import timings_of
from palmette.latency.tables import read_csv
from palmette.search.config import SearchConfig
from palmette.search.run_folder import RunFolder
from palmette.space import Architecture, InputError
from palmette.space.errors import expect

COLUMNS = ("id", "pick", "ms", "ms_at_confidence", "architecture")


@dataclass(frozen=True, slots=True)
class RunChoice:
    """What a finished run chose, the pick first, and what it was predicted by."""

    config: SearchConfig
    predictor: LatencyPredictor
    networks: tuple[Chosen, ...]

    @property
    def unit(self) -> str:
        """`device/unit`."""
        return self.config.target.partition("@")[0]


def read_choice(path: Path) -> RunChoice:
    """Choice of a finished run, from its folder; nothing is compiled.

    Raises:
        InputError: no run, an unfinished or corrupt one; the message names file, row and rule.
    """
    folder = RunFolder(path)
    search, _ = folder.read_config()
    config = SearchConfig.from_dict(search, str(folder.config))
    config.expect_one_target(str(path))
    expect(
        folder.front.is_file(),
        f"{path}: the run is not finished; go on with: palmette search --resume {path}",
    )
    rows = read_csv(folder.front)
    for column in COLUMNS:
        expect(column in rows, f"{folder.front}: column '{column}' is missing; search again")
    networks = []
    for row, *cells in rows[list(COLUMNS)].itertuples(name=None):
        networks.append((cells[1] != "True", _chosen(f"{folder.front}: row {row}", cells)))
    expect(bool(networks), f"{folder.front}: has no rows; search again")
    predictor = (
        LatencyPredictor.read(folder.predictor)
        if config.predictor
        else load_predictor(config.target)
    )
    ordered = sorted(networks, key=lambda one: one[0])  # stable: the pick, then the fastest
    return RunChoice(config, predictor, tuple(chosen for _, chosen in ordered))


def _chosen(where: str, cells: list[str]) -> Chosen:
    name, pick, *times, text = cells
    numbers = [float(pd.to_numeric(cell, errors="coerce")) for cell in times]
    expect(
        all(number > 0 for number in numbers),
        f"{where}: ms and ms_at_confidence must be positive, got {' and '.join(times)}",
    )
    try:
        Architecture.from_text(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return Chosen(f"{'pick' if pick == 'True' else 'front'} {name[:8]}", text, *numbers)


def compare_for_run(
    rows_a: pd.DataFrame, rows_b: pd.DataFrame, choice: RunChoice
) -> tuple[Comparison, list[Kept]]:
    """Compare two tables in the quantity of a run's budget, and judge what it chose.

    Raises:
        InputError: as `compare`, or tables without the run's device and unit.
    """
    config = choice.config
    found = compare(rows_a, rows_b, config.budget)
    unit = next((one for one in found.units if one.found.name == choice.unit), None)
    if unit is None:
        known = ", ".join(one.found.name for one in found.units)
        raise InputError(f"the run is for {choice.unit}, the tables are of {known}")
    target = str(parse_target(config.target))
    expect(
        unit.found.a.target == target,
        f"the run is for {target}, the first table of {unit.found.a.target}; put the table of the"
        " runtime that the run was for first",
    )
    rows = timings_of(rows_b, config.budget)
    return found, kept_budgets(
        unit, rows, choice.networks, config.budget_ms, config.confidence, choice.predictor
    )
