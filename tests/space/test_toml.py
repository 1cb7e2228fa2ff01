"""TOML that we write is read back by Python's own library."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from palmette.space.toml import to_toml

PLAIN = st.text() | st.booleans() | st.integers() | st.floats(min_value=0, allow_nan=False)


@given(st.dictionaries(st.sampled_from("abcdef"), PLAIN))
def test_plain_values_come_back_from_toml(table: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml({"run": {}, "search": table}))["search"] == table


def test_a_value_of_none_is_left_out() -> None:
    assert tomllib.loads(to_toml({"search": {"a": None, "b": 1}})) == {"search": {"b": 1}}
