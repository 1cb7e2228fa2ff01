"""Foreign files into the one timing table: CSV files by their `ImportMap`, results of devices.

Every row ends in the table or among those left out, with a reason. What the table itself demands of
a row is `palmette.latency.timings`'s to say; here it is asked before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from palmette.latency.foreign.imported import BAD_COLUMNS, Imported
from palmette.latency.foreign.maps import Cells, ImportMap
from palmette.latency.foreign.rows import map_rows, one_values, read_table
from palmette.latency.quarantine import BadRow
from palmette.latency.targets import parse_target
from palmette.latency.timings import INCOMPLETE, REQUIRED, RULES, contradicting, wrong_subjects
from palmette.space.errors import InputError, expect

Source = tuple[Path, ImportMap]
Key = tuple[str, str]  # target and network


@dataclass(frozen=True, slots=True)
class Taken:
    """Rows of one foreign file in our columns.

    `frame` has the columns of `map_rows`; `named` are those that the file fills. `left_out` are
    rows that made none; `others` has further rows of the file that a row of the frame stands for.
    """

    frame: pd.DataFrame
    named: frozenset[str]
    prefer: str = "all"
    sort: tuple[str, ...] = ()
    left_out: tuple[BadRow, ...] = ()
    others: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


def import_timings(
    sources: Sequence[Source], joined: Path | None = None, target: str = ""
) -> Imported:
    """Rows of foreign CSV files (gzipped or not) as timings, by maps; see `gather`.

    Args:
        sources: files with their maps.
        joined: the file to join, in place of the one that a map names.
        target: target of all rows, in place of what the maps say; then the columns of `one_value`
            must agree between the files.

    Raises:
        InputError: a file that cannot be read, a missing column, several values where a map wants
            one, or no good row at all.
    """
    notes: list[str] = []
    return gather(mapped(sources, notes, joined, target), notes)


def mapped(
    sources: Sequence[Source], notes: list[str], joined: Path | None = None, target: str = ""
) -> list[Taken]:
    """Rows of foreign CSV files by their maps; arguments and errors as in `import_timings`.

    `notes` gets lines on what else a reader should know.
    """
    if target:
        sources = [(file, one.with_target(target)) for file, one in sources]
    known: dict[str, tuple[Path, str]] = {}
    found = []
    for file, import_map in sources:
        table = read_table(file, import_map, joined, notes)
        given = one_values(file, table, import_map)
        if target:
            _expect_same(file, given, known)
        frame = map_rows(file, table, import_map)
        named = frozenset(import_map.columns)
        found.append(Taken(frame, named, import_map.prefer, import_map.sort))
    return found


def gather(sources: Sequence[Taken], notes: Sequence[str] = ()) -> Imported:
    """Rows of foreign files together, as timings.

    Left out one by one, with reasons, are rows that a map does not keep or has no value for; that
    break a rule of the timing table; of an op, a shape or a network that cannot be; that contradict
    or repeat another; and, where a map prefers one timing of a thing, the others. A network that
    lost one of its kernels has no sum of kernels any more: its rows are flagged `INCOMPLETE`.

    Raises:
        InputError: no file, or no good row at all.
    """
    expect(len(sources) > 0, "nothing to import: give one file or more")
    frames = [one.frame.assign(place=place) for place, one in enumerate(sources)]
    frame = pd.concat(frames, ignore_index=True)
    notes = [*notes, *_settle(frame)]
    rows = pd.concat([_chosen(frame, at, one) for at, one in enumerate(sources)], ignore_index=True)
    left_out = _left_out(frame, sources)
    if rows.empty:
        raise InputError(f"{left_out[0]} (of {len(left_out)} rows none is good)")
    keys = zip(rows["place"].tolist(), rows["row"].tolist(), strict=True)
    taken = sum(1 + len(sources[place].others.get(row, ())) for place, row in keys)
    return Imported(rows[_named(sources)], left_out, tuple(notes), taken)


def _expect_same(file: Path, given: Cells, known: dict[str, tuple[Path, str]]) -> None:
    """One target needs files of one device; `known` grows by what this one says."""
    for name, value in given.items():
        first, other = known.setdefault(name, (file, value))
        expect(
            other == value,
            f"{first} is of {name} '{other}', {file} of '{value}'; give each its own target",
        )


def _named(sources: Sequence[Taken]) -> list[str]:
    """Columns of the table: those needed, flags, and those that a source names."""
    named = {*REQUIRED, "flags"}.union(*(one.named for one in sources))
    return [name for name in RULES if name in named]


def _left_out(frame: pd.DataFrame, sources: Sequence[Taken]) -> tuple[BadRow, ...]:
    """Rows with a reason, those that stand with them, and those that made none; file by file."""
    found = []
    for place, source in enumerate(sources):
        bad = list(source.left_out)
        own = frame[(frame["place"] == place) & (frame["reason"] != "")]
        for row in (BadRow(*cells) for cells in own[BAD_COLUMNS].itertuples(index=False)):
            bad.append(row)
            reason = f"it stands with row {row.row}: {row.reason}"
            others = source.others.get(row.row, ())
            bad += [replace(row, row=number, reason=reason) for number in others]
        found += sorted(bad, key=lambda row: (row.file, row.row))
    return tuple(found)


def _settle(frame: pd.DataFrame) -> list[str]:
    """Put rows aside and flag networks that lost one, in place; notes on these networks."""
    _put_aside(frame, _against_rules(_good(frame)))
    good = _good(frame)
    frame.loc[good.index, "target"] = [str(parse_target(name)) for name in good["target"]]
    _put_aside(frame, _repeats(_good(frame)))
    good = _good(frame)
    _put_aside(frame, contradicting(good.assign(latency_ms=good["latency_ms"].astype(float))))
    good = _good(frame)
    _put_aside(frame, wrong_subjects(good[good["subject_kind"] != "network"]))
    _put_aside(frame, wrong_subjects(_good(frame)))  # a network may be known by its kernels alone
    lost = _incomplete(frame)
    flags = frame["flags"].to_dict()
    for column in ("part_of", "subject"):
        for place, key in _keys(_good(frame), column).items():
            if key in lost:
                frame.loc[place, "flags"] = f"{flags[place]} {INCOMPLETE}".strip()
    return [
        f"network '{name}' on {target} is {INCOMPLETE}: {reason}"
        for (target, name), reason in lost.items()
    ]


def _good(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["reason"] == ""]


def _keys(frame: pd.DataFrame, column: str) -> dict[int, Key]:
    """Place -> target and the cell of a column."""
    return dict(zip(frame.index, zip(frame["target"], frame[column], strict=True), strict=True))


def _put_aside(frame: pd.DataFrame, reasons: Mapping[int, str]) -> None:
    frame.loc[list(reasons), "reason"] = list(reasons.values())


def _against_rules(frame: pd.DataFrame) -> dict[int, str]:
    reasons: dict[int, str] = {}
    for name, rule in RULES.items():
        cells = frame[name]
        for place in cells.index[~rule.holds(cells)]:
            reasons.setdefault(place, f"{name} {rule.text}, got '{cells[place]}'")
    return reasons


def _repeats(frame: pd.DataFrame) -> dict[int, str]:
    """Rows whose kernel of a network has a row before."""
    numbered = frame[(frame["index"] != "") & (frame["part_of"] != "")]
    rows, indices = numbered["row"].to_dict(), numbered["index"].to_dict()
    first: dict[tuple[Key, int], int] = {}
    reasons = {}
    for place, key in _keys(numbered, "part_of").items():
        index = int(indices[place])
        before = first.setdefault((key, index), place)
        if before != place:
            reasons[place] = f"kernel {index} of network '{key[1]}' is in row {rows[before]} too"
    return reasons


def _incomplete(frame: pd.DataFrame) -> dict[Key, str]:
    """Networks of which a kernel has no good row -> which and why."""
    found: dict[Key, str] = {}
    parts = frame[(frame["part_of"] != "") & (frame["target"] != "")]
    for (target, name), group in parts.groupby(["target", "part_of"], sort=False):
        good, bad = _good(group), group[group["reason"] != ""]
        lost = bad[~bad["index"].isin(good["index"]) | (bad["index"] == "")]
        indices = {int(index) for index in group["index"] if index.isdecimal()}
        gaps = sorted(set(range(max(indices, default=-1) + 1)) - indices)
        if len(lost):
            found[str(target), str(name)] = f"row {lost['row'].iloc[0]}: {lost['reason'].iloc[0]}"
        elif gaps:
            found[str(target), str(name)] = f"there is no row for kernel {gaps[0]}"
    return found


def _chosen(frame: pd.DataFrame, place: int, source: Taken) -> pd.DataFrame:
    """Good rows of a source in its order; rows that it does not prefer are put aside in `frame`."""
    good = _good(frame[frame["place"] == place])
    if source.prefer != "all":
        _put_aside(frame, _second_best(good[good["part_of"] == ""], source.prefer))
        good = _good(frame[frame["place"] == place])
    return good.sort_values(list(source.sort), kind="stable") if source.sort else good


def _second_best(frame: pd.DataFrame, prefer: str) -> dict[int, str]:
    """Rows of which a preferred row times the same."""
    if prefer == "digits":
        digits = frame["latency_ms"].str.partition(".")[2].str.len()
        frame = frame.loc[digits.sort_values(ascending=False, kind="stable").index]
    rows = frame["row"].to_dict()
    things = zip(*(frame[name] for name in ("target", "subject_kind", "subject")), strict=True)
    first: dict[tuple[str, ...], int] = {}
    reasons = {}
    for place, thing in zip(frame.index, things, strict=True):
        kept = first.setdefault(thing, place)
        if kept != place:
            reasons[place] = f"row {rows[kept]} times the same and is preferred"
    return reasons
