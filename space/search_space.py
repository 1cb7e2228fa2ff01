"""`SearchSpace`: a table of allowed choices, and pure functions between choices and architectures.

A space is TOML data (see `presets/`). Every value that may vary is a gene with its list of choices;
a code is a vector of choice indices, one per gene; every code decodes to a valid `Architecture`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.space.architecture import Architecture
from palmette.space.blocks import Block, Head, Stem
from palmette.space.choices import Choice, image_size, resolution_of
from palmette.space.errors import InputError, expect
from palmette.space.files import read_text
from palmette.space.space_toml import (
    FORMAT,
    STEM_STRIDE,
    Sections,
    followers_of,
    read_toml,
    widths_before,
)
from palmette.space.spelling import did_you_mean
from palmette.space.stage_blocks import DEFAULT_KIND, DEFAULTS, KINDS, Kind, kinds_of

Codes = NDArray[np.int64]
Get = Callable[[str, str], Any]
"""From section and key to the chosen or only value."""


@dataclass(frozen=True, slots=True)
class Gene:
    """One thing that varies: its name, such as `stage3.kernel`, and its choices in order."""

    name: str
    choices: tuple[Choice, ...]

    @property
    def section(self) -> str:
        """`stage3` of `stage3.kernel`."""
        return self.name.partition(".")[0]

    @property
    def key(self) -> str:
        """`kernel` of `stage3.kernel`."""
        return self.name.partition(".")[2]


@dataclass(frozen=True)
class SearchSpace:
    """Choices of a network of stages.

    `sections` maps `network`, `stem`, `stage1`..`stageN` and `head` to keys and their choices (a
    tuple; of length one where nothing varies). Make one with `preset`, `from_toml` or `read`.
    """

    name: str
    sections: Sections
    description: str = ""

    # Where spaces come from

    @classmethod
    def preset(cls, name: str) -> SearchSpace:
        """Space shipped with palmette, by name; raises InputError listing the names."""
        expect(
            name in presets(),
            f"space '{name}' is unknown; {did_you_mean(name, presets())}known:"
            f" {', '.join(presets())} (palmette space list); a file of your own ends in .toml",
        )
        text = (files("palmette.space") / "presets" / f"{name}.toml").read_text("utf-8")
        return cls.from_toml(text, name)

    @classmethod
    def read(cls, path: Path) -> SearchSpace:
        """Space from a TOML file; raises InputError with file, key, rule and value."""
        return cls.from_toml(read_text(path), path.stem, where=str(path))

    @classmethod
    def from_toml(cls, text: str, name: str, where: str = "space") -> SearchSpace:
        """Space from TOML text.

        Raises:
            InputError: see `space_toml.read_toml`.
        """
        sections, description = read_toml(text, where)
        return cls(name, sections, description)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for run folders and hashes."""
        return {
            "format": FORMAT,
            "name": self.name,
            "sections": {s: {k: list(v) for k, v in t.items()} for s, t in self.sections.items()},
        }

    @property
    def id(self) -> str:
        """Stable hash of the choices, 12 hexadecimal digits."""
        text = json.dumps(self.to_dict()["sections"], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def restrict(self, gene: str, allowed: Sequence[Choice]) -> SearchSpace:
        """The same space with only those choices of a gene that are in `allowed`.

        Raises:
            InputError: no gene has this name, or none of its choices is allowed.
        """
        section, _, key = gene.partition(".")
        choices = self.sections.get(section, {}).get(key, ())
        names = ", ".join(gene.name for gene in self.genes)
        expect(bool(choices), f"space '{self.name}': no gene '{gene}'; it has {names}")
        kept = tuple(c for c in choices if c in allowed)
        expect(
            bool(kept),
            f"space '{self.name}': {gene} has {list(choices)}, none of which is in {list(allowed)}",
        )
        sections = {**self.sections, section: {**self.sections[section], key: kept}}
        return SearchSpace(self.name, sections, self.description)

    # Genes and codes

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """Everything with more than one choice, in a fixed order."""
        return tuple(
            Gene(f"{section}.{key}", choices)
            for section, table in self.sections.items()
            for key, choices in table.items()
            if len(choices) > 1
        )

    @cached_property
    def cardinalities(self) -> Codes:
        """Number of choices of each gene, shape (genes,)."""
        return np.array([len(gene.choices) for gene in self.genes], dtype=np.int64)

    @cached_property
    def column(self) -> dict[str, int]:
        """Column of each gene in a code."""
        return {gene.name: index for index, gene in enumerate(self.genes)}

    @property
    def depth(self) -> int:
        """Number of stages."""
        return len(self.sections) - 3

    @property
    def largest_side(self) -> int:
        """Height or width of the largest input, px."""
        return max(max(image_size(choice)) for choice in self.sections["network"]["resolution"])

    @property
    def size(self) -> int:
        """Number of architectures."""
        return math.prod(int(count) for count in self.cardinalities)

    def sample(self, count: int, rng: np.random.Generator) -> Codes:
        """Uniform random codes, shape (count, genes)."""
        return rng.integers(0, self.cardinalities, size=(count, len(self.genes)))

    def neighbours(self, code: Codes) -> Codes:
        """All codes that differ from `code` (genes,) in one gene; shape (neighbours, genes)."""
        rows = []
        for gene, count in enumerate(self.cardinalities):
            others = [value for value in range(count) if value != code[gene]]
            block = np.repeat(code[None, :], len(others), axis=0)
            block[:, gene] = others
            rows.append(block)
        return np.concatenate(rows) if rows else np.empty((0, 0), dtype=np.int64)

    # Codes and architectures

    def decode(self, code: Codes) -> Architecture:
        """Architecture of one code (genes,).

        Raises:
            InputError: a code of another length, or an index outside its gene's choices.
        """
        code = np.asarray(code)
        expect(
            code.shape == (len(self.genes),)
            and (code.dtype.kind in "iu" or code.size == 0)
            and bool(np.all((code >= 0) & (code < self.cardinalities))),
            f"code: must be {len(self.genes)} indices below {self.cardinalities.tolist()},"
            f" got {code.tolist()}",
        )
        value = {g.name: g.choices[int(i)] for g, i in zip(self.genes, code, strict=True)}
        get = self.getter(value)
        stem = Stem(3, STEM_STRIDE, get("stem", "channels"), get("network", "activation"))
        stages, channels = [], stem.channels
        for stage in range(1, self.depth + 1):
            blocks = self.stage_blocks(stage, channels, get)
            stages.append(blocks)
            channels = blocks[-1].out_channels
        return Architecture(
            image_size(get("network", "resolution")), stem, tuple(stages), self.head(get)
        )

    def decode_batch(self, codes: Codes) -> list[Architecture]:
        """Architectures of codes (n, genes)."""
        return [self.decode(code) for code in codes]

    def encode(self, architecture: Architecture) -> Codes:
        """Code of an architecture; the inverse of `decode`.

        Raises:
            InputError: the architecture is not in this space; the message names the first gene that
                no choice fits.
        """
        seen = _observed(architecture, self.sections)
        code = np.zeros(len(self.genes), dtype=np.int64)
        for index, gene in enumerate(self.genes):
            value, come_to = seen.get(gene.name, (None, _as_given))
            made = [come_to(choice) for choice in gene.choices]
            if value not in made:
                raise InputError(
                    f"architecture {architecture.id} is not in space '{self.name}': {gene.name} is"
                    f" {value}, choices are {made}"
                )
            code[index] = made.index(value)
        if self.decode(code) != architecture:
            raise InputError(
                f"architecture {architecture.id} is not in space '{self.name}': something that this"
                " space keeps fixed differs"
            )
        return code

    def encode_batch(self, architectures: Sequence[Architecture]) -> Codes:
        """Codes of architectures, shape (n, genes)."""
        rows = [self.encode(architecture) for architecture in architectures]
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(self.genes))

    # Building stones, shared with `space.compiled`

    def getter(self, value: dict[str, Choice]) -> Get:
        """Function from section and key to the chosen, the only or the default value."""

        def get(section: str, key: str) -> Any:
            choices = self.sections[section].get(key, ())
            if len(choices) > 1:
                return value[f"{section}.{key}"]
            return choices[0] if choices else DEFAULTS.get(key)

        return get

    def width_before(self, stage: int) -> tuple[str, str]:
        """Section and key of the width that enters a stage (from 1; the head follows the last)."""
        return widths_before(self.sections, f"stage{stage}")

    def stage_blocks(self, stage: int, in_channels: int, get: Get) -> tuple[Block, ...]:
        """Blocks of a stage (from 1) that follows `in_channels` channels."""
        table = f"stage{stage}"
        own = self.sections[table]
        values = {"channels": in_channels, "se_act": get("network", "se_act")}
        values["gate"] = get("network", "gate")

        def value(key: str) -> Any:
            if key in own:
                return get(table, key)
            if key in values:
                return values[key]
            return get("network" if key in self.sections["network"] else table, key)

        kind = KINDS[get(table, "block")]
        first = kind.make(value, get(table, "stride"), in_channels)
        depth = get(table, "depth")
        if depth == 1:
            return (first,)
        return (first, *(kind.make(value, 1, first.out_channels),) * (depth - 1))

    def network_genes(self, stage: int) -> list[tuple[str, str]]:
        """Choices of the whole network that reach into a stage (from 1)."""
        own = self.sections[f"stage{stage}"]
        gated = any("se" in KINDS[kind].keys for kind in kinds_of(own))
        keys = ["resolution", "activation", *(["se"] if gated else [])]
        return [("network", key) for key in keys if key not in own]

    def head(self, get: Get) -> Head:
        """Head of the network."""
        channels, classes = get("head", "channels"), get("head", "classes")
        if channels == 0:
            return Head(0, "none", classes)
        late = bool(get("head", "pool_first"))
        return Head(channels, get("network", "activation"), classes, late)


def presets() -> list[str]:
    """Names of the spaces shipped with palmette."""
    folder = files("palmette.space") / "presets"
    names = (item.name for item in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


ComeTo = Callable[[Choice], Any]
"""What a choice comes to where it is used."""


def _as_given(choice: Choice) -> Choice:
    return choice


def _observed(architecture: Architecture, sections: Sections) -> dict[str, tuple[Any, ComeTo]]:
    """Value of every possible gene, with what the gene's choices come to there."""
    in_channels = architecture.stem.channels
    seen: dict[str, tuple[Any, ComeTo]] = {
        "network.resolution": (resolution_of(*architecture.resolution), _as_given),
        "network.activation": (architecture.stem.act, _as_given),
        "stem.channels": (in_channels, _as_given),
    }
    if isinstance(architecture.head, Head):
        seen["head.channels"] = (architecture.head.channels, _as_given)
    followers = followers_of(sections)
    for index, stage in enumerate(architecture.stages):
        table, block = f"stage{index + 1}", stage[0]
        name = _kind_of(block, kinds_of(sections.get(table, {})))
        kind = KINDS.get(name, KINDS[DEFAULT_KIND])
        seen |= {
            f"{table}.block": (name, _as_given),
            f"{table}.depth": (len(stage), _as_given),
            f"{table}.channels": (block.out_channels, _as_given),
            f"{table}.activation": (getattr(block, "act", None), _as_given),
        }
        for key in kind.keys:
            seen[f"{table}.{key}"] = (
                kind.seen(key, block, in_channels),
                _count(kind, key, in_channels),
            )
        if followers[:1] == [table]:
            seen["network.se"] = seen[f"{table}.se"]
        in_channels = block.out_channels
    return seen


def _kind_of(block: Block, kinds: Sequence[str]) -> str:
    """Which of a stage's kinds a block is; its class where it is none of them."""
    if len(kinds) == 1:
        return kinds[0]
    found = (kind for kind in kinds if type(block) in KINDS[kind].blocks)
    return next(found, block.kind)


def _count(kind: Kind, key: str, in_channels: int) -> ComeTo:
    return lambda choice: kind.keys[key].made(choice, in_channels)
