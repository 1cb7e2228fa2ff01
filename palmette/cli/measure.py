"""`palmette latency measure`: timing this machine, a Mac through Core ML, or a phone beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from palmette.cli.interrupts import interruptible, tell_repeatable
from palmette.cli.output import counting, note
from palmette.cli.subjects import Json

HOST_ONLY = ("--space", "--subjects", "--plan", "--rounds", "--threads", "--seed")
DEVICE_ONLY = ("--units", "--mode", "--team")


def latency_measure(
    out: Annotated[
        Path,
        typer.Option(help="Timing table to write, or with --on the results, as the app has them."),
    ],
    suite: Annotated[
        Path | None, typer.Argument(metavar="[SUITE]", help="With --on: folder of the packages.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="This machine: such as host/cpu@torch-eager.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(help="mac, or identifier or name of a phone: a suite through coremltools."),
    ] = None,
    space_name: Annotated[
        str | None,
        typer.Option("--space", help="Time what this space needs: preset or .toml (mobilenet_v2)."),
    ] = None,
    subjects: Annotated[
        Path | None,
        typer.Option(help="Time these instead: CSV with the columns subject_kind and subject."),
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Time what this plan for the target has instead.")
    ] = None,
    units: Annotated[
        list[str] | None,
        typer.Option(help="With --on, in place of the suite's: cpuOnly, cpuAndGPU, ..."),
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(help="With --on, in place of the suite's: burst, sustained or paced."),
    ] = None,
    team: Annotated[
        str, typer.Option(help="With --on PHONE: development team that signs coremltools' app.")
    ] = "",
    rounds: Annotated[
        int | None, typer.Option(help="With --target: how often everything is timed; default 24.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="With --target: of the runtime; as many cores are pinned; default 1."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="With --target: of draws and of the order; default 0.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Time ops, chains and networks on this machine, or a suite on a Mac or a phone.

    Interrupted, the same command goes on.
    """
    from palmette.space.errors import expect

    expect((target is None) != (on is None), "measure: give either --target or --on")
    of_host = (space_name, subjects, plan, rounds, threads, seed)
    of_device = (units or None, mode or None, team or None)
    foreign = (
        zip(HOST_ONLY, of_host, strict=True) if on else zip(DEVICE_ONLY, of_device, strict=True)
    )
    wrong = [name for name, value in foreign if value is not None]
    expect(not wrong, f"{', '.join(wrong)}: belongs to {'--target' if on else '--on'}")
    expect((suite is not None) == (on is not None), "measure: --on needs a SUITE, --target none")
    with interruptible(tell_repeatable):
        if suite is not None and on is not None:
            answer = _device(suite, out, on, team, units or [], mode or [])
        else:
            assert target is not None
            chosen = _chosen(target, space_name, subjects, plan, seed or 0)
            given = {"rounds": rounds, "threads": threads, "seed": seed}
            settings = {name: number for name, number in given.items() if number is not None}
            answer = _host(target, chosen, out, settings)
    print(json.dumps(answer) if as_json else f"{out}: {answer['rows']} timings")


def _device(
    suite: Path, out: Path, on: str, team: str, units: list[str], modes: list[str]
) -> dict[str, Any]:
    from palmette.latency.devices.mac import require_mac

    require_mac(f"--on {on}")  # before coremltools is imported
    from palmette.latency.devices.measure import time_suite

    with counting() as tell:
        found = time_suite(suite, out, on, team=team, units=units, modes=modes, progress=tell)
    if found.failed:
        note(f"{found.failed} of them have an error instead of milliseconds")
    return {"table": str(out), "rows": found.rows, "failed": found.failed}


def _chosen(
    target: str, space_name: str | None, subjects: Path | None, plan: Path | None, seed: int
) -> list[tuple[str, str]]:
    """What to time on a host, as (kind, text)."""
    from palmette.latency.host.plan import host_plan, read_subjects
    from palmette.space import SearchSpace
    from palmette.space.errors import expect

    given = [name for name in (space_name, subjects, plan) if name is not None]
    expect(len(given) <= 1, "measure: give one of --space, --subjects and --plan")
    if plan is not None:
        return _planned(plan, target)
    if subjects is not None:
        return read_subjects(subjects)
    name = space_name or "mobilenet_v2"
    space = SearchSpace.read(Path(name)) if name.endswith(".toml") else SearchSpace.preset(name)
    return host_plan(space, seed=seed).subjects


def _planned(path: Path, target: str) -> list[tuple[str, str]]:
    """Subjects of a plan that was made for the target."""
    from palmette.latency.planning.plan import Plan
    from palmette.latency.targets import parse_target
    from palmette.space.errors import expect

    plan = Plan.read(path)
    others = sorted({row.target for row in plan.rows} - {str(parse_target(target))})
    expect(not others, f"{path}: is a plan for {', '.join(others)}, not for {target}")
    return plan.subjects


def _host(
    target: str, chosen: list[tuple[str, str]], out: Path, settings: dict[str, int]
) -> dict[str, Any]:
    from palmette.latency.host.measure import measure

    with counting() as tell:
        found = measure(target, chosen, out, **settings, progress=tell)
    for (kind, text), reason in found.refused.items():
        note(f"left out: {kind} {text}: {reason}")
    return {"table": str(out), "rows": len(found.table), "left_out": len(found.refused)}
