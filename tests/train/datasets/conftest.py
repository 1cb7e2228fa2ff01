"""Small folders of real image files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture() -> Callable[[Path, int], None]:
    """Writes an image of 12 x 10 px that a number determines."""

    def write(path: Path, number: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (10, 12, 3), np.uint8)
        Image.fromarray(pixels).save(path)

    return write


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[[Path, int], None]) -> Path:
    """Two classes, cats and dogs, of five images each."""
    for at in range(5):
        picture(tmp_path / "data" / "cat" / f"{at}.png", at)
        picture(tmp_path / "data" / "dog" / f"{at}.png", 100 + at)
    return tmp_path / "data"
