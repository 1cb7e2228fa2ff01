"""Import maps: what they say, and that everything against their format is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from palmette.latency.foreign.maps import (
    CellRule,
    find_map,
    parse_map,
    shipped_maps,
)
from palmette.space import InputError

HEAD = 'format = "palmette/import-map@1"\n'
COLUMNS = """
[columns]
subject_kind = "network"
subject = "{model}"
target = "my-phone/ane@coreml-ios18"
latency_ms = "{ms}"
source = "my phone"
"""
KERNEL = COLUMNS.replace('subject = "{model}"\n', "") + "[kernel]\n"


def test_a_template_is_cells_between_text() -> None:
    cells = {"a": " x ", "b c": "2", "blank": " "}
    assert CellRule("{a}/{b c}@1").text(cells) == "x/2@1"
    assert CellRule("just text").text(cells) == "just text"
    assert CellRule("{a} {blank}").text(cells) == "x"
    assert CellRule("{none?}").text(cells) == ""
    assert CellRule("{a?}").text(cells) == "x"


def test_only_what_stands_before_a_mark_counts() -> None:
    rule = CellRule("{source}", before=", stored")
    assert rule.text({"source": "a, b, stored c"}) == "a, b"
    assert rule.text({"source": "a"}) == "a"


@pytest.mark.parametrize(
    ("match", "text", "found"),
    [("equal", "iPhone", "phone"), ("start", "iPhone 15", "phone"), ("part", "my iPhone", "phone")],
)
def test_values_are_found_by_their_match(match: str, text: str, found: str) -> None:
    rule = CellRule("{a}", values={"iPhone": "phone", "x": "y"}, match=match)
    assert rule.text({"a": text}) == found
    with pytest.raises(InputError, match="iPhone or x, got 'other'"):
        rule.text({"a": "other"})


def test_the_first_value_that_matches_counts_and_otherwise_is_a_template() -> None:
    rule = CellRule("{a}", values={"ab": "1", "a": "2"}, match="start", otherwise="{a}!")
    assert [rule.text({"a": text}) for text in ("abc", "ac", "c")] == ["1", "2", "c!"]


def test_a_long_value_table_is_not_listed() -> None:
    rule = CellRule("{a}", values={str(at): "" for at in range(30)})
    with pytest.raises(InputError, match=r"^has no value for this in the map, got 'x'$"):
        rule.text({"a": "x"})


def test_a_map_knows_the_columns_that_it_reads() -> None:
    text = HEAD + 'one_value = ["phone"]\nindex = "{i}"\njoin = { file = "f.csv", on = "name" }\n'
    text += '[keep]\nos = ["18"]\n' + COLUMNS
    text += 'p10_ms = { from = "{p10}", unit = "{unit}" }\nflags = "{note?}"\n'
    assert parse_map(text, "m").reads() == {
        "model": "columns.subject",
        "ms": "columns.latency_ms",
        "p10": "columns.p10_ms",
        "unit": "columns.p10_ms",
        "os": "keep.os",
        "i": "index",
        "phone": "one_value",
        "name": "join.on",
    }


def test_a_kernel_reads_columns_of_its_own_names_unless_renamed() -> None:
    text = HEAD + KERNEL + '[kernel.columns]\nin_h = "{rows}"\ngroups = ""\n'
    reads = parse_map(text, "m").reads()
    assert reads["rows"] == "kernel.columns.in_h" and reads["in_w"] == "kernel.columns.in_w"
    assert not {"in_h", "groups", "macs"} & set(reads)


def test_a_target_can_be_given_in_place_of_the_map_s() -> None:
    found = parse_map(HEAD + COLUMNS, "m").with_target("iphone-13/ane")
    assert found.columns["target"].text({}) == "iphone-13/ane@coreml-ios16"
    with pytest.raises(InputError, match="must be device/unit@runtime"):
        found.with_target("my phone")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = = 1", "not valid TOML"),
        ("", "format must be 'palmette/import-map@1', got None"),
        (COLUMNS, "format must be"),
        ('format = "palmette/import-map@2"', "got 'palmette/import-map@2'"),
        (HEAD + "colums = 1" + COLUMNS, "unknown key colums; known: format, about"),
        (HEAD + COLUMNS + 'speed = "1"', "unknown key columns.speed; known: subject_kind"),
        (HEAD + "[columns]", "columns.subject_kind is missing"),
        (HEAD + COLUMNS.replace("source", "flags"), "columns.source is missing"),
        (HEAD + COLUMNS.replace('subject = "{model}"\n', ""), r"\[kernel\], got neither"),
        (HEAD + COLUMNS + "[kernel]", r"\[kernel\], got both"),
        (HEAD + "columns = 3", "columns must be a table, got 3"),
        (HEAD + COLUMNS + "repeats = 3", "columns.repeats must be a text or a table, got 3"),
        (HEAD + COLUMNS + 'repeats = "{n"', "columns.repeats: braces go around"),
        (HEAD + COLUMNS + 'repeats = { form = "1" }', "unknown key columns.repeats.form"),
        (HEAD + COLUMNS + 'repeats = { before = "1" }', "columns.repeats.from must be text"),
        (HEAD + COLUMNS + 'flags = { from = "", values = {} }', "flags.values is empty"),
        (HEAD + COLUMNS + 'flags = { from = "", otherwise = "" }', "otherwise needs columns.flags"),
        (
            HEAD + COLUMNS + 'flags = { from = "", match = "end", values = { a = "" } }',
            "match must be equal or start or part, got 'end'",
        ),
        (HEAD + COLUMNS + 'flags = { from = "", values = { a = 1 } }', "values.a must be text"),
        (HEAD + COLUMNS + 'flags = { from = "1", unit = "ms" }', "only times have a unit"),
        (HEAD + 'prefer = "best"' + COLUMNS, "prefer must be all or first or digits, got 'best'"),
        (HEAD + 'sort = ["speed"]' + COLUMNS, "sort: unknown column"),
        (HEAD + 'sort = "target"' + COLUMNS, "sort must be a list of texts"),
        (HEAD + "one_value = [1]" + COLUMNS, "one_value must be text, got 1"),
        (HEAD + 'join = { file = "a.csv" }' + COLUMNS, "join.on must be text, got None"),
        (HEAD + "[keep]\nos = []" + COLUMNS, "keep.os must have at least one value"),
        (HEAD + '[keep]\nos = { is = ["a"] }' + COLUMNS, "unknown key keep.os.is"),
        (HEAD + KERNEL + "[kernel.names]\nwarp = 'wrap'", "names.warp must be one of conv, dwconv"),
        (HEAD + KERNEL + "[kernel.columns]\ndepth = ''", "unknown key kernel.columns.depth"),
    ],
)
def test_what_breaks_a_rule_of_the_format_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        parse_map(text, "my map")
    assert str(caught.value).startswith("my map: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "column", ["frames_per_second", "fps", "FPS (max)", "throughput", "images/s", "runs_per_s"]
)
def test_throughput_is_never_a_latency(column: str) -> None:
    text = HEAD + COLUMNS.replace("{ms}", f"{{{column}}}")
    with pytest.raises(InputError, match=r"latency_ms: column '.*' is throughput, not latency"):
        parse_map(text, "m")


@pytest.mark.parametrize("column", ["frame_ms", "time_per_step", "latency", "ms/call", "seconds"])
def test_times_are_not_taken_for_throughput(column: str) -> None:
    assert parse_map(HEAD + COLUMNS.replace("{ms}", f"{{{column}}}"), "m")


def test_shipped_maps_are_found_by_name_and_own_ones_by_path(tmp_path: Path) -> None:
    assert {"seed_latency", "iphone_latency_published"} < set(shipped_maps())
    for name in shipped_maps():
        assert find_map(name).where == name
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + COLUMNS, "utf-8")
    assert find_map(str(path)).columns["subject"].template == "{model}"
    with pytest.raises(InputError, match=r"neither a .toml file nor one of example, iphone_lat"):
        find_map("mine")
    with pytest.raises(InputError, match=r"none.toml: cannot be read"):
        find_map(str(tmp_path / "none.toml"))
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"mine.toml: cannot be read"):
        find_map(str(path))
