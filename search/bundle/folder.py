"""A bundle on disk: Core ML packages, their manifest, and the Swift package around them.

It is built in a folder beside its place and moved there whole, so that a failure leaves nothing and
an old bundle stays until the new one is ready.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from palmette.export import export_for_runtime
from palmette.search.bundle.manifest import (
    FORMAT,
    UNTRAINED,
    Package,
    check_phones,
    manifest,
    packages,
)
from palmette.search.bundle.portfolio import Portfolio
from palmette.search.bundle.report import table
from palmette.space import Architecture
from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from palmette.train.weights import TrainedWeights

TEMPLATES = Path(str(files("palmette.search.bundle") / "swift"))
MODELS = Path("Sources/PalmetteBackbones/Models")
MANIFEST = MODELS / "manifest.json"
TABLE = Path("phones.csv")
NOTE = Path("README.md")
DERIVED = frozenset({".swiftpm", ".build", ".DS_Store"})
"""What Xcode and the Finder leave in a folder that they open; goes with an old bundle."""


def write_bundle(portfolio: Portfolio, out: Path, weights: Sequence[Path] = ()) -> Path:
    """Export a portfolio's packages and write the bundle.

    Args:
        portfolio: what was chosen.
        out: folder; new, or a bundle, which is replaced.
        weights: files of trained weights; each belongs to one of the backbones. The others get
            initialised ones.

    Returns:
        The folder.

    Raises:
        InputError: a folder that is something else or can't be written, a phone that can't be
            bundled, weights that are damaged or of no backbone.
        ExportError: the converter failed, or a package does not equal the module.
    """
    check_phones(portfolio)
    _check_free(out)
    trained = _trained(portfolio, weights)
    try:
        beside = tempfile.TemporaryDirectory(prefix=".palmette-bundle-", dir=out.parent)
    except OSError as error:
        raise InputError(f"output {out}: can't be written ({error.strerror})") from None
    with beside as place:
        built = Path(place) / "bundle"
        _build(portfolio, built, trained)
        _move(built, out, Path(place) / "replaced")
    return out


def sha256(path: Path) -> str:
    """Hash of a file; of a folder, that of the list of its files: `HASH  ./PATH`, by path."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    listed = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    lines = "".join(f"{sha256(path / name)}  ./{name}\n" for name in listed)
    return hashlib.sha256(lines.encode()).hexdigest()


def _build(
    portfolio: Portfolio, folder: Path, trained: Mapping[Architecture, TrainedWeights]
) -> None:
    shutil.copytree(TEMPLATES, folder)
    (folder / MODELS).mkdir()
    made = {
        package.name: _export(portfolio, package, folder / MODELS, trained.get(package.network))
        for package in packages(portfolio)
    }
    text = json.dumps(manifest(portfolio, made), indent=1) + "\n"
    (folder / MANIFEST).write_text(text, "utf-8")
    rows = table(portfolio).to_csv(index=False, lineterminator="\n")
    (folder / TABLE).write_text(rows, "utf-8")
    note = Template((folder / NOTE).read_text("utf-8")).substitute(phones=_phones(portfolio))
    (folder / NOTE).write_text(note, "utf-8")


def _export(
    portfolio: Portfolio, package: Package, folder: Path, trained: TrainedWeights | None
) -> dict[str, Any]:
    """Export one package; what the manifest says of the result."""
    shares = [share for share in portfolio.shares if share.network == package.network]
    estimate = {
        "estimated_top1": f"{shares[0].top1:.1f}",
        "accuracy_rung": portfolio.fleet.accuracy,
    }
    path = export_for_runtime(
        package.network if trained is None else trained.architecture,
        folder / package.name,
        kind=package.kind,
        metadata={
            "bundle": FORMAT,
            "targets": ", ".join(str(share.unit.target) for share in shares),
            **(estimate if trained is None else trained.accuracy),
        },
        **({} if trained is None else {"labels": trained.classes, **trained.for_export()}),
    )
    inside = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {
        **({"weights": UNTRAINED} if trained is None else _learned(trained)),
        "bytes": sum(file.stat().st_size for file in inside),
        "sha256": sha256(path),
    }


def _learned(trained: TrainedWeights) -> dict[str, Any]:
    """What the manifest says of trained weights: their classes, and how good they were."""
    accuracy = trained.accuracy
    top1 = accuracy.get("measured_top1")
    return {
        "architecture": trained.architecture.to_text(),
        "weights": "given",
        "classes": list(trained.classes),
        "measured_top1": None if top1 is None else float(top1),
        "accuracy": accuracy["accuracy_rung"],
    }


def _trained(portfolio: Portfolio, paths: Sequence[Path]) -> dict[Architecture, TrainedWeights]:
    """Trained weights by the backbone that they belong to, whatever classes they learned."""
    if not paths:
        return {}
    from palmette.train.weights import read_weights, with_classes

    backbones = {with_classes(network, 0): network for network in portfolio.backbones}
    found = {}
    for path in paths:
        read = read_weights(path)
        network = backbones.get(with_classes(read.architecture, 0))
        if network is None:
            raise InputError(
                f"weights {path}: belong to {read.architecture.id}, which is none of the backbones:"
                f" {', '.join(network.id for network in portfolio.backbones)}"
            )
        expect(network not in found, f"weights {path}: {network.id} has weights already")
        found[network] = read
    return found


def _phones(portfolio: Portfolio) -> str:
    """A line for each unit: what it runs, in what time, and what it loses."""
    lines = ["| target | package | expected ms | interval | points lost |", "|---|---|---|---|---|"]
    for share in portfolio.shares:
        lines.append(
            f"| `{share.unit.target}` | `{share.network.id}` | {share.ms:.3g} |"
            f" {share.lower_ms:.3g} to {share.upper_ms:.3g} | {share.loss_points:.2f} |"
        )
    return "\n".join(lines)


def _move(built: Path, out: Path, aside: Path) -> None:
    """Put a bundle in its place, the old one aside; a failure or Ctrl-C puts that back."""
    if not out.exists():
        built.replace(out)
        return
    try:
        out.replace(aside)
        built.replace(out)
    except BaseException:
        if aside.exists() and not out.exists():
            aside.replace(out)
        raise


def _check_free(out: Path) -> None:
    """Refuse a folder that is no bundle, or in which somebody keeps files of their own."""
    expect(
        out.parent.is_dir(), f"output {out}: the folder {out.parent} does not exist; make it first"
    )
    if not (out.exists() or out.is_symlink()):
        return
    try:
        data = json.loads((out / MANIFEST).read_text("utf-8"))
        packaged = {MODELS / name for name in data["packages"]}
        ours = packaged if data["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        ours = None
    if ours is None or out.is_symlink():
        raise InputError(f"output {out}: is there already, and no bundle; choose another name")
    known = {file.relative_to(TEMPLATES) for file in TEMPLATES.rglob("*") if file.is_file()}
    known |= {MANIFEST, TABLE, *ours}
    for file in sorted(out.rglob("*")):
        place = file.relative_to(out)
        expect(
            file.is_dir()
            or not known.isdisjoint({place, *place.parents})
            or not DERIVED.isdisjoint(place.parts),
            f"output {out}: holds '{place}', which is not of a bundle; move it away, or choose"
            " another name",
        )
