"""Keys of a recipe: type, range and meaning stand with the field, one reader serves them all."""

from __future__ import annotations

import difflib
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar

from palmette.space.errors import InputError, expect


def number(default: float, low: float, high: float, meaning: str) -> Any:
    """A real number from `low` to `high`."""
    return _key(default, {"kind": float, "low": low, "high": high, "meaning": meaning})


def whole(default: int, low: int, high: int, meaning: str) -> Any:
    """A whole number from `low` to `high`."""
    return _key(default, {"kind": int, "low": low, "high": high, "meaning": meaning})


def choice(default: str, names: tuple[str, ...], meaning: str) -> Any:
    """One of some names."""
    return _key(default, {"kind": str, "names": names, "meaning": meaning})


def flag(default: bool, meaning: str) -> Any:
    """True or false."""
    return _key(default, {"kind": bool, "meaning": meaning})


def _key(default: Any, metadata: dict[str, Any]) -> Any:
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Keys:
    """Base of a table of keys: values are checked when it is made.

    Raises:
        InputError: a value of another type or out of range; the message names the key.
    """

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.metadata.get("kind") is float and type(value) is int:
                object.__setattr__(self, item.name, float(value))
            if "kind" in item.metadata:
                _check(item, getattr(self, item.name))


K = TypeVar("K", bound=Keys)


def read_keys(cls: type[K], data: Any, where: str) -> K:
    """Keys from a table of TOML.

    Raises:
        InputError: not a table, an unknown key (the nearest is named), a bad value.
    """
    expect(isinstance(data, dict), f"{where}: expected a table of keys, got {data!r}")
    known = {item.name: item for item in fields(cls)}
    for key in data:
        expect_known(key, list(known), where)
    try:
        return cls(**data)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def expect_known(key: str, known: list[str], where: str) -> None:
    """Raise InputError naming the nearest key unless the key is known."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    expect(
        key in known,
        f"{where}: unknown key '{key}'; the nearest is '{near[0] if near else ''}', known are"
        f" {', '.join(known)}",
    )


def allowed(item: Field[Any]) -> str:
    """What a key may be, in words."""
    rule = item.metadata
    if rule["kind"] is bool:
        return "true or false"
    if rule["kind"] is str:
        return " or ".join(rule["names"])
    what = "a whole number" if rule["kind"] is int else "a number"
    return f"{what} from {rule['low']:g} to {rule['high']:g}"


def _check(item: Field[Any], value: Any) -> None:
    rule = item.metadata
    ok = type(value) is rule["kind"]
    if ok and rule["kind"] in (int, float):
        ok = rule["low"] <= value <= rule["high"]  # false for a number that is none
    elif ok and rule["kind"] is str:
        ok = value in rule["names"]
    expect(ok, f"key '{item.name}' must be {allowed(item)}, got {value!r}")
