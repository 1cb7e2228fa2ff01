"""Compiled presets, shared by the tests of train/."""

from __future__ import annotations

import pytest

from palmette.space import CompiledSpace, SearchSpace, compile_space


class Compiled(dict[str, CompiledSpace]):
    """Presets by name, each compiled when it is first asked for."""

    def __missing__(self, name: str) -> CompiledSpace:
        self[name] = compile_space(SearchSpace.preset(name))
        return self[name]


@pytest.fixture(scope="session")
def compiled_presets() -> dict[str, CompiledSpace]:
    """The shipped spaces, compiled."""
    return Compiled()
