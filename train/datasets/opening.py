"""From what a user names to training and validation images that were checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from palmette.space.errors import InputError, expect
from palmette.train.datasets.check import Checked, Corrupt, Progress, checked, expect_no_leak
from palmette.train.datasets.digits import digits
from palmette.train.datasets.folder import read_folder
from palmette.train.datasets.images import ImageSet, Subset
from palmette.train.datasets.procedural import procedural
from palmette.train.datasets.saved import is_saved, read_saved
from palmette.train.datasets.splits import split
from palmette.train.datasets.table import read_table

TABLES = (".csv", ".parquet")
PROCEDURAL_TRAIN, PROCEDURAL_SHARE = 10_000, 0.2
Pair = tuple[ImageSet, ImageSet | None]


@dataclass(frozen=True, slots=True)
class Data:
    """Images to train on and to validate with, and those that were left out as damaged."""

    name: str
    train: ImageSet
    validation: ImageSet
    corrupt: tuple[Corrupt, ...] = ()
    fingerprint: str = ""
    """Of all pixels and labels of both parts."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.train.classes


def open_data(
    name: str,
    *,
    side: int = 32,
    share: float = 0.2,
    seed: int = 0,
    corrupt: str = "stop",
    progress: Progress | None = None,
) -> Data:
    """Open, check and split a data set.

    Args:
        name: folder of class folders, saved Hugging Face data set, `.csv` or `.parquet` table,
            `digits`, or `procedural` (`procedural:4000` for another number of training images).
        side: of procedural images in px.
        share: of validation, where the data have no split of their own.
        seed: of the split and of procedural images.
        corrupt: rule for images that can't be decoded, `stop` or `skip`.
        progress: told how many images are checked.

    Raises:
        InputError: nothing there, a rule of the format is broken, damaged images under `stop`, an
            image that is in both parts.
    """
    expect_data(name)
    if _is_made(name):
        kind, _, size = name.partition(":")
        whole, validation = SOURCES[kind](size, side, share, seed)
    else:
        whole, validation = _stored(Path(name))
    title = str(Path(name).absolute())
    train = checked(whole, f"{title}#train", corrupt, progress=progress)
    if validation is None:
        return _drawn(name, train, share, seed)
    held = checked(validation, f"{title}#val", corrupt, progress=progress)
    expect_no_leak(train, held)
    return Data(
        name, train.images, held.images, train.corrupt + held.corrupt, _fingerprint(train, held)
    )


def expect_data(name: str) -> None:
    """Raise InputError where nothing is of a data set's name; nothing of it is opened."""
    path = Path(name)
    expect(
        _is_made(name) or path.is_dir() or (path.suffix in TABLES and path.is_file()),
        f"data '{path}': no such folder or table; give a folder with a folder for each class, a"
        f" {' or '.join(TABLES)} file, or one of {', '.join(SOURCES)}",
    )


def anywhere(name: str) -> str:
    """A name of the same data that holds in every folder: the whole path of what has one."""
    return str(Path(name).absolute()) if Path(name).exists() else name


def _is_made(name: str) -> bool:
    return name.partition(":")[0] in SOURCES and not Path(name).exists()


def _drawn(name: str, whole: Checked, share: float, seed: int) -> Data:
    train, held = split(whole.images.labels, share, seed, whole.hashes)
    return Data(
        name,
        Subset(whole.images, train),
        Subset(whole.images, held),
        whole.corrupt,
        _fingerprint(whole),
    )


def _fingerprint(*parts: Checked) -> str:
    state = hashlib.sha256()
    for part in parts:
        state.update("\n".join([*part.images.classes, *part.hashes]).encode())
        state.update(part.images.labels.tobytes())
    return state.hexdigest()[:16]


def _stored(path: Path) -> Pair:
    if path.is_file():
        return read_table(path)
    return read_saved(path) if is_saved(path) else read_folder(path)


def _digits(size: str, side: int, share: float, seed: int) -> Pair:
    expect(not size, f"data 'digits:{size}': digits have no size")
    return digits(), None


def _procedural(size: str, side: int, share: float, seed: int) -> Pair:
    try:
        count = int(size) if size else PROCEDURAL_TRAIN
    except ValueError:
        raise InputError(f"data 'procedural:{size}': the size must be a whole number") from None
    expect(20 <= count <= 10**6, f"data 'procedural:{size}': the size must be 20 to 1000000")
    held = max(20, round(PROCEDURAL_SHARE * count))
    return procedural(count, side, seed), procedural(held, side, seed, first=count)


SOURCES: dict[str, Callable[[str, int, float, int], Pair]] = {
    "digits": _digits,
    "procedural": _procedural,
}
"""Images that need no folder, by name: what makes them."""
