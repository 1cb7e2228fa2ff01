"""The command that takes a network apart: `palmette explain`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palmette.cli.cost_rows import print_costs
from palmette.cli.door import check_target
from palmette.cli.output import print_table, say
from palmette.cli.subjects import (
    Arch,
    Classes,
    Json,
    MaybeTarget,
    ModuleSide,
    PredictorFile,
    TaskName,
    expect_no_resolution,
    given_predictor,
    module_size,
    read_ops,
    read_task,
)

if TYPE_CHECKING:
    from palmette.search.cost_tree import CostNode
    from palmette.search.explain import Explanation

SHOWN_OPS = 10
LEAST_SHOWN_MS = 0.00005
"""What is less is 0.0000 ms as printed."""
SHOWN_DEPTH, ALL_DEPTHS = 2, 3
VERDICTS = {True: "yes", False: "no", None: "not known without converting (--convert)"}


def explain(
    arch: Arch,
    target: MaybeTarget = None,
    predictor_file: PredictorFile = None,
    resolution: ModuleSide = None,
    task: TaskName = None,
    classes: Classes = None,
    convert: Annotated[
        bool, typer.Option("--convert", help="Convert it as well, to see whether that works.")
    ] = False,
    depth: Annotated[
        int | None,
        typer.Option(min=1, max=3, help="1: stages, 2: blocks, 3: ops; default 2, of JSON 3."),
    ] = None,
    unfolded: Annotated[
        bool, typer.Option("--all", help="Every row, where many would be one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show where the milliseconds go, which ops may leave the unit, and what would save time."""
    check_target("explain", target, predictor_file)
    subject = _subject(arch, resolution, task, classes)
    from palmette.latency import LATENCY
    from palmette.search.explain import explain as explained

    predictor = given_predictor("explain", target, predictor_file)
    found = explained(
        subject,
        predictor,
        resolution=module_size(resolution),
        convert=convert,
    )
    if as_json:
        tree = found.tree.cut(depth or ALL_DEPTHS).to_dict()
        print(json.dumps({**found.to_dict(), "tree": tree, "quantity": predictor.quantity_}))
    else:
        tree_shown = found.tree.cut(depth or SHOWN_DEPTH)
        tree_shown = tree_shown.without(0.0 if unfolded else LEAST_SHOWN_MS)
        _print(arch, found, tree_shown if unfolded else tree_shown.folded())
        if predictor.quantity_ != LATENCY:
            print(f"all milliseconds are {predictor.quantity_} ones")
        if predictor.caution:
            print(f"{found.target}: {predictor.caution}")


def _subject(arch: str, resolution: int | None, task: str | None, classes: int | None) -> Any:
    """Architecture, torch module, or the ops of a network that is known by them alone."""
    from palmette.latency.op_lists import shipped_names
    from palmette.space.factory import module_from_file

    if task is None and classes is None:
        if ".py:" in arch:
            module_size(resolution)  # before anybody's code is run
            return module_from_file(arch).eval()
        expect_no_resolution(resolution)
        if arch.endswith(".csv") or arch in shipped_names() or "@" in arch:
            return read_ops(arch, None)
    return read_task(arch, task, classes, resolution)


def _print(arch: str, found: Explanation, tree: CostNode) -> None:
    report, whole = found.report, found.ms
    print(f"{arch} on {found.target}: {whole:.3g} ms predicted")
    print_costs(tree)
    crossings = next((row.text for row in found.tree.children if row.level == "crossings"), "")
    if crossings and not crossings.startswith("none"):
        say(f"it leaves the unit and comes back, which has no price of its own: {crossings}")
    print_table(
        "The dearest ops",
        ["ms", "share", "in", "op"],
        [
            [f"{ms:.4f}", f"{ms / whole:.1%}", place, op]
            for place, op, ms in found.costliest(SHOWN_OPS)
            if ms >= LEAST_SHOWN_MS
        ],
    )
    if found.advice:
        print_table(
            "By rules of thumb",
            ["rule", "level", "ops", "ms", "saves", "first in"],
            [
                [
                    one.finding.rule.name,
                    one.finding.rule.level,
                    str(len(one.finding.ops)),
                    f"{one.ms:.3g}",
                    _saving(one.saved_ms, one.shown),
                    report.ops[one.finding.ops[0]].place or "-",
                ]
                for one in found.advice
            ],
        )
    for line in _sentences(found):
        say(line)


def _sentences(found: Explanation) -> Iterator[str]:
    """The rules in words, what was not asked, and whether it converts."""
    report = found.report
    for one in found.advice:
        rule = one.finding.rule
        yield f"{rule.name}: {rule.why}; instead: {rule.replacement} ({rule.source})"
    if found.advice:
        yield "saves: predicted before minus after; *: this target's timings do not show it"
    elif report.era.ios:
        yield f"no rule of thumb speaks against an op on the unit '{report.era.unit}'"
    if not report.era.ios:
        yield "the runtime is not Core ML's: no rule of a unit was asked"
    elif report.era.unit == "ane" and not report.era.chip:
        yield "the device's chip is not known: rules that depend on it were left out"
    yield f"converts to '{report.kind}': {VERDICTS[report.converts]}"
    if report.conversion:
        yield f"conversion: {report.conversion}"
    for gap, ops in report.gaps:
        yield f"{gap.name}: {gap.why}; {gap.remedy} ({len(ops)} ops)"


def _saving(ms: float | None, shown: bool) -> str:
    return "-" if ms is None else f"{ms:.3g}{'' if shown else ' *'}"
