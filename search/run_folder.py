"""A run's folder: `run.toml`, the Optuna study, `front.csv`, `front.html`, `models/`.

One driver at a time: a lock that the system itself lets go of when a process dies, so a kill leaves
nothing to clean up by hand.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space.errors import InputError, expect
from palmette.space.files import write_text

if TYPE_CHECKING:
    import optuna

FORMAT = "palmette/run@1"
STUDY = "palmette"
_LIBRARIES = ("palmette", "optuna", "numpy", "torch", "coremltools")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a run."""

    path: Path

    @property
    def config(self) -> Path:
        """Everything needed to repeat the run."""
        return self.path / "run.toml"

    @property
    def journal(self) -> Path:
        """The Optuna study."""
        return self.path / "study.journal"

    @property
    def front(self) -> Path:
        """The front, one architecture a row."""
        return self.path / "front.csv"

    @property
    def page(self) -> Path:
        """The front as a figure."""
        return self.path / "front.html"

    @property
    def models(self) -> Path:
        """Exported packages."""
        return self.path / "models"

    def begin(self, config: Mapping[str, Any]) -> None:
        """Make the folder and write `run.toml`.

        Raises:
            InputError: the folder holds something already.
        """
        occupied = self.path.exists() and (
            not self.path.is_dir() or any(f.name != "driver.lock" for f in self.path.iterdir())
        )
        expect(
            not occupied,
            f"{self.path}: is not empty; name another folder with --out, or go on with --resume",
        )
        about = {
            "format": FORMAT,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            **{f"version_{name}": version(name) for name in _LIBRARIES},
        }
        write_text(self.config, _toml({"run": about, "search": dict(config)}))

    def read_config(self) -> dict[str, Any]:
        """The `search` table of `run.toml`.

        Raises:
            InputError: no run in this folder, or its file is corrupt.
        """
        expect(self.config.is_file(), f"{self.path}: holds no run ({self.config.name} is missing)")
        try:
            data = tomllib.loads(self.config.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(
                f"{self.config}: corrupt ({error}); the run can't be resumed"
            ) from None
        expect(
            data.get("run", {}).get("format") == FORMAT and isinstance(data.get("search"), dict),
            f'{self.config}: corrupt: needs a table [run] with format = "{FORMAT}" and [search]',
        )
        found: dict[str, Any] = data["search"]
        return found

    @contextmanager
    def driver(self) -> Iterator[None]:
        """Hold the folder for this process.

        Raises:
            InputError: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / "driver.lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(f"{self.path}: another search is running in this folder") from None
            yield
        finally:
            os.close(handle)

    def study(self, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
        """The run's study, made if it isn't there; call it as the folder's driver.

        A last line torn by a crash is cut off, a dead driver's lock is removed, and trials that it
        left running are marked as failed and put back in the queue.

        Raises:
            InputError: the journal is corrupt.
        """
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
        from optuna.trial import TrialState

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        _repair(self.journal)
        try:
            study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(self.journal))),
                study_name=STUDY,
                directions=["minimize", "maximize"],
                sampler=sampler,
                load_if_exists=True,
            )
            for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                study.tell(trial.number, state=TrialState.FAIL)
                if trial.params:
                    study.enqueue_trial(trial.params)
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"{self.journal}: corrupt ({reason}); the run can't be resumed"
            ) from None
        return study


def _repair(journal: Path) -> None:
    """Cut a torn last line and remove a dead driver's lock, which others would wait for."""
    Path(f"{journal}.lock").unlink(missing_ok=True)
    if not journal.is_file():
        return
    data = journal.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            json.loads(line)
        except ValueError:
            raise InputError(
                f"{journal}: corrupt: line {number} is not JSON; the run can't be resumed"
            ) from None
    if len(whole) < len(data):
        with journal.open("r+b") as file:
            file.truncate(len(whole))


def _toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """TOML text of tables of plain values; None is left out, infinity is TOML's `inf`."""
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"[{name}]"]
        lines += [f"{key} = {_value(value)}" for key, value in table.items() if value is not None]
        lines += [""]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, float) and value == float("inf"):
        return "inf"
    # JSON's strings, numbers, booleans and lists are TOML's
    return json.dumps(value)
