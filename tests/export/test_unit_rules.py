"""Every rule of thumb holds for the op that it is about, on the eras that its source speaks of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from palmette.export.unit_rules import (
    COLUMNS,
    LEVELS,
    OPERATORS,
    Condition,
    Era,
    all_gaps,
    all_rules,
    count_levels,
    rule_from,
    rules_for,
)
from palmette.latency import TARGETS
from palmette.space import InputError, Op, OpTable
from palmette.space.modules.layers import ChannelShuffle

OLD, NEW = Era("ane", 13, "A13"), Era("ane", 17, "A16")
M1 = Era("ane", 16, "A14")
CASES = {
    # rule: an era that it speaks of, an op that it is about, an op just beside it
    "no-neural-engine": (Era("ane", 13, "A11"), "add 8x4x4 + 8x4x4 -> 8x4x4", ""),
    "scale-by-channel": (OLD, "mul 8x4x4 + 8x1x1 -> 8x4x4", "mul 8x4x4 + 8x4x4 -> 8x4x4"),
    "rank": (NEW, "permute 2x2x3x4x5 -> 2x3x2x4x5", "permute 2x3x4x5 -> 3x2x4x5"),
    "side": (NEW, "act 1x16385x1 -> 1x16385x1 relu", "act 1x1x16384 -> 1x1x16384 relu"),
    "channels-beyond": (NEW, "conv 8x1x1 -> 65537x1x1", "conv 8x1x1 -> 65536x1x1"),
    "window-wide": (OLD, "conv 8x32x32 -> 8x32x32 k1x15", "conv 8x32x32 -> 8x32x32 k15x13"),
    "window-high": (OLD, "conv 8x32x32 -> 8x32x32 k31x1", "conv 8x32x32 -> 8x32x32 k29x1"),
    "window-wide-later": (NEW, "conv 8x32x32 -> 8x32x32 k17", "conv 8x32x32 -> 8x32x32 k15"),
    "window-large": (NEW, "conv 8x32x32 -> 8x32x32 k9", "conv 8x32x32 -> 8x32x32 k7"),
    "pool-window-2020": (OLD, "pool 8x28x28 -> 8x2x2 k14 s2", "pool 8x28x28 -> 8x2x2 k13 s2"),
    "pool-stride-2020": (OLD, "pool 8x28x28 -> 8x9x9 k3 s3", "pool 8x28x28 -> 8x14x14 k3 s2"),
    "pool-window": (NEW, "pool 8x60x60 -> 8x2x2 k30 s4", "pool 8x60x60 -> 8x2x2 k29 s4"),
    "pool-stride": (NEW, "pool 8x28x28 -> 8x9x9 k3 s3", "pool 8x28x28 -> 8x7x7 k3 s4"),
    "resize-2020": (OLD, "resize 8x7x7 -> 8x28x28", "resize 8x7x7 -> 8x14x14"),
    "resize-in-software": (OLD, "resize 8x7x7 -> 8x14x14", "pool 8x14x14 -> 8x7x7 k2 s2"),
    "dilation-2020": (OLD, "conv 8x9x9 -> 8x9x9 k3 d2", "conv 8x9x9 -> 8x9x9 k3"),
    "dilation-factors": (NEW, "conv 8x9x9 -> 8x9x9 k3 d10", "conv 8x9x9 -> 8x9x9 k3 d12"),
    "dilation-large": (NEW, "conv 8x9x9 -> 8x9x9 k3 d6", "conv 8x9x9 -> 8x9x9 k3 d4"),
    "stride-factors": (NEW, "conv 8x20x20 -> 8x4x4 k5 s5", "conv 8x24x24 -> 8x4x4 k5 s6"),
    "h-swish": (NEW, "conv 8x9x9 -> 8x9x9 hswish", "conv 8x9x9 -> 8x9x9 relu6"),
    "channels-uneven": (NEW, "conv 8x9x9 -> 12x9x9", "conv 8x9x9 -> 16x9x9"),
    "column": (NEW, "add 8x9x1 + 8x9x1 -> 8x9x1", "add 8x1x9 + 8x1x9 -> 8x1x9"),
    "linear-on-tokens": (NEW, "linear 49x8 -> 49x16", "linear 8 -> 16"),
    "norm-left": (NEW, "norm 8x9x9 -> 8x9x9", "act 8x9x9 -> 8x9x9 relu"),
    "permute": (NEW, "permute 2x4x9x9 -> 4x2x9x9", "slice 8x9x9 -> 4x9x9"),
    "attention": (NEW, "matmul 49x8 + 8x49 -> 49x49", "linear 49x8 -> 49x49"),
    "gather": (NEW, "gather 8x9x9 -> 4x9x9", "slice 8x9x9 -> 4x9x9"),
    "unknown-op": (NEW, "other 8x9x9 -> 8x9x9", "act 8x9x9 -> 8x9x9 gelu"),
    "working-set": (M1, "conv 96x112x112 -> 96x56x56 k3 s2 g96", "conv 32x112x112 -> 32x112x112"),
    "many-branches": (
        NEW,
        f"concat {' + '.join(['2x9x9'] * 12)} -> 24x9x9",
        f"concat {' + '.join(['2x9x9'] * 11)} -> 22x9x9",
    ),
}  # fmt: skip


def names_of(text: str, era: Era) -> set[str]:
    table = OpTable.of([Op.from_text(text)])
    return {rule.name for rule in rules_for(era) if rule.holds(table).all()}


def test_every_rule_has_a_case() -> None:
    assert set(CASES) == {rule.name for rule in all_rules()}
    assert len(CASES) == len(all_rules())


@pytest.mark.parametrize("name", CASES)
def test_a_rule_holds_for_its_op_and_not_for_the_one_beside(name: str) -> None:
    era, about, beside = CASES[name]
    assert name in names_of(about, era)
    assert not beside or name not in names_of(beside, era)


def test_rules_hold_in_the_systems_and_on_the_chips_of_their_sources_alone() -> None:
    gate = "mul 8x4x4 + 8x1x1 -> 8x4x4"
    assert "scale-by-channel" in names_of(gate, Era("ane", 14, ""))
    for era in (NEW, Era("ane", 15, "A13"), Era("gpu", 13, "A13"), Era("ane", 0, "A13")):
        assert "scale-by-channel" not in names_of(gate, era)
    wide = "conv 8x32x32 -> 8x32x32 k1x15"
    assert "window-wide" not in names_of(wide, Era("ane", 16, "A15"))
    assert "window-wide" not in names_of(wide, Era("ane", 16, ""))  # a chip that nobody named


def test_no_rule_speaks_of_gpu_and_cpu() -> None:
    assert rules_for(Era("gpu", 17, "A16")) == rules_for(Era("cpu", 13, "A13")) == ()


def test_every_rule_and_gap_says_why_and_what_to_do() -> None:
    for rule in all_rules():
        assert rule.level in LEVELS and rule.why and rule.source and rule.replacement
        assert set(rule.swap) <= {"fields", "from", "to", "most", "multiple"}
    assert all(gap.why and gap.remedy and (gap.kinds or gap.modules) for gap in all_gaps())


def test_a_gap_may_name_a_class_of_torch_that_ours_is_not() -> None:
    from torch import nn

    for gap in all_gaps():
        assert all(hasattr(nn, name) for name in gap.modules)
    assert ChannelShuffle(2)(__import__("torch").zeros(1, 4, 2, 2)).shape == (1, 4, 2, 2)


def test_the_chip_of_every_shipped_target_is_known() -> None:
    for target in TARGETS.values():
        assert Era.of(target).chip == target.chip
    assert Era.of(TARGETS["iphone-13/ane@coreml-ios16"]) == Era("ane", 16, "A15")
    assert Era.of(TARGETS["iphone-xs/gpu@tflite-2.10"]).ios == 0


@dataclass
class Elsewhere:
    device: str = "ipad-9"
    unit: str = "ane"
    runtime: str = "coreml-ios18"


def test_a_device_that_nobody_listed_has_no_chip() -> None:
    assert Era.of(Elsewhere()) == Era("ane", 18, "")


def test_an_op_counts_once_at_its_worst_level() -> None:
    texts = [
        "mul 8x4x4 + 8x1x1 -> 8x4x4 hswish",  # refused and slow
        "conv 8x32x32 -> 8x32x32 k15 d2",  # risk twice, and slow
        "conv 8x32x32 -> 8x32x32",
    ]
    found = count_levels(OpTable.of([Op.from_text(text) for text in texts]), OLD)
    assert found.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("value", "largest", "beyond"), [(1, 2, False), (8, 2, False), (12, 3, False), (10, 3, True)]
)
def test_factors_beyond_are_prime_factors(value: int, largest: int, beyond: bool) -> None:
    assert OPERATORS["factors-beyond"](np.array([value]), largest).tolist() == [beyond]


@pytest.mark.parametrize("text", ["kernels > 3", "kernel => 3", "kernel > three", "kernel >", ""])
def test_a_condition_that_is_none_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(InputError, match="must be a column .*kernel_width.* an operator"):
        Condition.from_text(text)


def test_a_rule_with_an_unknown_word_is_refused_by_its_name() -> None:
    row = {"name": "x", "level": "slow", "why": "w", "source": "s", "replacement": "r"}
    row |= {"units": ["ane"]}  # type: ignore[dict-item]
    assert rule_from(row, "file").holds(OpTable.of([Op.from_text(CASES["gather"][1])])).all()
    for change, said in (
        ({"level": "bad"}, "level 'bad' is none of refused, risk, slow"),
        ({"units": ["tpu"]}, "units 'tpu' is none of"),
        ({"kinds": ["convolve"]}, "kinds 'convolve' is none of conv,"),
        ({"acts": ["mish"]}, "acts 'mish' is none of"),
        ({"when": ["k > 3"]}, "condition 'k > 3'"),
        ({"until": 3}, "unexpected keyword argument 'until'"),
    ):
        with pytest.raises(InputError, match="^file, rule 'x': ") as caught:
            rule_from({**row, **change}, "file")
        assert said in str(caught.value)


def test_columns_of_conditions_are_those_of_ops() -> None:
    table = OpTable.of([Op.from_text("resize 8x7x7 -> 8x28x14"), Op.from_text("linear 8 -> 4")])
    values = {name: column(table).tolist() for name, column in COLUMNS.items()}
    assert values["side"] == [28, 1] and values["elements"] == [8 * 28 * 14, 8]
    assert values["scale"] == [pytest.approx(8**0.5), 1] and values["rank"] == [4, 2]
