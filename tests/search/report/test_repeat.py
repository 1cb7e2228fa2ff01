"""The printed command is the run: read by the command line, it gives the same config."""

import shlex
from typing import Any

import pytest
import typer

from palmette import cli
from palmette.search import Goal, SearchConfig
from palmette.search.report.repeat import command

GOALS = [Goal("iphone-11/ane", 6.25, 2.0), Goal("iphone-xs/gpu", 20.0, 1.0)]


def given(config: SearchConfig) -> dict[str, Any]:
    """Values of the options in a config's command line, by name."""
    words = shlex.split(command(config))
    assert words[:2] == ["palmette", "search"]
    parser: Any = typer.main.get_command(cli.app)
    _, search, rest = parser.resolve_command(parser.make_context("palmette", words[1:]), words[1:])
    return dict(search.make_context("search", rest).params)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"budget_ms": 0.1 + 0.2, "params_m": 5.5, "exportable": True, "seed": 7},
        {"sampler": "tpe", "warm_start": False, "accuracy": "proxy:quick", "data": "my photos"},
        {"reward": "mnasnet", "lam": 1.0, "space": "a space.toml", "recipe": "classic"},
    ],
)
def test_options_that_are_not_defaults_are_read_back(options: dict[str, Any]) -> None:
    config = SearchConfig(**{"target": "iphone-11/ane@coreml-ios13", "budget_ms": 6.0, **options})
    read = given(config)
    for name, value in config.to_dict().items():
        assert read[name] == value, name


def test_several_targets_are_read_back() -> None:
    config = SearchConfig.of_goals(GOALS, "weighted", confidence=0.9)
    read = given(config)
    assert read["targets"] == "iphone-11/ane=6.25,iphone-xs/gpu=20"
    assert read["weights"] == "iphone-11/ane=2,iphone-xs/gpu=1"
    assert (read["join"], read["confidence"]) == ("weighted", 0.9)
