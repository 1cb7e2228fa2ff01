"""Fronts of finished runs, read and checked: the candidates of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from palmette.latency.tables import read_csv
from palmette.search.accuracy import source_of
from palmette.search.config import SearchConfig
from palmette.search.posing import full_space, reopen
from palmette.search.problem import SearchProblem
from palmette.search.run_folder import RunFolder
from palmette.space import Architecture, InputError, SearchSpace, compile_space
from palmette.space.errors import expect

COLUMNS = ("id", "top1", "architecture")


@dataclass(frozen=True, slots=True)
class Front:
    """A finished run: its problem, and the networks of its front with their estimated top-1."""

    folder: RunFolder
    config: SearchConfig
    problem: SearchProblem
    space: SearchSpace
    """The full one, before choices were barred."""
    top1: dict[Architecture, float]


def read_fronts(paths: Sequence[Path]) -> list[Front]:
    """Fronts of runs over one space with one source of accuracies.

    Raises:
        InputError: no run, an unfinished or corrupt one, one whose space or predictor is another by
            now, or one that can't be compared with the first.
    """
    folders = [RunFolder(path) for path in dict.fromkeys(paths)]
    spaces = [_space(folder) for folder in folders]
    for folder, space in zip(folders, spaces, strict=True):
        _expect_same("space", folder, space.id, folders[0], spaces[0].id)
    compiled = compile_space(spaces[0])
    fronts = [
        Front(folder, *reopen(folder, compiled), space, _top1(folder))
        for folder, space in zip(folders, spaces, strict=True)
    ]
    for front in fronts:
        source, first = (source_of(one.problem.accuracy) for one in (front, fronts[0]))
        _expect_same("accuracy", front.folder, source, folders[0], first)
    return fronts


def _space(folder: RunFolder) -> SearchSpace:
    search, _ = folder.read_config()
    config = SearchConfig.from_dict(search, str(folder.config))
    config.expect_one_target(str(folder.path))
    expect(
        folder.front.is_file(),
        f"{folder.path}: the run is not finished; go on with: palmette search --resume"
        f" {folder.path}",
    )
    return full_space(config, folder)


def _expect_same(what: str, folder: RunFolder, its: str, first: RunFolder, wanted: str) -> None:
    expect(
        its == wanted,
        f"{folder.path}: its {what} ({its}) is not that of {first.path} ({wanted}); points compare"
        f" within one {what} alone: search again with the same",
    )


def _top1(folder: RunFolder) -> dict[Architecture, float]:
    """Networks of `front.csv` with their estimated top-1."""
    rows = read_csv(folder.front)
    for column in COLUMNS:
        expect(column in rows, f"{folder.front}: column '{column}' is missing; search again")
    expect(len(rows) > 0, f"{folder.front}: has no rows; search again")
    found = {}
    for row, name, top1, text in zip(rows.index, *(rows[c] for c in COLUMNS), strict=True):
        where = f"{folder.front} row {row}"
        value = float(pd.to_numeric(top1, errors="coerce"))
        expect(0 <= value <= 100, f"{where}: top1 must be from 0 to 100, got '{top1}'")
        found[_network(text, name, where)] = value
    return found


def _network(text: str, given: str, where: str) -> Architecture:
    try:
        network = Architecture.from_text(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    expect(
        network.id == given,
        f"{where}: the architecture's id is {network.id}, not '{given}'; search again",
    )
    return network
