"""A network small enough to be shrunk in a second, and times that it keeps."""

from collections.abc import Callable

import pytest

from palmette.latency import load_predictor
from palmette.space import Architecture

TINY = (
    "192x192 stem_k3_s2_c16_relu | ds_r1_k3_s2_c16_relu | ir_r2_k5_s2_e4_c24_relu"
    " | ir_r2_k3_s2_e4_c40_relu_se0.25 | ir_r1_k3_s2_e4_c80_relu | head_c256_relu_n10"
)


@pytest.fixture(scope="session")
def tiny() -> Architecture:
    """Six blocks of which two are repeated, windows of 5, ten classes."""
    return Architecture.from_text(TINY)


@pytest.fixture(scope="session")
def upper_ms() -> Callable[..., float]:
    """Milliseconds of a network on a target at a confidence, one-sided."""

    def ask(network: Architecture, target: str, confidence: float = 0.8) -> float:
        interval = load_predictor(target).predict_interval([network], confidence, two_sided=False)
        return float(interval.upper_ms[0])

    return ask
