"""The example runs, and goes on where it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder: Path, *options: str) -> str:
    program = [sys.executable, str(ROOT / "examples" / "end_to_end.py"), str(folder), *options]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def results(folder: Path) -> dict[str, int]:
    """When the files that steps leave were written."""
    names = ("accuracy.csv", "best.safetensors", "supernet.safetensors", "weights")
    found = [path for path in folder.rglob("*") if path.name in names or "5_pack" in str(path)]
    return {str(path): path.stat().st_mtime_ns for path in found if path.is_file()}


@pytest.mark.slow
def test_the_loop_closes_and_is_gone_on_with(tmp_path: Path) -> None:
    said = run(tmp_path, "--quick")
    for number, title in enumerate(("search", "a supernet", "search", "networks", "export"), 1):
        assert f"\n{number}. {title}" in said
    assert "layers hold the trained weights" in said and "no phone has run it" in said
    before = results(tmp_path)
    assert len(list((tmp_path / "5_package").iterdir())) == 1 and len(before) >= 4
    (tmp_path / "3_search" / "front.csv").unlink()  # as if it had been killed there
    again = run(tmp_path, "--quick")
    assert results(tmp_path) == before
    assert again.splitlines()[-3:-1] == said.splitlines()[-3:-1]


@pytest.mark.slow
def test_the_loop_closes_at_its_full_size(tmp_path: Path) -> None:
    said = run(tmp_path)
    assert "layers hold the trained weights" in said
