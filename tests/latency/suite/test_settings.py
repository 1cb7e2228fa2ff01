"""Settings of a suite: those of the file, the defaults without one, and what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from palmette.latency.suite.settings import SETTINGS, Settings
from palmette.space.errors import InputError

GOOD: dict[str, Any] = json.loads(json.dumps(asdict(Settings())))


def write(folder: Path, settings: Any) -> Path:
    (folder / SETTINGS).write_text(json.dumps(settings))
    return folder


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert Settings.read(tmp_path) == Settings() == Settings.read(write(tmp_path, GOOD))


def test_what_a_file_says_is_taken(tmp_path: Path) -> None:
    changed = {**GOOD, "units": ["all"], "modes": {"burst": ["op"], "paced": ["op"]}, "timed_s": 3}
    found = Settings.read(write(tmp_path, changed))
    assert found == Settings(("all",), {"burst": ("op",), "paced": ("op",)}, timed_s=3.0)


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("units", ["ane"], "some of cpuOnly, cpuAndGPU, cpuAndNeuralEngine, all"),
        ("units", [], "some of cpuOnly"),
        ("units", ["all", "all"], "each once"),
        ("modes", {"fast": ["op"]}, "keys burst, sustained, paced"),
        ("modes", {}, "keys burst"),
        ("modes", {"burst": "op"}, "modes: burst: must be some of op, chain"),
        ("modes", {"paced": ["op"]}, "every kind needs burst.*; burst lacks op"),
        ("modes", {"burst": ["op"], "paced": ["op", "network"]}, "burst lacks network"),
        ("least_calls", 0, "whole number from 1 to"),
        ("most_calls", 1.5, "whole number"),
        ("most_calls", True, "whole number"),
        ("timed_s", -1, "number of seconds from 0 to 86400"),
        ("cool_s", "long", "number of seconds"),
        ("cool_s", float("nan"), "number of seconds"),
    ],
)
def test_a_key_against_its_rule_is_refused_by_name(
    tmp_path: Path, key: str, value: Any, rule: str
) -> None:
    with pytest.raises(InputError, match=rule) as caught:
        Settings.read(write(tmp_path, {**GOOD, key: value}))
    assert str(caught.value).startswith(f"{tmp_path / SETTINGS}: {key}")


def test_every_key_is_documented_with_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs" / "phone.md").read_text("utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    shown = {
        name: default
        for names, values, *_ in rows
        for name, default in zip(names.strip("| ").split(", "), values.split(", "), strict=False)
    }
    for name in list(GOOD)[2:]:
        assert shown[f"`{name}`"] == f"{GOOD[name]:g}", name
    assert all(f"`{name}`" in shown for name in ("units", "modes"))


@pytest.mark.parametrize("broken", [{}, {**GOOD, "more": 1}, []])
def test_other_keys_are_refused(tmp_path: Path, broken: Any) -> None:
    with pytest.raises(InputError, match="must"):
        Settings.read(write(tmp_path, broken))


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / SETTINGS).write_text('{"units": [')
    with pytest.raises(InputError, match="cannot be read"):
        Settings.read(tmp_path)
