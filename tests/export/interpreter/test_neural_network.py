"""Layers of the older format become the operations that they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from palmette.export import ExportOptions, export
from palmette.export.interpreter import Interpreter, read_network
from palmette.export.interpreter.neural_network import LAYERS
from palmette.export.package import read_spec, write_package
from palmette.export.weights import network_layers
from palmette.space import Architecture, InputError


@pytest.fixture(scope="module")
def network(
    small: Architecture, trained: Callable[..., nn.Module], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder, options = tmp_path_factory.mktemp("network"), ExportOptions("neuralnetwork")
    return export(small, folder / "x", options=options, module=trained(small))


def test_a_network_computes_what_its_module_does(
    network: Path, small: Architecture, trained: Callable[..., nn.Module]
) -> None:
    image = torch.rand((1, 3, *small.resolution), generator=torch.Generator().manual_seed(0)) * 255
    found = Interpreter.from_package(network).run({"image": image})["logits"]
    with torch.no_grad():
        wanted = trained(small)(image / 127.5 - 1)
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-3 * float(wanted.abs().max()))


def test_an_unknown_layer_is_named(network: Path, tmp_path: Path) -> None:
    spec = read_spec(network)
    layer = network_layers(spec)[1]
    layer.lrn.SetInParent()
    write_package(spec, None, tmp_path / "x.mlmodel")
    with pytest.raises(InputError, match=f"layer '{layer.name}' \\(lrn\\): this kind of layer"):
        read_network(tmp_path / "x.mlmodel")


def translated(kind: str, names: tuple[str, ...] = ("a",), **fields: Any) -> Any:
    """What a layer with these fields becomes."""
    from palmette.export._coremltools import coremltools

    coremltools()
    from coremltools.proto import NeuralNetwork_pb2

    layer = NeuralNetwork_pb2.NeuralNetworkLayer()
    params = getattr(layer, kind)
    params.SetInParent()
    for key, value in fields.items():
        holder, _, own = key.rpartition("__")
        target = getattr(params, holder) if holder else params
        if isinstance(value, list):
            getattr(target, own).extend(value)
        else:
            setattr(target, own, value)
    return LAYERS[kind](params, names)


def test_a_factor_alone_multiplies_its_input_and_else_all_inputs_are_multiplied() -> None:
    kind, inputs = translated("multiply", alpha=0.5)
    assert (kind, inputs["x"], float(inputs["y"])) == ("mul", "a", 0.5)
    assert translated("multiply", ("a", "b")) == ("multiply_all", {"values": ("a", "b")})


def test_an_axis_of_a_slice_counts_from_the_last() -> None:
    kind, inputs = translated("slice", axis=2, startIndex=1, endIndex=4, stride=1)
    assert kind == "slice_axis"
    assert {key: int(inputs[key]) for key in ("axis", "begin", "end", "stride")} == {
        "axis": -1,
        "begin": 1,
        "end": 4,
        "stride": 1,
    }


def test_a_pool_that_includes_the_last_pixel_ceils() -> None:
    kind, inputs = translated(
        "pooling", kernelSize=[3, 3], stride=[2, 2], includeLastPixel__paddingAmounts=[1, 0]
    )
    assert kind == "max_pool" and bool(inputs["ceil_mode"])
    assert inputs["pad"].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("unary", {"type": 7, "scale": 1.0}, "unary function THRESHOLD"),
        ("unary", {"type": 4, "scale": 2.0}, "unary function EXP"),
        ("upsample", {"scalingFactor": [2, 2], "mode": 1}, "this way of sampling"),
        ("activation", {"softsign": None}, "activation 'softsign'"),
    ],
)
def test_a_form_that_is_not_translated_says_so(
    kind: str, fields: dict[str, Any], message: str
) -> None:
    if "softsign" in fields:
        from coremltools.proto import NeuralNetwork_pb2

        layer = NeuralNetwork_pb2.NeuralNetworkLayer()
        layer.activation.softsign.SetInParent()
        with pytest.raises(InputError, match=message):
            LAYERS[kind](layer.activation, ("a",))
        return
    with pytest.raises(InputError, match=message):
        translated(kind, **fields)
