"""What a device's result is of: a row of a suite's manifest, or what the user says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from palmette.latency.chains import Chain
from palmette.latency.per_op.kernels import kernel_from_text
from palmette.latency.suite.answers import Result
from palmette.latency.suite.manifest import MANIFEST, Entry, read_manifest
from palmette.latency.suite.probes import Probe
from palmette.space.errors import InputError, expect

_READERS: dict[str, Callable[[str], object]] = {
    "chain": Chain.from_text,
    "probe": Probe.from_text,
    "op": kernel_from_text,
}
"""Kind of a subject -> what reads its text; networks are names."""


@dataclass(frozen=True, slots=True)
class Named:
    """What was timed: as a timing table says it, and what it was in the suite."""

    kind: str
    subject: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite's manifest, and which of its packages lie beside it.

    A manifest that stands alone will do. A folder with some of its packages is half a copy.
    """

    folder: Path
    entries: tuple[Entry, ...]
    there: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> Suite:
        """Suite of a folder; raises InputError if it has no readable manifest."""
        expect(folder.is_dir(), f"--suite: {folder} is not a folder")
        entries = tuple(read_manifest(folder))
        names = {entry.file for entry in entries}
        return cls(folder, entries, frozenset(n for n in names if (folder / n).exists()))

    def find(self, result: Result) -> Named:
        """What a result is of.

        Raises:
            InputError: none of the manifest, another package than the manifest's, or one that is
                not in the folder.
        """
        entry = self._entry(result)
        expect(
            entry.file in self.there or not self.there,
            f"package '{entry.file}' is in {MANIFEST} but not in the folder; copy the suite whole",
        )
        return Named(entry.subject_kind, entry.subject, entry.role)

    def _entry(self, result: Result) -> Entry:
        if result.position is None:
            return self._by_package(result)
        count = len(self.entries)
        expect(
            result.position <= count,
            f"position must be one of the {count} of {MANIFEST}, got {result.position}",
        )
        entry = self.entries[result.position - 1]
        expect(
            entry.sha256 == result.sha256,
            f"sha256 must be that of position {entry.position} of {MANIFEST}"
            f" ({entry.sha256[:12]}..), got {result.sha256[:12]}..; was the suite built again?",
        )
        expect(
            entry.file == result.package,
            f"file must be '{entry.file}', that of position {entry.position} of {MANIFEST},"
            f" got '{result.package}'",
        )
        return entry

    def _by_package(self, result: Result) -> Entry:
        """By the hash if there is one, else by the package's name without its ending."""
        if result.sha256:
            found = [one for one in self.entries if one.sha256 == result.sha256]
            expect(len(found) > 0, f"sha256 {result.sha256[:12]}.. is not in {MANIFEST}")
        else:
            stem = Path(result.package).stem
            found = [one for one in self.entries if Path(one.file).stem == stem]
            expect(len(found) > 0, f"package '{result.package}' is not in {MANIFEST}")
        return found[0]


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that all results are of, as the user says."""

    named: Named

    @classmethod
    def of(cls, text: str) -> Subject:
        """From the text of a chain, a probe, an op or a kernel; else it is a network's name."""
        if text.endswith(".csv"):
            return cls(Named("network", str(Path(text).resolve())))
        for kind, read in _READERS.items():
            try:
                read(text)
            except InputError:
                continue
            return cls(Named(kind, text))
        return cls(Named("network", text))

    def find(self, result: Result) -> Named:
        """What a result is of: always the same; raises InputError for a row of a suite's run."""
        expect(
            result.position is None,
            "the app's results are rows of a suite: name its folder with --suite",
        )
        return self.named
