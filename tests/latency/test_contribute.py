"""A table for the public: what leaves, what stays at home, and what the folder holds."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from palmette import cli
from palmette.latency import TARGETS, read_timings
from palmette.latency.host.measure import SOURCE
from palmette.latency.sharing import LICENCES, contribute
from palmette.latency.sharing.allowed import CLEANED, FLAGS, TOOLS, tool_of, unknown_target
from palmette.latency.sharing.private import PRIVATE, private_in
from palmette.latency.sharing.readme import MEANING
from palmette.latency.timings import RULES
from palmette.space import InputError, load

HEADER = [*RULES]
GOOD = {
    "subject_kind": "network",
    "subject": "mobilenet_v2",
    "target": "iphone-13/ane@coreml-ios18",
    "latency_ms": "0.7",
    "source": "palmette suite, iPhone14,5, 18.1 22B83, 2026-11-20",
    "requested_units": "cpuAndNeuralEngine",
    "placement": "ane 62, cpu 1",
    "precision": "fp16",
    "repeats": "200",
    "p10_ms": "0.69",
    "thermal_before": "nominal",
    "power_mode": "normal",
    "os_build": "22B83",
    "flags": "anchor",
}
OP = {**GOOD, "subject_kind": "op", "subject": "conv 8x9x9 -> 8x9x9", "part_of": "secret net"}


def written(path: Path, *rows: dict[str, str]) -> Path:
    table = pd.DataFrame([{**dict.fromkeys(HEADER, ""), **row} for row in rows], columns=HEADER)
    table.to_csv(path, index=False)
    return path


def shared(folder: Path, *rows: dict[str, str], by: str = "") -> pd.DataFrame:
    """What is left of rows, as text."""
    contribute(written(folder / "mine.csv", *rows), folder / "out", by=by)
    found = pd.read_csv(folder / "out" / "timings.csv", dtype=str, keep_default_na=False)
    return found.reindex(columns=HEADER, fill_value="")


def folder_text(folder: Path) -> str:
    return "\n".join(file.read_text("utf-8") for file in sorted(folder.iterdir()))


# What leaves


def test_a_clean_row_leaves_as_it_is_but_for_who_gave_it(tmp_path: Path) -> None:
    row = shared(tmp_path, GOOD, by="Ada").iloc[0].to_dict()
    expected = {**dict.fromkeys(HEADER, ""), **GOOD, "source": f"Ada, {GOOD['source']}"}
    assert row == expected


def test_the_folder_reads_back_as_the_table_it_was(tmp_path: Path) -> None:
    rows = [GOOD, {**GOOD, "subject": load("fbnet_c").to_text(), "latency_ms": "0.123456789012"}]
    table = written(tmp_path / "mine.csv", *rows)
    contribute(table, tmp_path / "out")
    first, again = read_timings(table), read_timings(tmp_path / "out" / "timings.csv")
    same = [name for name in RULES if name != "source"]
    pd.testing.assert_frame_equal(first[same], again[same])


def test_columns_that_are_blank_stay_away(tmp_path: Path) -> None:
    contribute(written(tmp_path / "mine.csv", GOOD), tmp_path / "out")
    header = (tmp_path / "out" / "timings.csv").read_text("utf-8").splitlines()[0].split(",")
    assert set(header) == set(GOOD)


@pytest.mark.parametrize(
    ("column", "before", "after"),
    [
        ("placement", "ane 62, Bob's laptop, cpu 1", "ane 62, cpu 1"),
        ("placement", "ran on /Users/bob/x.mlpackage", ""),
        ("precision", "Float16", "Float16"),
        ("precision", "w8a8", "w8a8"),
        ("precision", "bob's own", ""),
        ("thermal_before", "serious", "serious"),
        ("thermal_after", "hot on Bob's desk", ""),
        ("power_mode", "low", "low"),
        ("power_mode", "plugged in at bob@example.com", ""),
        ("os_build", "iOS 18.1", "iOS 18.1"),
        ("os_build", "iOS 18.1 (22B83)", "iOS 18.1 (22B83)"),
        ("os_build", "Linux 6.1.0-bob x86_64, torch 2.9", ""),
        ("flags", "digitised, oddly fast", "digitised oddly fast"),
        ("flags", "digitised by bob, oddly fast", ""),
        ("flags", "not warm at all", ""),
        ("flags", "prewarm", ""),
        ("flags", "lower-quartile spread ran on gpu", "lower-quartile spread ran on gpu"),
    ],
)
def test_of_a_cell_that_may_hold_anything_what_is_known_is_kept(
    column: str, before: str, after: str
) -> None:
    assert CLEANED[column](before) == after


def test_every_free_column_has_a_rule() -> None:
    checked = {name for name, rule in RULES.items() if rule.text and name != "source"}
    assert set(RULES) - checked == {*CLEANED, "source", "part_of", "family"}
    assert set(MEANING) == set(RULES)


@pytest.mark.parametrize("flag", FLAGS)
def test_every_known_flag_is_kept(flag: str) -> None:
    assert CLEANED["flags"](flag) == flag


@pytest.mark.parametrize("tool", TOOLS)
def test_of_a_source_the_tool_the_machine_the_system_and_the_day_are_kept(tool: str) -> None:
    assert SOURCE in TOOLS
    rest = "iPhone14,5, 18.1 22B83, 2026-11-20"
    assert tool_of(f"{tool}, {rest}") == f"{tool}, {rest}"
    assert tool_of(f"{tool}, on Bob's desk, {rest}") == f"{tool}, {rest}"
    assert tool_of("my iPhone 13") == ""


def test_sources_that_differed_go_on_differing(tmp_path: Path) -> None:
    names = ["Bob's iPhone", "Ann's iPhone", "Bob's iPhone"]
    found = shared(tmp_path, *({**GOOD, "source": name} for name in names))
    assert found["source"].tolist() == ["contributed", "contributed (2)", "contributed"]


def test_names_of_ones_own_networks_and_families_become_numbers(tmp_path: Path) -> None:
    own = {**GOOD, "subject": "secret net", "family": "project x"}
    found = shared(tmp_path, own, {**OP, "family": "project x"}, {**GOOD, "family": "zoo"})
    assert found["subject"].tolist() == ["network_1", OP["subject"], "mobilenet_v2"]
    assert found["part_of"].tolist() == ["", "network_1", ""]
    assert found["family"].tolist() == ["family_1", "family_1", "family_2"]


def test_a_timing_without_a_passport_is_flagged_so_and_one_with_it_is_not(tmp_path: Path) -> None:
    bare = [{**GOOD, name: ""} for name in ("os_build", "repeats", "thermal_before", "power_mode")]
    wrong = {**GOOD, "flags": "no passport anchor"}
    table = written(tmp_path / "mine.csv", *bare, wrong)
    found = contribute(table, tmp_path / "out")
    flags = read_timings(tmp_path / "out" / "timings.csv")["flags"].tolist()
    assert flags == ["anchor no passport"] * 4 + ["anchor"]
    assert (found.rows, found.without_passport) == (5, 4)


# What stays at home

SAMPLES = {
    "an e-mail address": ["mail bob@example.com", "a.b+c@mail.example.co.uk"],
    "a path": ["/Users/bob/x", "in ~/x", "C:\\x", "file://x", "see ./x", "~bob/x"],
    "a device identifier": [
        "a" * 40,
        "00008030-001A2B3C4D5E6F70",
        f"{'0' * 8}-1111-2222-3333-{'4' * 12}",
    ],
    "a serial number": ["F2LXK1ABCDE3", "DNPXK1AB0D", "Serial: x"],
    "the name of a device": ["Bob's iPhone", "Annas’ iPad", "iPhone von Bob", "mac-bob.local"],
    "a user name": ["user: bob", "login=bob"],
    "an address in a network": ["192.168.1.20", "a4:83:e7:00:11:22"],
}
HARMLESS = [
    *TARGETS,
    *TOOLS,
    "conv 32x112x112 -> 64x56x56 k3 s2 g32 relu6 ; add 64x56x56 + 64x56x56 -> 64x56x56",
    "4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24",
    "mobilenet_v2@192x256",
    load("mobilenet_v3_large").to_text(),
    GOOD["source"],
    "22A5282m",
    "iOS 16.5.1",
    "my iPhone 13",
]


@pytest.mark.parametrize("what", PRIVATE)
def test_every_pattern_finds_what_it_is_for(what: str) -> None:
    assert [private_in(text) for text in SAMPLES[what]] == [what] * len(SAMPLES[what])


@pytest.mark.parametrize("text", HARMLESS)
def test_no_pattern_finds_anything_in_what_tables_are_made_of(text: str) -> None:
    assert private_in(text) == ""


SECRETS = [text for texts in SAMPLES.values() for text in texts]


def test_nothing_private_is_in_the_folder_whichever_cell_it_was_in(tmp_path: Path) -> None:
    free = [*CLEANED, "source", "family", "part_of"]
    rows = [{**OP, column: text} for column in free for text in SECRETS]
    found = contribute(written(tmp_path / "mine.csv", *rows), tmp_path / "out", by="Ada")
    text = folder_text(tmp_path / "out")
    assert found.refused == () and found.rows == len(rows)
    assert "bob" not in text.lower() and private_in(text.split("SHA-256")[0]) == ""
    assert not any(secret in text for secret in SECRETS if len(secret) < 40)
    assert str(tmp_path) not in text and "mine" not in text


REFUSED: Sequence[tuple[dict[str, str], str]] = (
    ({"target": "synthetic-phone/ane@synthetic"}, "it is of the synthetic phone"),
    ({"source": "Synthetic phone, not measured"}, "it is of the synthetic phone"),
    ({"target": "bobs-iphone/ane@coreml-ios18"}, "device 'bobs-iphone' is no known model"),
    ({"target": "host/cpu@torch-eager"}, "device 'host' is no known model"),
    ({"target": "iphone-13/ane@bobs-build"}, "runtime 'bobs-build' is not a known one"),
    ({"source": "THU-MIG/RepViT README.md and paper table 1"}, "it was published by others"),
)


@pytest.mark.parametrize(("cells", "words"), REFUSED)
def test_a_row_that_cannot_be_shared_is_refused_by_its_number_and_the_others_go(
    tmp_path: Path, cells: dict[str, str], words: str
) -> None:
    broken = {**GOOD, "latency_ms": "-1"}
    table = written(tmp_path / "mine.csv", broken, GOOD, {**GOOD, **cells})
    found = contribute(table, tmp_path / "out")
    assert found.rows == 1 and [row.row for row in found.refused] == [2, 4]
    assert words in found.refused[1].reason
    alone = written(tmp_path / "alone.csv", {**GOOD, **cells})
    with pytest.raises(InputError, match="no row can be shared; the first: "):
        contribute(alone, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_path_of_an_op_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.csv").write_text("op,count\nconv 3x9x9 -> 8x9x9,1\n", "utf-8")
    table = written(tmp_path / "mine.csv", GOOD, {**GOOD, "subject": "net.csv"})
    (bad,) = contribute(table, tmp_path / "out").refused
    assert "it names the path of an op list" in bad.reason and bad.row == 3


def test_the_path_of_an_op_list_inside_which_an_op_was_timed_stays_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ada_private").mkdir()
    Path("ada_private/net.csv").write_text("op,count\nconv 3x9x9 -> 8x9x9,1\n", "utf-8")
    rows = [{**OP, "part_of": name} for name in ("ada_private/net.csv", "mobilenet_v2", "own")]
    found = shared(tmp_path, *rows)
    assert found["part_of"].tolist() == ["network_1", "mobilenet_v2", "network_2"]
    assert "ada_private" not in folder_text(tmp_path / "out")


def test_a_network_that_lost_an_op_with_it_is_flagged(tmp_path: Path) -> None:
    whole = {**GOOD, "subject": "secret net"}
    published = {
        **OP,
        "subject": "conv 8x8x8 -> 8x8x8",
        "source": "mlcommons/mobile_app_open issue 865",
    }
    found = shared(tmp_path, whole, OP, published)
    assert found["flags"].tolist() == ["anchor incomplete", "anchor"]


def test_models_of_phones_and_macs_are_known_by_both_their_names() -> None:
    for device in ("iphone-15-pro", "iphone-x", "mac-15-6", "iphone-18-1", "ipad-14-3"):
        assert unknown_target(f"{device}/ane@coreml-ios18") == ""
    assert unknown_target("iphone-13/gpu@tflite-2.10") == ""


# The folder


def test_equal_tables_give_equal_bytes_and_the_hashes_are_right(tmp_path: Path) -> None:
    table = written(tmp_path / "mine.csv", GOOD, OP, {**GOOD, "subject": "secret net"})
    found = [contribute(table, tmp_path / name, "MIT", "Ada") for name in ("a", "b")]
    for name in ("timings.csv", "README.md", "SHA256SUMS"):
        data = (tmp_path / "a" / name).read_bytes()
        assert data == (tmp_path / "b" / name).read_bytes()
        if name != "SHA256SUMS":
            line = f"{hashlib.sha256(data).hexdigest()}  {name}"
            assert line in (tmp_path / "a" / "SHA256SUMS").read_text("utf-8").splitlines()
    note = (tmp_path / "a" / "README.md").read_text("utf-8")
    assert found[0].sha256 == found[1].sha256 and found[0].sha256 in note
    for words in (
        "Licence: MIT (use it and keep this line). By Ada.",
        "| iphone-13/ane@coreml-ios18 | 1 | 0 | 2 | 0 |",
        '    palmette latency contribute TABLE.csv --out DIR --licence MIT --by "Ada"',
        "| `thermal_before` | thermal state before the timing |",
    ):
        assert words in note


def test_what_was_scrubbed_once_is_not_changed_again(tmp_path: Path) -> None:
    own = {**GOOD, "subject": "secret net", "family": "x", "os_build": "Bob's", "source": "Bob"}
    contribute(written(tmp_path / "mine.csv", GOOD, OP, own), tmp_path / "a", by="Ada")
    found = contribute(tmp_path / "a" / "timings.csv", tmp_path / "b", by="Ada")
    assert folder_text(tmp_path / "a") == folder_text(tmp_path / "b")
    assert found.refused == () and found.scrubbed == {}


@pytest.mark.parametrize(
    ("licence", "by", "words"),
    [
        ("GPL", "", f"must be one of {', '.join(LICENCES)}, got 'GPL'"),
        ("MIT", " ", "MIT names somebody; give --by NAME"),
        ("CC0-1.0", "bob@example.com", "to be published; this is an e-mail address"),
        ("CC0-1.0", "Bob's iPhone", "this is the name of a device"),
        ("CC0-1.0", "a\nb", "give another"),
        ("CC0-1.0", "x" * 81, "at most 80 characters"),
    ],
)
def test_wrong_licences_and_names_are_refused_and_nothing_is_written(
    tmp_path: Path, licence: str, by: str, words: str
) -> None:
    table = written(tmp_path / "mine.csv", GOOD)
    with pytest.raises(InputError, match=words):
        contribute(table, tmp_path / "out", licence, by)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.csv"]


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    table = written(tmp_path / "mine.csv", GOOD)
    (tmp_path / "out").mkdir()
    contribute(table, tmp_path / "out")  # an empty one will do
    before = folder_text(tmp_path / "out")
    with pytest.raises(InputError, match="out is in use"):
        contribute(table, tmp_path / "out")
    assert folder_text(tmp_path / "out") == before
    with pytest.raises(InputError, match="is no folder; make it first"):
        contribute(table, tmp_path / "no" / "out")


def test_an_unknown_column_is_refused(tmp_path: Path) -> None:
    table = written(tmp_path / "mine.csv", GOOD)
    table.write_text(table.read_text("utf-8").replace("family", "owner", 1), "utf-8")
    with pytest.raises(InputError, match="unknown column 'owner'"):
        contribute(table, tmp_path / "out")


def test_a_failure_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        if self.name == "SHA256SUMS":
            raise OSError(28, "No space left on device")
        return written_bytes(self, data)

    written_bytes = Path.write_bytes
    table = written(tmp_path / "mine.csv", GOOD)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        contribute(table, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.csv"]


def test_the_command_says_what_was_scrubbed_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = {**GOOD, "target": "host/cpu@torch-eager"}
    written(Path("mine.csv"), {**GOOD, "os_build": "on my desk"}, wrong)
    for more in ([], ["--json"]):
        words = ["palmette", "latency", "contribute", "mine.csv", "--out", f"out{len(more)}", *more]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
    printed = capsys.readouterr()
    assert "left out: mine.csv: row 3: device 'host' is no known model" in printed.err
    assert "scrubbed: os_build of 1 rows" in printed.out
    assert "without a passport, and flagged so: 1 of 1 rows" in printed.out
    answer = json.loads(printed.out.splitlines()[-1])
    assert answer["scrubbed"] == {"os_build": 1} and answer["left_out"] == 1
