"""Compiled presets, shared by the tests of train/."""

from __future__ import annotations

import pytest

from palmette.space import CompiledSpace, SearchSpace, compile_space, presets


@pytest.fixture(scope="session")
def compiled_presets() -> dict[str, CompiledSpace]:
    """The shipped spaces, compiled."""
    return {name: compile_space(SearchSpace.preset(name)) for name in presets()}
