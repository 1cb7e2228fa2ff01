"""What works on this machine: one function per thing, each a row or some.

Packages are judged by their metadata, so that asking costs no import of torch (seconds);
`palmette.cli.tried` imports them. The rows of the optional extras are those that palmette declares.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from palmette.cli.requirements import name_of, requirements, trouble, version_of, wanted_python

State = Literal["works", "missing", "broken", "can't here"]

STORAGE_VARIABLE = "PALMETTE_STORAGE"
"""As `palmette.search.ledger.place` has it, which takes a second to import."""
ANSWER_S = 5.0
"""Most seconds that a program or a database may take to answer."""
LEAST_FREE_MB = 200.0
"""Of a disk; a run with its packages takes tens."""
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Row:
    """One thing, how it stands, and what to do about it."""

    what: str
    state: State
    detail: str
    remedy: str = ""
    needed: bool = False
    """Whether a search with an export, the main job, needs it."""

    @property
    def stops(self) -> bool:
        """Whether the main job can't be done for this."""
        return self.needed and self.state != "works"


def rows() -> Iterator[Row]:
    """Everything, in the order in which it is printed."""
    for check in CHECKS:
        try:
            yield from check()
        except ImportError as error:  # a doctor is asked when packages are missing
            what = check.__name__.strip("_")
            detail = f"can't be told: {error.name or 'a package'} is not installed"
            yield Row(what, "broken", detail, "pip install palmette", True)


def _python() -> Iterator[Row]:
    from packaging.specifiers import SpecifierSet

    here = platform.python_version()
    wanted = wanted_python()
    fits = SpecifierSet(wanted).contains(here, prereleases=True)
    detail = f"{here} at {sys.executable}" if fits else f"{here}; palmette needs {wanted}"
    remedy = "" if fits else "make an environment with a Python of these"
    yield Row("Python", "works" if fits else "broken", detail, remedy, True)


def _dependencies() -> Iterator[Row]:
    """All packages that palmette always needs, in one row unless one is wrong."""
    wrong, right = [], 0
    for requirement in requirements().get("", []):
        found = trouble(requirement)
        if found:
            wrong.append(found)
        right += not found
    remedy = "pip install --upgrade palmette" if wrong else ""
    if not wrong and not right:
        yield Row(
            "packages", "missing", "palmette itself is not installed", "pip install palmette", True
        )
        return
    detail = "; ".join(wrong) or f"all {right} that palmette needs, in the versions it needs"
    yield Row("packages", "broken" if wrong else "works", detail, remedy, True)


def _torch() -> Iterator[Row]:
    version = version_of("torch")
    if version is None:
        yield Row("torch", "missing", "not installed", "pip install palmette", True)
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS")
    set_to = f", OMP_NUM_THREADS={threads}" if threads else ""
    yield Row("torch", "works", f"{version} (not imported), {cores} CPU cores{set_to}", needed=True)
    yield _gpu()


def _gpu() -> Row:
    """By the driver, and by what torch was built for; torch itself is not asked."""
    system, machine = platform.system(), platform.machine()
    if system == "Darwin":
        if machine == "arm64":
            return Row("GPU", "works", "Apple's, by MPS")
        return Row("GPU", "can't here", "needs Apple silicon")
    cards = _answer("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    if cards is None:
        return Row("GPU", "can't here", "no NVIDIA driver found; training runs on the CPU")
    built = _torch_cuda()
    names = ", ".join(cards.splitlines())
    if not built:
        remedy = "install a torch that is built for CUDA"
        return Row("GPU", "broken", f"{names}, but torch is built for the CPU alone", remedy)
    return Row("GPU", "works", f"{names}; torch is built for CUDA {built}")


def _torch_cuda() -> str:
    """CUDA that torch was built for, read off its version file; blank if none."""
    import ast

    try:
        file = metadata.distribution("torch").locate_file("torch/version.py")
        tree = ast.parse(Path(str(file)).read_text("utf-8"))
    except (OSError, SyntaxError, ValueError, metadata.PackageNotFoundError):
        return ""
    for node in tree.body:
        name = getattr(getattr(node, "target", None), "id", "")
        if name == "cuda" and isinstance(node, ast.AnnAssign):
            value = getattr(node.value, "value", None)
            return str(value or "")
    return ""


def _coremltools() -> Iterator[Row]:
    version = version_of("coremltools")
    if version is None:
        yield Row("coremltools", "missing", "not installed", "pip install palmette", True)
        return
    folder = Path(str(metadata.distribution("coremltools").locate_file("coremltools")))
    library = next(folder.glob("libmilstoragepython*"), None)
    if library is None:
        yield Row(
            "coremltools",
            "broken",
            f"{version} has no library to write packages with: built for another Python or system",
            "pip install --force-reinstall coremltools, with a Python that it has a wheel for",
            True,
        )
    else:
        yield Row("coremltools", "works", f"{version} (not imported): converts", needed=True)
    if platform.system() == "Darwin":
        yield Row("Core ML", "works", f"macOS {platform.mac_ver()[0]}: predicts")
    else:
        yield Row(
            "Core ML",
            "can't here",
            "prediction needs macOS; exports are proven by palmette's interpreter here",
        )


def _xcode() -> Iterator[Row]:
    if platform.system() != "Darwin":
        yield Row("Xcode", "can't here", "needs macOS: to build the app that times packages")
        yield Row("devicectl", "can't here", "needs macOS: to talk to an iPhone")
        return
    version = _answer("xcrun", "xcodebuild", "-version")
    if version is None:
        remedy = "install Xcode; then xcode-select --switch /Applications/Xcode.app"
        yield Row("Xcode", "missing", "xcodebuild does not answer", remedy)
    else:
        yield Row("Xcode", "works", " ".join(version.split()))
    tool = _answer("xcrun", "devicectl", "--version")
    if tool is None:
        yield Row("devicectl", "missing", "xcrun finds none", "it comes with Xcode 15 and later")
    else:
        yield Row("devicectl", "works", " ".join(tool.split()))


def _database() -> Iterator[Row]:
    named = os.environ.get(STORAGE_VARIABLE)
    if not named:
        detail = f"{STORAGE_VARIABLE} is not set: a study is kept in its run's folder"
        yield Row("storage", "works", detail, needed=True)
        return
    from palmette.search.ledger.place import database, masked  # imports all of search: seconds
    from palmette.space.errors import InputError

    remedy = f"start the server, or put {STORAGE_VARIABLE} right, or unset it"
    try:
        reached = _reach(named)
    except InputError as error:
        detail = f"{STORAGE_VARIABLE}: {str(error).removeprefix('--storage: ')}"
        yield Row("storage", "broken", detail, remedy, True)
    else:
        yield Row("storage", "works", f"{masked(database(named))}: {reached}", needed=True)


def _reach(named: str) -> str:
    """How a database answers; a file that is not there is not made. InputError if it does not."""
    from palmette.search.ledger.place import database, masked
    from palmette.search.ledger.storage import connected
    from palmette.space.errors import expect

    url = database(named)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        folder = Path(str(url.database)).parent
        words = f"{masked(url)}: its folder is not there, or can't be written"
        expect(folder.is_dir() and os.access(folder, os.W_OK), words)
        return "not there yet, and can be made"
    connected(url, within_s=ANSWER_S).dispose()
    return "reached"


def _extras() -> Iterator[Row]:
    """Each optional extra: works if all its packages are there, in versions that fit."""
    for extra, lines in sorted(requirements().items()):
        if not extra:
            continue
        wrong = [found for line in lines if (found := trouble(line))]
        there = ", ".join(f"{name_of(line)} {version_of(name_of(line))}" for line in lines)
        pre = "--pre " if extra in PRERELEASES else ""
        remedy = f"pip install {pre}'palmette[{extra}]'" if wrong else ""
        yield Row(f"[{extra}]", "missing" if wrong else "works", "; ".join(wrong) or there, remedy)


PRERELEASES = ("coreai",)
"""Extras of which only pre-releases exist."""


def _folders() -> Iterator[Row]:
    cache = cache_folder()
    size, count = _size(cache)
    writable = _writable(cache)
    held = f"{size / _MB:.1f} MB in {count} files" if count else "nothing yet"
    if writable:
        yield Row("cache", "works", f"{cache}: {held}")
    else:
        remedy = "set XDG_CACHE_HOME to a folder that can be written; without one spaces are traced"
        yield Row("cache", "broken", f"{cache}: can't be written", f"{remedy} anew each time")
    for name, folder in {"disk of this folder": Path.cwd(), "disk of the cache": cache}.items():
        free_mb = shutil.disk_usage(_existing(folder)).free / _MB
        enough = free_mb >= LEAST_FREE_MB
        remedy = "" if enough else f"free some: at least {LEAST_FREE_MB:.0f} MB"
        yield Row(
            name, "works" if enough else "broken", f"{free_mb / 1e3:.1f} GB free", remedy, True
        )


def cache_folder() -> Path:
    """Where palmette keeps what it traced and checked."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "palmette"


CHECKS: tuple[Callable[[], Iterator[Row]], ...] = (
    _python,
    _dependencies,
    _torch,
    _coremltools,
    _xcode,
    _database,
    _extras,
    _folders,
)


def _answer(*words: str) -> str | None:
    """What a program prints; None if it is not there, fails, or takes too long."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _size(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files in a folder; what can't be read does not count."""
    total = count = 0
    for path, _, files in os.walk(folder):
        for file in files:
            try:
                total += (Path(path) / file).stat().st_size
            except OSError:
                continue
            count += 1
    return total, count


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself."""
    for path in (folder, *folder.parents):
        if path.exists():
            return path.is_dir() and os.access(path, os.W_OK)
    return False
