"""A user's own module comes from a Python file, or a line that says why not."""

from pathlib import Path

import pytest
from torch import nn

from palmette.space import InputError
from palmette.space.factory import module_from_file

SOURCE = """
from __future__ import annotations
import dataclasses
from torch import nn

@dataclasses.dataclass
class Config:
    width: int = 8

def net():
    return nn.Conv2d(3, Config().width, 3)

def text():
    return "net"

def broken():
    raise KeyError("no\\nsuch layer")

def leaves():
    raise SystemExit(7)

def wants(argument):
    return nn.Identity()

number = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my-nets.py"
    path.write_text(SOURCE)
    return path


def test_the_named_function_makes_the_module(file: Path) -> None:
    module = module_from_file(f"{file}:net")
    assert isinstance(module, nn.Conv2d)
    assert module.out_channels == 8


@pytest.mark.parametrize(
    ("function", "teaches"),
    [
        ("text", "must return a torch.nn.Module, got str"),
        ("broken", "KeyError: 'no\\nsuch layer'"),
        ("leaves", "SystemExit: 7"),
        ("wants", "TypeError: wants() missing 1 required positional argument"),
        ("missing", "has no function 'missing'"),
        ("number", "has no function 'number'"),
        ("", "has no function ''"),
    ],
)
def test_a_function_that_makes_no_module_is_told_why(
    file: Path, function: str, teaches: str
) -> None:
    with pytest.raises(InputError) as error:
        module_from_file(f"{file}:{function}")
    assert teaches in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "reference", ["", "net", ":net", "missing.py:net", "{file}", "{other}:net"]
)
def test_a_reference_without_a_python_file_is_told_the_form(file: Path, reference: str) -> None:
    other = file.with_suffix(".txt")
    other.write_text(SOURCE)
    with pytest.raises(
        InputError, match="no such Python file as .*; write path/to/file.py:function"
    ):
        module_from_file(reference.format(file=file, other=other))


def test_a_file_that_is_no_python_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def net(:\n")
    with pytest.raises(InputError, match=r"bad\.py:net: SyntaxError"):
        module_from_file(f"{tmp_path / 'bad.py'}:net")
