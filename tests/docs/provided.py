"""What pages take for granted: photos, a phone that was timed, runs of another page."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.docs.pages import fenced

PER_CLASS = 5
MACHINE = {"machine": "iPhone15,4", "os_version": "18.1", "os_build": "22B83"}
"""What the synthetic phone's rows say instead, to stand for an iPhone 15."""


def photos() -> None:
    """Two classes of tiny images: dark and bright noise."""
    draw = np.random.default_rng(0)
    for name, least in (("dark", 0), ("bright", 128)):
        folder = Path("photos") / name
        folder.mkdir(parents=True)
        for number in range(PER_CLASS):
            pixels = draw.integers(least, least + 128, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")


def function() -> None:
    """An accuracy that is there at once, by both names that pages call it."""
    body = fenced("docs/scale.md", "python")[0]
    body = body.replace("    ...\n", "    top1, sigma = 50 + len(network.state_dict()) / 20, 1.0\n")
    Path("mine.py").write_text(body + "\n\ntop1 = accuracy\n")


def module() -> None:
    """A torch module of one's own, as howto/own_network.md shows it."""
    Path("module.py").write_text(fenced("docs/howto/own_network.md", "python")[0])


def space() -> None:
    """A space of one's own, as howto/own_space.md shows it."""
    Path("my_space.toml").write_text(fenced("docs/howto/own_space.md", "toml")[0])


MADE: dict[str, Callable[[], None]] = {
    "photos": photos,
    "mine.py": function,
    "module.py": module,
    "my_space.toml": space,
}
"""What a page finds in its folder -> what makes it, in the folder."""
RUN = {
    "runs/first": "palmette search --target iphone-13/ane --budget-ms 0.9 --out runs/first",
    "runs/small": (
        "palmette search --target iphone-13/ane --budget-ms 0.9 --macs-m 400 --out runs/small"
    ),
}
"""What the tutorial makes for pages about reading runs -> the command."""


def shortened(plan: Path) -> None:
    """Of a plan what a fit and a look at its blocks need, each thing once."""
    left = {"network": 4, "chain": 4, "op": 6}
    with plan.open(newline="") as file:
        header, *rows = csv.reader(file)
    kept, seen = [], set[str]()
    for row in rows:
        kind, subject = row[:2]
        if subject not in seen and left.get(kind, 0) > 0:
            left[kind] -= 1
            seen.add(subject)
            kept.append(row)
    with plan.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *kept])


def as_iphone(results: Path) -> None:
    """Rows of the synthetic phone as if an iPhone 15 had written them."""
    with results.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with results.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **MACHINE} for row in rows)
