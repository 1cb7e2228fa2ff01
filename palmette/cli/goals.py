"""What `palmette search` searches for: one target, or several as texts of the command line say."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from palmette.cli.door import check_searched
from palmette.cli.output import at_confidence, print_table, say, say_next

if TYPE_CHECKING:
    from palmette.search import Goal, Run
    from palmette.search.objectives.goal import Join

EACH = "each"
"""One front for each target."""


def asked_goals(
    target: str | None,
    targets: str | None,
    budget_ms: float | None,
    weights: str | None,
    join: str,
    joint: bool,
) -> list[Goal] | None:
    """Several targets; None if one is asked for.

    Raises:
        InputError: neither, both, or options of several with one; as `goals_of`.
    """
    from palmette.space.errors import expect

    expect_asked(target, targets, budget_ms)
    if targets is not None:
        return goals_of(targets, budget_ms, weights, join, joint)
    expect(
        (join, weights, joint) == (EACH, None, False),
        "--join, --weights, --joint: belong to --targets",
    )
    return None


def expect_asked(target: str | None, targets: str | None, budget_ms: float | None) -> None:
    """Raise InputError unless one target with a budget is asked for, or several."""
    from palmette.space.errors import expect

    if targets is not None:
        expect(target is None, "search: give --target or --targets, not both")
        return
    expect(
        target is not None and budget_ms is not None,
        "search: give --target and --budget-ms, or --targets TARGET=MS,..., or --resume FOLDER",
    )


def check_names(
    target: str | None,
    targets: str | None,
    space: str,
    predictor: str | None,
    accuracy: str,
    data: str | None,
    recipe: str | None,
    start: str | None,
) -> None:
    """Raise InputError for what a search names and is not there; see `palmette.cli.door`."""
    from palmette.space import SearchSpace
    from palmette.space.files import expect_readable
    from palmette.train import AccuracyPrior
    from palmette.train.datasets import expect_data

    pairs = _pairs("--targets", targets) if targets is not None else []
    names = [target] if target is not None else [name for name, _ in pairs]
    for name in names:
        check_searched(name, predictor)
    if space.endswith(".toml"):
        SearchSpace.read(Path(space))
    else:
        SearchSpace.preset(space)
    if data is not None and accuracy.partition(":")[0] in ("supernet", "proxy"):
        expect_data(data)
    AccuracyPrior.load().recipe_offset(recipe)
    if start is not None:
        expect_readable(Path(start))


def check_options(
    goals: list[Goal] | None,
    join: str,
    joint: bool,
    target: str | None,
    budget_ms: float | None,
    options: dict[str, Any],
) -> None:
    """Raise InputError for what no search can be made of, such as a number out of range.

    The search itself would say the same, but only after what it needs is opened.

    Args:
        options: the other fields of `SearchConfig`.
    """
    from palmette.search import SearchConfig

    if goals is None:
        assert target is not None and budget_ms is not None
        SearchConfig(target, budget_ms, **options)
    elif join == EACH:
        for goal in goals:
            SearchConfig(goal.target, goal.budget_ms, **options)
    else:
        SearchConfig.of_goals(goals, cast("Join", join), joint=joint, **options)


def check_export(goals: list[Goal] | None, join: str, resume: Path | None) -> None:
    """Raise InputError if the pick will be for several targets at once.

    Before the search: afterwards is late.
    """
    from palmette.search import SearchConfig, is_target_runs
    from palmette.search.run_folder import RunFolder
    from palmette.search.summary import expect_exportable

    if resume is not None:
        if not is_target_runs(resume):
            folder = RunFolder(resume)
            found, _ = folder.read_config()
            expect_exportable(SearchConfig.from_dict(found, str(folder.config)))
    elif goals is not None and join != EACH:
        expect_exportable(SearchConfig.of_goals(goals, cast("Join", join)))


def default_folder(
    goals: list[Goal] | None, join: str, target: str | None, budget_ms: float | None, budget: str
) -> Path:
    """Folder of a run that names none."""
    from palmette import search as engine

    if goals is not None:
        return engine.default_folder_of(goals, join)
    assert target is not None and budget_ms is not None
    return engine.default_folder(target, budget_ms, budget)


def goals_of(
    targets: str, budget_ms: float | None, weights: str | None, join: str, joint: bool
) -> list[Goal]:
    """Targets with budgets and weights.

    Args:
        targets: `TARGET=MS,TARGET=MS,...`; without its own, a target has the common budget.
        budget_ms: that one.
        weights: `TARGET=WEIGHT,...`; targets that are not named have a weight of 1.
        join: how they are joined, or `EACH`.
        joint: whether their budgets are to hold together.

    Raises:
        InputError: a text of another form, a target without a budget, a weight of none of them.
    """
    from palmette.latency import parse_target
    from palmette.search.objectives.goal import Goal, check_goals, check_join, check_weights
    from palmette.space.errors import InputError, expect

    check_weights(join, weights is not None)
    by_target = {
        str(parse_target(name)): _number("--weights", name, weight or "nothing")
        for name, weight in (_pairs("--weights", weights) if weights else [])
    }
    goals = []
    for name, own in _pairs("--targets", targets):
        target = str(parse_target(name))
        ms = budget_ms if own is None else _number("--targets", name, own)
        if ms is None:
            raise InputError(
                f"--targets: {name} has no budget; write {name}=MS, or give all the same with"
                " --budget-ms"
            )
        goals.append(Goal(target, ms, by_target.pop(target, 1.0)))
    expect(not by_target, f"--weights: {', '.join(by_target)} is none of --targets")
    if join == EACH:
        expect(
            not joint,
            "--joint: belongs to targets that are joined; give --join worst or weighted",
        )
        check_goals(goals)
    else:
        check_join(goals, join, joint)
    return goals


def _pairs(option: str, text: str) -> list[tuple[str, str | None]]:
    from palmette.space.errors import expect

    pairs: list[tuple[str, str | None]] = []
    for part in text.split(","):
        name, sign, value = part.strip().partition("=")
        expect(
            bool(name),
            f"{option}: an empty name in '{text}'; write iphone-11/ane=6,iphone-xs/gpu=30",
        )
        pairs.append((name, value if sign else None))
    return pairs


def _number(option: str, name: str, text: str) -> float:
    from palmette.space.errors import InputError

    try:
        return float(text)
    except ValueError:
        raise InputError(f"{option}: {name} must have a number, got '{text}'") from None


def print_target_runs(runs: list[Run], folder: str) -> None:
    """The pick of each target, and where the runs are."""
    rows = []
    for run in runs:
        pick = run.front.loc[run.front["pick"]].iloc[0]
        rows.append(
            [
                run.config.target,
                f"{run.config.budget_ms:g}",
                str(pick["id"])[:8],
                f"{pick['ms']:.3g}",
                f"{pick['ms_at_confidence']:.3g}",
                f"{pick['top1']:.1f}",
                f"{pick['params_m']:.1f}",
            ]
        )
    columns = ["target", "budget", "pick", "ms", "at conf.", "top-1", "M par."]
    print_table(f"a front for each of {len(runs)} targets", columns, rows)
    say(at_confidence(runs[0].config.confidence))
    say("the picks, each in its run's folder (palmette search --resume FOLDER prints its table):")
    for run in runs:
        print(f"  {run.folder.path}  {run.pick.to_text()}")
    for run in runs:
        if run.failures:
            say(f"{run.folder.path}: {run.failures.words}")
    print(f"all runs: {folder}")
    folders = " ".join(shlex.quote(str(run.folder.path)) for run in runs)
    say_next(f"palmette bundle {folders}", "the fewest networks that serve all, for one app")
