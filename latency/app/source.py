"""The source of the benchmark app: Swift, an XcodeGen project, and the script that runs it all.

It lies in `ios/` beside this module. A user writes it out, and builds it on a Mac. It times a
suite's packages on the phone and writes `results.csv` and `placement.csv`
(palmette.latency.suite.results).
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from palmette.space.errors import expect
from palmette.space.files import write_bytes

SOURCE = Path(str(files("palmette.latency.app") / "ios"))
PROJECT = "project.yml"
SCRIPT = "time_suite.sh"


def source_files() -> list[Path]:
    """Files of the source, relative to its folder, in the order of names."""
    return sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*") if path.is_file())


def write_source(out: Path) -> list[Path]:
    """Write the source into a folder: a new one, an empty one, or one that has it already.

    What Xcode and the script made there stays, so that they go on.

    Returns:
        The files, relative to the folder.

    Raises:
        InputError: the folder is a file, or holds something else; nothing is written then.
        OSError: it cannot be written.
    """
    expect(not out.exists() or out.is_dir(), f"--out: {out} is not a folder")
    foreign = out.exists() and any(out.iterdir()) and not (out / PROJECT).is_file()
    expect(not foreign, f"--out: {out} holds something else; name a new folder")
    written = source_files()
    for path in written:
        write_bytes(out / path, (SOURCE / path).read_bytes())
    (out / SCRIPT).chmod(0o755)
    return written
