"""Modules of tensors as packages: both formats, parts in single precision, proof, equal bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from palmette.export import ExportError, ExportOptions
from palmette.export.interpreter import Interpreter, read_program
from palmette.export.package import read_spec
from palmette.export.tensors import export_tensors
from palmette.latency.host.ops import build_ops
from palmette.space import InputError, Op


class Gated(nn.Module):
    """Two inputs, two outputs, and a part that works in place on its input."""

    def __init__(self) -> None:
        super().__init__()
        torch.default_generator.manual_seed(0)
        self.convolution = nn.Conv2d(4, 4, 3, padding=1)
        self.act = nn.ReLU6(inplace=True)
        self.tail = nn.Sigmoid()

    def forward(self, x: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        y = self.convolution(self.act(x)) * gate
        return y, self.tail(y)


def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(shape, generator=generator) for shape in ((1, 4, 6, 8), (1, 4, 1, 1)))  # type: ignore[return-value]


def test_a_module_of_several_tensors_is_written_alike_each_time(
    tmp_path: Path, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    module, options = Gated().eval(), ExportOptions(metadata={"a": "1"})
    before = module.convolution.weight.clone()
    made = [
        export_tensors(module, inputs(), tmp_path / name, options=options, about="gated")
        for name in ("one", "two")
    ]
    assert contents(made[0]) == contents(made[1])
    assert torch.equal(module.convolution.weight, before)
    about = read_spec(made[0]).description
    assert [one.name for one in about.input] == ["x0", "x1"]
    assert [one.name for one in about.output] == ["y0", "y1"]
    assert about.metadata.shortDescription == "gated"
    assert {path.name for path in tmp_path.iterdir()} == {"one.mlpackage", "two.mlpackage"}


def test_parts_may_stay_in_single_precision(tmp_path: Path) -> None:
    options = ExportOptions(system="iOS17")
    path = export_tensors(
        Gated().eval(), inputs(), tmp_path / "a", options=options, about="", single="tail"
    )
    kinds = {op.kind: op.outputs[0].dtype for op in read_program(path).operations}
    assert (kinds["sigmoid"], kinds["conv"]) == ("FLOAT32", "FLOAT16")
    outputs = read_spec(path).description.output
    assert all(one.type.multiArrayType.dataType == 65552 for one in outputs)  # FLOAT16


def test_a_part_that_does_not_stay_in_single_precision_is_noticed(tmp_path: Path) -> None:
    module = nn.Sequential()
    module.add_module("tail_a", nn.Sigmoid())
    module.add_module("tail_b", nn.Identity())  # of which nothing is left
    with pytest.raises(ExportError, match="1 ops in single precision, 2 were asked"):
        export_tensors(
            module.eval(),
            inputs()[:1],
            tmp_path / "a",
            options=ExportOptions(),
            about="",
            single="tail",
        )
    with pytest.raises(InputError, match="has one precision for all ops"):
        old = ExportOptions("neuralnetwork")
        export_tensors(
            Gated().eval(), inputs(), tmp_path / "a", options=old, about="", single="tail"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "add 4x6x6 + 4x6x6 -> 4x6x6",
        "mean 4x6x6 -> 4",
        "matmul 3x4 + 4x5 -> 3x5",
        "slice 4x6x6 -> 4x6x6",
    ],
)
def test_the_older_format_takes_several_tensors_too(text: str, tmp_path: Path) -> None:
    module, given = build_ops([Op.from_text(text)])
    options = ExportOptions("neuralnetwork")
    path = export_tensors(module, given, tmp_path / "a", options=options, about=text)
    names = [one.name for one in read_spec(path).description.input]
    assert names == (["x0", "x1"] if len(given) > 1 else ["x"])
    found = Interpreter.from_package(path).run(dict(zip(names, given, strict=True)))
    assert len(found) == (2 if text.startswith("slice") else 1)


def test_what_gives_something_else_than_torch_is_not_written(tmp_path: Path) -> None:
    class Drawn(nn.Module):
        """Holds for its example alone: a trace takes the branch that the example took."""

        def forward(self, x: Tensor) -> Tensor:
            return x + 1 if torch.jit.is_tracing() else x + 2  # type: ignore[no-untyped-call]

    for module, reason in (
        (Drawn().eval(), "'y' is 0.3[0-9]* of its largest value off torch"),
        (nn.ChannelShuffle(2).eval(), "could not convert"),
    ):
        with pytest.raises(ExportError, match=reason):
            export_tensors(
                module, [torch.rand(1, 4, 6, 6)], tmp_path / "a", options=ExportOptions(), about=""
            )
    assert not list(tmp_path.iterdir())


def test_weights_beyond_half_precision_and_training_are_refused(tmp_path: Path) -> None:
    module = nn.Conv2d(4, 4, 1).eval()
    with torch.no_grad():
        module.weight.fill_(1e6)
    with pytest.raises(InputError, match="'weight' holds infinities"):
        export_tensors(module, inputs()[:1], tmp_path / "a", options=ExportOptions(), about="")
    with pytest.raises(InputError, match="is in training mode"):
        export_tensors(Gated(), inputs(), tmp_path / "a", options=ExportOptions(), about="")
