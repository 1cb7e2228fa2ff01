"""Notebooks run from top to bottom, outside the repository, and are stored without outputs."""

import re
import resource
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
PACKAGES = ("palmette", "space", "export", "latency", "train", "search")
MOST_SECONDS = 120
"""Of processor time, which other work on the machine does not stretch."""


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / name, as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def names_shared_data(name: str) -> bool:
    """Whether a notebook looks for figures of third parties beside the repository."""
    return any(re.search(r"\bshared\b", cell.source) for cell in code_cells(read(name)))


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


def expect_clean_run(name: str, work: Path) -> None:
    """Run a notebook in a new folder; raises the error of a failing cell."""
    work.mkdir()
    before, seconds = sorted(FOLDER.rglob("*")), children_seconds()
    notebook = read(name)
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
    assert [text for text in warned if "IProgress" not in text] == []  # tqdm asks for ipywidgets
    assert sorted(FOLDER.rglob("*")) == before and not list(work.iterdir())
    assert 0.1 < seconds < MOST_SECONDS


def test_there_is_a_notebook() -> None:
    assert "1_which_backbone.ipynb" in NOTEBOOKS


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
    expect_clean_run(name, jupyter_home / "work")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NOTEBOOKS if names_shared_data(name)])
def test_a_notebook_runs_where_nobody_has_the_shared_data(
    name: str, jupyter_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = jupyter_home / "alone" / "repository"  # a copy with nothing beside it
    for package in PACKAGES:
        shutil.copytree(ROOT / package, alone / package, symlinks=True)
    monkeypatch.setenv("PYTHONPATH", str(alone))
    expect_clean_run(name, jupyter_home / "work")
