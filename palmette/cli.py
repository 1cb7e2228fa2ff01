"""The command line: typed functions, each a call into a folder, and what is printed of the answer.

Heavy imports stand inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from palmette.search import Run
    from palmette.space import Architecture

app = typer.Typer(
    help="Find, train and ship convolutional backbones that fit an iPhone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
zoo = typer.Typer(help="Reference networks.", no_args_is_help=True)
space = typer.Typer(help="Search spaces.", no_args_is_help=True)
latency = typer.Typer(help="Latency predictors.", no_args_is_help=True)
app.add_typer(zoo, name="zoo")
app.add_typer(space, name="space")
app.add_typer(latency, name="latency")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Arch = Annotated[
    str,
    typer.Argument(
        metavar="ARCH", help="Zoo name, .json file, architecture text, or module.py:factory."
    ),
]
TargetName = Annotated[str, typer.Option("--target", help="Such as iphone-13/ane.")]


@app.command()
def targets(as_json: Json = False) -> None:
    """List what can be searched for, the error behind it, and what it cannot identify."""
    from palmette.latency import TARGETS, load_predictor

    rows: list[dict[str, Any]] = []
    for name, target in TARGETS.items():
        predictor = load_predictor(name)
        rows.append(
            {
                "target": name,
                "alias": target.alias,
                "chip": target.chip,
                "networks": len(predictor.held_out_errors_),
                "held_out_mape": round(predictor.mape, 1),
                "identified": predictor.support_.to_dict(),
                "unidentified_effects": [e.name for e in predictor.effects_ if not e.identified],
            }
        )
    if as_json:
        print(json.dumps(rows))
        return
    _table(
        "Targets",
        ["target", "networks timed", "held-out error", "cannot identify"],
        [
            [
                str(row["target"]),
                str(row["networks"]),
                f"{row['held_out_mape']} %",
                ", ".join(row["unidentified_effects"]) or "-",
            ]
            for row in rows
        ],
    )


@zoo.command("list")
def zoo_list(as_json: Json = False) -> None:
    """List the reference networks."""
    from palmette.space import ZOO

    rows = [
        {"name": n, "params_m": r.params_m, "macs_m": r.macs_m, "top1": r.top1, "source": r.source}
        for n, r in ZOO.items()
    ]
    if as_json:
        print(json.dumps(rows))
        return
    _table(
        "Reference networks, as published",
        ["name", "M parameters", "M MACs", "top-1", "source"],
        [[str(value) for value in row.values()] for row in rows],
    )


@zoo.command("show")
def zoo_show(name: str, as_json: Json = False) -> None:
    """Print a reference network's text, or its JSON."""
    from palmette.space import load

    print(load(name).to_json() if as_json else load(name).to_text())


@zoo.command("check")
def zoo_check(as_json: Json = False) -> None:
    """Count every reference network and compare with the published figures."""
    from palmette.space import ZOO, load

    rows = []
    for name, reference in ZOO.items():
        params, macs = load(name).params() / 1e6, load(name).macs() / 1e6
        rows.append(
            {
                "name": name,
                "params_m": round(params, 3),
                "published_params_m": reference.params_m,
                "params_difference": round(params / reference.params_m - 1, 4),
                "macs_m": round(macs, 1),
                "published_macs_m": reference.macs_m,
                "macs_difference": round(macs / reference.macs_m - 1, 4),
                "note": reference.note,
            }
        )
    if as_json:
        print(json.dumps(rows))
        return
    _table(
        "Counts of the reference networks against the published ones (millions)",
        ["name", "parameters", "published", "MACs", "published", "why they differ"],
        [
            [
                str(r["name"]),
                f"{r['params_m']:.2f}",
                f"{r['published_params_m']:.2f} ({r['params_difference']:+.1%})",
                f"{r['macs_m']:.0f}",
                f"{r['published_macs_m']:.0f} ({r['macs_difference']:+.1%})",
                str(r["note"]),
            ]
            for r in rows
        ],
    )


@space.command("list")
def space_list(as_json: Json = False) -> None:
    """List the shipped search spaces."""
    from palmette.space import SearchSpace, presets

    spaces = [SearchSpace.preset(name) for name in presets()]
    if as_json:
        print(json.dumps([{"name": s.name, "size": s.size, "genes": len(s.genes)} for s in spaces]))
        return
    _table(
        "Search spaces",
        ["name", "architectures", "genes", "what it is"],
        [[s.name, f"{s.size:.2g}", str(len(s.genes)), s.description] for s in spaces],
    )


@space.command("show")
def space_show(name: str, as_json: Json = False) -> None:
    """Print the choices of a shipped space or of a space's TOML file."""
    from palmette.space import SearchSpace

    found = SearchSpace.read(Path(name)) if name.endswith(".toml") else SearchSpace.preset(name)
    if as_json:
        print(json.dumps(found.to_dict()))
        return
    rows = [[gene.name, " ".join(map(str, gene.choices))] for gene in found.genes]
    _table(f"{found.name}: {found.size:.3g} architectures", ["gene", "choices"], rows)


@app.command()
def predict(
    arch: Arch,
    target: TargetName,
    confidence: Annotated[float, typer.Option(help="Of the two-sided interval.")] = 0.8,
    resolution: Annotated[
        int | None, typer.Option(help="Input side of a module.py:factory; default 224.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict milliseconds with their interval and a breakdown per op."""
    from palmette.latency import load_predictor

    predictor, ops = load_predictor(target), _ops(arch, resolution)
    interval = predictor.predict_interval([ops], confidence)
    parts = predictor.breakdown(ops)
    answer = {
        "target": str(predictor.model_.target),
        "ms": float(interval.ms[0]),
        "lower_ms": float(interval.lower_ms[0]),
        "upper_ms": float(interval.upper_ms[0]),
        "confidence": confidence,
        "state": predictor.state_of(ops),
        "class": predictor.class_of(ops),
        "outside_timed": predictor.outside(ops),
        "ops": parts.to_dict("records"),
    }
    if as_json:
        print(json.dumps(answer))
        return
    grouped = parts.sort_values("ms", ascending=False).head(15)
    rows = zip(grouped["op"], grouped["ms"], grouped["share"], strict=True)
    _table(
        f"{arch} on {answer['target']}",
        ["op (the fifteen dearest)", "ms", "share"],
        [[str(op), f"{ms:.4f}", f"{share:.1%}"] for op, ms, share in rows],
    )
    print(
        f"{interval.ms[0]:.3g} ms, {confidence:.0%} interval {interval.lower_ms[0]:.3g} to"
        f" {interval.upper_ms[0]:.3g} ms ({answer['state']}; class {answer['class']})"
    )
    if answer["outside_timed"]:
        print("warning: its work lies outside that of the timed networks; the interval is widened")


@app.command()
def accuracy(
    arch: Arch,
    recipe: Annotated[str | None, typer.Option(help="Training recipe; default the mean.")] = None,
    as_json: Json = False,
) -> None:
    """Estimate ImageNet top-1 without training."""
    from palmette.train import AccuracyPrior

    report = AccuracyPrior.load().report(_architecture(arch), recipe)
    if as_json:
        print(json.dumps(report))
        return
    print(
        f"top-1 {report['top1']:.1f} % (80 % interval {report['lower']:.1f} to"
        f" {report['upper']:.1f}), rung {report['rung']}, cross-validated MAE"
        f" {report['cross_validated_mae']} points, recipe {report['recipe']}"
    )
    for guard in report["active_guards"]:
        print(f"guard: {guard}")


@latency.command("fit")
def latency_fit(
    out: Annotated[Path, typer.Option(help="Folder for the predictors.")],
    table: Annotated[Path | None, typer.Argument(help="Timings; default the published.")] = None,
    as_json: Json = False,
) -> None:
    """Fit predictors to a table of timings; one JSON file per target."""
    from palmette.latency import TARGETS, published_timings, read_timings
    from palmette.latency.predictor import file_name, fit_all
    from palmette.space.errors import expect

    expect(not out.exists() or out.is_dir(), f"--out: {out} is not a folder")
    timings = published_timings() if table is None else read_timings(table)
    predictors = fit_all(timings)
    for name, predictor in predictors.items():
        predictor.write(out / file_name(TARGETS[name]))
    rows = {n: {"networks": len(p.held_out_errors_), "mape": p.mape} for n, p in predictors.items()}
    if as_json:
        print(json.dumps(rows))
        return
    _table(
        f"Predictors written to {out}",
        ["target", "networks", "held-out error"],
        [[name, str(r["networks"]), f"{r['mape']:.1f} %"] for name, r in rows.items()],
    )


@latency.command("validate")
def latency_validate(
    table: Annotated[Path | None, typer.Argument(help="Timings; default the published.")] = None,
    as_json: Json = False,
) -> None:
    """Score predictors on networks they never saw, beside baselines in the same folds."""
    from palmette.latency import published_timings, read_timings
    from palmette.latency.validate import report

    timings = published_timings() if table is None else read_timings(table)
    with _status("fitting without each network in turn"):
        tables, metrics = report(timings)
    for title, columns, rows in tables:
        _table(title, columns, rows, to_stderr=as_json)
    headline = {name: value for name, value in metrics.items() if name != "by_target"}
    print(json.dumps(metrics) if as_json else _listed(headline))


@app.command()
def search(
    context: typer.Context,
    target: Annotated[str | None, typer.Option(help="Such as iphone-13/ane.")] = None,
    budget_ms: Annotated[float | None, typer.Option(help="Milliseconds of one image.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    space_name: Annotated[str, typer.Option("--space", help="Preset or .toml.")] = "mobilenet_v2",
    confidence: Annotated[float, typer.Option(help="That the budget is kept.")] = 0.8,
    params_m: Annotated[float, typer.Option(help="Most parameters, millions.")] = float("inf"),
    macs_m: Annotated[float, typer.Option(help="Most MACs, millions.")] = float("inf"),
    lam: Annotated[float, typer.Option(help="Standard deviations off the accuracy.")] = 0.5,
    recipe: Annotated[str | None, typer.Option(help="Training recipe.")] = None,
    evaluations: Annotated[int, typer.Option(help="Networks to evaluate.")] = 1_000_000,
    shortlist: Annotated[int, typer.Option(help="Networks that become trials.")] = 64,
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    extrapolate: Annotated[bool, typer.Option(help="Keep unidentified choices.")] = False,
    predictor: Annotated[str | None, typer.Option(help="Predictor JSON of your own.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in a folder.")] = None,
    export_pick: Annotated[bool, typer.Option("--export", help="Export the pick.")] = False,
    as_json: Json = False,
) -> None:
    """Find the most accurate networks inside a latency budget on one target."""
    from palmette import search as engine
    from palmette.space.errors import InputError

    if resume is not None:
        _expect_alone(context, "resume", "export_pick", "as_json")
    elif target is None or budget_ms is None:
        raise InputError("search: give --target and --budget-ms, or --resume FOLDER")
    else:
        out = out or engine.default_folder(target, budget_ms)
    try:
        with _progress() as report:
            if resume is not None:
                run = engine.resume(resume, progress=report)
            else:
                assert target is not None and budget_ms is not None and out is not None
                run = engine.run(
                    target,
                    budget_ms,
                    out,
                    progress=report,
                    space=space_name,
                    confidence=confidence,
                    params_m=params_m,
                    macs_m=macs_m,
                    lam=lam,
                    recipe=recipe,
                    evaluations=evaluations,
                    shortlist=shortlist,
                    seed=seed,
                    extrapolate=extrapolate,
                    predictor=predictor,
                )
    except KeyboardInterrupt:
        print(f"interrupted; go on with: palmette search --resume {resume or out}", file=sys.stderr)
        raise typer.Exit(130) from None
    package = engine.export_pick(run) if export_pick else None
    if as_json:
        print(json.dumps({**engine.summary(run), "package": str(package) if package else None}))
    else:
        _print_run(run, package)


@app.command("export")
def export_command(
    arch: Arch,
    target: TargetName,
    out: Annotated[Path, typer.Option(help="Package to write.")],
    kind: Annotated[str | None, typer.Option(help="mlprogram or neuralnetwork.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Class labels, one a line.")] = None,
    as_json: Json = False,
) -> None:
    """Export a network to Core ML, and prove its weights (initialised, unless trained)."""
    from palmette.export import export_for_runtime
    from palmette.latency import find_target, load_predictor

    architecture, found = _architecture(arch), find_target(target)
    ms = float(load_predictor(target).predict([architecture])[0])
    with _status("converting"):
        path = export_for_runtime(
            architecture,
            out,
            runtime=found.runtime,
            kind=kind,
            labels_file=labels,
            predicted_ms=ms,
            metadata={"target": str(found)},
        )
    if as_json:
        print(json.dumps({"package": str(path), "predicted_ms": ms, "target": str(found)}))
    else:
        print(f"{path}: weights proven; {ms:.3g} ms predicted on {found}")


def main() -> None:
    """Entry point: user errors end in one line and exit code 2."""
    from palmette.space.errors import InputError

    try:
        code = app(standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except typer.TyperException as error:
        _fail(error.format_message())
    except OSError as error:  # of a disk or a folder: what we write, or a read that nothing guards
        _fail(str(error))
    sys.exit(code or 0)  # an interrupt comes as code 130


def _fail(message: str) -> NoReturn:
    if message:  # a command without arguments has printed its help, and has none
        print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(2)


def _expect_alone(context: typer.Context, *allowed: str) -> None:
    """Raise InputError if another option than these was given."""
    from palmette.space.errors import expect

    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        given = source is not None and source.name == "COMMANDLINE"
        expect(
            not given or parameter.name in allowed,
            f"{parameter.opts[0]}: can't be changed when a run goes on; leave it out, or begin a"
            " new run",
        )


def _architecture(text: str) -> Architecture:
    from palmette.space import Architecture, load
    from palmette.space.errors import InputError, expect

    if text.endswith(".json"):
        try:
            return Architecture.from_json(Path(text).read_text("utf-8"), text)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{text}: cannot be read ({error})") from None
    expect(".py:" not in text, f"{text}: this needs an architecture, not a torch module")
    return Architecture.from_text(text) if "|" in text else load(text)


def _ops(text: str, resolution: int | None) -> Any:
    """Ops of anything that ARCH may name."""
    from palmette.latency.op_lists import network_ops
    from palmette.space.errors import expect

    if ".py:" in text:
        resolution = 224 if resolution is None else resolution
        expect(0 < resolution <= 16_384, f"--resolution: from 1 to 16384, got {resolution}")
        from palmette.space.factory import module_from_file
        from palmette.space.trace import trace_ops

        return trace_ops(module_from_file(text), (3, resolution, resolution))
    expect(
        resolution is None, "--resolution: is for module.py:factory; an architecture has its own"
    )
    return _architecture(text).ops() if text.endswith(".json") else network_ops(text)


def _table(title: str, columns: list[str], rows: list[list[str]], to_stderr: bool = False) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    Console(stderr=to_stderr).print(table)


def _listed(metrics: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in metrics.items())


def _status(text: str) -> Any:
    from rich.console import Console

    return Console(stderr=True).status(text)


@contextmanager
def _progress() -> Iterator[Callable[[int, int, float], None]]:
    """Progress bar with the hypervolume of what was found; on standard error, if one looks on."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}  hypervolume {task.fields[volume]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("compiling the space", total=1, volume="-")

        def report(done: int, planned: int, volume: float) -> None:
            bar.update(
                task,
                description="searching",
                completed=done,
                total=planned,
                volume=f"{volume:.4g}",
            )

        yield report


def _print_run(run: Run, package: Path | None) -> None:
    """The picks beside the reference networks, the guards, and where everything is."""
    from palmette.search import comparison, guard_lines

    rows = [
        [
            str(row["name"]),
            f"{row['ms']:.3g}",
            f"{row['ms_at_confidence']:.3g}",
            "-" if row["timed_ms"] is None else f"{row['timed_ms']:.3g}",
            f"{row['top1']:.1f}",
            "-" if row["published"] is None else f"{row['published']:.1f}",
            f"{row['params_m']:.1f}",
            str(row["verdict"]),
        ]
        for row in comparison(run)
    ]
    config = run.config
    _table(
        f"{config.target}, budget {config.budget_ms:g} ms at confidence {config.confidence:g}",
        ["network", "ms", "at conf.", "timed", "top-1", "publ.", "M par.", "vs pick"],
        rows,
    )
    for line in guard_lines(run):
        print(line)
    print(f"the pick: {run.pick.to_text()}")
    print(f"run folder: {run.folder.path} ({len(run.front)} networks in front.csv, front.html)")
    if package is not None:
        print(f"Core ML package: {package}")
