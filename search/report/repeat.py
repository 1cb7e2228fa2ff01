"""The command line that repeats a run, from what `run.toml` says."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from palmette.search.config import SearchConfig

_ONE_TARGET = ("target", "budget_ms")
_SEVERAL = (*_ONE_TARGET, "goals", "join")


def command(config: SearchConfig) -> str:
    """`palmette search ...` with everything that is not a default."""
    words = ["palmette", "search", *_targets(config)]
    for item in fields(config):
        value = getattr(config, item.name)
        if item.name not in _SEVERAL and value != item.default:
            words += _option(item.name, value)
    return shlex.join(words)


def _targets(config: SearchConfig) -> Iterator[str]:
    if not config.goals:
        yield from ("--target", config.target)
        yield from ("--budget-ms", _figure(config.budget_ms))
        return
    yield from ("--targets", ",".join(f"{g.alias}={_figure(g.budget_ms)}" for g in config.goals))
    yield from ("--join", config.join)
    if config.join == "weighted":
        yield from ("--weights", ",".join(f"{g.alias}={_figure(g.weight)}" for g in config.goals))


def _option(name: str, value: Any) -> list[str]:
    if name == "warm_start":
        return [] if value else ["--cold"]
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option] if value else []
    if isinstance(value, float):
        return [option, _figure(value)]
    return [option, str(value)]


def _figure(value: float) -> str:
    """The shortest text that is read back as the same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
