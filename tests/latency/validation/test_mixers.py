"""Networks of published ablations: RepViT to the op, RecNeXt by its published work."""

from __future__ import annotations

from collections import Counter

import pytest

from palmette.latency.op_lists import network_ops
from palmette.latency.validation.mixers import MIXERS, varied_ops


def counted(name: str) -> Counter[str]:
    return Counter(op.to_text() for op in varied_ops(name))


@pytest.mark.parametrize("name", ["repvit_m0.9", "repvit_m1.5"])
def test_repvit_with_every_other_gate_is_the_traced_network(name: str) -> None:
    assert counted(f"{name}/se-half") == Counter(op.to_text() for op in network_ops(name))


@pytest.mark.parametrize(
    ("name", "params_m", "macs_m"),
    [
        ("recnext_m1/k3", 4.8, 820),
        ("recnext_m1/k7", 4.96, 870),
        ("recnext_m1/k11", 5.26, 960),
        ("recnext_m1@384x384/k3", 4.8, 2400),
        ("recnext_m1@384x384/k7", 4.96, 2550),
        ("recnext_m1@384x384/k11", 5.26, 2820),
    ],
)
def test_recnext_has_its_published_work(name: str, params_m: float, macs_m: float) -> None:
    ops = varied_ops(name)
    assert sum(op.weights for op in ops) / 1e6 == pytest.approx(params_m, rel=0.005)
    assert sum(op.macs for op in ops) / 1e6 == pytest.approx(macs_m, rel=0.015)


def test_gates_kernels_and_inner_kernels_change_nothing_else() -> None:
    none, every = counted("repvit_m0.9/se-none"), counted("repvit_m0.9/se-all")
    assert none - every == Counter()
    gates = sum(n for text, n in (every - none).items() if text.startswith("mul"))
    assert gates == 2 + 2 + 14 + 2
    three, seven = counted("slim_convnext/k3"), counted("slim_convnext/stem-k5")
    assert all(" k3 g" in text for text in three - seven)
    assert sum((three - seven).values()) == sum((seven - three).values()) == 2 + 2 + 18 + 2
    inner = counted("slim_convnext/inner-k3") - seven
    assert sum(inner.values()) == 24 and all(" k3 g" in text for text in inner)


def test_every_name_has_ops_that_follow_each_other() -> None:
    for name in MIXERS:
        ops = varied_ops(name)
        assert ops[-1].output == (1000,)
        # a map of one pixel is read as a vector too
        made = {op.output for op in ops} | {op.output[:1] for op in ops if op.output[1:] == (1, 1)}
        assert all(shape in made for op in ops[1:] for shape in op.inputs), name
