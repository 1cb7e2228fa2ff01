"""ResNet."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

NETWORKS: dict[str, Reference] = {}
