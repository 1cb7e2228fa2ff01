"""Whether a network converts, and which of its ops may leave a target's unit.

Read off the ops, without converting; `converts` does it for real. What holds for the Neural Engine
are rules of thumb (`unit_rules`): a warning, not a verdict.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.export.errors import ExportError
from palmette.export.formats import RUNTIME_KINDS
from palmette.export.options import ExportOptions
from palmette.export.unit_rules import (
    LEVELS,
    Era,
    Gap,
    HasUnit,
    Rule,
    all_gaps,
    in_systems,
    rules_for,
)
from palmette.space.architecture import IMAGE_CHANNELS, Architecture
from palmette.space.errors import InputError
from palmette.space.ops import Op, OpTable

if TYPE_CHECKING:
    from torch import nn

DEFAULT_KIND = "mlprogram"
"""Format that is looked at where the target's runtime is not Core ML."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An op, and the submodule that runs it (blank where it is not known)."""

    op: Op
    place: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule and the ops that it is about, as indices."""

    rule: Rule
    ops: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Exportability:
    """What is expected of a network's package on a unit."""

    era: Era
    kind: str
    """The format that was looked at, a key of `FORMATS`."""
    ops: tuple[Placed, ...]
    gaps: tuple[tuple[Gap, tuple[int, ...]], ...]
    """What the format or its converter lacks, with the ops that ask for it."""
    findings: tuple[Finding, ...]
    """Rules that hold somewhere, the worst level first."""
    conversion: str = ""
    """Why it does not convert, if that was tried; blank if it does, or was not tried."""
    tried: bool = False
    """Whether it was converted for real."""

    @property
    def converts(self) -> bool | None:
        """Whether there is a package at all; None where only converting would tell."""
        if self.tried:
            return not self.conversion
        if any(gap.fatal for gap, _ in self.gaps):
            return False
        unsure = any(self.ops[index].op.kind == "other" for _, ops in self.gaps for index in ops)
        return None if unsure else True

    def count(self, level: str) -> int:
        """Ops whose worst level this is."""
        worst: dict[int, str] = {}
        for finding in self.findings:
            for index in finding.ops:
                worst.setdefault(index, finding.rule.level)
        return sum(found == level for found in worst.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for programs."""
        return {
            "kind": self.kind,
            "unit": self.era.unit,
            "ios": self.era.ios or None,
            "chip": self.era.chip or None,
            "converts": self.converts,
            "converted": self.tried,
            "conversion_error": self.conversion or None,
            "gaps": [
                {"name": gap.name, "why": gap.why, "remedy": gap.remedy, "ops": self._named(ops)}
                for gap, ops in self.gaps
            ],
            "ops_by_level": {level: self.count(level) for level in LEVELS},
            "findings": [
                {
                    "rule": finding.rule.name,
                    "level": finding.rule.level,
                    "why": finding.rule.why,
                    "source": finding.rule.source,
                    "replacement": finding.rule.replacement,
                    "ops": self._named(finding.ops),
                }
                for finding in self.findings
            ],
        }

    def _named(self, ops: tuple[int, ...]) -> list[dict[str, str]]:
        return [{"op": self.ops[i].op.to_text(), "place": self.ops[i].place} for i in ops]


def exportability(
    subject: Architecture | nn.Module | tuple[Op, ...],
    target: HasUnit,
    *,
    kind: str | None = None,
    resolution: tuple[int, int] = (224, 224),
) -> Exportability:
    """What is expected of a network on a target, read off its ops.

    Args:
        subject: an architecture, any torch module, or ops alone (then without places).
        target: device, unit and runtime.
        kind: format; by default the one that the target's runtime timed.
        resolution: (height, width) of a module's input; an architecture has its own.

    Raises:
        InputError: the module cannot be traced.
    """
    era = Era.of(target)
    kind = kind or RUNTIME_KINDS.get(target.runtime, DEFAULT_KIND)
    placed = placed_ops(subject, resolution)
    table = OpTable.of([one.op for one in placed])
    findings = []
    for rule in rules_for(era):
        (found,) = rule.holds(table).nonzero()
        if len(found):
            findings.append(Finding(rule, tuple(found.tolist())))
    return Exportability(era, kind, placed, _gaps(subject, kind, era, placed), tuple(findings))


def placed_ops(
    subject: Architecture | nn.Module | tuple[Op, ...], resolution: tuple[int, int]
) -> tuple[Placed, ...]:
    """Ops of a network with the submodules that run them."""
    if isinstance(subject, tuple):
        return tuple(Placed(op) for op in subject)
    from palmette.space.modules import meta_network
    from palmette.space.trace import trace_places

    module = subject
    if isinstance(subject, Architecture):
        module, resolution = meta_network(subject), subject.resolution
    assert not isinstance(module, Architecture)
    return tuple(Placed(*pair) for pair in trace_places(module, (IMAGE_CHANNELS, *resolution)))


def converted(
    report: Exportability,
    subject: Architecture | nn.Module,
    resolution: tuple[int, int] = (224, 224),
) -> Exportability:
    """The report with a real conversion behind it; the package is thrown away."""
    from palmette.export.coreml import export
    from palmette.export.own_module import export_module

    reason = ""
    with tempfile.TemporaryDirectory(prefix="palmette-explain-") as folder:
        options, path = ExportOptions(report.kind), Path(folder) / "tried"
        try:
            if isinstance(subject, Architecture):
                export(subject, path, options=options)
            else:
                export_module(subject, path, resolution=resolution, options=options)
        except (InputError, ExportError) as error:
            reason = str(error)
    return replace(report, conversion=reason, tried=True)


def _gaps(
    subject: Any, kind: str, era: Era, placed: tuple[Placed, ...]
) -> tuple[tuple[Gap, tuple[int, ...]], ...]:
    modules = () if isinstance(subject, Architecture | tuple) else tuple(subject.modules())
    classes = {type(module).__name__ for module in modules}
    found = []
    for gap in all_gaps():
        systems = gap.ios == (0, 0) or in_systems(gap.ios, era.ios)
        if kind not in gap.formats or not systems:
            continue
        ops = tuple(index for index, one in enumerate(placed) if one.op.kind in gap.kinds)
        if ops or classes & set(gap.modules):
            found.append((gap, ops))
    return tuple(found)


def stage_of(place: str) -> str:
    """Part of an architecture that a submodule of its network belongs to: stem, stage 1, head."""
    first, *rest = place.split(".")
    return f"stage {int(rest[0]) + 1}" if first == "stages" and rest else first


def block_of(place: str) -> tuple[int, int] | None:
    """Indices of the stage and of the block in it; stems are (-1, 0); None for a head."""
    names = [part for part in place.split(".") if part != "blocks"]
    if names[0] == "stages" and len(names) > 2:
        return int(names[1]), int(names[2])
    return (-1, 0) if names[0] == "stem" else None
