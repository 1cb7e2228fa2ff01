"""A sweep proves every scheme, measures it, and picks by its rule."""

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from palmette.export import ExportOptions, export
from palmette.export.compression import SCHEMES, Images, Rule, Sweep, sweep
from palmette.export.compression.figure import sweep_figure
from palmette.export.compression.measure import Outputs, difference, run_package, seeded_images
from palmette.export.compression.sweep import Row, _picked
from palmette.export.package import read_spec
from palmette.space import Architecture, InputError


@pytest.fixture(scope="module")
def images(network: Architecture) -> Images:
    pixels = torch.rand((6, 3, *network.resolution), generator=torch.Generator().manual_seed(1))
    return Images(255 * pixels, np.array([0, 1, 2, 3, 4, 0]))


@pytest.fixture(scope="module")
def swept(
    source: Path, images: Images, least: int, tmp_path_factory: pytest.TempPathFactory
) -> Sweep:
    """All schemes, once."""
    out = tmp_path_factory.mktemp("sweep") / "all"
    return sweep(source, out, images=images, rule=Rule(100.0), least_values=least)


@pytest.mark.sweep
def test_every_scheme_is_proven_and_has_a_row(swept: Sweep) -> None:
    assert [row.scheme for row in swept.rows] == ["none", *SCHEMES]
    assert {path.name for path in swept.folder.iterdir()} == {
        *(f"{name}.mlpackage" for name in SCHEMES),
        *("sweep.csv", "sweep.html"),
    }
    for name in SCHEMES:
        spec = read_spec(swept.folder / f"{name}.mlpackage")
        assert spec.description.metadata.userDefined["compression"] == name
    assert all(0 < row.weight_error < 1 and row.output_error > 0 for row in swept.rows[1:])


@pytest.mark.sweep
def test_the_source_is_the_measure(swept: Sweep) -> None:
    none = swept.rows[0]
    assert (none.weight_error, none.output_error, none.agreement, none.loss) == (0, 0, 1, 0)
    for row in swept.rows[1:]:
        assert row.loss == pytest.approx(none.top1 - row.top1)


@pytest.mark.sweep
def test_errors_grow_as_bits_go(swept: Sweep) -> None:
    rows = {row.scheme: row for row in swept.rows}
    palettes = [rows[f"palette{bits}"].weight_error for bits in (8, 6, 4, 3, 2, 1)]
    assert palettes == sorted(palettes)
    assert rows["int8"].weight_error < rows["int4_block32"].weight_error
    assert rows["sparse50"].weight_error < rows["sparse75"].weight_error


@pytest.mark.sweep
def test_the_table_has_the_rows_and_the_page_the_pick(swept: Sweep) -> None:
    with (swept.folder / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["output_error"]) for row in rows] == [row.output_error for row in swept.rows]
    assert [row["scheme"] for row in rows if row["picked"] == "True"] == [swept.pick.scheme]
    page = (swept.folder / "sweep.html").read_text()
    assert f"Picked: {swept.pick.scheme}. Rule: the smallest that loses at most 100 points" in page


@pytest.mark.sweep
def test_a_bound_that_all_keep_picks_the_smallest(swept: Sweep) -> None:
    assert swept.pick.mb == min(row.mb for row in swept.rows)
    assert swept.package is not None and swept.package.is_dir()


BLANK = Row("a", "", "iOS16", 1.0, 0.0, 0.0, 1.0, math.nan, math.nan, math.nan, "")
LABELLED = (
    replace(BLANK, scheme="none", mb=4.0, loss=0.0),
    replace(BLANK, mb=2.0, loss=0.01, agreement=0.5, output_error=9.0),
    replace(BLANK, scheme="b", mb=1.0, loss=0.011),
    replace(BLANK, scheme="c", mb=math.nan, note="needs iOS18"),
)


@pytest.mark.parametrize(
    ("rows", "rule", "seeded", "pick"),
    [
        (LABELLED, Rule(1.0), False, "a"),
        (LABELLED, Rule(1.1), False, "b"),
        (LABELLED, Rule(0.0), False, "none"),
        ([replace(row, loss=math.nan) for row in LABELLED], Rule(1.0), False, "b"),
        ([replace(row, loss=math.nan) for row in LABELLED], Rule(60.0), True, "b"),
        ([replace(row, loss=math.nan, agreement=math.nan) for row in LABELLED], Rule(), False, "b"),
    ],
)
def test_the_smallest_within_the_bound_is_picked(
    rows: list[Row], rule: Rule, seeded: bool, pick: str
) -> None:
    assert [row.scheme for row in _picked(rows, rule, seeded) if row.picked] == [pick]


def test_the_figure_shows_what_the_pick_was_chosen_by() -> None:
    shown = sweep_figure(LABELLED)
    assert list(shown.data[0].y) == [100 * row.loss for row in LABELLED if not row.note]
    assert shown.layout.yaxis.title.text == "top-1 lost (points)"
    free = sweep_figure([replace(row, loss=math.nan) for row in LABELLED])
    assert list(free.data[0].y) == [row.output_error for row in LABELLED if not row.note]


def test_losses_are_paired_and_their_deviation_is_that_of_the_mean() -> None:
    source = Outputs(np.eye(4)[[0, 1, 2, 3]], True)
    other = Outputs(np.eye(4)[[0, 1, 3, 3]], True)
    images = Images(torch.zeros(4, 3, 8, 8), np.array([0, 0, 2, 3]))
    found = difference(source, other, images)
    assert (found.agreement, found.top1, found.loss) == (0.75, 0.5, 0.25)
    assert found.loss_deviation == pytest.approx(np.std([0, 0, 1, 0]) / 2)
    assert found.output_error == pytest.approx(math.sqrt(2 / 4))


def test_a_head_without_classes_has_an_output_error_alone() -> None:
    outputs = Outputs(np.ones((2, 5)), False)
    found = difference(outputs, Outputs(np.full((2, 5), 1.5), False), Images(torch.zeros(2)))
    assert found.output_error == 0.5 and math.isnan(found.agreement)


def test_a_package_computes_what_its_module_does(
    network: Architecture, source: Path, images: Images, trained: Callable[..., nn.Module]
) -> None:
    found = run_package(source, images.pixels)
    with torch.inference_mode():
        wanted = trained(network)(images.pixels / 127.5 - 1).double().numpy()
    assert found.classifier
    assert np.abs(found.values - wanted).max() < 3e-3 * np.abs(wanted).max()


def test_a_reason_does_not_name_the_place_of_a_source_that_passes(
    small: Architecture, tmp_path: Path
) -> None:
    package = export(small, tmp_path / "old", options=ExportOptions(labels=tuple("abcd")))
    done = sweep(package, tmp_path / "out", schemes=["int8"], least_values=10**9)
    assert done.rows[1].note.startswith("no layer has more than 1000000000 weights")
    assert str(tmp_path) not in (tmp_path / "out" / "sweep.csv").read_text()


def test_schemes_of_newer_systems_are_left_out_with_the_reason(
    small: Architecture, tmp_path: Path
) -> None:
    package = export(small, tmp_path / "old", options=ExportOptions(labels=tuple("abcd")))
    done = sweep(package, tmp_path / "out", schemes=["int4", "int8"])
    none, int4, int8 = done.rows
    assert int4.note == "needs iOS18, the package is for iOS16" and math.isnan(int4.mb)
    assert none.agreement == 1 and 0 < int8.output_error < 0.1
    assert done.rule == "the smallest that changes the outputs by at most 0.1 (relative) on 32" + (
        " images of noise"
    )
    assert done.pick is int8 and (tmp_path / "out/int8.mlpackage").is_dir()
    with pytest.raises(InputError, match="is not an empty folder"):
        sweep(package, tmp_path / "out")
    wrong = replace(seeded_images(small), labels=np.full(32, 4))
    with pytest.raises(InputError, match="have a class 4, package .* names 4"):
        sweep(package, tmp_path / "new", images=wrong)
    assert not (tmp_path / "new").exists()
