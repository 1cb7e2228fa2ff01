"""Commands on where timings come from: `palmette latency compare` and `contribute`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palmette.cli.interrupts import working
from palmette.cli.output import note, print_table, say
from palmette.cli.subjects import Json, expect_only

if TYPE_CHECKING:
    import pandas as pd

    from palmette.latency.drift import Comparison, Kept
    from palmette.latency.drift.compare import UnitComparison

SHOWN = 15
"""Things that moved, of which a table is printed."""


def compare(
    context: typer.Context,
    first: Annotated[Path, typer.Argument(metavar="A.csv", help="Timings of a device.")],
    second: Annotated[Path, typer.Argument(metavar="B.csv", help="Timings of it later.")],
    run: Annotated[
        Path | None, typer.Option(help="Does what this run chose still keep its budget?")
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="Or does this network? Zoo name or architecture text.")
    ] = None,
    budget_ms: Annotated[float | None, typer.Option(help="With --network.")] = None,
    confidence: Annotated[float, typer.Option(help="With --network: that it is kept.")] = 0.8,
    sustained: Annotated[
        bool, typer.Option("--sustained", help="Compare sustained_ms; of a run, as its budget.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare two tables of one device: what moved, is it noise, are budgets still kept."""
    from palmette.latency import LATENCY, SUSTAINED
    from palmette.space.errors import expect

    expect(run is None or network is None, "compare: give --run or --network, not both")
    expect(
        (network is None) == (budget_ms is None),
        "compare: --network and --budget-ms belong together",
    )
    if network is None:
        without = "without --network" if run is None else "with --run, which has its own"
        expect_only(context, without, "first", "second", "run", "sustained", "as_json")
    rows = [_rows(path) for path in (first, second)]
    quantity = SUSTAINED if sustained else LATENCY
    kept: list[Kept] = []
    with working("comparing"):
        if run is not None:
            found, kept, quantity = _for_run(rows, run, sustained)
        else:
            from palmette.latency.drift import compare as compared

            found = compared(rows[0], rows[1], quantity)
            if network is not None and budget_ms is not None:
                kept = _for_network(found, rows[1], network, budget_ms, confidence, quantity)
    if as_json:
        budget = [one.to_dict() for one in kept]
        print(json.dumps({"quantity": quantity, **found.to_dict(), "budget": budget}))
    else:
        _print(found, kept)


def _rows(path: Path) -> pd.DataFrame:
    from palmette.latency import read_timing_tables

    found = read_timing_tables([path])
    for bad in found.quarantined:
        note(f"put aside: {bad}")
    return found.rows


def _for_run(
    rows: list[pd.DataFrame], run: Path, sustained: bool
) -> tuple[Comparison, list[Kept], str]:
    from palmette.latency import SUSTAINED
    from palmette.search.drift import compare_for_run, read_choice
    from palmette.space.errors import expect

    choice = read_choice(run)
    expect(
        not sustained or choice.config.budget == SUSTAINED,
        f"--sustained: the budget of {run} is of {choice.config.budget} milliseconds",
    )
    found, kept = compare_for_run(rows[0], rows[1], choice)
    return found, kept, choice.config.budget


def _for_network(
    found: Comparison,
    rows: pd.DataFrame,
    network: str,
    budget_ms: float,
    confidence: float,
    quantity: str,
) -> list[Kept]:
    from palmette.latency import LATENCY, TARGETS, load_predictor
    from palmette.latency.drift import Chosen, kept_budgets
    from palmette.latency.op_lists import network_ops
    from palmette.latency.quantity import timings_of

    network_ops(network)  # a wrong name is refused before anything is fitted
    kept = []
    for unit in found.units:
        shipped = quantity == LATENCY and unit.found.a.target in TARGETS
        predictor = load_predictor(unit.found.a.target) if shipped else None
        chosen = Chosen(network if "|" not in network else "the network", network)
        if predictor is not None and not unit.found.a.has_network(network):
            time = predictor.predict_interval([network], confidence, two_sided=False)
            ms, upper = float(time.ms[0]), float(time.upper_ms[0])
            chosen = Chosen(chosen.name, network, ms, upper)
        own = timings_of(rows, quantity)
        kept += kept_budgets(unit, own, [chosen], budget_ms, confidence, predictor)
    return kept


def _print(found: Comparison, kept: list[Kept]) -> None:
    for column, a, b in found.passports:
        print(f"{column}: {', '.join(a) or '-'} in the first, {', '.join(b) or '-'} in the second")
    for unit in found.units:
        _print_unit(unit)
    if kept:
        _print_kept(kept)


def _print_unit(unit: UnitComparison) -> None:
    a, b = unit.found.a, unit.found.b
    runtimes = a.target.partition("@")[2], b.target.partition("@")[2]
    between = f"; runtimes differ: {runtimes[0]}, {runtimes[1]}" if len(set(runtimes)) > 1 else ""
    alone = unit.found.alone
    print(
        f"{unit.found.name}: {len(unit.rows)} things timed in both, {alone[0]} in the first alone,"
        f" {alone[1]} in the second alone{between}"
    )
    for line in unit.found.left_out:
        note(f"left out: {line}")
    told = ["its repeats" if side.noise.measured else "what is known" for side in (a, b)]
    print(
        f"noise of a timing: {a.noise.spread:.1%} (by {told[0]}) and {b.noise.spread:.1%}"
        f" (by {told[1]})"
    )
    _print_causes(unit)
    moved = [row for row in unit.rows if row.moved]
    if moved:
        print_table(
            f"{len(moved)} of {len(unit.rows)} things moved",
            ["first ms", "second ms", "ratio", "95 %", "subject"],
            [
                [
                    f"{row.pair.a.ms:.4g}",
                    f"{row.pair.b.ms:.4g}",
                    f"{row.pair.ratio:.3f}",
                    f"{row.lower:.3f} to {row.upper:.3f}",
                    row.pair.key[1],
                ]
                for row in moved[:SHOWN]
            ],
        )
    for row in unit.rows:
        if row.pair.moved_unit:
            print(
                f"placement changed: {row.pair.key[1]}: {row.pair.a.placement} ->"
                f" {row.pair.b.placement} (ratio {row.pair.ratio:.3f})"
            )
    print(f"{unit.found.name}: {unit.verdict}")


def _print_causes(unit: UnitComparison) -> None:
    causes = unit.causes
    if causes is None:
        return
    rows: list[list[str]] = [["everything", *_effect(causes.factor, "")]]
    if causes.floor_ms:
        rows.append(["floor of a call", *_effect(causes.floor_ms, " ms")])
    rows += [[f"{kind}, against the rest", *_effect(e, "")] for kind, e in causes.kinds.items()]
    print_table("What moved", ["what", "by", "95 %", "p"], rows)


def _effect(effect: Any, unit: str) -> list[str]:
    sign = "+" if unit else ""
    ends = f"{effect.lower:.4g} to {effect.upper:.4g}{unit}"
    return [f"{effect.value:{sign}.4g}{unit}", ends, f"{effect.p:.2g}"]


def _print_kept(kept: list[Kept]) -> None:
    from palmette.latency.drift.budget import WORDS

    said = {True: "kept", False: "broken", None: "-"}
    print_table(
        "Budgets",
        ["network", "before", "at conf.", "now", "at conf.", "before", "now", "how"],
        [
            [
                one.name,
                *(
                    "-" if ms != ms else f"{ms:.3g}"
                    for ms in (
                        one.before_ms,
                        one.before_at_confidence,
                        one.after_ms,
                        one.after_at_confidence,
                    )
                ),
                said[one.kept_before],
                said[one.kept],
                WORDS[one.how] + (f"; {one.note}" if one.note else ""),
            ]
            for one in kept
        ],
    )
    say("at conf.: milliseconds that the network stays below with the confidence of the budget")


def contribute(
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help="Your timings.")],
    out: Annotated[Path, typer.Option(help="Folder to write; it must be new.")],
    licence: Annotated[
        str, typer.Option(help="CC0-1.0, CC-BY-4.0 or MIT; the latter two need --by.")
    ] = "CC0-1.0",
    by: Annotated[str, typer.Option(help="Name to be published with it; none if left out.")] = "",
    as_json: Json = False,
) -> None:
    """Scrub and check a table for the public: no names, paths or serial numbers leave."""
    from palmette.latency.sharing import contribute as contributed

    found = contributed(table, out, licence, by)
    for row in found.refused:
        note(f"left out: {row}")
    if as_json:
        answer = {
            "folder": str(found.folder),
            "rows": found.rows,
            "left_out": len(found.refused),
            "without_passport": found.without_passport,
            "scrubbed": found.scrubbed,
            "sha256": found.sha256,
        }
        print(json.dumps(answer))
        return
    for column, count in found.scrubbed.items():
        print(f"scrubbed: {column} of {count} rows")
    if found.without_passport:
        print(f"without a passport, and flagged so: {found.without_passport} of {found.rows} rows")
    print(f"{found.folder}: {found.rows} timings, SHA-256 {found.sha256}")
