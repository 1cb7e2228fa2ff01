"""`manifest.json` of a bundle: which package and unit each phone runs, and in what time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import palmette
from palmette.export import FORMATS, kind_for_runtime
from palmette.latency import LATENCY
from palmette.search.bundle.phones import served_by
from palmette.search.bundle.portfolio import Portfolio, Share
from palmette.space import Architecture, InputError

FORMAT = "palmette/bundle@1"
UNTRAINED = "untrained"
UNITS = ("ane", "gpu", "cpu")
"""In the order that a phone prefers: the first leaves most of the phone to everything else."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package to export: a backbone in one of Core ML's formats."""

    network: Architecture
    kind: str

    @property
    def name(self) -> str:
        """Its file."""
        return self.network.id + FORMATS[self.kind].suffix

    @property
    def minimum_ios(self) -> int:
        """Oldest system that reads it."""
        return int(FORMATS[self.kind].minimum_target.removeprefix("iOS"))


def packages(portfolio: Portfolio) -> tuple[Package, ...]:
    """What a bundle has to hold: each backbone in every format that a phone of it timed.

    Raises:
        InputError: a target that runs no Core ML packages.
    """
    found = {share: _package(share) for share in portfolio.shares}
    order = {network: place for place, network in enumerate(portfolio.backbones)}
    distinct = set(found.values())
    return tuple(sorted(distinct, key=lambda p: (p.minimum_ios, order[p.network])))


def manifest(portfolio: Portfolio, made: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The manifest as plain values.

    Args:
        portfolio: what was chosen.
        made: of each package by its name: `weights`, `sha256` and `bytes`; of a trained one also
            its `architecture`, `classes`, `measured_top1` and `accuracy`.

    Raises:
        InputError: a phone without a known machine identifier.
    """
    needed = packages(portfolio)
    return {
        "format": FORMAT,
        "made_by": f"palmette {palmette.__version__}",
        "accuracy": portfolio.fleet.accuracy,
        "confidence": portfolio.fleet.confidence,
        "max_loss_points": portfolio.max_loss_points,
        "packages": {package.name: _described(package, made[package.name]) for package in needed},
        "devices": _devices(
            portfolio.shares,
            # the estimate is of other weights, and of the classes that it was made for
            trained={name for name, about in made.items() if about["weights"] != UNTRAINED},
        ),
        # of the packages that the oldest systems read, the one with the least work
        "fallback": {"package": needed[0].name, "unit": "all"},
    }


def check_phones(portfolio: Portfolio) -> None:
    """Raise InputError where a phone can't be bundled, before anything is exported."""
    packages(portfolio)
    _devices(portfolio.shares)


def _package(share: Share) -> Package:
    try:
        return Package(share.network, kind_for_runtime(share.unit.target.runtime))
    except InputError as error:
        raise InputError(f"phone {share.unit}: {error}; leave it out with --phones") from None


def _described(package: Package, made: Mapping[str, Any]) -> dict[str, Any]:
    height, width = package.network.resolution
    return {
        "backbone": package.network.id,
        "architecture": package.network.to_text(),
        "kind": package.kind,
        "minimum_ios": package.minimum_ios,
        "width_px": width,
        "height_px": height,
        **made,
    }


def _devices(
    shares: Sequence[Share], trained: Collection[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    by_phone: dict[str, list[Share]] = {}
    for share in sorted(shares, key=lambda share: UNITS.index(share.unit.target.unit)):
        by_phone.setdefault(share.unit.target.device, []).append(share)
    return {
        identifier: [_choice(share, timed, trained) for share in by_phone[phone]]
        for identifier, (phone, timed) in served_by(by_phone).items()
    }


def _choice(share: Share, timed: bool, trained: Collection[str]) -> dict[str, Any]:
    package = _package(share).name
    return {
        "package": package,
        "unit": share.unit.target.unit,
        "phone": share.unit.target.device,
        "target": str(share.unit.target),
        "timed_phone": timed,
        **({} if share.unit.quantity == LATENCY else {"quantity": share.unit.quantity}),
        "budget_ms": share.unit.budget_ms,
        "expected_ms": round(share.ms, 4),
        "lower_ms": round(share.lower_ms, 4),
        "upper_ms": round(share.upper_ms, 4),
        **({} if package in trained else {"top1": round(share.top1, 3)}),
        "loss_points": round(share.loss_points, 3),
    }
