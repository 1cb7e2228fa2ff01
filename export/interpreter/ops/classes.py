"""The end of a classifier: the best class's label, and what each label scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def classify(probabilities: Tensor, classes: list[Any]) -> tuple[Any, dict[Any, float]]:
    """Label of the largest value, and the values by label."""
    values = probabilities.flatten().tolist()
    return classes[int(probabilities.argmax())], dict(zip(classes, values, strict=True))


TABLE: dict[str, Callable[..., Any]] = {"classify": classify}
"""Operations by their names in ML Programs."""
