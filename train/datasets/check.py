"""Every image decoded once before training: which are damaged, and which show the same pixels.

What was found is kept in the user's cache folder under the file's path, size and time, so a second
run reads it, and a scan that was interrupted goes on. Images in memory are only hashed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palmette.space.errors import InputError, expect
from palmette.space.files import write_text
from palmette.train.datasets.images import ImageSet, Pixels, Subset

CORRUPT_RULES = ("stop", "skip")
"""What is done about images that can't be read."""
FORMAT = "palmette/scan@1"
CHUNK = 64
SAVE_SECONDS = 30.0
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Corrupt:
    """An image that can't be decoded, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Checked:
    """Images that can be decoded, a hash of the pixels of each, and those that were left out."""

    images: ImageSet
    hashes: tuple[str, ...]
    corrupt: tuple[Corrupt, ...]


def checked(
    images: ImageSet,
    title: str,
    rule: str = "stop",
    *,
    workers: int = 4,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Checked:
    """Decode all images once, or read from the cache what came of it.

    Args:
        images: to look through.
        title: of the set, stable from run to run; the cache is named by it.
        rule: what to do about images that can't be decoded: `stop`, or `skip` and report them.
        workers: threads that decode.
        cache: folder of the cache; default the user's.
        progress: told how many are done.

    Raises:
        InputError: an unknown rule; damaged images under the rule `stop`; a class of which none is
            left.
    """
    expect(rule in CORRUPT_RULES, f"corrupt: must be {' or '.join(CORRUPT_RULES)}, got '{rule}'")
    found = _Cache(title, cache).fill(images, workers, progress or (lambda what, done, of: None))
    bad = [
        (index, Corrupt(images.name(index), entry[1]))
        for index, entry in enumerate(found)
        if entry[1]
    ]
    if bad and rule == "stop":
        raise InputError(
            f"{len(bad)} of {len(images)} images are damaged, the first: {bad[0][1].name}"
            f" {bad[0][1].reason}; repair or remove them, or leave them out (--skip-corrupt, in a"
            ' recipe compute.corrupt = "skip")'
        )
    hashes = tuple(entry[0] for entry in found if not entry[1])
    if not bad:
        return Checked(images, hashes, ())
    good = np.array([index for index, entry in enumerate(found) if not entry[1]], np.int64)
    kept = Subset(images, good)
    for label, name in enumerate(images.classes):
        expect(
            bool((kept.labels == label).any()),
            f"class '{name}': none of its images can be decoded",
        )
    return Checked(kept, hashes, tuple(corrupt for _, corrupt in bad))


def expect_no_leak(train: Checked, validation: Checked) -> None:
    """Raise InputError if an image is in both parts, naming the first pair and their number."""
    known = dict(zip(train.hashes, range(len(train.hashes)), strict=True))
    pairs = [(known[value], at) for at, value in enumerate(validation.hashes) if value in known]
    if pairs:
        one, other = pairs[0]
        raise InputError(
            f"leak: {len(pairs)} of {len(validation.hashes)} validation images are in training"
            " too, such as"
            f" {train.images.name(one)} and {validation.images.name(other)}; remove them from one"
        )


def pixel_hash(pixels: Pixels) -> str:
    """Hash of an image's size and pixels."""
    state = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
    state.update(np.ascontiguousarray(pixels).data)
    return state.hexdigest()


Entry = tuple[str, str]
"""Hash of the pixels, or "" and the reason why there are none."""


def _look(images: ImageSet, index: int) -> Entry:
    try:
        return pixel_hash(images.read(index)), ""
    except InputError as error:
        reason = str(error).removeprefix(f"{images.name(index)}: ")
        return "", reason


class _Cache:
    """What is known of the images of one set, by their stamps."""

    def __init__(self, title: str, folder: Path | None) -> None:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "palmette"
        name = hashlib.sha256(title.encode()).hexdigest()[:16]
        self.path = (folder or base / "scans") / f"{name}.json"
        self.known: dict[str, Entry] = {}
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            data = json.loads(self.path.read_text("utf-8"))
            if data["format"] == FORMAT:
                self.known = {str(k): (str(h), str(r)) for k, (h, r) in data["images"].items()}

    def fill(self, images: ImageSet, workers: int, tell: Progress) -> list[Entry]:
        """An entry for each image, in order; looked at if it isn't known."""
        stamps = [images.stamp(index) for index in range(len(images))]
        found = [None if stamp is None else self.known.get(stamp) for stamp in stamps]
        missing = [index for index, entry in enumerate(found) if entry is None]
        stored = any(stamps[index] is not None for index in missing)
        saved = time.monotonic()
        try:
            with ThreadPoolExecutor(workers) as pool:
                for start in range(0, len(missing), CHUNK):
                    chunk = missing[start : start + CHUNK]
                    looked = pool.map(lambda index: _look(images, index), chunk)
                    for index, entry in zip(chunk, looked, strict=True):
                        found[index] = entry
                        if (stamp := stamps[index]) is not None:
                            self.known[stamp] = entry
                    tell("checking images", start + len(chunk), len(missing))
                    if stored and time.monotonic() - saved > SAVE_SECONDS:
                        self._write({stamp for stamp in stamps if stamp is not None})
                        saved = time.monotonic()
        finally:
            if stored:
                self._write({stamp for stamp in stamps if stamp is not None})
        return [entry for entry in found if entry is not None]

    def _write(self, wanted: set[str]) -> None:
        images = {stamp: entry for stamp, entry in self.known.items() if stamp in wanted}
        with suppress(OSError):  # a folder that cannot be written only costs the cache
            write_text(self.path, json.dumps({"format": FORMAT, "images": images}))
