"""Class labels of a package: of a file, or those that the weights learned."""

from __future__ import annotations

from pathlib import Path

from palmette.cli.trained import Named

NONE = "none"
HELP = "Class labels, one a line; none: scores without. Default: the classes of the weights."
_SHOWN = 60
"""Characters of a line that names classes."""


def labels_file(given: str | None) -> Path | None:
    """The file that `--labels` names, if it names one."""
    return None if given in (None, NONE) else Path(str(given))


def labels_of(given: str | None, named: Named, room: bool = True) -> tuple[str, ...] | None:
    """Labels of a network's package, in the order of its outputs; None if it gets none.

    Args:
        given: `--labels`: a file, `NONE`, or nothing for the classes of the weights.
        named: the network.
        room: whether the package could have labels that nobody asked for.

    Raises:
        InputError: as `palmette.export.read_labels`; another number than the network has classes;
            the classes of the weights in another order; classes that can't be labels.
    """
    from palmette.export.ends import check_task
    from palmette.export.labels import check_labels, read_labels, reordered
    from palmette.export.options import ExportOptions
    from palmette.space.errors import InputError, expect

    file, known = labels_file(given), named.classes
    if file is not None:
        labels = read_labels(file)
        check_task(named.architecture, ExportOptions(labels=labels))
        expect(
            known is None or not reordered(labels, known),
            f"labels file {file}: names the classes of {named.weights} in another order than"
            f" theirs ({shortly(known or ())}); leave --labels out, or give other names",
        )
        return labels
    if given == NONE or not known or not room:
        return None
    try:
        check_labels(known, f"weights {named.weights}")
    except InputError as error:
        raise InputError(f"{error}; give names by --labels FILE, or --labels {NONE}") from None
    return known


def shortly(classes: tuple[str, ...]) -> str:
    """Names of classes in one line, cut after some."""
    line = ", ".join(classes)
    if len(line) <= _SHOWN:
        return line
    kept = line[:_SHOWN].rpartition(", ")[0] or line[:_SHOWN]
    return f"{kept}, ... ({len(classes)})"


def tell(known: tuple[str, ...] | None, labels: tuple[str, ...] | None) -> None:
    """Print a package's classes, if anybody knows them: its labels, or those of its scores."""
    if labels is not None:
        print(f"classes: {shortly(labels)}")
    elif known:
        print(f"scores without labels, in this order: {shortly(known)}")
