"""Files of weights and checkpoints: whole or refused, and never another network's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from palmette.space import Architecture, InputError
from palmette.train.device import Normalisation
from palmette.train.tensors import read_tensors, tensor_bytes
from palmette.train.weights import TrainedWeights, read_weights, with_classes, write_weights

NET = Architecture.from_text("8x8 stem_k3_s2_c4_relu | ir_k3_s1_e2_c4_relu | head_n3")
OTHER = Architecture.from_text("8x8 stem_k3_s2_c4_relu | ir_k5_s1_e2_c4_relu | head_n3")
NUMBERS = Normalisation((0.4, 0.5, 0.6), 0.2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tensors = NET.build(3).state_dict()
    path = tmp_path / "w.safetensors"
    write_weights(path, TrainedWeights(NET, ("a", "b", "c"), NUMBERS, tensors, {"top1": 0.5}))
    return path


def test_weights_come_back_with_all_that_belongs_to_them(file: Path) -> None:
    found = read_weights(file, NET)
    assert (found.architecture, found.classes, found.normalisation) == (
        NET,
        ("a", "b", "c"),
        NUMBERS,
    )
    assert found.about == {"top1": 0.5}
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(found.module()(image), NET.build(3).eval()(image))
    given = found.for_export()
    assert (given["scale"], given["bias"]) == (NUMBERS.scale, NUMBERS.bias)
    assert torch.equal(given["module"](image), found.module()(image))


def test_another_number_of_classes_is_the_same_network(file: Path) -> None:
    assert read_weights(file, with_classes(NET, 1000)).architecture == NET


def test_weights_of_another_architecture_are_refused(file: Path) -> None:
    with pytest.raises(
        InputError, match=r"another architecture \(8x8 .*_k3_s1.*, not to 8x8 .*_k5_s1"
    ):
        read_weights(file, OTHER)


def test_equal_weights_are_equal_bytes(file: Path, tmp_path: Path) -> None:
    write_weights(tmp_path / "again", read_weights(file))
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def flipped(data: bytes) -> bytes:
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "is truncated": lambda data: data[:-9],
    "is truncated or no": lambda data: data[:20],
    "no safetensors file": lambda data: b"",
    "is damaged": flipped,
}


@pytest.mark.parametrize(("message", "damage"), DAMAGE.items())
def test_a_damaged_file_is_refused(
    file: Path, message: str, damage: Callable[[bytes], bytes]
) -> None:
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=message):
        read_weights(file)


def test_a_missing_file_and_a_foreign_one_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path / "none")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(InputError, match="was not written by palmette"):
        read_weights(tmp_path / "foreign")
    (tmp_path / "kin").write_bytes(tensor_bytes({}, {"format": "palmette/checkpoint@1"}))
    with pytest.raises(InputError, match="has the format 'palmette/checkpoint@1'"):
        read_weights(tmp_path / "kin")


def test_tensors_that_are_not_the_networks_are_named(file: Path) -> None:
    found = read_weights(file)
    tensors = dict(found.tensors)
    for change, message in (
        ({"extra": torch.zeros(1)}, "'extra' is no tensor of the architecture"),
        ({"head.fc.bias": torch.zeros(9)}, r"'head.fc.bias' has the shape \(9,\)"),
    ):
        bad = TrainedWeights(NET, found.classes, NUMBERS, {**tensors, **change}, {})
        write_weights(file, bad)
        with pytest.raises(InputError, match=message):
            read_weights(file)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bfloat16, torch.uint8])
def test_every_type_of_tensor_is_kept_to_the_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    value = torch.arange(6).reshape(2, 3).to(dtype)
    (tmp_path / "t").write_bytes(
        tensor_bytes({"v": value, "n": value[0, 0].clone()}, {"format": "x"})
    )
    tensors, _ = read_tensors(tmp_path / "t", "x")
    assert torch.equal(tensors["v"], value) and tensors["n"].shape == ()


def test_a_detector_has_no_trained_weights_yet() -> None:
    detector = Architecture.from_text(
        "64x64 stem_k3_s2_c8_relu | ds_r1_k3_s2_c16_relu | ds_r1_k3_s2_c16_relu"
        " | ssdlite_t4.8_n2_relu6"
    )
    with pytest.raises(InputError, match="has a 'ssdlite' head; networks are trained, and"):
        with_classes(detector, 10)
