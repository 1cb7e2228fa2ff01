"""A network's milliseconds as a tree: stages, their blocks, the ops of these.

What belongs to no op stands beside the stages, in rows of its own: changes between units, and what
is paid whatever is run. So each row is the sum of the rows under it, and the root the prediction.

No model here prices a change of unit by itself: the timings of a unit hold it inside the prices of
ops, and a network that leaves its unit is priced on the other one as a whole. That row says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from palmette.export.exportability import Exportability, block_of, stage_of
from palmette.space import Architecture
from palmette.space.blocks import format_block

Level = Literal["network", "part", "block", "op", "crossings", "fixed", "folded"]
LEVELS = ("part", "block", "op")
"""Levels that the rows of `CostNode.rows` can have."""

CROSSINGS, FIXED = "changes of unit", "fixed cost"
DEPTHS = (1, 2, 3)
"""Levels under the root: parts, blocks, ops."""
MOST_ROWS = 16
"""Rows of one node that `folded` leaves."""


@dataclass(frozen=True, slots=True)
class CostNode:
    """A row of the tree."""

    name: str
    level: Level
    ms: float
    text: str = ""
    """The block's or op's notation, or a remark in words."""
    children: tuple[CostNode, ...] = ()

    def walk(self, depth: int = 0) -> Iterator[tuple[int, CostNode]]:
        """The node and all under it in order, each with its depth below the first."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)

    def rows(self, level: str = "block") -> Iterator[tuple[tuple[str, ...], CostNode]]:
        """Rows that add up to the root: nodes of a level, or above it where a branch has none.

        Args:
            level: of `LEVELS`.

        Yields:
            Names from below the root to the node, and the node.
        """
        reached = LEVELS[: LEVELS.index(level) + 1]
        for child in self.children:
            if any(grandchild.level in reached for grandchild in child.children):
                for names, node in child.rows(level):
                    yield (child.name, *names), node
            else:
                yield (child.name,), child

    def cut(self, depth: int) -> CostNode:
        """The tree with no more than some levels under its root."""
        if depth == 0:
            return replace(self, children=())
        return replace(self, children=tuple(child.cut(depth - 1) for child in self.children))

    def without(self, least_ms: float) -> CostNode:
        """The tree without its row of changes of unit and rows of less than some milliseconds."""
        kept = (
            child.without(least_ms)
            for child in self.children
            if child.level != "crossings" and child.ms >= least_ms
        )
        return replace(self, children=tuple(kept))

    def folded(self, most: int = MOST_ROWS) -> CostNode:
        """The tree in which nodes of many children keep the dearest, and the others are one row."""
        children = [child.folded(most) for child in self.children]
        if len(children) > most:
            children = _fold(children, most)
        return replace(self, children=tuple(children))

    def to_dict(self, whole_ms: float | None = None) -> dict[str, Any]:
        """Plain values for programs: share is that of the root's milliseconds."""
        whole_ms = self.ms if whole_ms is None else whole_ms
        return {
            "name": self.name,
            "level": self.level,
            "ms": self.ms,
            "share": self.ms / whole_ms,
            **({"text": self.text} if self.text else {}),
            **(
                {"children": [child.to_dict(whole_ms) for child in self.children]}
                if self.children
                else {}
            ),
        }


def cost_tree(
    subject: object,
    report: Exportability,
    op_ms: Sequence[float],
    whole_ms: float,
    placement: str = "native",
) -> CostNode:
    """The tree of a network on a target.

    Args:
        subject: what was explained; an architecture's blocks are named by their notation.
        report: its ops with their places, and those that its unit refuses.
        op_ms: of each op.
        whole_ms: predicted for the network; what the ops do not come to is the fixed cost.
        placement: what it is taken to run on, of `LatencyPredictor.state_of`.
    """
    texts = _block_texts(subject) if isinstance(subject, Architecture) else {}
    parts: dict[str, dict[str, list[CostNode]]] = {}
    for one, ms in zip(report.ops, op_ms, strict=True):
        part, block = _position(one.place)
        op = CostNode(one.op.kind, "op", float(ms), one.op.to_text())
        parts.setdefault(part, {}).setdefault(block, []).append(op)
    rows: list[CostNode] = []
    for part, blocks in parts.items():
        children = _blocks(part, blocks, texts)
        if part:
            text = texts.get((part, ""), "")
            rows.append(CostNode(part, "part", _sum(children), text, tuple(children)))
        else:
            rows += children
    rows.append(CostNode(CROSSINGS, "crossings", 0.0, _crossings(report, placement)))
    rows.append(CostNode(FIXED, "fixed", whole_ms - _sum(rows), "whatever is run"))
    return CostNode("network", "network", whole_ms, str(placement), tuple(rows))


def _sum(nodes: Sequence[CostNode]) -> float:
    return math.fsum(node.ms for node in nodes)


def _position(place: str) -> tuple[str, str]:
    """Part and block of a submodule; blank where an op stands in none."""
    names = [name for name in place.split(".") if name]
    found = block_of(place)
    if found is not None and found[0] >= 0:
        return stage_of(place), f"block {found[1] + 1}"
    # an architecture's stem or head has no blocks, nor has a child that is a layer by itself
    if not names or names[0] in ("stem", "head", "stages") or len(names) < 2:
        return stage_of(place), ""
    return names[0], ".".join(names[:2])


def _blocks(
    part: str, blocks: Mapping[str, list[CostNode]], texts: Mapping[tuple[str, str], str]
) -> list[CostNode]:
    """Rows under a part: its blocks, and the ops that stand in none."""
    rows: list[CostNode] = []
    for name, ops in blocks.items():
        if name:
            rows.append(CostNode(name, "block", _sum(ops), texts.get((part, name), ""), tuple(ops)))
        else:
            rows += ops
    return rows


def _block_texts(architecture: Architecture) -> dict[tuple[str, str], str]:
    """Notation of stem, blocks and head by part and block."""
    texts: dict[tuple[str, str], str] = {}
    count: dict[int, int] = {}
    for one in architecture.parts():
        count[one.stage] = count.get(one.stage, 0) + 1
        key = (f"stage {one.stage + 1}", f"block {count[one.stage]}")
        if one.stage < 0 or one.stage == len(architecture.stages):
            key = ("stem" if one.stage < 0 else "head", "")
        texts[key] = format_block(one.block, one.in_channels)
    return texts


def _crossings(report: Exportability, placement: str) -> str:
    """What is known of changes between units, in words."""
    refused = {
        index
        for finding in report.findings
        if finding.rule.level == "refused"
        for index in finding.ops
    }
    if not report.era.ios:
        return "none: the runtime is not Core ML's"
    on_unit = [index not in refused for index in range(len(report.ops))]
    changes = sum(a != b for a, b in zip(on_unit, on_unit[1:], strict=False))
    by_rules = (
        f"{changes} by the rules of the unit '{report.era.unit}' ({len(refused)} ops refused)"
        if changes
        else f"none known of the unit '{report.era.unit}'"
    )
    if placement != "native":
        return f"{by_rules}; priced as a whole, {placement}"
    return f"{by_rules}; inside the prices of ops" if changes else by_rules


def _fold(children: list[CostNode], most: int) -> list[CostNode]:
    """The dearest children in their order, rows beside the stages, and one row for the rest."""
    kept = {i for i, child in enumerate(children) if child.level in ("crossings", "fixed")}
    by_cost = sorted(
        (i for i in range(len(children)) if i not in kept), key=lambda i: -children[i].ms
    )
    kept |= set(by_cost[: most - 1 - len(kept)])
    rest = [child for index, child in enumerate(children) if index not in kept]
    row = CostNode(f"{len(rest)} others", "folded", _sum(rest))
    shown = [child for index, child in enumerate(children) if index in kept]
    last = sum(child.level not in ("crossings", "fixed") for child in shown)
    return [*shown[:last], row, *shown[last:]]
