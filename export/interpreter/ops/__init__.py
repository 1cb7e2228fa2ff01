"""What the operations of ML Programs compute: one table for those that run."""

from collections.abc import Callable
from typing import Any

from palmette.export.interpreter.ops import boxes, classes, elementwise, layers, older, shapes

OPERATIONS: dict[str, Callable[..., Any]] = {
    **elementwise.TABLE,
    **layers.TABLE,
    **shapes.TABLE,
    **boxes.TABLE,
    **classes.TABLE,
    **older.TABLE,
}
"""By name; those on constants are in `constants`."""
