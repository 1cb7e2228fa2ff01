"""What is no package of the network is refused in one line, before any gate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from palmette.export.gates import verify
from palmette.export.weights import program_operations
from palmette.space import Architecture, InputError

Edited = Callable[[Path, Path, Callable[[Any], None]], Path]


def without_metadata(spec: Any) -> None:
    del spec.description.metadata.userDefined["architecture_id"]


def unknown_operation(spec: Any) -> None:
    next(op for op in program_operations(spec) if op.type == "conv").type = "warp"


def outside(spec: Any) -> None:
    for op in program_operations(spec):
        if op.type == "const" and op.attributes["val"].HasField("blobFileValue"):
            op.attributes["val"].blobFileValue.fileName = "@model_path/../../../weight.bin"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (without_metadata, "its metadata have no 'architecture_id'; give a package that palmette"),
        (unknown_operation, r"operation '\w+' \(warp\): this kind is not known"),
        (outside, "weight file '@model_path/../../../weight.bin' lies outside of it"),
    ],
)
def test_a_damaged_package_is_refused(
    good: Path,
    net: Architecture,
    weights: nn.Module,
    tmp_path: Path,
    edited: Edited,
    edit: Callable[[Any], None],
    message: str,
) -> None:
    with pytest.raises(InputError, match=message):
        verify(edited(good, tmp_path, edit), net, module=weights)


def test_another_architecture_is_refused(
    good: Path, weights: nn.Module, small: Architecture
) -> None:
    with pytest.raises(InputError, match=f"is the architecture \\w+, not {small.id}; name the one"):
        verify(good, small, module=weights)


def test_weights_that_were_given_must_be_given_again(good: Path, net: Architecture) -> None:
    with pytest.raises(InputError, match="holds weights that were given; give the same ones"):
        verify(good, net)


def test_no_images_show_nothing(good: Path, net: Architecture, weights: nn.Module) -> None:
    with pytest.raises(InputError, match="images: must be at least 1"):
        verify(good, net, module=weights, images=0)


def test_what_is_no_package_is_refused(net: Architecture, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a package")
    with pytest.raises(InputError, match="its model file is not one of Core ML's"):
        verify(tmp_path / "notes.txt", net)
