"""Signs for a terminal or a file whose encoding lacks ours: a table is printed, not a traceback."""

from __future__ import annotations

import codecs
import io
import sys

PLAIN = {
    "×": "x",
    "÷": ":",
    "±": "+-",
    "→": "->",
    "µ": "u",
    **dict.fromkeys("─━", "-"),
    **dict.fromkeys("│┃", "|"),
    **dict.fromkeys("█▉▊▋▌", "#"),
    **dict.fromkeys("▏▎▍", " "),
}
"""Sign -> what stands for it; a question mark for others."""
_NAME = "palmette-plain"


def use_plain_signs() -> None:
    """Let standard output and error print what their encoding lacks by `PLAIN`."""
    codecs.register_error(_NAME, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in lacking), error.end
