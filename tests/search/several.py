"""What the runs for several targets in `conftest` are asked."""

from __future__ import annotations

from typing import Any

from palmette.search import Goal

GOALS = (Goal("iphone-11/ane", 6.0), Goal("iphone-11/gpu", 14.0))
OPTIONS: dict[str, Any] = {"evaluations": 1000, "shortlist": 4, "seed": 2}
