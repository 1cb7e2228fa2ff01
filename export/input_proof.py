"""Proof of a package's input: its kind and sizes, and what happens to pixels before the network.

What the image input adds and by what an op multiplies are compared bit for bit; factors in the
first weights are part of the weights (`palmette.export.proof`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from palmette.export.claims import Claim, settle
from palmette.export.package import network_of, read_spec
from palmette.export.pipeline import array_types
from palmette.export.plan import Plan
from palmette.export.scaling import IMAGE, INPUT
from palmette.export.sizes import Size, SizeRange, Sizes
from palmette.export.weights import constants_in, network_layers, program_operations
from palmette.space.architecture import IMAGE_CHANNELS

Step = tuple[str, bytes]
"""An op with a constant, and that constant's bytes."""


def compare_input(path: Path, plan: Plan, function: str = "") -> None:
    """Check the input of a package on disk, or of one of its functions.

    Raises:
        ExportError: it is not the planned one; the message names the difference.
    """
    spec = network_of(read_spec(path, function))
    settle("input", _claims(spec, plan))


def _claims(spec: Any, plan: Plan) -> Iterator[Claim]:
    yield Claim("names", [value.name for value in spec.description.input], [INPUT])
    given = spec.description.input[0].type
    image = plan.options.input == IMAGE
    yield from (_image_claims if image else _array_claims)(given, plan)
    if spec.WhichOneof("Type") == "mlProgram":
        found = list(_program_steps(spec, INPUT))
        wanted = _steps(plan)
        yield Claim("ops before the network", found[: len(wanted)], wanted)
        free = not any(plan.scaling.added) and len(found) > len(wanted)
        yield Claim("further sum", free and found[len(wanted)][0] == "add", False)
    elif image:
        yield from _scaler_claims(spec, plan)


def _image_claims(given: Any, plan: Plan) -> Iterator[Claim]:
    yield Claim("kind", given.WhichOneof("Type"), "imageType")
    found = given.imageType
    yield Claim("order of its colours", found.colorSpace, found.RGB)
    yield Claim("size", (found.height, found.width), plan.resolution)
    every = {(size.height, size.width) for size in found.enumeratedSizes.sizes}
    yield Claim("sizes", every, set(_listed(plan)))
    sides = found.imageSizeRange
    ends = [(side.lowerBound, side.upperBound) for side in (sides.heightRange, sides.widthRange)]
    yield Claim("range of sizes", ends, _ends(plan) or [(0, 0), (0, 0)])


def _array_claims(given: Any, plan: Plan) -> Iterator[Claim]:
    yield Claim("kind", given.WhichOneof("Type"), "multiArrayType")
    found, kinds = given.multiArrayType, array_types()
    half = plan.options.kind == "mlprogram"
    yield Claim("element type", found.dataType, kinds.FLOAT16 if half else kinds.FLOAT32)
    before = (plan.options.batch, IMAGE_CHANNELS)
    yield Claim("shape", tuple(found.shape), (*before, *plan.resolution))
    every = {tuple(shape.shape) for shape in found.enumeratedShapes.shapes}
    yield Claim("shapes", every, {(*before, *size) for size in _listed(plan)})
    ends = [(side.lowerBound, side.upperBound) for side in found.shapeRange.sizeRanges]
    ranged = [*((n, n) for n in before), *_ends(plan)] if _ends(plan) else []
    yield Claim("range of shapes", ends, ranged)


def _listed(plan: Plan) -> tuple[Size, ...]:
    """Sizes that the package enumerates."""
    sizes = plan.options.sizes
    return sizes.every if isinstance(sizes, Sizes) else ()


def _ends(plan: Plan) -> list[Size]:
    """Least and most height, least and most width, of a package that takes a range."""
    sizes = plan.options.sizes
    return list(zip(sizes.least, sizes.most, strict=True)) if isinstance(sizes, SizeRange) else []


def _steps(plan: Plan) -> list[Step]:
    """What an ML Program must do to its input before the network's own ops."""
    steps: list[Step] = []
    if any(plan.scaling.added):
        steps.append(("add", np.array(plan.scaling.added, "<f4").tobytes()))
    factors = plan.scaling.half_factors()
    if factors is not None:
        steps.append(("mul", factors.astype("<f2").tobytes()))
    return steps


def _program_steps(spec: Any, name: str) -> Iterator[Step]:
    """Sums and products with constants behind an input, as long as nothing else reads it."""
    operations, constants = program_operations(spec), constants_in(spec)
    while True:
        readers = [
            op
            for op in operations
            if any(a.name == name for value in op.inputs.values() for a in value.arguments)
        ]
        if len(readers) != 1 or readers[0].type not in ("add", "mul", "cast"):
            return
        (reader,) = readers
        if reader.type != "cast":
            sides = (reader.inputs[key].arguments[0].name for key in ("x", "y"))
            beside = [constants[side] for side in sides if side in constants]
            if not beside:
                return
            yield reader.type, _bytes(beside[0])
        name = reader.outputs[0].name


def _bytes(value: Any) -> bytes:
    """Of a constant of a few numbers, as the program itself holds them."""
    tensor = value.immediateValue.tensor
    if tensor.WhichOneof("value") == "floats":
        return np.array(tensor.floats.values, "<f4").tobytes()
    data: bytes = tensor.bytes.values
    return data


def _scaler_claims(spec: Any, plan: Plan) -> Iterator[Claim]:
    """A neural network's pre-processing; its layers' factors are among the constants."""
    steps = getattr(spec, spec.WhichOneof("Type")).preprocessing
    scaler = steps[0].scaler if steps else None
    found = [scaler.redBias, scaler.greenBias, scaler.blueBias] if scaler else [0.0] * 3
    wanted = np.array(plan.scaling.added, np.float32).astype(float).tolist()
    yield Claim("what is added to it", found, wanted)
    yield Claim("its scale", scaler.channelScale if scaler else 1.0, 1.0)
    readers = [layer.WhichOneof("layer") for layer in network_layers(spec) if INPUT in layer.input]
    multiplied = readers in (["multiply"], ["multiplyBroadcastable"], ["scale"])
    wanted_op = plan.scaling.factors is not None
    yield Claim("whether an op multiplies it", multiplied or not wanted_op, True)
