"""Class labels: their rules, and the file that they come from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from palmette.space.errors import InputError, expect


def read_labels(path: Path) -> tuple[str, ...]:
    """Class labels from a UTF-8 text file, one a line, in the order of the network's outputs.

    Raises:
        InputError: unreadable, not UTF-8, an empty line, or a label that comes twice.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"labels file {path}: cannot be read ({reason})") from None
    labels = tuple(line.strip() for line in text.splitlines())
    check_labels(labels, f"labels file {path}")
    return labels


def check_labels(labels: tuple[str, ...], where: str) -> None:
    """Refuse labels that are none, empty, or come twice.

    Raises:
        InputError: begins with `where`, and names the label.
    """
    expect(len(labels) > 0, f"{where}: no labels; give one a line")
    for number, label in enumerate(labels, 1):
        expect(
            isinstance(label, str) and label.strip() != "",
            f"{where}: label {number} is empty; every class needs one",
        )
    repeated = [label for label, count in Counter(labels).items() if count > 1]
    if repeated:
        numbers = [str(n) for n, label in enumerate(labels, 1) if label == repeated[0]]
        raise InputError(
            f"{where}: '{repeated[0]}' is label {' and '.join(numbers)}; labels must be unique"
        )
