"""Names that a user gives: class labels, with the file that they come from, and outputs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from palmette.space.errors import InputError, expect
from palmette.space.files import read_text

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
"""What Core ML's compiler makes a property of in Swift."""
RESERVED = {
    *("any", "bool", "program", "func", "tensor", "list", "dict", "tuple", "true", "false"),
    *("string", "state", "bf16", "fp16", "fp32", "fp64", "int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64"),
}
"""Words of ML Programs, which the converter would rename."""


def read_labels(path: Path) -> tuple[str, ...]:
    """Class labels from a UTF-8 text file, one a line, in the order of the network's outputs.

    Raises:
        InputError: unreadable, not UTF-8, an empty line, or a label that comes twice.
    """
    labels = tuple(line.strip() for line in read_text(path, "labels file ").splitlines())
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


def reordered(labels: tuple[str, ...], classes: tuple[str, ...]) -> bool:
    """Whether labels are the names of classes in another order; other names are none of these."""
    return labels != classes and set(labels) == set(classes)


def check_names(names: tuple[str, ...], what: str = "outputs") -> None:
    """Refuse names of outputs or functions that code could not call them by, or that come twice.

    Raises:
        InputError: begins with `what`, and names the name.
    """
    for name in names:
        expect(
            isinstance(name, str) and NAME.fullmatch(name) is not None,
            f"{what}: a name has letters, digits and '_' and begins with no digit, got {name!r}",
        )
        expect(name not in RESERVED, f"{what}: '{name}' is a word of ML Programs; choose another")
        expect(names.count(name) == 1, f"{what}: '{name}' comes twice; names must be unique")
