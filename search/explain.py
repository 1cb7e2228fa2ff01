"""Where a network's milliseconds go, which of its ops are at risk on a target, and what to do.

Joins three things: the rules of thumb of `export.exportability`, the predictor's milliseconds of
each op, and, where a rule names a replacement, the prediction for the network with it. A saving is
the difference of two predictions, not a measurement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from palmette.export.exportability import (
    Exportability,
    Finding,
    block_of,
    converted,
    exportability,
    stage_of,
)
from palmette.export.unit_rules import Rule
from palmette.search.cost_tree import CostNode, cost_tree
from palmette.search.subjects import Target, image_of, predictor_of, subject_of
from palmette.space import Architecture, InputError, Op

if TYPE_CHECKING:
    from palmette.search.subjects import Known, Subject

ADVICE_COLUMNS = ["rule", "level", "ops", "ms", "saved_ms", "shown", "instead", "why"]


@dataclass(frozen=True, slots=True)
class Advice:
    """A rule that holds, what its ops cost, and what its replacement would save."""

    finding: Finding
    ms: float
    """Predicted for the ops themselves."""
    saved_ms: float | None
    """Predicted before minus after; None if no replacement can be built from data."""
    shown: bool
    """Whether the target's timings show what was replaced; otherwise the saving is a guess."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A network on a target, taken apart."""

    report: Exportability
    target: str
    ms: float
    op_ms: tuple[float, ...]
    """By op; they add up to `ms` less the predictor's constant."""
    advice: tuple[Advice, ...]
    tree: CostNode
    """All milliseconds, by stage, block and op; its root is `ms`."""

    def parts(self) -> list[tuple[str, float]]:
        """Milliseconds by stage, or by a module's outermost children, in their order."""
        sums: dict[str, float] = {}
        for one, ms in zip(self.report.ops, self.op_ms, strict=True):
            part = stage_of(one.place) or "-"
            sums[part] = sums.get(part, 0.0) + ms
        return list(sums.items())

    def costliest(self, count: int) -> list[tuple[str, str, float]]:
        """Place, op and milliseconds of the ops that take most."""
        rows = zip(self.report.ops, self.op_ms, strict=True)
        found = [(one.place, one.op.to_text(), ms) for one, ms in rows]
        return sorted(found, key=lambda row: -row[2])[:count]

    def advice_table(self) -> pd.DataFrame:
        """Rules that hold: columns rule, level, ops (how many), ms, saved_ms, shown, instead, why.

        `ms` are those of the ops themselves; `saved_ms` is predicted before minus after, NaN where
        the replacement cannot be built, and a guess where `shown` is false.
        """
        rows = [
            {
                "rule": one.finding.rule.name,
                "level": one.finding.rule.level,
                "ops": len(one.finding.ops),
                "ms": one.ms,
                "saved_ms": math.nan if one.saved_ms is None else one.saved_ms,
                "shown": one.shown,
                "instead": one.finding.rule.replacement,
                "why": one.finding.rule.why,
            }
            for one in self.advice
        ]
        return pd.DataFrame(rows, columns=ADVICE_COLUMNS)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for programs."""
        report = self.report.to_dict()
        for row, advice in zip(report["findings"], self.advice, strict=True):
            row |= {
                "ms": advice.ms,
                "saved_ms": advice.saved_ms,
                "saving_shown_by_timings": advice.shown,
            }
        return {
            "target": self.target,
            "ms": self.ms,
            **report,
            "tree": self.tree.to_dict(),
            "parts": [{"part": name, "ms": ms} for name, ms in self.parts()],
            "ops": [
                {"place": one.place, "op": one.op.to_text(), "ms": ms}
                for one, ms in zip(self.report.ops, self.op_ms, strict=True)
            ],
        }


def explain(
    subject: Subject,
    target: Target,
    *,
    resolution: tuple[int, int] = (224, 224),
    convert: bool = False,
) -> Explanation:
    """Take a network apart on a target.

    Args:
        subject: an architecture, any torch module, ops alone, or a name; see `subject_of`.
        target: a name, or a predictor.
        resolution: (height, width) of a module's input; an architecture has its own.
        convert: convert it as well, to see whether that works; ops alone cannot be.

    Raises:
        InputError: see `subject_of`, `predictor_of` and `image_of`; the module cannot be traced, or
            ops alone were to be converted.
    """
    predictor, known, size = predictor_of(target), subject_of(subject), image_of(resolution)
    report = exportability(known, predictor.model_.target, resolution=size)
    if convert:
        if isinstance(known, tuple):
            raise InputError("convert: ops alone cannot be converted; give the network itself")
        report = converted(report, known, size)
    ops = tuple(one.op for one in report.ops)
    parts = predictor.breakdown(ops)["ms"].tolist()
    ms = float(predictor.predict([ops])[0])
    advice = []
    for finding in report.findings:
        other = replacement(known, report, finding)
        saved = None if other is None else ms - float(predictor.predict([other])[0])
        shown_by = finding.rule.shown_by
        shown = bool(shown_by) and not predictor.support_.untold((shown_by,), saved != 0)
        advice.append(Advice(finding, sum(parts[i] for i in finding.ops), saved, shown))
    tree = cost_tree(known, report, parts, ms, predictor.state_of(ops))
    return Explanation(report, str(predictor.model_.target), ms, tuple(parts), tuple(advice), tree)


def replacement(
    subject: Known, report: Exportability, finding: Finding
) -> Architecture | tuple[Op, ...] | None:
    """The network with a rule's replacement wherever the rule holds; None if there is none."""
    rule = finding.rule
    if isinstance(subject, Architecture):
        places = {block_of(report.ops[index].place) for index in finding.ops}
        return _with_blocks(subject, rule, places)
    if not rule.swap_op:
        return None
    ops = [one.op for one in report.ops]
    for index in finding.ops:
        ops[index] = replace(ops[index], **rule.swap_op)
    return tuple(ops)


def _with_blocks(
    architecture: Architecture, rule: Rule, places: set[tuple[int, int] | None]
) -> Architecture | None:
    """The architecture with the blocks at some places changed; None if that is no network."""
    try:
        changed = replace(
            architecture,
            stem=_changed(architecture.stem, rule) if (-1, 0) in places else architecture.stem,
            stages=tuple(
                tuple(
                    _changed(block, rule) if (row, column) in places else block
                    for column, block in enumerate(stage)
                )
                for row, stage in enumerate(architecture.stages)
            ),
            head=_changed(architecture.head, rule) if None in places else architecture.head,
        )
    except InputError:
        return None
    return None if changed == architecture else changed


def _changed(block: Any, rule: Rule) -> Any:
    """A block with a rule's swap in those of the rule's fields that it has."""
    swap = rule.swap
    known = {item.name for item in fields(block)} & set(swap.get("fields", ()))
    values: dict[str, Any] = {}
    for name in known:
        value = getattr(block, name)
        if value == swap.get("from", value):
            values[name] = _swapped(value, swap)
    return replace(block, **values)


def _swapped(value: Any, swap: Any) -> Any:
    if "most" in swap:
        return min(value, swap["most"])
    if "multiple" in swap:
        return -(-value // swap["multiple"]) * swap["multiple"]
    return swap["to"]
