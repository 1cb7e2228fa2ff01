"""A run's folder says enough to ask everything again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from palmette.search import Run, resume, run
from palmette.search.ledger.replay import replay_run
from palmette.space import InputError

MINE = """
import zlib

def accuracy(architecture):
    return 60.0 + zlib.crc32(architecture.to_text().encode()) % 1000 / 100, 0.3
"""


@pytest.mark.parametrize("ends", [(), (7, 9)], ids=["undisturbed", "stopped twice"])
def test_a_run_that_measured_is_replayed(
    ends: tuple[int, ...], small_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    folder = tmp_path / "run"
    options: dict[str, Any] = {"space": str(small_file), "evaluations": 1000, "shortlist": 4}
    options |= {"trials": 12, "accuracy": f"function:{tmp_path / 'mine.py'}:accuracy"}

    def stop_at(count: int) -> Any:
        def told(snapshot: Any) -> None:
            if snapshot.stage == "measuring" and snapshot.done >= count:
                raise KeyboardInterrupt

        return told

    begun = False
    for count in (*ends, 99):
        try:
            if begun:
                resume(folder, told=stop_at(count))
            else:
                begun = True
                run("iphone-11/ane", 6.0, folder, told=stop_at(count), **options)
        except KeyboardInterrupt:
            pass
    found = replay_run(folder)
    assert found.same, found.words
    assert found.asks >= 12


def test_a_run_of_the_predictors_alone_is_replayed(finished: Run, copied: Path) -> None:
    found = replay_run(copied)
    assert found.words == (
        f"replay: all {len(finished.front)} asks give the recorded network"
        f" ({len(finished.front)} chosen, 0 queued)"
    )


def test_a_run_that_another_seed_made_differs(finished: Run, copied: Path) -> None:
    config = copied / "run.toml"
    config.write_text(config.read_text().replace("seed = 3", "seed = 4"))
    assert "replay: differs after" in replay_run(copied).words


def test_a_folder_without_trials_is_told(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        replay_run(tmp_path / "none")
    (copied / "study.journal").unlink()
    with pytest.raises(InputError, match="holds no study"):
        replay_run(copied)
