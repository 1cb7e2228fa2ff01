"""A table of timings for the public: what is allowed of it, in a folder that is whole or not there.

The same table and options give the same bytes. What the folder holds was read back as any other
table is before it got its name.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from palmette.latency.op_lists import network_ops
from palmette.latency.passports import NO_PASSPORT, lacking
from palmette.latency.predictor import DATA
from palmette.latency.quarantine import BadRow
from palmette.latency.sharing.allowed import CLEANED, tool_of, unknown_target
from palmette.latency.sharing.private import private_in
from palmette.latency.sharing.readme import LICENCES, NAMED, NOTE, SUMS, TABLE, readme
from palmette.latency.synthetic import is_synthetic
from palmette.latency.tables import read_csv
from palmette.latency.timings import INCOMPLETE, REQUIRED, read_timing_tables, read_timings
from palmette.space import InputError
from palmette.space.errors import expect

LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Contribution:
    """What was written, and what of the table was not."""

    folder: Path
    rows: int
    without_passport: int
    refused: tuple[BadRow, ...]
    scrubbed: dict[str, int]
    """Column -> cells of which something was taken away."""
    sha256: str


def contribute(table: Path, out: Path, licence: str = "CC0-1.0", by: str = "") -> Contribution:
    """Write the scrubbed table, its note and its hash to a new folder.

    Args:
        table: timings, as `read_timing_tables` takes them.
        out: folder that is not there yet, or empty.
        licence: of `LICENCES`.
        by: who is to be named; nobody if blank.

    Raises:
        InputError: an unknown licence, one that needs a name, a name that can't be published, a
            folder in use, a table that can't be read, or no row that can be shared.
    """
    by = by.strip()
    _check(licence, by, out)
    found = read_timing_tables([table])
    refused = list(found.quarantined)
    aside = {bad.row for bad in refused}
    numbers = [row for row in read_csv(table).index.tolist() if row not in aside]
    rows = _shareable(found.rows.set_axis(numbers), str(table), refused)
    expect(
        len(rows) > 0,
        f"{table}: no row can be shared; the first: {refused[0].reason if refused else ''}",
    )
    clean, scrubbed = _scrubbed(rows, by)
    clean = _without_private(clean, str(table), refused)
    shown = [name for name in clean if name in REQUIRED or _filled(clean[name]).any()]
    digest = _write(clean[shown], out, licence, by)
    bare = int(clean["flags"].str.contains(NO_PASSPORT).sum())
    return Contribution(out, len(clean), bare, tuple(refused), scrubbed, digest)


def _check(licence: str, by: str, out: Path) -> None:
    expect(licence in LICENCES, f"--licence: must be one of {', '.join(LICENCES)}, got '{licence}'")
    expect(bool(by) or licence not in NAMED, f"--licence: {licence} names somebody; give --by NAME")
    private = private_in(by)
    expect(
        len(by) <= LONGEST_NAME and by.isprintable() and not private and "|" not in by,
        f"--by: a name of at most {LONGEST_NAME} characters on a line, to be published;"
        f" {f'this is {private}' if private else 'give another'}",
    )
    expect(
        not out.exists() or (out.is_dir() and not any(out.iterdir())),
        f"--out: {out} is in use; name a folder that is not there yet",
    )
    expect(out.absolute().parent.is_dir(), f"--out: {out.parent} is no folder; make it first")


def _shareable(rows: pd.DataFrame, file: str, refused: list[BadRow]) -> pd.DataFrame:
    """Rows that may be shared at all, by their number in the file; the others go to `refused`.

    Networks that lost an op with them are flagged.
    """
    published = set(read_csv(Path(str(DATA / "timings.csv")))["source"])
    reasons = {
        int(at): reason
        for at, row in zip(rows.index, rows.to_dict("records"), strict=True)
        if (reason := _reason({str(k): str(v) for k, v in row.items()}, published))
    }
    return _put_aside(rows, reasons, file, refused)


def _reason(row: dict[str, str], published: set[str]) -> str:
    """Why a row can't be shared; blank if it can."""
    labelled = (row[name] for name in ("target", "source", "os_build", "subject", "flags"))
    if any(map(is_synthetic, labelled)):
        return "it is of the synthetic phone; nothing was measured"
    if row["subject_kind"] == "network" and row["subject"].endswith(".csv"):
        return "it names the path of an op list; give the architecture's text instead"
    if row["source"] in published:
        return f"it was published by others ({row['source']}); name them instead of copying it"
    return unknown_target(row["target"])


def _put_aside(
    rows: pd.DataFrame, reasons: dict[int, str], file: str, refused: list[BadRow]
) -> pd.DataFrame:
    bad = rows.loc[list(reasons)]
    refused += [
        BadRow(file, at, row["subject"], reasons[at], row["part_of"], row["target"])
        for at, row in zip(reasons, bad.to_dict("records"), strict=True)
    ]
    kept = rows.drop(index=list(reasons)).copy()
    hurt = {(row["target"], row["part_of"]) for row in bad.to_dict("records")}
    for at, kind, *name in zip(
        kept.index, *(kept[c] for c in ("subject_kind", "target", "subject")), strict=True
    ):
        if kind == "network" and tuple(name) in hurt:
            kept.loc[at, "flags"] = f"{kept.loc[at, 'flags']} {INCOMPLETE}".strip()
    return kept


def _scrubbed(rows: pd.DataFrame, by: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Rows with what is allowed of their cells, and how many cells of a column lost something."""
    clean = rows.copy()
    for column, cleaned in CLEANED.items():
        clean[column] = [cleaned(text) for text in rows[column]]
    clean["source"] = _sources(rows["source"].tolist(), by)
    names = _names(rows)
    network = rows["subject_kind"] == "network"
    clean.loc[network, "subject"] = [names[text] for text in rows.loc[network, "subject"]]
    clean["part_of"] = [names.get(text, "") for text in rows["part_of"]]
    clean["family"] = _families(rows["family"].tolist())
    bare = lacking(clean)
    flags = [flag.replace(NO_PASSPORT, "") for flag in clean["flags"]]
    clean["flags"] = [
        " ".join(f"{flag} {NO_PASSPORT if lacks else ''}".split())
        for flag, lacks in zip(flags, bare, strict=True)
    ]
    lost: Counter[str] = Counter()
    for column in (*CLEANED, "subject", "part_of", "family"):
        before, after = rows[column].str.split(), clean[column].str.split()
        lost[column] = sum(not set(a) <= set(b) for a, b in zip(before, after, strict=True))
    return clean, {column: count for column, count in lost.items() if count}


def _sources(texts: list[str], by: str) -> list[str]:
    """Sources by the tool and who gave them; those that differed go on differing."""
    made = {text: ", ".join(filter(None, [by or "contributed", tool_of(text)])) for text in texts}
    seen: dict[str, int] = {}
    named: dict[str, str] = {}
    for text, source in made.items():
        seen[source] = seen.get(source, 0) + 1
        named[text] = source if seen[source] == 1 else f"{source} ({seen[source]})"
    return [named[text] for text in texts]


def _names(rows: pd.DataFrame) -> dict[str, str]:
    """Networks -> names to share: what palmette knows stays, names of one's own get numbers."""
    own = dict.fromkeys(
        [*rows.loc[rows["subject_kind"] == "network", "subject"], *filter(None, rows["part_of"])]
    )
    found: dict[str, str] = {}
    for text in own:
        number = sum(new.startswith("network_") for new in found.values()) + 1
        found[text] = text if _is_known(text) else f"network_{number}"
    return found


def _is_known(text: str) -> bool:
    """Whether a network's name tells no more than its ops; the path of an op list does."""
    if text.lower().endswith(".csv"):
        return False
    try:
        network_ops(text)
    except InputError:
        return False
    return True


def _families(texts: list[str]) -> list[str]:
    """Families as numbers: nothing but which networks belong together is told."""
    order = {text: f"family_{at}" for at, text in enumerate(dict.fromkeys(filter(None, texts)), 1)}
    return [order.get(text, "") for text in texts]


def _without_private(clean: pd.DataFrame, file: str, refused: list[BadRow]) -> pd.DataFrame:
    """Rows in no cell of which something private is seen."""
    texts = [name for name in clean if not str(name).endswith("_ms")]
    reasons = {}
    for at, cells in zip(clean.index, clean[texts].to_dict("records"), strict=True):
        seen = {str(name): private_in(str(cell)) for name, cell in cells.items()}
        name = next((column for column, what in seen.items() if what), "")
        if name:
            reasons[int(at)] = f"{name} seems to hold {seen[name]}"
    kept = _put_aside(clean, reasons, file, refused)
    expect(len(kept) > 0, f"{file}: no row can be shared; {next(iter(reasons.values()), '')}")
    return kept


def _filled(cells: pd.Series[str]) -> pd.Series[bool]:
    return cells.notna() & (cells.astype(str).str.strip() != "")


def _write(rows: pd.DataFrame, out: Path, licence: str, by: str) -> str:
    """Write the folder in one step; the hash of its table."""
    content = str(rows.to_csv(index=False, lineterminator="\n")).encode()
    digest = hashlib.sha256(content).hexdigest()
    words = ["palmette latency contribute TABLE.csv --out DIR", f"--licence {licence}"]
    words += [f'--by "{re.sub(chr(34), "", by)}"'] if by else []
    note = readme(rows, " ".join(words), licence, by, digest).encode()
    sums = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        for name, data in ((TABLE, content), (NOTE, note))
    )
    try:
        beside = tempfile.TemporaryDirectory(prefix=".palmette-", dir=out.absolute().parent)
    except OSError as error:
        raise InputError(f"--out: {out} can't be written ({error.strerror})") from None
    with beside as place:
        built = Path(place) / "table"
        built.mkdir()
        for name, data in ((TABLE, content), (NOTE, note), (SUMS, sums.encode())):
            (built / name).write_bytes(data)
        again = read_timings(built / TABLE)
        assert len(again) == len(rows), "a scrubbed row broke a rule of the table"
        if out.exists():
            out.rmdir()
        built.replace(out)
    return digest
