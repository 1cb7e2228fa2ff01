"""Every scheme on one package: sizes beside errors, and the one that a stated rule picks.

The rule: the smallest package whose loss is within the bound. The loss is measured by the best that
there is: top-1 on labelled images; else the share of images whose class changes; else, for heads
that name no class or on seeded noise, the error of the outputs.
"""

from __future__ import annotations

import csv
import io
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from palmette.export.compression.compress import (
    Source,
    compress_source,
    open_source,
    size_bytes,
)
from palmette.export.compression.figure import drawn
from palmette.export.compression.measure import (
    Difference,
    Images,
    Outputs,
    Runner,
    difference,
    run_package,
    seeded_images,
)
from palmette.export.compression.schemes import LEAST_VALUES, SCHEMES, Scheme, runs_on
from palmette.space.errors import InputError, expect
from palmette.space.files import write_text

NONE = "none"
"""Name of the row of the source."""
MOST_LOSS, MOST_ERROR = 1.0, 0.1
TABLE, FIGURE = "sweep.csv", "sweep.html"


@dataclass(frozen=True, slots=True)
class Row:
    """A scheme and what came of it; shares from 0 to 1, not a number where nothing was measured."""

    scheme: str
    what: str
    system: str
    mb: float
    weight_error: float
    output_error: float
    agreement: float
    top1: float
    loss: float
    loss_deviation: float
    note: str
    picked: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Bounds of the pick."""

    most_loss: float = MOST_LOSS
    """Points of top-1, or of images whose class changes."""
    most_error: float = MOST_ERROR
    """Of the outputs, relative."""

    def __post_init__(self) -> None:
        expect(0 <= self.most_loss <= 100, f"most_loss: from 0 to 100 points, got {self.most_loss}")
        expect(
            0 <= self.most_error < math.inf, f"most_error: must not be negative: {self.most_error}"
        )

    def loss(self, row: Row, seeded: bool) -> float:
        """What the rule holds down, over its bound; at most 1 is allowed."""
        allowed = self.most_loss / 100
        if not math.isnan(row.loss):
            return _over(row.loss, allowed)
        if not math.isnan(row.agreement) and not seeded:
            return _over(1 - row.agreement, allowed)
        return _over(row.output_error, self.most_error)

    def text(self, row: Row, seeded: bool, count: int) -> str:
        """The rule in words, for the kind of figures that a row has."""
        pixels = f"{count} images of noise" if seeded else f"{count} images"
        if not math.isnan(row.loss):
            what = f"loses at most {self.most_loss:g} points of top-1"
        elif not math.isnan(row.agreement) and not seeded:
            what = f"names another class for at most {self.most_loss:g} %"
        else:
            what = f"changes the outputs by at most {self.most_error:g} (relative)"
        return f"the smallest that {what} on {pixels}"


@dataclass(frozen=True, slots=True)
class Sweep:
    """All rows, the source first, and how one was picked."""

    folder: Path
    rows: tuple[Row, ...]
    rule: str

    @property
    def pick(self) -> Row:
        """The row that the rule picks; the source if no scheme is within the bound."""
        return next(row for row in self.rows if row.picked)

    @property
    def package(self) -> Path | None:
        """Package of the pick; None if it is the source."""
        name = self.pick.scheme
        return None if name == NONE else self.folder / f"{name}.mlpackage"


def sweep(
    package: Path,
    out: Path,
    *,
    images: Images | None = None,
    rule: Rule | None = None,
    schemes: Sequence[str] = tuple(SCHEMES),
    least_values: int = LEAST_VALUES,
    run: Runner = run_package,
    tell: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> Sweep:
    """Compress a package by every scheme, measure each, pick one.

    Args:
        package: as for `compress`.
        out: folder, new or empty: a package for each scheme that the package's system runs,
            `sweep.csv` and the picture `sweep.html`.
        images: to measure on; seeded noise by default.
        rule: bounds of the pick.
        schemes: names.
        least_values: as for `compress`.
        run: how packages are run.
        tell: told of what is done: scheme, how many, of how many.

    Raises:
        InputError: package, folder, scheme or images break a rule.
        ExportError: a package does not keep what its scheme promises.
    """
    source = open_source(package)
    images, rule = images or seeded_images(source.architecture), rule or Rule()
    expect(
        not out.exists() or (out.is_dir() and not any(out.iterdir())),
        f"output {out}: is not an empty folder; name another",
    )
    chosen = [SCHEMES[name] for name in schemes]
    before = run(package, images.pixels)
    if images.labels is not None:
        expect(before.classifier, f"package {package}: names no class; measure without labels")
        expect(
            int(images.labels.max()) < before.values.shape[1],
            f"images: have a class {images.labels.max()}, package {package} names"
            f" {before.values.shape[1]}",
        )
    whole = Scheme(NONE, "as it was exported", 16, ())
    about = difference(before, before, images)
    rows = [_row(whole, source.system, size_bytes(package), 0.0, about)]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".palmette-sweep-", dir=out.parent) as name:
        folder = Path(name) / out.name
        folder.mkdir()
        rows += _measured(source, chosen, folder, before, images, least_values, run, tell)
        picked = _picked(rows, rule, images.seeded)
        words = rule.text(rows[0], images.seeded, len(images.pixels))
        result = Sweep(out, tuple(picked), words)
        write_text(folder / TABLE, _csv(result.rows))
        write_text(folder / FIGURE, drawn(result.rows, words))
        folder.replace(out)  # an empty folder gives way
    return result


def _measured(
    source: Source,
    chosen: Sequence[Scheme],
    folder: Path,
    before: Outputs,
    images: Images,
    least_values: int,
    run: Runner,
    tell: Callable[[str, int, int], None],
) -> list[Row]:
    """A row for each scheme, and its package in the folder if it compresses anything."""
    rows = []
    for at, scheme in enumerate(chosen):
        tell(scheme.name, at, len(chosen))
        if not runs_on(scheme, source.system):
            note = f"needs {scheme.system}, the package is for {source.system}"
            rows.append(_left_out(scheme, note))
            continue
        try:
            done = compress_source(source, folder / scheme.name, scheme, least_values=least_values)
        except InputError as error:  # no layer that the scheme could divide
            # of the row's own source, whose place may be a passing one
            note = str(error).removeprefix(f"package {source.path}: ")
            rows.append(_left_out(scheme, note))
            continue
        found = difference(before, run(done.path, images.pixels), images)
        rows.append(_row(scheme, scheme.system, done.bytes, done.weight_error, found))
    return rows


def _row(scheme: Scheme, system: str, size: int, weight_error: float, found: Difference) -> Row:
    return Row(scheme.name, scheme.what, system, size / 1e6, weight_error, **asdict(found), note="")


def _left_out(scheme: Scheme, note: str) -> Row:
    nan = math.nan
    nothing = Difference(nan, nan, nan, nan, nan)
    return Row(scheme.name, scheme.what, scheme.system, nan, nan, **asdict(nothing), note=note)


def _picked(rows: Sequence[Row], rule: Rule, seeded: bool) -> list[Row]:
    """The rows, one of them picked: the first of the smallest within the bound."""
    within = [row for row in rows if not row.note and rule.loss(row, seeded) <= 1]
    smallest = min(within, key=lambda row: row.mb)
    return [replace(row, picked=row is smallest) for row in rows]


def _over(value: float, bound: float) -> float:
    """Value over bound, where a bound of zero allows no more than zero."""
    if bound:
        return value / bound
    return 0.0 if value <= 0 else math.inf


def plain(row: Row) -> dict[str, Any]:
    """A row as plain values; None where nothing was measured."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in asdict(row).items()
    }


def _csv(rows: Sequence[Row]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, [item.name for item in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain(row) for row in rows)
    return file.getvalue()
