"""Programs and packages that do the work: torch and its GPU, coremltools, Xcode.

Nothing is imported: packages are judged by their files, programs are asked for their version.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from palmette.cli.machine_row import Row
from palmette.cli.requirements import version_of
from palmette.space.installing import pip_install

ANSWER_S = 5.0
"""Most seconds that a program may take to answer."""


def torch_rows() -> Iterator[Row]:
    """Version, cores, and the GPU."""
    version = version_of("torch")
    if version is None:
        yield Row("torch", "missing", "not installed", pip_install(), True)
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


def coremltools_rows() -> Iterator[Row]:
    """Conversion, and prediction."""
    version = version_of("coremltools")
    if version is None:
        yield Row("coremltools", "missing", "not installed", pip_install(), True)
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


def xcode_rows() -> Iterator[Row]:
    """What builds the app that times packages, and what talks to a phone."""
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


def _answer(*words: str) -> str | None:
    """What a program prints; None if it is not there, fails, or takes too long."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
