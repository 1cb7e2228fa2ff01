"""Notebooks run from top to bottom, outside the repository, and are stored without outputs.

Their main figures become pictures: PALMETTE_SCREENSHOTS=1 writes them to `docs/`, otherwise they go
to a folder of the test.
"""

import json
import os
import re
import resource
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import plotly.io
import pytest
from nbclient import NotebookClient

from palmette.space.look import page
from palmette.space.third_party import BESIDE, VARIABLE
from tests.browser import chromium

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
PACKAGES = ("palmette", "space", "export", "latency", "train", "search")
MOST_SECONDS = 120
"""Of processor time, which other work on the machine does not stretch."""
MOST_PICTURE_BYTES = 150_000
WIDTH, HEIGHT = 900, 560
PLOTLY = "application/vnd.plotly.v1+json"
PICTURES = {
    "figure-front.png": ("1_which_backbone.ipynb", "cell-11"),
    "figure-waterfall.png": ("3_anatomy_of_a_backbone.ipynb", "cell-05"),
    "figure-transfer.png": ("5_one_search_many_phones.ipynb", "cell-08"),
}
"""Name of a picture, and the cell that leaves a plotly figure as its value."""


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / name, as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def names_shared_data(name: str) -> bool:
    """Whether a notebook looks for figures of third parties beside the repository."""
    named = r"\bshared\b|third_party"
    return any(re.search(named, cell.source) for cell in code_cells(read(name)))


@pytest.fixture
def jupyter_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder that everything Jupyter and Python's temporary files write goes to."""
    for variable in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR", "TMPDIR"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path


def children_seconds() -> float:
    """Processor time of all child processes that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def clean_run(name: str, work: Path, change: tuple[str, str] = ("", "")) -> nbformat.NotebookNode:
    """A notebook with its outputs, run in a new folder; raises the error of a failing cell.

    What is changed is text of the first cell of code.
    """
    work.mkdir()
    before, seconds = sorted(FOLDER.rglob("*")), children_seconds()
    notebook = read(name)
    first = code_cells(notebook)[0]
    assert change[0] in first.source
    first.source = first.source.replace(*change)
    NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": str(work)}},
    ).execute()
    seconds = children_seconds() - seconds
    print(f"\n{name}: {seconds:.0f} s of processor time")
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    warned = [output.text for output in outputs if output.get("name") == "stderr"]
    if not find_spec("ipywidgets"):  # tqdm asks for it; the extra `notebooks` brings it
        warned = [text for text in warned if "IProgress" not in text]
    assert warned == []
    assert sorted(FOLDER.rglob("*")) == before and not list(work.iterdir())
    assert 0.1 < seconds < MOST_SECONDS
    return notebook


def figure_of(notebook: nbformat.NotebookNode, cell: str) -> Any:
    """The plotly figure that a cell left as its value."""
    (found,) = [one for one in notebook.cells if one.id == cell]
    (data,) = [out.data[PLOTLY] for out in found.outputs if PLOTLY in out.get("data", {})]
    return plotly.io.from_json(json.dumps(data), skip_invalid=True)


def draw(figures: dict[Path, Any], folder: Path) -> None:
    """Figures as pictures, by a headless Chromium."""
    # its socket stands in TMPDIR, where the path of a test's folder is too long
    plain = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
    with chromium("ran clean; its pictures: ", env=plain) as browser:
        sheet = browser.new_page(viewport={"width": WIDTH + 100, "height": HEIGHT + 100})
        for file, figure in figures.items():
            figure.update_layout(width=WIDTH, height=HEIGHT)
            html = folder / f"{file.stem}.html"
            html.write_text(page(figure, "figure", file.stem, alone=True), "utf-8")
            sheet.goto(html.as_uri())
            sheet.wait_for_selector("#figure .main-svg")
            sheet.locator("#figure").screenshot(path=file)


def test_there_is_a_notebook() -> None:
    assert "1_which_backbone.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_is_of_a_cell_that_leaves_a_figure(picture: str) -> None:
    name, cell = PICTURES[picture]
    (found,) = [one for one in code_cells(read(name)) if one.id == cell]
    assert "figure" in found.source.splitlines()[-1]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_stored_without_outputs(name: str) -> None:
    for cell in code_cells(read(name)):
        assert cell.outputs == [] and cell.execution_count is None


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_ends_with_what_must_hold(name: str) -> None:
    last = code_cells(read(name))[-1]
    assert all(line.startswith("assert ") for line in last.source.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_writes_nothing_into_the_repository(
    name: str, jupyter_home: Path
) -> None:
    notebook = clean_run(name, jupyter_home / "work")
    out = ROOT / "docs" if os.environ.get("PALMETTE_SCREENSHOTS") else jupyter_home
    cells = {out / file: cell for file, (of, cell) in PICTURES.items() if of == name}
    if cells:
        draw({file: figure_of(notebook, cell) for file, cell in cells.items()}, jupyter_home)
    assert all(1_000 < file.stat().st_size < MOST_PICTURE_BYTES for file in cells)


@pytest.mark.slow
def test_the_first_notebook_answers_for_another_phone_too(jupyter_home: Path) -> None:
    """One whose runtime has another format of packages."""
    another = ('"iphone-13/ane", 0.9', '"iphone-11/ane", 6.0')
    clean_run("1_which_backbone.ipynb", jupyter_home / "work", another)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NOTEBOOKS if names_shared_data(name)])
def test_a_notebook_runs_where_nobody_has_the_shared_data(
    name: str, jupyter_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = jupyter_home / "alone" / "repository"  # a copy with nothing beside it
    for package in PACKAGES:
        shutil.copytree(ROOT / package, alone / package, symlinks=True)
    monkeypatch.setenv("PYTHONPATH", str(alone))
    monkeypatch.delenv(VARIABLE, raising=False)
    notebook = clean_run(name, jupyter_home / "work")
    printed = [output.get("text", "") for cell in code_cells(notebook) for output in cell.outputs]
    # beside the copy: whoever reads it knows where the tables go
    looked_for = alone.parent / BESIDE.relative_to(ROOT.resolve().parent)
    assert str(looked_for) in "".join(printed).splitlines()
