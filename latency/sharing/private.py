"""What nobody else should read, by patterns: a last look at every cell before it leaves.

What a cell may hold is decided by `allowed`; nothing of this kind should be left after that. A row
in which something is found all the same is refused.
"""

from __future__ import annotations

import re

PRIVATE = {
    name: re.compile(pattern)
    for name, pattern in {
        "an e-mail address": r"[\w.+-]+@[\w-]+(\.[\w-]+)*\.[A-Za-z]{2,}\b",
        "a path": r"(?:^|[\s\"'(=:,;])(?:(?:~|\.{1,2})?/[^\s/]|~\w+/|[A-Za-z]:\\|\\\\\w)|file://",
        "a device identifier": r"\b(?:[0-9A-Fa-f]{40}|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{16}"
        r"|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\b",
        "a serial number": r"\b(?=[A-Z]*[0-9])(?=[0-9]*[A-Z])[A-Z0-9]{10,12}\b"
        r"|(?i:\bserial\b\W*\w)",
        "the name of a device": r"(?i:\w['’]s?[ -]+(?:iphone|ipad|ipod|mac|watch|phone)"
        r"|\b(?:iphone|ipad|ipod|mac\w*|watch)\s+(?:of|von|de|di|van|af|för|d['’])\s*\w"
        r"|\b[\w-]+\.(?:local|lan|home)\b)",
        "a user name": r"(?i:\b(?:user|username|login|owner|name)\s*[:=]\s*\S)",
        "an address in a network": r"\b(?:\d{1,3}\.){3}\d{1,3}\b"
        r"|\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b",
    }.items()
}
"""What it is -> how it looks."""


def private_in(text: str) -> str:
    """What private thing a text holds, in words; blank if none is seen."""
    return next((name for name, pattern in PRIVATE.items() if pattern.search(text)), "")
