"""`palmette shrink` and `palmette scale`: what they print and write, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from palmette.space import Architecture

NETWORK = (
    "192x192 stem_k3_s2_c16_relu | ds_r1_k3_s2_c16_relu | ir_r2_k5_s2_e4_c24_relu"
    " | ir_r2_k3_s2_e4_c40_relu_se0.25 | ir_r1_k3_s2_e4_c80_relu | head_c256_relu_n10"
)
ON = ("--target", "iphone-11/cpu")
Ask = Callable[..., tuple[int, str, str]]


def upper_ms() -> float:
    """Of the network, at 80 %."""
    from palmette.latency import load_predictor

    network = Architecture.from_text(NETWORK)
    interval = load_predictor("iphone-11/cpu").predict_interval([network], 0.8, two_sided=False)
    return float(interval.upper_ms[0])


def test_a_shrunk_network_is_told_and_written(ask: Ask) -> None:
    budget = f"{0.85 * upper_ms():.4f}"
    code, out, _ = ask(
        "shrink", NETWORK, *ON, "--budget-ms", budget, "--out", "small.json", "--json"
    )
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert code == 0 and answer["path"][-1]["ms_at_confidence"] <= float(budget)
    assert answer["path"][0]["architecture"] == NETWORK
    written = Architecture.from_json(Path("small.json").read_text("utf-8"))
    assert written.to_text() == answer["architecture"] and written.id == answer["id"]


def test_the_last_line_is_a_network_that_other_commands_take(ask: Ask) -> None:
    for verb in ("shrink", "scale"):
        code, out, _ = ask(verb, NETWORK, *ON, "--budget-ms", f"{0.95 * upper_ms():.4f}")
        assert code == 0
        assert Architecture.from_text(out.splitlines()[-1]).head.classes == 10
        assert "at conf." in out


def test_a_scaled_network_is_told_with_its_factors(ask: Ask) -> None:
    code, out, _ = ask(
        "scale", NETWORK, *ON, "--budget-ms", f"{1.5 * upper_ms():.4f}", "--alpha", "1",
        "--beta", "1", "--gamma", "1.2", "--json",
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert code == 0 and answer["phi"] > 0 and answer["gamma"] == 1.2
    height = round(192 * 1.2 ** answer["phi"] / 8) * 8
    assert answer["architecture"] == NETWORK.replace("192x192", f"{height}x{height}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("shrink", NETWORK, *ON, "--budget-ms", "0.001"), "no network made from this one keeps"),
        (("scale", NETWORK, *ON, "--budget-ms", "0.001"), "that can be judged keeps"),
        (("shrink", "resnet18", *ON, "--budget-ms", "9"), "an `accuracy` function of your own"),
        (("shrink", NETWORK, "--budget-ms", "9"), "give --target, --predictor FILE, or both"),
        (("shrink", NETWORK, *ON, "--budget-ms", "-1"), "budget_ms: must be a positive number"),
        (("shrink", NETWORK, *ON, "--budget-ms", "9", "--out", "a.txt"), "must end in .json"),
        (("scale", NETWORK, *ON, "--budget-ms", "9", "--alpha", "0"), "alpha: must be from 1"),
        (("scale", NETWORK, *ON, "--budget-ms", "9", "--fit", "--beta", "2"), "leave them out"),
        (("scale", NETWORK, *ON, "--budget-ms", "9", "--confidence", "1"), "confidence: must be"),
    ],
)
def test_mistakes_end_in_one_line(arguments: tuple[str, ...], words: str, ask: Ask) -> None:
    code, out, err = ask(*arguments)
    assert code == 2 and not out
    assert err.startswith("error: ") and words in err and err.count("\n") == 1
    assert not list(Path().iterdir())
