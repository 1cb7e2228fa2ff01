"""Many exports side by side: in order, a failure by itself, nothing left behind."""

from __future__ import annotations

import multiprocessing.util
import os
import tempfile
from pathlib import Path

import pytest

from palmette.export import ExportError, ExportOptions, Job, export_many
from palmette.export.processes import Made, in_processes
from palmette.space import Architecture, InputError


def test_packages_come_in_order_and_one_that_fails_ends_none(
    small: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    multiprocessing.util.get_temp_dir()  # of the server, which outlives this test
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    jobs = [
        Job(small, tmp_path / "a", ExportOptions(input="tensor")),
        Job(small, tmp_path / "nowhere" / "b"),
        Job(small, tmp_path / "c", ExportOptions("neuralnetwork")),
    ]
    found = list(export_many(jobs, processes=2))
    assert [made.path for made in found] == [
        tmp_path / "a.mlpackage",
        None,
        tmp_path / "c.mlmodel",
    ]
    assert "its folder does not exist" in found[1].reason
    assert {path.name for path in tmp_path.iterdir()} == {"a.mlpackage", "c.mlmodel", "temporary"}
    assert not list(temporary.iterdir())
    with pytest.raises(ExportError, match="a process that converts ended by itself"):
        list(in_processes(os._exit, [3], 1))
    assert not list(temporary.iterdir())


def test_no_jobs_make_no_packages() -> None:
    assert list(export_many([], processes=2)) == list[Made]()


def test_two_packages_of_one_name_and_no_process_are_refused(small: Architecture) -> None:
    job = Job(small, Path("a"))
    with pytest.raises(InputError, match="two packages would have this name"):
        export_many([job, job])
    with pytest.raises(InputError, match="processes: must be 1 or more, got 0"):
        export_many([job], processes=0)
