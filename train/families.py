"""Families of blocks that the accuracy prior was not fitted to, and how far off it is on them.

The features can be read off such blocks, but nobody knows that the formula means the same there.
What is known is how far it is off on the networks of the family that were published. Estimates with
such blocks keep their value, and their variance gains, for every family, bias^2 + spread^2 times
the share of its blocks. That is the mean square of the family's errors: the bias is not taken off,
because a handful of networks of one publication cannot tell what is the block's and what is the
recipe's. An error that grew with the share would add share^2; the share itself is more, for the
first blocks may make all the difference.

`family_bias` measures the table, `data/family_bias.json`.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from palmette.space.architecture import Architecture
from palmette.space.blocks import Block
from palmette.space.errors import InputError, expect

FORMAT = "palmette/family-bias@1"
FILE = "family_bias.json"

FITTED_BLOCKS = ("stem", "ds", "ir", "er", "cn", "head")
"""Kinds of blocks in the networks that the prior was fitted to."""
COMPANIONS = {
    "mp": ("gs", "sh"),
    "se": ("sh",),
    "ap": ("cd",),
    "na": ("cd",),
    "prelu": ("dice", "eesp"),
}
"""Blocks without a convolution above 1x1, and the families whose published networks have them: they
are judged as parts of those families, and nowhere else."""
GROUPS = "groups"
"""Family of the blocks of fitted kinds whose 1x1 convolutions have groups, as FBNet-A's."""
CLASSIFIER = "head"

MIN_NETWORKS = 3
"""Fewer published networks say nothing of a spread."""
MAX_RMS_POINTS = 5.0
"""Root mean square error beyond use: with the 80 % interval of such a family alone, 6.4 points to
either side, a MobileNetV2 of half the width could pass for a whole one (65.4 and 71.8 %)."""
MAX_BIAS_POINTS = 1.3
"""Over-prediction beyond use. A wider interval takes half of its sigma from a score; an estimate
that is too high by more than the error that the prior has anyway would win searches with it."""

ADVICE = "estimate this network by training it"
OWN_ACCURACY = "give --accuracy of your own (docs/howto/own_accuracy.md)"
"""What a search of such networks can do instead."""


@dataclass(frozen=True, slots=True)
class Family:
    """Errors of the prior, estimate less published top-1 in points, on the networks of a family."""

    errors: Mapping[str, float]
    """By network."""

    @property
    def bias(self) -> float:
        """Mean of the errors; above 0 the prior estimates too much."""
        return sum(self.errors.values()) / len(self.errors) if self.errors else 0.0

    @property
    def spread(self) -> float:
        """Standard deviation of the errors of networks around the bias; 0 of a single one."""
        squares = sum((error - self.bias) ** 2 for error in self.errors.values())
        return math.sqrt(squares / (len(self.errors) - 1)) if len(self.errors) > 1 else 0.0

    @property
    def variance(self) -> float:
        """What a network of such blocks alone gains in variance: bias^2 + spread^2."""
        return self.bias**2 + self.spread**2

    @property
    def refusal(self) -> str:
        """Why the prior refuses the family; empty if it widens its estimates."""
        count = len(self.errors)
        if count < MIN_NETWORKS:
            networks = f"{count} published network{'s' * (count != 1)} of known layout"
            return f"{networks} with them can't tell how far off it is, {MIN_NETWORKS} could"
        if self.bias > MAX_BIAS_POINTS:
            return (
                f"it estimates published networks with them {self.bias:.1f} points too high, which"
                " a search would collect"
            )
        rms = math.sqrt(self.variance)
        if rms > MAX_RMS_POINTS:
            return f"it is off by {rms:.1f} points on published networks with them"
        return ""


@functools.cache
def load() -> Mapping[str, Family]:
    """The table shipped with palmette, by family."""
    path = files("palmette.train") / "data" / FILE
    return from_dict(json.loads(path.read_text("utf-8")), path.name)


def from_dict(data: Any, where: str) -> dict[str, Family]:
    """Families from the plain values of their JSON file.

    Raises:
        InputError: another format version, or an error that is not a number.
    """
    expect(
        isinstance(data, dict) and data.get("format") == FORMAT,
        f"{where}: key 'format' must be '{FORMAT}'",
    )
    try:
        return {
            name: Family({network: float(error) for network, error in row["errors"].items()})
            for name, row in data["families"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{where}: an error is missing or no number ({error!r})") from None


def family_of(block: Block) -> str:
    """Family of a block: its kind, or `GROUPS` for a fitted kind in groups."""
    in_groups = block.kind in FITTED_BLOCKS and getattr(block, "groups", 1) > 1
    return GROUPS if in_groups else block.kind


def check(architecture: Architecture) -> None:
    """Raise InputError if the prior cannot judge a network: its head or one of its blocks."""
    blocks = [block for stage in architecture.stages for block in stage]
    kinds = {block.kind for block in blocks}
    check_head(architecture.head)
    for block in blocks:
        if block.kind not in COMPANIONS:
            check_block(block)
    for kind in kinds & COMPANIONS.keys():
        expect(not kinds.isdisjoint(COMPANIONS[kind]), _alone(kind))


def check_space(blocks: Iterable[Block]) -> None:
    """As `check`, for all that can stand in the networks of a space, stems and heads included.

    Blocks of `COMPANIONS` are refused: a space may have networks without their family.
    """
    for block in blocks:
        if block.kind in COMPANIONS:
            raise InputError(_alone(block.kind))
        check_block(block)


def check_head(head: Block) -> None:
    """Raise InputError if a head is not a classifier."""
    expect(
        head.kind == CLASSIFIER,
        f"accuracy prior: it estimates ImageNet top-1 and knows nothing of a '{head.kind}' head;"
        f" ask it for the backbone under a classifier ('{CLASSIFIER}'), or train this network",
    )


def check_block(block: Block) -> None:
    """Raise InputError if the prior was not fitted to such blocks and refuses their family."""
    name = family_of(block)
    if name in FITTED_BLOCKS:
        return
    reason = load().get(name, Family({})).refusal
    what = f"'{block.kind}' blocks"
    if name == GROUPS:
        groups: int = getattr(block, "groups")  # noqa: B009 (those of this family have them)
        what = f"1x1 convolutions in groups, and this '{block.kind}' block has {groups}"
    expect(not reason, f"accuracy prior: it was not fitted to {what}; {reason}; {ADVICE}")


def share_of(block: Block, has_kxk: bool) -> tuple[float, float]:
    """What a block adds to a network's variance times its blocks, and to its blocks.

    1x1 blocks of fitted kinds and `COMPANIONS` don't count, so they cannot thin a family out.
    """
    name = family_of(block)
    if name in FITTED_BLOCKS:
        return 0.0, float(has_kxk)
    if name in COMPANIONS:
        return 0.0, 0.0
    return load()[name].variance, 1.0


def _alone(kind: str) -> str:
    owners = ", ".join(f"'{owner}'" for owner in COMPANIONS[kind])
    return (
        f"accuracy prior: it was not fitted to '{kind}' blocks, and judges them in networks with"
        f" {owners} blocks alone; {ADVICE}"
    )
