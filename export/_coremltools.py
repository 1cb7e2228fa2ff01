"""coremltools, loaded late and kept quiet.

It takes seconds to import, logs its opinion of every other library's version while it does, and
draws progress bars whatever the log level is. Nothing else in the project imports it directly.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def coremltools() -> Any:
    """The module `coremltools`, its logger set to errors unless the user has set it."""
    logger = logging.getLogger("coremltools")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.ERROR)
    import coremltools

    return coremltools


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """No progress bars on stderr; coremltools reports failures by raising."""
    # TQDM_DISABLE is read when tqdm is imported, which Optuna may have done long before
    with contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def without_jit_notes() -> Iterator[None]:
    """No notes on what `torch.jit` does not do.

    It is deprecated, but what the converter takes. It makes sizes of maps and anchors constants, as
    they are: an exported network has one resolution.
    """
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore",
            category=torch.jit.TracerWarning,  # type: ignore[attr-defined]
        )
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated")
        yield


@contextlib.contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """The system's folder for temporary files is `folder`, which the caller removes.

    coremltools removes a package that it made there when the interpreter ends, and in processes
    that are forked never.
    """
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
