"""How well the accuracy prior ranks networks whose true accuracy is known.

Table: Accel-NASBench (Ahmad et al., Apache-2.0), networks of MnasNet's search space in
EfficientNet-B0's widths, each trained on ImageNet for 16 epochs; 1,500 of its 5,138 rows had a hand
in the prior's coefficients. Per row the stages as `k3_e6_r1` or `k5_e4_r3_se`, parameters in
millions and top-1 in %.

Printed, for the prior behind its guards and for rankings by parameters and by MACs: Kendall's tau
over all rows and over the 20 % with the highest true top-1, and under six MAC caps the regret: true
top-1 of the best row under the cap minus that of the best among the ten highest-ranked. Absolute
errors are not compared: 16 epochs are another recipe, and a recipe moves all estimates together.

    python benchmarks/prior_ranking.py [--table FILE] [--out FILE] [--json]
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from palmette.space import CompiledSpace, InputError, SearchSpace, compile_space
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.search_space import Codes
from palmette.space.third_party import third_party_folder
from palmette.train import AccuracyPrior

Floats = NDArray[np.float64]

DEFAULT_TABLE = third_party_folder() / "mnasnet_space_imagenet16.csv"
RESULTS = Path(__file__).resolve().parents[1] / "results" / "prior_ranking.json"
SPACE = "mnasnet"
STAGES = tuple(f"stage{stage}" for stage in range(1, 8))
MAC_CAPS_M = (200, 250, 300, 350, 400, 500)
SHORTLIST = 10
TOP_SHARE = 0.2
_STAGE = re.compile(r"k(?P<kernel>\d+)_e(?P<expansion>\d+)_r(?P<depth>\d+)(?P<se>_se)?")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a table: codes (n, genes) in the space, parameters in millions and top-1 in %."""

    codes: Codes
    params_m: Floats
    top1: Floats


def read_table(path: Path, space: SearchSpace) -> Table:
    """Table from its CSV file.

    Raises:
        InputError: the file, a column or a value is missing or breaks a rule; names file and row.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or (), list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); name another with --table") from None
    for column in (*STAGES, "params_m", "top1"):
        expect(column in columns, f"{path}: column '{column}' is missing")
    expect(len(rows) > 1, f"{path}: at least two rows are needed to rank, got {len(rows)}")
    places = [f"{path}, line {index + 2}" for index in range(len(rows))]
    pairs = list(zip(rows, places, strict=True))
    return Table(
        np.array([_code(row, place, space) for row, place in pairs], dtype=np.int64),
        np.array([_number(row, "params_m", place) for row, place in pairs]),
        np.array([_number(row, "top1", place) for row, place in pairs]),
    )


def _code(row: dict[str, str], place: str, space: SearchSpace) -> list[int]:
    value: dict[str, int | float] = {}
    for stage in STAGES:
        found = _STAGE.fullmatch(row[stage] or "")
        if found is None:
            raise InputError(f"{place}: {stage} must read like k3_e6_r1_se, got {row[stage]!r}")
        value |= {f"{stage}.{key}": int(found[key]) for key in ("kernel", "expansion", "depth")}
        value[f"{stage}.se"] = 0.25 if found["se"] else 0.0
    for gene in space.genes:
        expect(
            value[gene.name] in gene.choices,
            f"{place}: {gene.name} must be one of {list(gene.choices)}, got {value[gene.name]}",
        )
    return [gene.choices.index(value[gene.name]) for gene in space.genes]


def _number(row: dict[str, str], column: str, place: str) -> float:
    try:
        value = float(row[column])
    except (TypeError, ValueError):
        value = math.nan
    expect(
        math.isfinite(value) and value > 0,
        f"{place}: {column} must be a positive number, got {row[column]!r}",
    )
    return value


def params_and_macs(compiled: CompiledSpace, codes: Codes) -> tuple[Floats, Floats]:
    """Parameters and MACs of codes (n, genes), each in millions and of shape (n,)."""
    params = compiled.block_params[:, None]
    table = compiled.table(lambda slot: compiled.slot_sums(slot, params))
    macs = compiled.cost_table(lambda ops: ops.macs[:, None]).sums(codes)
    return table.sums(codes)[:, 0] / 1e6, macs[:, 0] / 1e6


def rank_quality(score: Floats, top1: Floats, macs_m: Floats) -> dict[str, Any]:
    """Tau over all rows and the truly best fifth, and the regret of shortlists under MAC caps.

    Raises:
        InputError: no row is under any cap; a cap without rows is left out.
    """
    best = top1 >= np.quantile(top1, 1 - TOP_SHARE)
    allowed = {cap: macs_m <= cap for cap in MAC_CAPS_M}
    regrets = {cap: regret(score[a], top1[a]) for cap, a in allowed.items() if a.any()}
    expect(bool(regrets), f"the table has no network of at most {MAC_CAPS_M[-1]} M MACs")
    return {
        "kendall_tau": float(kendalltau(score, top1).statistic),
        "kendall_tau_top20": float(kendalltau(score[best], top1[best]).statistic),
        "regret_best_of_10": float(np.mean(list(regrets.values()))),
        "regrets": regrets,
    }


def regret(score: Floats, top1: Floats) -> float:
    """Points of top-1 between the best row and the best of the ten highest-ranked; (n,) each."""
    shortlist = np.argsort(-score, kind="stable")[:SHORTLIST]
    return float(top1.max() - top1[shortlist].max())


def measure(path: Path) -> dict[str, Any]:
    """All metrics of a table."""
    space = SearchSpace.preset(SPACE)
    table, compiled = read_table(path, space), compile_space(space)
    params_m, macs_m = params_and_macs(compiled, table.codes)
    batch = AccuracyPrior.load().compile(compiled).evaluate(table.codes)
    scores = {
        "prior": batch.score(),
        "prior_estimate": batch.top1,
        "params": params_m,
        "macs": macs_m,
    }
    rankings = {name: rank_quality(s, table.top1, macs_m) for name, s in scores.items()}
    return {
        **{key: value for key, value in rankings["prior"].items() if key != "regrets"},
        "rows": len(table.top1),
        "guarded_share": float(batch.guarded.mean()),
        "params_max_diff_m": float(np.abs(params_m - table.params_m).max()),
        "rankings": rankings,
    }


def show(metrics: dict[str, Any]) -> None:
    """Print a table of the rankings."""
    rankings = metrics["rankings"]
    caps = "".join(f"{f'{cap} M':>8}" for cap in rankings["prior"]["regrets"])
    print(f"{metrics['rows']} networks; regret in points of the best of {SHORTLIST} under MAC caps")
    print(f"{'ranked by':<16}{'tau':>8}{'top 20%':>9}{'regret':>8}  {caps}")
    for name, row in rankings.items():
        regrets = "".join(f"{value:8.2f}" for value in row["regrets"].values())
        print(
            f"{name:<16}{row['kendall_tau']:8.3f}{row['kendall_tau_top20']:9.3f}"
            f"{row['regret_best_of_10']:8.2f}  {regrets}"
        )
    print(f"share of networks that a guard changed: {metrics['guarded_share']:.3f}")
    print(f"largest difference in parameters: {metrics['params_max_diff_m']:.6f} M")


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--table", type=Path, default=DEFAULT_TABLE, help="CSV of networks")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    try:
        metrics = measure(arguments.table)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(metrics)
    about = {"command": f"python benchmarks/prior_ranking.py --table {arguments.table.name}"}
    write_text(arguments.out, json.dumps({**about, **metrics}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
