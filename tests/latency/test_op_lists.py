"""Op-list files, and the ops of whatever a timing names."""

from __future__ import annotations

from pathlib import Path

import pytest

from palmette.latency.op_lists import (
    SHIPPED,
    network_ops,
    read_op_list,
    shipped_names,
    write_op_list,
)
from palmette.space import MOBILENET_LIKE, ZOO, InputError, Op, load

CONV = "conv 3x8x8 -> 8x8x8 k3"


def write(folder: Path, content: str) -> Path:
    path = folder / "list.csv"
    path.write_text(content, "utf-8")
    return path


def test_a_list_comes_back_from_its_file_with_equal_ops_together(tmp_path: Path) -> None:
    ops = load("mobilenet_v3_large").ops()
    path = tmp_path / "it.csv"
    write_op_list(path, ops)
    again = read_op_list(path)
    assert sorted(again, key=Op.to_text) == sorted(ops, key=Op.to_text)
    assert list(dict.fromkeys(again)) == list(dict.fromkeys(ops))  # in order of first appearance
    write_op_list(tmp_path / "again.csv", again)
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_counts_repeat_ops(tmp_path: Path) -> None:
    assert read_op_list(write(tmp_path, f"op,count\n{CONV},3\n")) == (Op.from_text(CONV),) * 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("op\nconv\n", "column 'count' is missing; it needs op and count"),
        ("count\n1\n", "column 'op' is missing; it needs op and count"),
        ("op,count\n", "the list has no ops"),
        (f"op,count\n{CONV},0\n", "row 2: count must be an integer from 1 to 99999, got '0'"),
        (f"op,count\n{CONV},-1\n", "row 2: count must be"),
        (f"op,count\n{CONV},1.0\n", "row 2: count must be"),
        (f"op,count\n{CONV},²\n", "row 2: count must be"),
        (f"op,count\n{CONV}\n", "row 2: count must be an integer from 1 to 99999, got ''"),
        (f"op,count\n{CONV},100000\n", "row 2: count must be"),
        (f"op,count\n{CONV},1\n\nconvolve 3 -> 3,1\n", "row 4: op 'convolve 3 -> 3': unknown kind"),
        (f"op,count\n{CONV} k5,1\n", "row 2: op 'conv 3x8x8 -> 8x8x8 k3 k5': the word 'k5'"),
        (f"op,count\n{CONV},1,\n", "rows have more cells than the header has columns"),
        ("", "is empty; a table begins with a line"),
    ],
)
def test_a_bad_list_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_op_list(path)
    assert str(caught.value).startswith(f"{path}: {said}")
    assert "\n" not in str(caught.value)


def test_a_list_is_read_anew_when_its_file_changes(tmp_path: Path) -> None:
    path = write(tmp_path, f"op,count\n{CONV},1\n")
    assert len(network_ops(str(path))) == 1
    write(tmp_path, f"op,count\n{CONV},2\n")
    assert len(network_ops(str(path))) == 2


@pytest.mark.parametrize("name", MOBILENET_LIKE)
def test_a_zoo_name_is_the_architecture(name: str) -> None:
    assert network_ops(name) == load(name).ops()
    assert network_ops(f"{name}@64x96") == load(name).with_resolution(64, 96).ops()
    text = load(name).to_text()
    assert network_ops(text) == load(name).ops()


def test_height_stands_before_width() -> None:
    first = network_ops("mobilenet_v2@192x256")[0]
    assert first.inputs == ((3, 192, 256),)


@pytest.mark.parametrize("name", ["tinyyolo_v2", "repnext_m3", "resnet50_backbone_512"])
def test_a_shipped_name_is_its_list(name: str) -> None:
    assert network_ops(name) == read_op_list(Path(str(SHIPPED / f"{name}.csv")))


def test_the_zoos_name_is_the_zoos_network_and_the_timed_form_has_its_own() -> None:
    assert network_ops("mixnet_m") == load("mixnet_m").ops()
    assert network_ops("mixnet_m@192x192") == load("mixnet_m").with_resolution(192).ops()
    timed = network_ops("mixnet_m_as_timed")
    assert timed != network_ops("mixnet_m")
    # one BatchNorm behind the concatenated branches has no convolution to fold into
    assert any(op.kind == "norm" for op in timed)
    assert not any(op.kind == "norm" for op in network_ops("mixnet_m"))


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("", "network '' is unknown"),
        ("mobilenet_v9", "network 'mobilenet_v9' is unknown; did you mean mobilenet_v"),
        ("mobilenet_v9@224x224", "is unknown"),
        ("../targets", "is unknown"),
        ("mobilenet_v2@", "resolution must be HxW in px, got ''"),
        ("mobilenet_v2@224", "resolution must be HxW in px, got '224'"),
        ("mobilenet_v2@0x224", "resolution"),
        ("mobilenet_v2@99999x224", "resolution"),
        ("mobilenet_v2@224x224x3", "resolution must be HxW in px"),
        ("repnext_m3@192x192", "only zoo networks come at other resolutions"),
        ("no.csv", "cannot be read as CSV"),
        ("64x64 | head", "architecture text"),
    ],
)
def test_an_unknown_network_is_refused(subject: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        network_ops(subject)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_network_is_answered_with_the_most_similar_names() -> None:
    with pytest.raises(InputError) as caught:
        network_ops("mobilnet_v2")
    assert str(caught.value).partition("did you mean ")[2].startswith("mobilenet_v2 or ")
    assert f"the {len({*ZOO, *shipped_names()})} known names" in str(caught.value)
