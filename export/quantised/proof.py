"""Proof of a package with 8-bit weights and activations.

Codes and scales of every weight are read from the file and compared with the finalised module: all
equal. So are biases, and the scales of the activations. What the file computes with them is proven
in `steps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.export.errors import ExportError
from palmette.export.interpreter.program import Operation, Program, read_program
from palmette.export.quantised.prepare import quantised_layers

WEIGHTED = ("conv", "linear")
ROUNDING = 2.0**-8
"""Relative: scales are in half precision, and one may be divided by another."""

_Rounding = tuple[float, int]
"""Scale and zero point."""


def compare_codes(package: Path, final: Any) -> tuple[int, int]:
    """Check weights, biases and scales of a package against a finalised module.

    Returns:
        Layers, and the values of their weights.

    Raises:
        ExportError: any of them differs; the message names the layer.
    """
    program, layers = read_program(package), quantised_layers(final)
    ops = [op for op in program.operations if op.kind in WEIGHTED]
    if len(ops) != len(layers):
        raise ExportError(
            f"the package has {len(ops)} convolutions and linear layers, the module"
            f" {len(layers)} with 8-bit weights"
        )
    known = {op.name: op for op in program.operations}
    for op, (name, layer) in zip(ops, layers.items(), strict=True):
        _compare_layer(op, known, name, layer)
    matching(program, final)
    return len(layers), sum(layer.weight.numel() for layer in layers.values())


def _compare_layer(op: Operation, known: dict[str, Operation], name: str, layer: Any) -> None:
    codes, scales = _stored(op, known, name)
    scale = layer.weight_scale.detach().double().reshape(-1)
    weight = layer.weight.detach().double()
    wanted = (weight / scale.reshape(-1, *[1] * (weight.dim() - 1))).round().numpy()
    # the converter stores codes without a sign where none is below 0
    if (
        codes.dtype not in (np.int8, np.uint8)
        or codes.shape != wanted.shape
        or (codes != wanted).any()
    ):
        raise ExportError(f"'{name}': the package's codes are not those of the module")
    if (scales.reshape(-1) != scale.numpy().astype(np.float16)).any():
        raise ExportError(f"'{name}': the package's scales are not those of the module")
    bias = np.zeros(len(wanted)) if layer.bias is None else layer.bias.detach().numpy()
    found = _constant(op, known, "bias")
    if (bias.astype(np.float16) != (0 if found is None else found)).any():
        raise ExportError(f"'{name}': the package's bias is not that of the module")


def _stored(
    op: Operation, known: dict[str, Operation], name: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Codes and scales that a layer's weight is made of; iOS 17 and 18 have an op of their own."""
    made = known[str(op.inputs["weight"][0])]
    keys = {
        "constexpr_affine_dequantize": ("quantized_data", "scale", "zero_point"),
        "constexpr_blockwise_shift_scale": ("data", "scale", "offset"),
    }
    if made.kind not in keys:
        raise ExportError(f"'{name}': its weight is stored by '{made.kind}', not in 8 bits")
    codes, scales, zero = (_constant(made, known, key) for key in keys[made.kind])
    if codes is None or scales is None or np.any(zero if zero is not None else 0):
        raise ExportError(f"'{name}': its weight is not symmetric about zero")
    return codes, scales


def _constant(op: Operation, known: dict[str, Operation], key: str) -> NDArray[Any] | None:
    """Value of an op's parameter, wherever it stands; None if it has none."""
    if key in op.attributes:
        return op.attributes[key]
    if key not in op.inputs:
        return None
    (value,) = op.inputs[key]
    return known[value].attributes["val"] if isinstance(value, str) else value


def matching(program: Program, final: Any) -> dict[str, int]:
    """Which rounding of the module each of the package's is, by the op's name; in order.

    Two in a row that are the same may be one. Behind an addition, with or without a ReLU, the
    converter divides all scales by that of one of its inputs.

    Raises:
        ExportError: there is no such order.
    """
    known = {op.name: op for op in program.operations}
    makers = {value.name: op for op in program.operations for value in op.outputs}
    wanted = _roundings(final)
    ops = [op for op in program.operations if op.kind == "quantize"]
    matched: dict[str, int] = {}
    at = 0
    for op in ops:
        made = makers[str(op.inputs["input"][0])]
        added = (makers[str(made.inputs["x"][0])] if made.kind == "relu" else made).kind == "add"
        found = _rounding(op, known)
        while at < len(wanted) and not _same(found, wanted[: at + 1], added):
            if at == 0 or wanted[at] != wanted[at - 1]:
                raise ExportError(f"{op.where}: does not round as the module does there")
            at += 1
        matched[op.name] = at
        at += 1
    while 0 < at < len(wanted) and wanted[at] == wanted[at - 1]:
        at += 1
    if at < len(wanted) or len(ops) > len(wanted):
        raise ExportError(f"the module rounds {len(wanted)} times, the package {len(ops)} times")
    return matched


def rounds(target: Any) -> bool:
    """Whether a function of a module's graph rounds activations."""
    return "quantize_per_tensor" in str(target)


def rounding_nodes(final: Any) -> list[Any]:
    """Nodes of a finalised module's graph that round activations, in order."""
    return [n for n in final.graph.nodes if n.op == "call_function" and rounds(n.target)]


def _roundings(final: Any) -> list[_Rounding]:
    """Roundings of a finalised module in order; its numbers are from 0 to 255."""
    names = [[node.args[at].target for at in (1, 2)] for node in rounding_nodes(final)]
    return [(float(getattr(final, s)), int(getattr(final, zero))) for s, zero in names]


def _rounding(op: Operation, known: dict[str, Operation]) -> _Rounding:
    """Scale and zero point of the package, whose numbers may be from -128 to 127 instead."""
    scale, zero = (_constant(op, known, key) for key in ("scale", "zero_point"))
    shift = 128 if str(_constant(op, known, "output_dtype")) == "int8" else 0
    return 0.0 if scale is None else float(scale.max()), (
        0 if zero is None else int(zero.max())
    ) + shift


def _same(found: _Rounding, wanted: Sequence[_Rounding], added: bool) -> bool:
    """Whether a rounding is the last of the wanted, by itself or over a scale before it."""
    scale, zero = wanted[-1]
    divisors = [1.0, *(before for before, _ in wanted[:-1] if added)]
    near = (abs(found[0] * divisor / scale - 1) <= ROUNDING for divisor in divisors)
    return zero == found[1] and any(near)
