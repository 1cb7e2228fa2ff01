"""What is shown of one network of a front: its blocks, its milliseconds, and the ways not taken."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from palmette.export.exportability import placed_ops, stage_of
from palmette.latency import LatencyPredictor
from palmette.search.alternatives import alternatives
from palmette.search.problem import SearchProblem
from palmette.search.trained_front import along
from palmette.space import Architecture, Op
from palmette.space.blocks import format_block
from palmette.space.search_space import Codes

MOST = 128
"""Networks of a front that have panels: the pick, and others spread along it."""
DIGITS = 5


def shown(front: pd.DataFrame) -> pd.DataFrame:
    """Rows of a front that have panels, in its order."""
    return along(front, MOST) if len(front) else front


def panel(problem: SearchProblem, row: dict[Any, Any], op_texts: dict[str, int]) -> dict[str, Any]:
    """Blocks, milliseconds by part and op on every target, and the alternatives of each gene.

    Args:
        problem: of the run.
        row: of its front.
        op_texts: numbers of the ops' texts, shared by all panels; new ones are added.
    """
    network = Architecture.from_text(str(row["architecture"]))
    code = problem.space.encode(network)
    placed = placed_ops(network, network.resolution)
    ops = tuple(one.op for one in placed)
    parts = blocks_of(network)
    names = [part["name"] for part in parts]
    predictors = [latency.predictor for latency in problem.latencies]
    return {
        "code": code.tolist(),
        "parts": parts,
        "ops": [op_texts.setdefault(op.to_text(), len(op_texts)) for op in ops],
        "places": [names.index(stage_of(one.place)) for one in placed],
        "times": [_milliseconds(predictor, ops) for predictor in predictors],
        "others": _alternatives(problem, code),
    }


def blocks_of(network: Architecture) -> list[dict[str, Any]]:
    """Stem, stages and head with the texts of their blocks and the shape of what enters them."""
    found: dict[int, dict[str, Any]] = {}
    for part in network.parts():
        last = part.stage == len(network.stages)
        name = "stem" if part.stage < 0 else "head" if last else f"stage {part.stage + 1}"
        shape = f"{part.in_channels}×{part.height}×{part.width}"
        row = found.setdefault(part.stage, {"name": name, "input": shape, "blocks": []})
        row["blocks"].append(format_block(part.block, part.in_channels))
    return list(found.values())


def _milliseconds(predictor: LatencyPredictor, ops: tuple[Op, ...]) -> dict[str, Any]:
    """By op, what is left for the run itself, and the whole."""
    each = predictor.breakdown(ops)["ms"].to_numpy(np.float64)
    whole = float(predictor.predict([ops])[0])
    return {
        "whole": whole,
        "ops": [round(float(ms), DIGITS + 2) for ms in each],
        "run": whole - float(each.sum()),
    }


def _alternatives(problem: SearchProblem, code: Codes) -> list[list[float | int | None]]:
    """Gene, choice (their numbers), what it adds in time and points, 1 if it keeps all limits."""
    table = alternatives(problem, code)
    cost = "d_load" if "d_load" in table else "d_ms"
    genes = {gene.name: (n, gene.choices) for n, gene in enumerate(problem.space.genes)}
    rows: list[list[float | int | None]] = []
    for row in table.to_dict("records"):
        number, choices = genes[row["gene"]]
        choice = choices.index(row["alternative"])
        found = [_rounded(row[cost]), _rounded(row["d_points"])]
        rows.append([number, choice, *found, int(row["feasible"])])
    return rows


def _rounded(value: float) -> float | None:
    return round(float(value), DIGITS) if math.isfinite(value) else None
