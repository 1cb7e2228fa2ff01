"""Notebooks run from top to bottom, outside the repository, and are stored without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / name, as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture
def jupyter_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder that everything Jupyter and Python's temporary files write goes to."""
    for variable in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR", "TMPDIR"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path


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


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_writes_nothing_into_the_repository(
    name: str, jupyter_home: Path
) -> None:
    work = jupyter_home / "work"
    work.mkdir()
    before = sorted(FOLDER.rglob("*"))
    notebook = read(name)
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(work)}},
    ).execute()  # raises the error of a failing cell
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    warned = [output.text for output in outputs if output.get("name") == "stderr"]
    assert [text for text in warned if "IProgress" not in text] == []  # tqdm asks for ipywidgets
    assert sorted(FOLDER.rglob("*")) == before and not list(work.iterdir())
