"""What one change to a network does to its milliseconds, and which changes a target knows.

An effect is the relative difference that one change makes to MobileNetV2 at 224 px. Its interval
spans what the model says without each timed design in turn, and what each blended form says alone.

A choice is *identified* if at least two of the timed designs in the same state show it, or, for a
resolution, if it lies within a factor of 1.25 of one that was timed. A search bars the others.

A change is identified if both its sides are, what goes and what comes, and if the model has a price
for it: an effect of nothing that comes from a form without a term for it is blindness.
`Support.untold` is that rule, here, in `palmette.search.what_if` and in what validation prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.latency.per_op.op_timed import OpTimedModel
from palmette.latency.stored import flag, listed, number, text, whole
from palmette.latency.uncertainty import design
from palmette.latency.whole.model import Measured, TargetModel
from palmette.space import Architecture, Block, OpTable, load

MIN_DESIGNS = 2
RESOLUTION_REACH = 1.25
KERNELS = (3, 5, 7, 9, 11)
ACTIVATIONS = ("relu", "relu6", "hswish", "swish")


def _dense(kernel: int) -> Callable[[OpTable], NDArray[np.bool_]]:
    """Dense convolutions of a window; the first, of three channels, is in every network."""
    return lambda ops: (
        ops.is_kind("conv") & (ops.groups == 1) & (ops.in_channels > 3) & (ops.kernel == kernel)
    )


OP_SORTS: dict[str, Callable[[OpTable], NDArray[np.bool_]]] = {
    "concat": lambda ops: ops.is_kind("concat"),
    "slice": lambda ops: ops.is_kind("slice"),
    "grouped": lambda ops: ops.is_kind("conv") & (ops.groups > 1) & ~ops.depthwise,
    **{f"dense{kernel}": _dense(kernel) for kernel in KERNELS},
}
"""Ops that networks of depthwise and 1x1 convolutions lack: name -> mask of them."""

CostModel = TargetModel | OpTimedModel
_Change = Callable[[Any, int], Block]


def _rebuild(base: Architecture, change: _Change, skip_first: bool = False) -> Architecture:
    """Every depthwise block changed; `change` gets the block and the channels before it."""
    stages, channels = [], base.stem.out_channels
    for index, stage in enumerate(base.stages):
        blocks = []
        for block in stage:
            changed = block if skip_first and index == 0 else change(block, channels)
            channels = changed.out_channels
            blocks.append(changed)
        stages.append(tuple(blocks))
    return replace(base, stages=tuple(stages))


def _kernel(kernel: int) -> Callable[[Architecture], Architecture]:
    return lambda base: _rebuild(base, lambda block, _: replace(block, kernel=kernel))


def _expansion(ratio: int) -> Callable[[Architecture], Architecture]:
    def change(block: Any, channels: int) -> Block:
        expanded: Block = replace(block, expanded=ratio * channels)
        return expanded

    return lambda base: _rebuild(base, change, skip_first=True)


def _width(factor: float) -> Callable[[Architecture], Architecture]:
    def widen(base: Architecture) -> Architecture:
        def change(block: Any, channels: int) -> Block:
            wide: Any = replace(block, channels=max(8, round(block.channels * factor / 8) * 8))
            return replace(wide, expanded=6 * channels) if block.kind == "ir" else wide  # type: ignore[no-any-return]

        stem = replace(base.stem, channels=round(base.stem.channels * factor / 8) * 8)
        return _rebuild(replace(base, stem=stem), change)

    return widen


def _deeper(base: Architecture) -> Architecture:
    stages = []
    for stage in base.stages:
        last: Any = stage[-1]
        more: Any = replace(last, stride=1)
        if last.kind == "ir":
            more = replace(more, expanded=6 * last.channels)
        stages.append((*stage, more))
    return replace(base, stages=tuple(stages))


def _gated(base: Architecture) -> Architecture:
    return _rebuild(base, lambda block, channels: replace(block, se=channels // 4), skip_first=True)


def _activation(act: str) -> Callable[[Architecture], Architecture]:
    def change(base: Architecture) -> Architecture:
        changed = _rebuild(base, lambda block, _: replace(block, act=act))
        head: Any = base.head
        return replace(changed, stem=replace(base.stem, act=act), head=replace(head, act=act))

    return change


CHANGES: dict[str, tuple[tuple[str, ...], Callable[[Architecture], Architecture]]] = {
    "kernel 3->5": (("kernel:3", "kernel:5"), _kernel(5)),
    "kernel 3->7": (("kernel:3", "kernel:7"), _kernel(7)),
    "expansion 6->3": ((), _expansion(3)),
    "width -25%": ((), _width(0.75)),
    "width +25%": ((), _width(1.25)),
    "depth +1 per stage": ((), _deeper),
    "resolution 224->192": (
        ("resolution:224", "resolution:192"),
        lambda base: base.with_resolution(192),
    ),
    "resolution 224->256": (
        ("resolution:224", "resolution:256"),
        lambda base: base.with_resolution(256),
    ),
    "SE in every block": (("se:1",), _gated),
    "relu6->relu": (("activation:relu6", "activation:relu"), _activation("relu")),
    "relu6->hswish": (("activation:relu6", "activation:hswish"), _activation("hswish")),
}
"""Change -> choices that go and that come (none: work, which every table varies), and how."""
NO_PRICE = "no price"
"""What a model lacks that says the same of two networks, beside choices that were not timed."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Relative change of the milliseconds (0.05: 5 % slower) with its interval."""

    name: str
    change: float
    low: float
    high: float
    identified: bool

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Effect:
        """From plain values; raises KeyError, TypeError or ValueError on malformed ones."""
        change, low, high = (number(data[key], -1.0) for key in ("change", "low", "high"))
        return cls(text(data["name"]), change, low, high, flag(data["identified"]))


@dataclass(frozen=True, slots=True)
class Support:
    """Choices that a target's timings can tell apart."""

    kernels: tuple[int, ...]
    activations: tuple[str, ...]
    squeeze_excitation: bool
    resolutions: tuple[int, int]
    """Lowest and highest identified input side, px."""
    ops: tuple[str, ...] = ()
    """Names of `OP_SORTS`."""

    def has(self, choice: str) -> bool:
        """Whether a choice such as `kernel:5` or `resolution:192` is identified."""
        key, _, value = choice.partition(":")
        known: dict[str, Callable[[], bool]] = {
            "kernel": lambda: int(value) in (1, *self.kernels),
            "activation": lambda: value in self.activations,
            "se": lambda: self.squeeze_excitation,
            "resolution": lambda: self.resolutions[0] <= int(value) <= self.resolutions[1],
            "op": lambda: value in self.ops,
        }
        return known[key]()

    def untold(self, choices: Iterable[str], priced: bool) -> list[str]:
        """Why a change is not identified, as choices that lack timings; empty if it is.

        Args:
            choices: those that go and those that come, such as `activation:relu6`.
            priced: whether the model tells the two networks apart; if not, `NO_PRICE` comes last.
        """
        missing = [choice for choice in dict.fromkeys(choices) if not self.has(choice)]
        return missing if priced else [*missing, NO_PRICE]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kernels": list(self.kernels),
            "activations": list(self.activations),
            "squeeze_excitation": self.squeeze_excitation,
            "resolutions": list(self.resolutions),
            "ops": list(self.ops),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Support:
        """From plain values; raises KeyError, TypeError or ValueError on malformed ones."""
        low, high = (whole(px, 1) for px in listed(data["resolutions"]))
        return cls(
            tuple(whole(kernel, 1) for kernel in listed(data["kernels"])),
            tuple(text(act) for act in listed(data["activations"])),
            flag(data["squeeze_excitation"]),
            (low, whole(high, low)),
            tuple(text(name) for name in listed(data["ops"])),
        )


def support(target: str, model: TargetModel, measured: Measured) -> Support:
    """Choices shown by at least two designs among a target's timings.

    Only networks in the state of the unit itself tell what a kernel, an activation or an op of a
    further sort costs there;
    squeeze-and-excitation counts in whatever state it brings.
    """
    timed = {name: measured.ops[name] for name in measured.latency_ms[target]}
    own = {name: ops for name, ops in timed.items() if not model.state_of(ops)}
    sides = [int(ops.out_height[0] * ops.stride[0]) for ops in timed.values()]
    return Support(
        tuple(
            kernel
            for kernel in KERNELS
            if _shown({n: ops.depthwise & (ops.kernel == kernel) for n, ops in own.items()})
        ),
        tuple(act for act in ACTIVATIONS if _shown({n: o.has_act(act) for n, o in own.items()})),
        _shown({name: ops.broadcast & ops.is_kind("mul") for name, ops in timed.items()}),
        (round(min(sides) / RESOLUTION_REACH), round(max(sides) * RESOLUTION_REACH)),
        tuple(
            name
            for name, mask in OP_SORTS.items()
            if _shown({network: mask(ops) for network, ops in own.items()})
        ),
    )


def effects(model: CostModel, members: Iterable[CostModel], known: Support) -> tuple[Effect, ...]:
    """Effect of every change in `CHANGES` on MobileNetV2, by the model and by its members."""
    base = load("mobilenet_v2")
    every = [model, *members, *single_forms(model)]
    reference = _predict(every, base)
    found = []
    for name, (choices, change) in CHANGES.items():
        ratios = _predict(every, change(base)) / reference - 1
        effect = float(ratios[0])
        found.append(
            Effect(
                name,
                effect,
                float(ratios.min()),
                float(ratios.max()),
                not known.untold(choices, effect != 0),
            )
        )
    return tuple(found)


def _shown(masks: Mapping[str, NDArray[np.bool_]]) -> bool:
    """Whether ops of enough designs fit; masks by network. Widths of one design count once."""
    return len({design(name) for name, mask in masks.items() if mask.any()}) >= MIN_DESIGNS


def single_forms(model: CostModel) -> list[CostModel]:
    """The model with each blended form alone."""
    if isinstance(model, OpTimedModel):
        return []
    count = max(len(state.components) for state in model.states)
    if count == 1:
        return []
    return [
        TargetModel(
            model.target,
            tuple(
                replace(s, components=(s.components[min(i, len(s.components) - 1)],))
                for s in model.states
            ),
        )
        for i in range(count)
    ]


def _predict(models: list[CostModel], architecture: Architecture) -> Any:
    ops = OpTable.of(architecture.ops())
    known = Measured({}, {"it": ops})  # shares features over models
    return np.array(
        [
            known.predict("it", model)
            if isinstance(model, TargetModel)
            else float(model.predict([ops])[0])
            for model in models
        ]
    )
