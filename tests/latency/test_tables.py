"""What is no table with commas is told as what it is."""

from pathlib import Path

import pytest

from palmette.latency.tables import read_csv
from palmette.space import InputError


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04abc\n", "is a workbook, as Excel keeps it; save it as CSV"),
        (b"subject\tlatency_ms\na\t1\n", "has tabs between cells; save it with commas"),
        (b"subject,latency_ms\na,0,51\n", "decimal comma .write 0.51., or a comma within a cell"),
        (b"subject,latency_ms\na,1\na,0,51\n", "row 3 has 3 cells, those before it 2; is there a"),
        (b"", "t.csv: is empty; a table begins with a line of its columns' names"),
        (b"subject;latency_ms\na;1,2\n", "has semicolons between cells; save it with commas"),
    ],
)
def test_a_table_of_another_form_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_csv(tmp_path / "t.csv")


def test_one_column_is_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("architecture\na;b\n")
    assert list(read_csv(tmp_path / "t.csv")["architecture"]) == ["a;b"]
