"""Commands that estimate a network: `palmette targets`, `predict`, `accuracy`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

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
    given_predictor,
    read_architecture,
    read_ops,
)


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
                "anchors": predictor.anchors or None,
                "prior": predictor.prior_ or None,
                "held_out_mape": round(predictor.mape, 1),
                "interval_factor_80": round(predictor.usual_factor(), 2),
                "identified": predictor.support_.to_dict(),
                "unidentified_effects": [e.name for e in predictor.effects_ if not e.identified],
            }
        )
    if as_json:
        print(json.dumps(rows))
        return
    print_table(
        "Targets",
        ["target", "timed", "error", "80 %", "cannot identify"],
        [
            [
                str(row["target"]),
                f"{row['anchors']} anchors" if row["anchors"] else str(row["networks"]),
                f"{row['held_out_mape']} %",
                f"×/÷ {row['interval_factor_80']:.2f}",
                ", ".join(row["unidentified_effects"]) or "-",
            ]
            for row in rows
        ],
    )
    say("timed: networks; error: of these, each held out; 80 %: interval of a mobile network")
    say(
        "anchors: designs, where few were timed; the prices are those of another target, moved; an"
        " error of so few, each left out in turn, says little, so their interval is reckoned"
    )


def predict(
    arch: Arch,
    target: MaybeTarget = None,
    predictor_file: PredictorFile = None,
    confidence: Annotated[float, typer.Option(help="Of the two-sided interval.")] = 0.8,
    resolution: ModuleSide = None,
    task: TaskName = None,
    classes: Classes = None,
    as_json: Json = False,
) -> None:
    """Predict milliseconds with their interval and a breakdown per op."""
    from palmette.latency.budget import expect_confidence

    check_target("predict", target, predictor_file)
    expect_confidence(confidence)
    ops = read_ops(arch, resolution, task, classes)
    from palmette.latency import LATENCY

    predictor = given_predictor("predict", target, predictor_file)
    interval = predictor.predict_interval([ops], confidence)
    parts = predictor.breakdown(ops)
    answer = {
        "target": str(predictor.model_.target),
        "ms": float(interval.ms[0]),
        "lower_ms": float(interval.lower_ms[0]),
        "upper_ms": float(interval.upper_ms[0]),
        "confidence": confidence,
        "quantity": predictor.quantity_,
        "state": predictor.state_of(ops),
        "class": predictor.class_of(ops),
        "outside_timed": predictor.outside(ops),
        "anchors": predictor.anchors or None,
        "prior": predictor.prior_ or None,
        "ops": parts.to_dict("records"),
    }
    if as_json:
        print(json.dumps(answer))
        return
    grouped = parts.sort_values("ms", ascending=False).head(15)
    rows = zip(grouped["op"], grouped["ms"], grouped["share"], strict=True)
    print_table(
        f"{arch}{f' + {task}' if task else ''} on {answer['target']}",
        ["ms", "share", "op (the fifteen dearest)"],
        [[f"{ms:.4f}", f"{share:.1%}", str(op)] for op, ms, share in rows],
    )
    sustained = "" if predictor.quantity_ == LATENCY else f" {predictor.quantity_}"
    print(
        f"{interval.ms[0]:.3g} ms{sustained}, {confidence:.0%} interval {interval.lower_ms[0]:.3g}"
        f" to {interval.upper_ms[0]:.3g} ms ({answer['state']}; class {answer['class']})"
    )
    if predictor.caution:
        print(f"{answer['target']}: {predictor.caution}")
    if answer["outside_timed"]:
        print("warning: its work lies outside that of the timed networks; the interval is widened")


def accuracy(
    arch: Arch,
    recipe: Annotated[str | None, typer.Option(help="Training recipe; default the mean.")] = None,
    as_json: Json = False,
) -> None:
    """Estimate ImageNet top-1 without training."""
    from palmette.train import AccuracyPrior, widening_line

    report = AccuracyPrior.load().report(read_architecture(arch), recipe)
    if as_json:
        print(json.dumps(report))
        return
    print(
        f"top-1 {report['top1']:.1f} % (80 % interval {report['lower']:.1f} to"
        f" {report['upper']:.1f}), rung {report['rung']}, cross-validated MAE"
        f" {report['cross_validated_mae']} points, recipe {report['recipe']}"
    )
    for row in report["widened"]:
        print(f"widened: sigma^2 by {row['variance']:.1f}, {widening_line(row)}")
    for guard in report["active_guards"]:
        print(f"guard: {guard}")
