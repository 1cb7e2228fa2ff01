"""What a network is made of on several targets, side by side: by stage, block, op, or sort of op.

Every table is read off the targets' cost trees, so each column adds up to its prediction. The total
rests on timings of whole networks; how it is split is what the fit makes of their differences.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from palmette.export.exportability import exportability, placed_ops
from palmette.search.cost_tree import LEVELS, CostNode, cost_tree
from palmette.search.subjects import Target, image_of, predictors_of, subject_of
from palmette.space import Op
from palmette.space.architecture import IMAGE_CHANNELS
from palmette.space.errors import expect

if TYPE_CHECKING:
    from palmette.search.subjects import Subject

_SIDE = (224, 224)


def cost_trees(
    subject: Subject,
    targets: Sequence[Target] | None = None,
    *,
    resolution: tuple[int, int] = _SIDE,
) -> dict[str, CostNode]:
    """The cost tree of a network on each target, by full names; it is traced once.

    Args:
        subject: an architecture, any torch module, ops alone, or a name; see `subject_of`.
        targets: names or predictors; by default every shipped target.
        resolution: (height, width) of a module's input; an architecture has its own.

    Raises:
        InputError: see `subject_of`, `predictors_of` and `image_of`, or the module cannot be
            traced.
    """
    predictors, known = predictors_of(targets), subject_of(subject)
    placed = placed_ops(known, image_of(resolution))
    ops = tuple(one.op for one in placed)
    trees = {}
    for name, predictor in predictors.items():
        report = replace(exportability(ops, predictor.model_.target), ops=placed)
        op_ms = predictor.breakdown(ops)["ms"].tolist()
        whole = float(predictor.predict([ops])[0])
        trees[name] = cost_tree(known, report, op_ms, whole, predictor.state_of(ops))
    return trees


def block_costs(
    subject: Subject,
    targets: Sequence[Target] | None = None,
    *,
    level: str = "block",
    resolution: tuple[int, int] = _SIDE,
) -> pd.DataFrame:
    """Milliseconds of each part of a network on each target.

    Args:
        subject: an architecture, any torch module, ops alone, or a name; see `subject_of`.
        targets: names or predictors; by default every shipped target.
        level: "part" (stages), "block" or "op"; a part without blocks is a row by itself.
        resolution: (height, width) of a module's input; an architecture has its own.

    Returns:
        A column for each target that adds up to its prediction, in ms; rows by the names of part,
        block and op (blank below what a row stands for) and its notation. Shares are
        `table / table.sum()`.

    Raises:
        InputError: see `cost_trees`, or an unknown level.
    """
    check_level(level)
    columns = LEVELS[: LEVELS.index(level) + 1]
    trees = cost_trees(subject, targets, resolution=resolution)
    values = {name: [node.ms for _, node in tree.rows(level)] for name, tree in trees.items()}
    first = next(iter(trees.values()))
    keys = [
        (*_placed(names, node, columns), node.text if node.level in LEVELS else "")
        for names, node in first.rows(level)
    ]
    return pd.DataFrame(values, index=pd.MultiIndex.from_tuples(keys, names=[*columns, "notation"]))


def _placed(names: tuple[str, ...], node: CostNode, columns: tuple[str, ...]) -> list[str]:
    """Names of a row under the levels that they are of; an op may stand in no part or block."""
    *above, own = names
    under = dict(zip(columns, above, strict=False))
    # what is no stage, such as the fixed cost, stands among them; so does an op where ops have no
    # column
    under[node.level if node.level in columns else columns[len(above)]] = own
    return [under.get(column, "") for column in columns]


def costs_by_sort(
    subject: Subject,
    targets: Sequence[Target] | None = None,
    *,
    resolution: tuple[int, int] = _SIDE,
) -> pd.DataFrame:
    """Milliseconds by sort of op: what a network pays for, and what it gets for free.

    Returns:
        Rows of `sort_of`, and those that belong to no op; columns ops (how many), and one for each
        target that adds up to its prediction, in ms.

    Raises:
        InputError: see `cost_trees`.
    """
    trees = cost_trees(subject, targets, resolution=resolution)
    rows = {name: [node for _, node in tree.rows("op")] for name, tree in trees.items()}
    first = next(iter(rows.values()))
    sorts = [
        sort_of(Op.from_text(node.text)) if node.level == "op" else node.name for node in first
    ]
    ops = [int(node.level == "op") for node in first]
    columns = {name: [node.ms for node in nodes] for name, nodes in rows.items()}
    table = pd.DataFrame({"ops": ops, **columns}, index=pd.Index(sorts, name="sort"))
    return table.groupby(level="sort", sort=False).sum()


_CONVOLUTIONS: tuple[tuple[str, Callable[[Op], Any]], ...] = (
    ("depthwise", lambda op: op.depthwise),
    ("grouped", lambda op: op.groups > 1),
    ("1x1 on one pixel", lambda op: max(op.kernel) == 1 and op.inputs[0][1:] == (1, 1)),
    ("1x1", lambda op: max(op.kernel) == 1),
    ("first", lambda op: op.inputs[0][0] == IMAGE_CHANNELS),
    ("dense", lambda op: True),
)


@functools.lru_cache(maxsize=4096)
def sort_of(op: Op) -> str:
    """Sort of an op in words: `depthwise 5x5`, `1x1`, `first 3x3`, or its kind, such as `add`."""
    if op.kind != "conv":
        return op.kind
    name = next(name for name, holds in _CONVOLUTIONS if holds(op))
    return name if max(op.kernel) == 1 else f"{name} {op.kernel[0]}x{op.kernel[1]}"


def check_level(level: str) -> None:
    """Raise InputError for another level than those of `LEVELS`."""
    expect(level in LEVELS, f"level: must be one of {', '.join(LEVELS)}, got {level!r}")
