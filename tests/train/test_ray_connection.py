"""Connecting to Ray: what it says itself comes in one line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from palmette.space import InputError
from palmette.train.ray_connection import connect


def test_a_cluster_that_starts_too_late_is_told_in_one_line() -> None:
    def init(address: str, **own: Any) -> None:
        raise Exception("The current node timed out during startup.")

    said = r"--ray local: Ray did not start in time \(The current node .* less busy"
    with pytest.raises(InputError, match=said):
        connect(SimpleNamespace(init=init), "local", "--ray", 2)
