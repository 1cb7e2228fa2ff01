"""How pages are followed: what each needs, which options are cut down, what can't run and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.provided import PLAN


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
    "docs/halving.md": Page(
        ("photos", "few.toml", "mine.py", "runs/first"),
        left=("runs/first/halving.csv", "runs/first/trained.csv", "runs/halved/rungs.csv"),
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
    "docs/compression.md": Page(
        ("photos", "runs/photos", "photos.mlpackage"), left=("photos_w8a8.mlpackage",)
    ),
    "docs/doctor.md": Page(),
    "docs/drift.md": Page(
        ("before.csv", "after.csv", "mine.csv", "table.csv", "runs/first", "runs/small"),
        left=("shared/SHA256SUMS", "by_name/SHA256SUMS"),
    ),
    "docs/expensive.md": Page(("photos", "few.toml")),
    "docs/explain.md": Page(),
    "docs/export.md": Page(
        ("photos", "runs/photos", "runs/mine", "module.py", "mobilenet_v2.npz"),
        left=("sizes.mlpackage", "two.mlpackage", "own.mlpackage", "photos_mac/check.py"),
        printed="weights proven",
    ),
    "docs/exportability.md": Page(("module.py",)),
    "docs/families.md": Page(),
    "docs/latency.md": Page(),
    "docs/limits.md": Page(),
    "docs/phone.md": Page(),
    "docs/planning.md": Page(("my_space.toml",)),
    "docs/report.md": Page(("runs/first", "runs/small")),
    "docs/scale.md": Page(("mine.py",), before=(BY_FUNCTION + "runs/mine",)),
    "docs/search.md": Page(("photos", "few.toml", "mine.py", "my_space.toml", "runs/super")),
    "docs/suite.md": Page(("table.csv",), before=(PLAN,)),
    "docs/supernet.md": Page(("photos", "network.json"), printed="weights proven"),
    "docs/synthetic.md": Page(
        ("suite",),
        {"afternoon.toml": ("toml", 0)},
        left=("run/retimed.csv", "warm/front.csv"),
        printed="enter the front",
    ),
    "docs/targets.md": Page(),
    "docs/timing.md": Page(
        (
            *("suite", "results.csv", "placement.csv", "one.mlperf", "two.mlperf", "report.mlperf"),
            *("timed.json", "timings.csv", "foreign.csv", "my_map.toml", "few.csv", "networks.csv"),
        ),
        left=("left_out.csv", "host.json"),
    ),
    "docs/tasks.md": Page(),
    "docs/training.md": Page(("photos",), printed="weights proven"),
}

CUT: tuple[tuple[str, str, str, int], ...] = (
    ("search", "--budget", "--evaluations", 3000),
    ("search", "--targets", "--evaluations", 1000),
    ("search", "--trials", "--trials", 5),
    ("search", "--accuracy function:", "--trials", 5),
    ("search", "--accuracy proxy:", "--trials", 5),
    ("search", "--accuracy supernet:", "--trials", 5),
    ("search", "--shortlist", "--shortlist", 3),
    ("train", "--data", "--epochs", 1),
    ("train", "--data photos", "--batch", 4),
    ("train", "--run", "--picks", 2),
    ("supernet train", "--data", "--epochs", 1),
    ("supernet train", "--data photos", "--batch", 4),
    ("supernet evaluate", "--random", "--random", 2),
    ("latency plan", "--space mobilenet_v2", "--minutes", 2),
    ("confirm", "", "--winners", 1),
    ("confirm", "", "--seeds", 2),
    ("latency suite", "", "--processes", 1),
)
"""Command, a text that its line must have, option, its value where the line has none or more."""

INSTEAD = {
    "--ray auto": "--workers 1",
    "--ray-workers 2": "",
    "--out host.csv": "--subjects networks.csv --rounds 3 --out host.csv",
    "proxy:quick@9x1": "proxy:few.toml@3x0.2",
    "proxy:quick ": "proxy:few.toml@1x0.2 ",
    "/shared/photos --out /shared/run --ray-workers 8 --ray-address auto": "photos --out runs/all",
    "--gpus-per-trial 1 --cpus-per-trial 4": "",
    "--predictor mine.json --budget-ms 0.8": "--predictor mine.json --budget-ms 0.8 --extrapolate",
}
"""What can't be had here -> what is run in its place. There is no cluster, and Ray gives its
servers 30 s to start, too few where all processors are busy (tests/search/trials and
tests/train/test_ray.py run it). Photos are too few for a batch of `quick`. Of the plan is timed
what takes seconds, too little to tell activations apart."""

NOT_RUN = {
    "palmette dashboard": "serves until it is stopped; tests/search/ledger/test_dashboard.py",
    "palmette compress runs/photos/best.safetensors --data photos --sweep": (
        "minutes of palettes; tests/export/compression sweeps a small network"
    ),
    "palmette doctor --thorough": "limits of time that a busy machine breaks; tests/test_doctor.py",
    "palmette latency validate\n": "more than a minute of fits; tests/test_cli.py runs it",
    "palmette latency measure suite --on mac": "a Mac; tests/latency/devices",
    "palmette latency measure picks --on": "a Mac and an iPhone; tests/latency/devices",
    "palmette latency import ops.csv.gz": (
        "timings that are not shipped; tests/latency/foreign/test_importing.py has some like these"
    ),
    "palmette latency fit xs.csv": "the same timings; tests/latency/per_op/test_shipped.py",
    "palmette latency import seed_latency.csv": (
        "figures that are not shipped; tests/latency/test_published.py"
    ),
    "palmette latency synthetic plan.csv --out first/results.csv  ": "the afternoon runs it",
}
"""Begin of a line, or all of it with its end -> why a test can't run it where it stands."""

PHONE = {
    "phone/results.csv": Path("suite"),
    "picks_phone/results.csv": Path("picks"),
}
"""Results that a page imports -> suite that a phone would have timed before."""
