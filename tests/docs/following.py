"""How pages are followed: what each needs, which options are cut down, what can't run and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Page:
    """What lies in the folder before the first command of a page."""

    needs: tuple[str, ...] = ()
    """Of `provided`."""
    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Blocks that the page shows: file -> language, and which of that language."""
    before: tuple[str, ...] = ()
    """Commands whose results the page speaks of without showing them."""
    left: tuple[str, ...] = ()
    """Files that are there in the end."""
    printed: str = ""
    """What some command has said."""


BY_FUNCTION = (
    "palmette search --target iphone-13/ane --budget-ms 0.9 --accuracy function:mine.py:accuracy"
    " --out "
)
FOLLOWED = {
    "README.md": Page(("photos", "mine.py"), {"timings.csv": ("csv", 0)}),
    "docs/tutorial.md": Page(
        ("photos",),
        left=("runs/first/report.html", "runs/digits/best.safetensors", "digits.mlpackage"),
        printed="weights proven",
    ),
    "docs/howto/cluster.md": Page(("mine.py",)),
    "docs/howto/own_accuracy.md": Page((), {"mine.py": ("python", 0), "digits.toml": ("toml", 0)}),
    "docs/howto/own_network.md": Page(
        (), {"net.py": ("python", 0)}, left=("own.mlpackage",), printed="weights proven"
    ),
    "docs/howto/own_space.md": Page((), {"my_space.toml": ("toml", 0)}),
    "docs/howto/read_a_report.md": Page(("runs/first", "runs/small")),
    "docs/howto/time_your_iphone.md": Page(),
    "docs/accuracy.md": Page(),
    "docs/architecture.md": Page(),
    "docs/bundle.md": Page(),
    "docs/concepts/additivity_and_partition.md": Page(),
    "docs/concepts/intervals.md": Page(),
    "docs/concepts/proofs.md": Page(),
    "docs/compression.md": Page(("photos", "runs/photos", "photos.mlpackage")),
    "docs/doctor.md": Page(),
    "docs/explain.md": Page(),
    "docs/export.md": Page(
        ("photos", "runs/photos", "runs/mine", "module.py", "mobilenet_v2.npz"),
        left=("sizes.mlpackage", "two.mlpackage", "own.mlpackage", "photos_mac/check.py"),
        printed="weights proven",
    ),
    "docs/exportability.md": Page(("module.py",)),
    "docs/families.md": Page(),
    "docs/limits.md": Page(),
    "docs/planning.md": Page(("my_space.toml",)),
    "docs/report.md": Page(("runs/first", "runs/small")),
    "docs/scale.md": Page(("mine.py",), before=(BY_FUNCTION + "runs/mine",)),
    "docs/search.md": Page(("photos", "mine.py", "my_space.toml")),
    "docs/synthetic.md": Page(
        (),
        {"afternoon.toml": ("toml", 0)},
        left=("run/retimed.csv", "warm/front.csv"),
        printed="enter the front",
    ),
    "docs/targets.md": Page(),
    "docs/tasks.md": Page(),
    "docs/training.md": Page(("photos",), printed="weights proven"),
}

CUT: tuple[tuple[str, str, str, int], ...] = (
    ("search", "--budget", "--evaluations", 3000),
    ("search", "--targets", "--evaluations", 1000),
    ("search", "--trials", "--trials", 5),
    ("search", "--accuracy function:", "--trials", 5),
    ("search", "--accuracy", "--shortlist", 3),
    ("train", "--data", "--epochs", 1),
    ("train", "--data photos", "--batch", 4),
    ("train", "--run", "--picks", 2),
    ("latency plan", "--space mobilenet_v2", "--minutes", 2),
    ("confirm", "", "--winners", 1),
    ("confirm", "", "--seeds", 2),
    ("latency suite", "", "--processes", 1),
)
"""Command, a text that its line must have, option, its value where the line has none or more."""

INSTEAD = {
    "--ray auto": "--workers 1",
    "--ray-workers 2": "",
    "/shared/photos --out /shared/run --ray-workers 8 --ray-address auto": "photos --out runs/all",
    "--gpus-per-trial 1 --cpus-per-trial 4": "",
    "--predictor mine.json --budget-ms 0.8": "--predictor mine.json --budget-ms 0.8 --extrapolate",
}
"""What can't be had here -> what is run in its place. There is no cluster (tests/search/trials and
tests/train/test_ray.py run Ray, which gives its servers 30 s to start: too few where all processors
are busy), and of the plan is timed what takes seconds, too little to tell activations apart."""

NOT_RUN = {
    "palmette dashboard": "serves until it is stopped; tests/search/ledger/test_dashboard.py",
    "palmette search --target iphone-13/ane --budget-ms 0.9 --accuracy supernet:": (
        "takes a supernet, which takes hours; tests/train/supernet makes a small one"
    ),
    "palmette search --target iphone-13/ane --budget-ms 0.9 --accuracy proxy:": (
        "trains by hundreds of photos; tests/train/test_proxy.py"
    ),
    "palmette compress mobilenet_v2 --weights runs/photos/best.safetensors --data photos --sweep": (
        "minutes of palettes; tests/export/compression sweeps a small network"
    ),
    "palmette doctor --thorough": "limits of time that a busy machine breaks; tests/test_doctor.py",
    "palmette latency validate": "more than a minute of fits; tests/test_cli.py runs it",
    "palmette latency synthetic plan.csv --out first/results.csv  ": "the afternoon runs it",
    "palmette latency synthetic suite --out results.csv --units cpuOnly": (
        "takes packages of a suite; howto/time_your_iphone.md makes and times some"
    ),
}
"""Begin of a line -> why a test can't run it where it stands."""

PARSED = {
    "docs/expensive.md": "trains by hundreds of photos; tests/search/expensive, tests/train",
    "docs/drift.md": "two tables that a phone gave on two days; tests/latency/test_drift.py",
    "docs/halving.md": "hours of training; tests/search/test_halving_runs.py",
    "docs/latency.md": "op timings that are not shipped; tests/latency/test_fit_targets.py",
    "docs/phone.md": "a Mac's steps; the others are those of howto/time_your_iphone.md",
    "docs/suite.md": "three suites of one plan; tests/latency/suite",
    "docs/supernet.md": "hours of training; tests/train/supernet",
    "docs/timing.md": "tables of the reader's own; tests/latency/foreign, tests/latency/host",
}
"""Page that is parsed only -> why, and what tests its commands or their functions."""

PHONE = {
    "phone/results.csv": Path("suite"),
    "picks_phone/results.csv": Path("picks"),
}
"""Results that a page imports -> suite that a phone would have timed before."""
