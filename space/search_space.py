"""`SearchSpace`: a table of allowed choices, and pure functions between choices and architectures.

A space is TOML data (see `presets/`). Every value that may vary is a gene with its list of choices;
a code is a vector of choice indices, one per gene; every code decodes to a valid `Architecture`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.space.architecture import Architecture
from palmette.space.blocks import (
    ACTIVATIONS,
    GATES,
    MAX_CHANNELS,
    Block,
    DepthwiseSeparable,
    Head,
    InvertedResidual,
    Stem,
)
from palmette.space.errors import InputError, expect

FORMAT = "palmette/space@1"
Choice = int | float | str
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Gene:
    """One thing that varies: its name, such as `stage3.kernel`, and its choices in order."""

    name: str
    choices: tuple[Choice, ...]


# Rule of each key: section -> key -> (type, lowest, highest, or the allowed names).
_NUMBER = (int, float)
_RULES: dict[str, dict[str, tuple[Any, ...]]] = {
    "network": {
        "resolution": (int, 32, 4096),
        "activation": (str, ACTIVATIONS),
        "se": (_NUMBER, 0, 1),
        "se_act": (str, ACTIVATIONS),
        "gate": (str, GATES),
    },
    "stem": {"channels": (int, 8, 1024)},
    "stages": {
        "stride": (int, 1, 2),
        "channels": (int, 4, 4096),
        "kernel": (int, 1, 31),
        "expansion": (_NUMBER, 1, 16),
        "depth": (int, 1, 64),
        "se": (_NUMBER, 0, 1),
    },
    "head": {"channels": (int, 8, 16_384), "classes": (int, 1, MAX_CHANNELS)},
}
_DEFAULTS: dict[str, dict[str, Choice]] = {
    "network": {"se": 0.0, "se_act": "relu", "gate": "sigmoid"},
    "head": {"classes": 1000},
}
_OPTIONAL = {"stages": {"se"}}  # a stage without its own follows the network's
_FIXED = ("stride", "se_act", "gate", "classes")  # one value, never a list


@dataclass(frozen=True)
class SearchSpace:
    """Choices of a MobileNetV2-style network.

    `sections` maps `network`, `stem`, `stage1`..`stageN` and `head` to keys and their choices (a
    tuple; of length one where nothing varies). Make one with `preset`, `from_toml` or `read`.
    """

    name: str
    sections: dict[str, dict[str, tuple[Choice, ...]]]
    description: str = ""

    # Where spaces come from

    @classmethod
    def preset(cls, name: str) -> SearchSpace:
        """Space shipped with palmette, by name; raises InputError listing the names."""
        expect(name in presets(), f"space '{name}' is unknown; known: {', '.join(presets())}")
        text = (files("palmette.space") / "presets" / f"{name}.toml").read_text("utf-8")
        return cls.from_toml(text, name)

    @classmethod
    def read(cls, path: Path) -> SearchSpace:
        """Space from a TOML file; raises InputError with file, key, rule and value."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        return cls.from_toml(text, path.stem, where=str(path))

    @classmethod
    def from_toml(cls, text: str, name: str, where: str = "space") -> SearchSpace:
        """Space from TOML text.

        Raises:
            InputError: not TOML, another format version, an unknown or missing key, a wrong type, a
                value out of range, a choice given twice.
        """
        try:
            data = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # also a number or a nesting without end
            raise InputError(f"{where}: not valid TOML ({error})") from None
        version, description = data.pop("format", None), data.pop("description", "")
        expect(version == FORMAT, f"{where}: format must be '{FORMAT}', got {version!r}")
        expect(
            isinstance(description, str), f"{where}: description must be text, got {description!r}"
        )
        stages = data.pop("stages", None)
        expect(
            isinstance(stages, list) and len(stages) > 0,
            f"{where}: at least one [[stages]] table is needed",
        )
        for key in data:
            expect(
                key in ("network", "stem", "head"),
                f"{where}: unknown key or table {key!r}; known: format, description, network, stem,"
                " stages, head",
            )
        tables = {**data, **{f"stage{i + 1}": stage for i, stage in enumerate(stages)}}
        sections = {}
        for section in ("network", "stem", *(f"stage{i + 1}" for i in range(len(stages))), "head"):
            expect(section in tables, f"{where}: table [{section}] is missing")
            sections[section] = _read_section(section, tables[section], where)
        _check_together(sections, where)
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
        stem = Stem(3, 2, get("stem", "channels"), get("network", "activation"))
        stages, channels = [], stem.channels
        for stage in range(1, self.depth + 1):
            blocks = self.stage_blocks(stage, channels, get)
            stages.append(blocks)
            channels = blocks[-1].out_channels
        resolution = get("network", "resolution")
        return Architecture((resolution, resolution), stem, tuple(stages), self.head(get))

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
            value, in_channels = seen.get(gene.name, (None, 0))
            count = _COUNTS.get(gene.name.partition(".")[2])
            made = [count(c, in_channels) if count else c for c in gene.choices]
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

    def getter(self, value: dict[str, Choice]) -> Any:
        """Function from section and key to the chosen or only value."""

        def get(section: str, key: str) -> Any:
            choices = self.sections[section][key]
            return choices[0] if len(choices) == 1 else value[f"{section}.{key}"]

        return get

    def stage_blocks(self, stage: int, in_channels: int, get: Any) -> tuple[Block, ...]:
        """Blocks of a stage (from 1) that follows `in_channels` channels."""
        table = f"stage{stage}"
        blocks: list[Block] = []
        for index in range(get(table, "depth")):
            stride = get(table, "stride") if index == 0 else 1
            blocks.append(self._block(table, stride, in_channels, get))
            in_channels = blocks[-1].out_channels
        return tuple(blocks)

    def network_genes(self, stage: int) -> list[tuple[str, str]]:
        """Choices of the whole network that reach into a stage (from 1)."""
        keys = ["resolution", "activation", "se"]
        own = self.sections[f"stage{stage}"]
        return [("network", key) for key in keys if key not in own]

    def head(self, get: Any) -> Head:
        """Head of the network."""
        return Head(get("head", "channels"), get("network", "activation"), get("head", "classes"))

    def _block(self, table: str, stride: int, in_channels: int, get: Any) -> Block:
        se = get(table if "se" in self.sections[table] else "network", "se")
        shared = {
            "kernel": get(table, "kernel"),
            "stride": stride,
            "channels": get(table, "channels"),
            "act": get("network", "activation"),
            "se": _squeezed(se, in_channels),
            "se_act": get("network", "se_act"),
            "gate": get("network", "gate"),
        }
        if not se:
            del shared["se_act"], shared["gate"]
        expansion = get(table, "expansion")
        if expansion == 1:  # nothing to expand: the field's convention leaves the first 1x1 away
            return DepthwiseSeparable(**shared)
        return InvertedResidual(expanded=_expanded(expansion, in_channels), **shared)


def presets() -> list[str]:
    """Names of the spaces shipped with palmette."""
    folder = files("palmette.space") / "presets"
    names = (item.name for item in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _expanded(expansion: float, in_channels: int) -> int:
    return round(expansion * in_channels)


def _squeezed(se: float, in_channels: int) -> int:
    return max(1, round(se * in_channels)) if se else 0


_COUNTS: dict[str, Callable[[Any, int], int]] = {"expansion": _expanded, "se": _squeezed}
"""How a ratio becomes a count of channels."""


def _read_section(section: str, table: Any, where: str) -> dict[str, tuple[Choice, ...]]:
    family = "stages" if section.startswith("stage") else section
    rules, values = _RULES[family], {}
    expect(isinstance(table, dict), f"{where}: [{section}] must be a table")
    for key in table:
        expect(key in rules, f"{where}: [{section}] unknown key '{key}'; known: {', '.join(rules)}")
    for key, rule in rules.items():
        value = table.get(key, _DEFAULTS.get(family, {}).get(key))
        if value is None and key in _OPTIONAL.get(family, ()):
            continue
        expect(value is not None, f"{where}: [{section}] key '{key}' is missing")
        choices = tuple(value) if isinstance(value, list) else (value,)
        place = f"{where}: [{section}] {key}"
        expect(len(choices) > 0, f"{place}: the list of choices is empty")
        expect(len(choices) == 1 or key not in _FIXED, f"{place}: takes one value, got {value}")
        for choice in choices:
            _check_choice(place, choice, rule)
        expect(len(set(choices)) == len(choices), f"{place}: a choice is given twice in {value}")
        values[key] = choices
    return values


def _check_choice(place: str, choice: Any, rule: tuple[Any, ...]) -> None:
    if rule[0] is str:
        names = rule[1]
        expect(choice in names, f"{place}: must be one of {', '.join(names)}; got {choice!r}")
        return
    wanted, low, high = rule
    kind = "an integer" if wanted is int else "a number"
    expect(
        isinstance(choice, wanted) and not isinstance(choice, bool) and low <= choice <= high,
        f"{place}: must be {kind} from {low} to {high}, got {choice!r}",
    )


def _check_together(sections: dict[str, dict[str, tuple[Any, ...]]], where: str) -> None:
    """Rules over several keys; they make sure that no two codes are the same architecture."""
    stages = [name for name in sections if name.startswith("stage")]
    followers = [name for name in stages if "se" not in sections[name]]
    shared = sections["network"]["se"]
    expect(
        bool(followers) or len(shared) == 1,
        f"{where}: [network] se varies, but every stage has its own; keep one of the two",
    )
    for before, stage in zip(("stem", *stages), stages, strict=False):
        table = sections[stage]
        kernels = list(table["kernel"])
        expect(all(k % 2 for k in kernels), f"{where}: [{stage}] kernel must be odd, got {kernels}")
        ratios = {"expansion": table["expansion"], "se": table.get("se", ())}
        if followers[:1] == [stage]:  # `encode` reads the network's ratio off this stage
            ratios["se"] = shared
        for key, in_channels in itertools.product(ratios, sections[before]["channels"]):
            counts = [_COUNTS[key](ratio, in_channels) for ratio in ratios[key]]
            expect(
                len(set(counts)) == len(counts),
                f"{where}: [{stage}] {key}: {list(ratios[key])} of {in_channels} input channels are"
                f" {counts}; leave out the choices that come to the same",
            )


_Sections = dict[str, dict[str, tuple[Choice, ...]]]


def _observed(architecture: Architecture, sections: _Sections) -> dict[str, tuple[Choice, int]]:
    """Value of every possible gene, with the input channels that a ratio refers to."""
    in_channels = architecture.stem.channels
    seen: dict[str, tuple[Choice, int]] = {
        "network.resolution": (architecture.resolution[0], 0),
        "network.activation": (architecture.stem.act, 0),
        "stem.channels": (in_channels, 0),
        "head.channels": (architecture.head.channels, 0),
    }
    for index, stage in enumerate(architecture.stages):
        block: Any = stage[0]
        table = f"stage{index + 1}"
        squeezed = (getattr(block, "se", 0), in_channels)
        seen |= {
            f"{table}.kernel": (block.kernel, 0),
            f"{table}.expansion": (getattr(block, "expanded", in_channels), in_channels),
            f"{table}.depth": (len(stage), 0),
            f"{table}.channels": (block.channels, 0),
            f"{table}.se": squeezed,
        }
        if "se" not in sections.get(table, ()):
            seen.setdefault("network.se", squeezed)
        in_channels = block.channels
    return seen
