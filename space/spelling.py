"""Names that may have been written wrongly: the known ones that come nearest, as a question."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches

MOST = 2
"""Names that a question has."""


def did_you_mean(name: str, known: Iterable[str], shown: Callable[[str], str] = str) -> str:
    """The known names that are written nearly so, with a space behind; empty if none is.

    Args:
        name: as somebody wrote it, or as it was mended; one that is known is asked about alone.
        known: what could have been meant.
        shown: how such a name is shown; several that are shown alike are one.

    >>> did_you_mean("mobilnet_v2", ["mobilenet_v2", "resnet50"])
    'did you mean mobilenet_v2? '
    """
    names = list(known)
    near = dict.fromkeys(
        map(shown, [name] if name in names else get_close_matches(name, names, MOST))
    )
    return f"did you mean {' or '.join(near)}? " if near else ""
