"""Programs on disk run as their modules do, and say where they cannot."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from palmette.export import ExportError, ExportOptions, Suppression, export
from palmette.export.interpreter import Interpreter, Operation, Value, read_program
from palmette.export.package import model_file, read_spec
from palmette.export.suppression import suppress
from palmette.export.weights import program_operations
from palmette.space import Architecture, InputError

LEAST = 0.8
"""Score that some boxes of the small detector reach, but fewer than a program can give."""


def pixels(architecture: Architecture) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, 3, *architecture.resolution), generator=random).float()


@pytest.fixture(scope="module")
def program(
    architecture: Architecture, module: nn.Module, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return export(architecture, tmp_path_factory.mktemp("program") / "x", module=module)


def edited(path: Path, folder: Path, edit: Callable[[Any], None]) -> Path:
    """A copy of a package with its model changed, without the weight file's folder moved."""
    copy = Path(shutil.copytree(path, folder / path.name))
    spec = read_spec(copy)
    edit(spec)
    model_file(copy).write_bytes(spec.SerializeToString())
    return copy


def test_a_program_computes_what_its_module_does(
    program: Path, architecture: Architecture, module: nn.Module
) -> None:
    image = pixels(architecture)
    found = Interpreter.from_package(program).run({"image": image})["logits"]
    with torch.no_grad():
        wanted = module(image / 127.5 - 1)
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-3 * float(wanted.abs().max()))


def test_in_half_precision_every_half_result_is_one_of_half_precision(
    program: Path, architecture: Architecture
) -> None:
    halves: list[bool] = []

    def watch(operation: Operation, output: Value, value: Tensor) -> None:
        if output.dtype == "FLOAT16":
            halves.append(value.equal(value.half().float()))

    Interpreter.from_package(program).run({"image": pixels(architecture)}, half=True, hook=watch)
    assert len(halves) > 20 and all(halves)


@pytest.mark.parametrize("system", [pytest.param("iOS16", marks=pytest.mark.sweep), "iOS17"])
def test_suppression_in_the_program_runs_and_agrees_with_torchs(
    detector: Architecture, trained: Callable[..., nn.Module], system: str, tmp_path: Path
) -> None:
    options = ExportOptions(suppression=Suppression("program", 0.4, LEAST), system=system)
    module = trained(detector)
    with torch.no_grad():  # the scores of a fresh detector are nearly alike
        for name, value in module.named_parameters():
            value *= 20 if "scores" in name and value.dim() == 4 else 1
    path = export(detector, tmp_path / "x", options=options, module=module)
    seen: dict[str, Tensor] = {}

    def watch(operation: Operation, output: Value, value: Tensor) -> None:
        seen[output.name] = value

    found = Interpreter.from_package(path).run({"image": pixels(detector)}, hook=watch)
    with torch.no_grad():
        scores, boxes = module(pixels(detector) / 127.5 - 1)
    wanted = suppress(scores, boxes, 0.4, LEAST, 100)
    count = int(wanted[2])
    assert 3 < count < 100 and int(found["count"]) == count
    for name, value in zip(("confidence", "coordinates"), wanted, strict=False):
        torch.testing.assert_close(found[name][:count], value[0, :count], rtol=0, atol=2e-3)


def test_an_unknown_operation_is_named_with_its_place(program: Path, tmp_path: Path) -> None:
    def edit(spec: Any) -> None:
        next(op for op in program_operations(spec) if op.type == "conv").type = "warp"

    copy = edited(program, tmp_path, edit)
    with pytest.raises(InputError, match=r"operation '\w+' \(warp\): this kind .* is not known"):
        Interpreter.from_package(copy)


def test_a_result_of_another_shape_than_declared_is_found(program: Path, tmp_path: Path) -> None:
    def edit(spec: Any) -> None:
        conv = next(op for op in program_operations(spec) if op.type == "conv")
        conv.outputs[0].type.tensorType.dimensions[3].constant.size += 1

    found = Interpreter.from_package(edited(program, tmp_path, edit))
    (entry,) = found.program.inputs
    assert all(size is not None for size in entry.shape)
    with pytest.raises(ExportError, match=r"\(conv\): gives the shape .*, declares"):
        found.run({"image": torch.zeros([size or 0 for size in entry.shape])})


def test_a_result_of_another_type_than_declared_is_found(program: Path, tmp_path: Path) -> None:
    def edit(spec: Any) -> None:
        conv = next(op for op in program_operations(spec) if op.type == "conv")
        conv.outputs[0].type.tensorType.dataType = 23

    found = Interpreter.from_package(edited(program, tmp_path, edit))
    sizes = [size or 0 for size in found.program.inputs[0].shape]
    with pytest.raises(ExportError, match=r"\(conv\): gives values of type float32, declares INT"):
        found.run({"image": torch.zeros(sizes)})


def test_an_input_of_another_size_is_refused(program: Path) -> None:
    with pytest.raises(InputError, match="input 'image' has the shape"):
        Interpreter.from_package(program).run({"image": torch.zeros(1, 3, 8, 8)})
    with pytest.raises(InputError, match="needs the input 'image'"):
        Interpreter.from_package(program).run({})


def test_a_function_that_is_not_there_is_refused(program: Path) -> None:
    with pytest.raises(InputError, match="no function 'side'; it has main"):
        read_program(program, "side")


def test_the_older_format_is_no_program(
    small: Architecture, tmp_path: Path, trained: Callable[..., nn.Module]
) -> None:
    options = ExportOptions("neuralnetwork")
    path = export(small, tmp_path / "x", options=options, module=trained(small))
    with pytest.raises(InputError, match="holds a 'neuralNetwork', not an ML Program"):
        read_program(path)
