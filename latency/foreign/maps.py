"""Import maps: how the columns of a foreign CSV become those of the timing table. Data, in TOML.

    format = "palmette/import-map@1"

    [columns]
    subject_kind = "network"                          # the same in every row
    subject = "{Model}"                               # cells of the column Model
    latency_ms = { from = "{time}", unit = "us" }
    target = { from = "{Phone}", values = { "15 Pro" = "iphone-15-pro/ane@coreml-ios18" } }

Whatever makes text is one thing, a `CellRule`. `docs/latency.md` lists all keys. A map that breaks
a rule is refused with its file, the key, the rule and what came.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from palmette.latency.foreign.cells import KERNEL_COLUMNS, KNOWN_WORDS
from palmette.latency.targets import parse_target
from palmette.latency.timings import REQUIRED, RULES
from palmette.space.errors import InputError, expect

FORMAT = "palmette/import-map@1"
SHIPPED = files("palmette.latency") / "data" / "maps"
KEYS = (
    *("format", "about", "one_value", "keep", "join"),
    *("columns", "kernel", "index", "prefer", "sort"),
)
RULE_KEYS = ("from", "before", "values", "match", "otherwise", "unit")
PREFERENCES = ("all", "first", "digits")
MATCHES: dict[str, Callable[[str, str], bool]] = {
    "equal": lambda text, key: text == key,
    "start": lambda text, key: text.startswith(key),
    "part": lambda text, key: key in text,
}
MOST_LISTED = 6
"""Values that a message still lists."""

_FIELD = re.compile(r"\{([^{}]+)\}")
_THROUGHPUT = re.compile(r"(?<![a-z])fps|frames?.?per|throughput|per.?s(ec|\b)|/s\b", re.IGNORECASE)

Cells = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CellRule:
    """Text from the cells of a row.

    In `template` and `otherwise`, `{name}` stands for the cell of a column, `{name?}` for a blank
    where the file has no such column. Of the text that comes, only the part before `before` counts.
    If there are `values`, the first key that it matches gives the text; `otherwise` if none does.
    `unit` says in which unit a time is.
    """

    template: str
    before: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    match: str = "equal"
    otherwise: str | None = None
    unit: CellRule | None = None

    def text(self, cells: Cells) -> str:
        """The text, stripped; raises InputError with rule and value if no key of `values` fits."""
        text = _fill(self.template, cells)
        if self.before:
            text = text.partition(self.before)[0].strip()
        if not self.values:
            return text
        for key, value in self.values.items():
            if MATCHES[self.match](text, key):
                return value
        if self.otherwise is not None:
            return _fill(self.otherwise, cells)
        keys = list(self.values)
        if len(keys) > MOST_LISTED:
            raise InputError(f"has no value for this in the map, got '{text}'")
        verb = {"equal": "be", "start": "start with", "part": "contain"}[self.match]
        raise InputError(f"must {verb} {' or '.join(keys)}, got '{text}'")

    def columns(self) -> Iterator[str]:
        """Columns that the rule reads and that a file must have."""
        for text in (self.template, self.otherwise or ""):
            yield from (name for name in _FIELD.findall(text) if not name.endswith("?"))
        if self.unit:
            yield from self.unit.columns()


@dataclass(frozen=True, slots=True)
class Join:
    """A second file whose cells are added: rows with the same cell in the column `on`.

    `file` is relative to the imported file.
    """

    file: str
    on: str


@dataclass(frozen=True, slots=True)
class ImportMap:
    """A map that keeps the rules of its format.

    `columns` are our columns; `kernel` gives the cells that `op_cells.kernel_of` reads (empty: the
    subject is one of `columns`) and `names` its further names; `keep` are rules that a row must not
    break; `one_value` are columns with one value in a file; `index` numbers the kernels of a
    network from 0; `prefer` is one of `PREFERENCES`, `sort` gives columns to sort the rows by.
    """

    where: str
    columns: Mapping[str, CellRule]
    keep: Mapping[str, CellRule]
    kernel: Mapping[str, CellRule]
    names: Mapping[str, str]
    join: Join | None
    index: CellRule | None
    one_value: tuple[str, ...]
    prefer: str
    sort: tuple[str, ...]

    def with_target(self, target: str) -> ImportMap:
        """The same map with one target for all rows; raises InputError if it is not well formed."""
        return replace(
            self, columns={**self.columns, "target": CellRule(str(parse_target(target)))}
        )

    def reads(self) -> dict[str, str]:
        """Columns that a file must have -> the key of the map that reads it."""
        rules = {
            **{f"columns.{name}": rule for name, rule in self.columns.items()},
            **{f"keep.{name}": rule for name, rule in self.keep.items()},
            **{f"kernel.columns.{name}": rule for name, rule in self.kernel.items()},
            **({"index": self.index} if self.index else {}),
        }
        found = {name: key for key, rule in rules.items() for name in rule.columns()}
        given = dict.fromkeys(self.one_value, "one_value")
        return {**found, **given, **({self.join.on: "join.on"} if self.join else {})}


def shipped_maps() -> tuple[str, ...]:
    """Names of the maps that palmette ships."""
    names = (item.name for item in SHIPPED.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def find_map(name: str) -> ImportMap:
    """Map by the path of its TOML file, or by the name of a shipped one.

    Raises:
        InputError: unknown, unreadable or against a rule of the format.
    """
    if not name.endswith(".toml"):
        known = ", ".join(shipped_maps())
        expect(name in shipped_maps(), f"map '{name}' is neither a .toml file nor one of {known}")
        return parse_map((SHIPPED / f"{name}.toml").read_text("utf-8"), name)
    try:
        return parse_map(Path(name).read_text("utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: cannot be read ({error})") from None


def parse_map(text: str, where: str) -> ImportMap:
    """Map from TOML text; `where` names it in messages.

    Raises:
        InputError: not TOML, another format, an unknown or missing key, a wrong type or value.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid TOML ({error})") from None
    version = data.get("format")
    expect(version == FORMAT, f"{where}: format must be '{FORMAT}', got {version!r}")
    try:
        return _parse(data, where)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _parse(data: Mapping[str, Any], where: str) -> ImportMap:
    _known(data, KEYS, "key")
    _text(data.get("about", ""), "about")
    kernel, names = _kernel(data.get("kernel"))
    columns = _columns(data.get("columns", {}), bool(kernel))
    join = data.get("join")
    if join is not None:
        _known(_table(join, "join"), ("file", "on"), "key join.")
        join = Join(*(_text(join.get(key), f"join.{key}") for key in ("file", "on")))
    prefer = data.get("prefer", "all")
    expect(prefer in PREFERENCES, f"prefer must be {' or '.join(PREFERENCES)}, got {prefer!r}")
    sort = _texts(data.get("sort", []), "sort")
    unsorted = [name for name in sort if name not in RULES]
    expect(not unsorted, f"sort: unknown column {unsorted[:1]}; known: {', '.join(RULES)}")
    index = data.get("index")
    return ImportMap(
        where,
        columns,
        {name: _kept(name, rule) for name, rule in _table(data.get("keep", {}), "keep").items()},
        kernel,
        names,
        join,
        None if index is None else _rule(index, "index"),
        _texts(data.get("one_value", []), "one_value"),
        prefer,
        sort,
    )


def _columns(data: Any, made: bool) -> dict[str, CellRule]:
    """Rules of our columns; `made`: the subject comes from [kernel]."""
    _known(_table(data, "columns"), tuple(RULES), "key columns.")
    missing = [name for name in REQUIRED if name not in data and name not in ("subject", "target")]
    expect(not missing, f"columns.{(missing or [''])[0]} is missing")
    expect(
        made != ("subject" in data),
        "the subject is either columns.subject or made by [kernel], got "
        + ("both" if made else "neither"),
    )
    rules = {name: _rule(rule, f"columns.{name}") for name, rule in data.items()}
    for name, rule in rules.items():
        _check_time(name, rule)
    return rules


def _check_time(name: str, rule: CellRule) -> None:
    if not name.endswith("_ms"):
        expect(rule.unit is None, f"columns.{name}.unit: only times have a unit")
        return
    rates = [column for column in rule.columns() if _THROUGHPUT.search(column)]
    expect(
        not rates,
        f"columns.{name}: column '{(rates or [''])[0]}' is throughput, not latency: calls that"
        " overlap or wait make 1 / rate another figure than the time of one call; leave it out",
    )


def _kernel(data: Any) -> tuple[dict[str, CellRule], dict[str, str]]:
    """Rules of the cells of [kernel], and its names."""
    if data is None:
        return {}, {}
    _known(_table(data, "kernel"), ("columns", "names"), "key kernel.")
    given = _table(data.get("columns", {}), "kernel.columns")
    _known(given, tuple(KERNEL_COLUMNS), "key kernel.columns.")
    rules = {
        name: _rule(given.get(name, template), f"kernel.columns.{name}")
        for name, template in KERNEL_COLUMNS.items()
    }
    names = _table(data.get("names", {}), "kernel.names")
    for name, ours in names.items():
        expect(
            ours in KNOWN_WORDS,
            f"kernel.names.{name} must be one of {', '.join(KNOWN_WORDS)}, got {ours!r}",
        )
    return rules, dict(names)


def _kept(name: str, data: Any) -> CellRule:
    """Rule of [keep]: a list of values, or a table of `match` and `of`."""
    data = {"of": data} if isinstance(data, list) else _table(data, f"keep.{name}")
    _known(data, ("match", "of"), f"key keep.{name}.")
    texts = _texts(data.get("of"), f"keep.{name}")
    expect(bool(texts), f"keep.{name} must have at least one value")
    return CellRule(
        f"{{{name}}}",
        values={text: text for text in texts},
        match=_match(data.get("match", "equal"), f"keep.{name}"),
    )


def _rule(data: Any, key: str) -> CellRule:
    if isinstance(data, str):
        return CellRule(_template(data, key))
    _known(_table(data, key, "a text or "), RULE_KEYS, f"key {key}.")
    values = _table(data.get("values", {}), f"{key}.values")
    expect("values" not in data or bool(values), f"{key}.values is empty")
    for name in ("match", "otherwise"):
        expect(name not in data or bool(values), f"{key}.{name} needs {key}.values")
    otherwise = data.get("otherwise")
    return CellRule(
        _template(data.get("from"), f"{key}.from"),
        _text(data.get("before", ""), f"{key}.before"),
        {name: _text(value, f"{key}.values.{name}") for name, value in values.items()},
        _match(data.get("match", "equal"), key),
        None if otherwise is None else _template(otherwise, f"{key}.otherwise"),
        _rule(data["unit"], f"{key}.unit") if "unit" in data else None,
    )


def _fill(template: str, cells: Cells) -> str:
    def cell(found: re.Match[str]) -> str:
        name = found[1]
        return (cells.get(name[:-1], "") if name.endswith("?") else cells[name]).strip()

    return _FIELD.sub(cell, template).strip()


def _template(data: Any, key: str) -> str:
    text = _text(data, key)
    expect(
        not set(_FIELD.sub("", text)) & {"{", "}"},
        f"{key}: braces go around the name of a column, got '{text}'",
    )
    return text


def _match(data: Any, key: str) -> str:
    expect(data in MATCHES, f"{key}.match must be {' or '.join(MATCHES)}, got {data!r}")
    return str(data)


def _text(data: Any, key: str) -> str:
    expect(isinstance(data, str), f"{key} must be text, got {data!r}")
    return str(data)


def _texts(data: Any, key: str) -> tuple[str, ...]:
    expect(isinstance(data, list), f"{key} must be a list of texts, got {data!r}")
    return tuple(_text(value, key) for value in data)


def _table(data: Any, key: str, alternative: str = "") -> Mapping[str, Any]:
    expect(isinstance(data, dict), f"{key} must be {alternative}a table, got {data!r}")
    table: Mapping[str, Any] = data
    return table


def _known(data: Mapping[str, Any], keys: Sequence[str], what: str) -> None:
    for key in data:
        sign = "" if what.endswith(".") else " "
        expect(key in keys, f"unknown {what}{sign}{key}; known: {', '.join(keys)}")
