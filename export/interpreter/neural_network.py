"""The older format as a program: each layer becomes the operation of ML Programs that it is.

Layers of neural networks declare no shapes, so that none is checked; all else is run by the same
operations. The table holds the layers that palmette's networks convert to; definitions after
coremltools' NeuralNetwork.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from palmette.export.interpreter.program import Array, Operation, Program, Value
from palmette.export.package import network_of, read_spec
from palmette.export.weights import network_layers
from palmette.space.errors import expect

NETWORKS = ("neuralNetwork", "neuralNetworkClassifier")
Inputs = dict[str, Any]
Names = tuple[str, ...]
Translated = tuple[str, Inputs]
"""Kind of an operation, and its inputs: names of values, or constants."""


def read_network(path: Path) -> Program:
    """The neural network in a package, or in the first stage of its pipeline, as a program.

    Raises:
        InputError: not a package, not a neural network, or a layer that is not known; the message
            names it.
    """
    spec = network_of(read_spec(path))
    kind = spec.WhichOneof("Type")
    expect(kind in NETWORKS, f"package {path}: holds a '{kind}', not a neural network")
    network = getattr(spec, kind)
    given = spec.description.input
    entries = tuple(Value(one.name, "FLOAT32", _shape(one.type)) for one in given)
    operations = [*_preprocessing(network, entries[0].name)]
    operations += [_operation(layer) for layer in network_layers(spec)]
    names = [output.name for output in spec.description.output]
    made = {output.name for op in operations for output in op.outputs}
    # a classifier's label and dictionary are made of the last layer's values
    outputs = tuple(name for name in names if name in made) or (operations[-1].name,)
    return Program(entries, tuple(operations), outputs)


def _shape(given: Any) -> tuple[int, ...] | None:
    """Of an input; None if it may have several."""
    if given.WhichOneof("Type") == "multiArrayType":
        array = given.multiArrayType
        return None if array.WhichOneof("ShapeFlexibility") else tuple(array.shape)
    image = given.imageType
    return None if image.WhichOneof("SizeFlexibility") else (1, 3, image.height, image.width)


def _preprocessing(network: Any, image: str) -> Iterator[Operation]:
    """Scale and bias of the image, in single precision."""
    for step in network.preprocessing:
        scaler = step.scaler
        bias = np.array([scaler.redBias, scaler.greenBias, scaler.blueBias], np.float32)
        scaled, shifted = Value(f"{image} scaled", "FLOAT32", None), Value(image, "FLOAT32", None)
        scale = _number(scaler.channelScale)
        yield Operation("mul", scaled.name, {"x": (image,), "y": (scale,)}, {}, (scaled,))
        added: dict[str, tuple[Any, ...]] = {"x": (scaled.name,), "y": (bias.reshape(1, 3, 1, 1),)}
        yield Operation("add", image, added, {}, (shifted,))


def _operation(layer: Any) -> Operation:
    kind = layer.WhichOneof("layer")
    where = f"layer '{layer.name}' ({kind})"
    expect(kind in LAYERS, f"{where}: this kind of layer is not known to the interpreter")
    translated, inputs = LAYERS[kind](getattr(layer, kind), tuple(layer.input))
    # a phone's units compute in half precision; indices and constants are no results of it
    dtype = "" if translated in ("const", "reduce_argmax") else "FLOAT16"
    outputs = tuple(Value(name, dtype, None) for name in layer.output)
    if translated == "const":
        return Operation("const", outputs[0].name, {}, inputs, outputs)
    bound: dict[str, tuple[Any, ...]] = {
        key: value if isinstance(value, tuple) else (value,) for key, value in inputs.items()
    }
    return Operation(translated, layer.name, bound, {}, outputs)


def _values(params: Any, *shape: int) -> Array:
    """Weights of a layer."""
    if params.float16Value:
        return np.frombuffer(params.float16Value, "<f2").reshape(shape)
    return np.array(params.floatValue, np.float32).reshape(shape)


def _number(value: float) -> Array:
    return np.array(value, np.float32)


def _whole(values: Any) -> Array:
    """Whole numbers: one, or a list of them."""
    return np.array(values if isinstance(values, int) else list(values), np.int32)


def _text(value: str) -> Array:
    return np.array(value)


def _sides(params: Any) -> Array:
    """Padding before and after rows and columns."""
    edges = [(edge.startEdgeSize, edge.endEdgeSize) for edge in params.borderAmounts]
    return _whole([side for pair in edges for side in pair] or [0, 0, 0, 0])


def _convolution(params: Any, names: Names) -> Translated:
    kernel = (params.outputChannels, params.kernelChannels, *params.kernelSize)
    inputs: Inputs = {
        "x": names[0],
        "weight": _values(params.weights, *kernel),
        "strides": _whole(params.stride or [1, 1]),
        "dilations": _whole(params.dilationFactor or [1, 1]),
        "groups": _whole(max(params.nGroups, 1)),
        **_padding(params, "ConvolutionPaddingType"),
    }
    if params.hasBias:
        inputs["bias"] = _values(params.bias, params.outputChannels)
    return "conv_transpose" if params.isDeconvolution else "conv", inputs


def _padding(params: Any, choice: str) -> Inputs:
    kind = params.WhichOneof(choice)
    if kind == "valid":
        return {"pad_type": _text("custom"), "pad": _sides(params.valid.paddingAmounts)}
    if kind == "includeLastPixel":  # the last window may hang over the edge
        rows, columns = params.includeLastPixel.paddingAmounts
        pad = _whole([rows, rows, columns, columns])
        return {"pad_type": _text("custom"), "pad": pad, "ceil_mode": np.array(True)}
    lower = params.same.asymmetryMode != 0
    return {"pad_type": _text("same_lower" if lower else "same")}


def _linear(params: Any, names: Names) -> Translated:
    weight = _values(params.weights, params.outputChannels, params.inputChannels)
    inputs: Inputs = {"x": names[0], "weight": weight}
    if params.hasBias:
        inputs["bias"] = _values(params.bias, params.outputChannels)
    return "linear", inputs


def _pooling(params: Any, names: Names) -> Translated:
    average = params.type == params.AVERAGE
    if params.globalPooling:
        return "global_pool", {"x": names[0], "average": np.array(average)}
    inputs = {
        "x": names[0],
        "kernel_sizes": _whole(params.kernelSize),
        "strides": _whole(params.stride or [1, 1]),
        **_padding(params, "PoolingPaddingType"),
    }
    if average:
        inputs["exclude_padding_from_average"] = np.array(params.avgPoolExcludePadding)
    return "avg_pool" if average else "max_pool", inputs


def _batch_norm(params: Any, names: Names) -> Translated:
    keys = ("gamma", "beta", "mean", "variance")
    values = {key: _values(getattr(params, key), params.channels) for key in keys}
    return "batch_norm", {"x": names[0], **values, "epsilon": _number(params.epsilon)}


def _activation(params: Any, names: Names) -> Translated:
    kind = params.WhichOneof("NonlinearityType")
    expect(kind in ACTIVATIONS, f"activation '{kind}': is not known to the interpreter")
    translated, keys = ACTIVATIONS[kind]
    own = getattr(params, kind)
    if kind == "PReLU":
        return translated, {"x": names[0], "alpha": _values(own.alpha, -1)}
    return translated, {"x": names[0], **{key: _number(getattr(own, key)) for key in keys}}


ACTIVATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ReLU": ("relu", ()),
    "leakyReLU": ("leaky_relu", ("alpha",)),
    "thresholdedReLU": ("thresholded_relu", ("alpha",)),
    "PReLU": ("prelu", ("alpha",)),
    "ELU": ("elu", ("alpha",)),
    "tanh": ("tanh", ()),
    "sigmoid": ("sigmoid", ()),
    "sigmoidHard": ("sigmoid_hard", ("alpha", "beta")),
}
"""Operations of activations, and their numbers."""


def _joined(several: str, one: str) -> Callable[[Any, Names], Translated]:
    def translate(params: Any, names: Names) -> Translated:
        if len(names) > 1:
            return several, {"values": names}
        return one, {"x": names[0], "y": _number(params.alpha)}

    return translate


def _unary(params: Any, names: Names) -> Translated:
    kind = params.Operation.Name(params.type)
    plain = params.scale == 1 and params.shift == 0
    expect(kind in UNARY and plain, f"unary function {kind}: is not known to the interpreter")
    return UNARY[kind], {"x": names[0]}


UNARY = {"EXP": "exp", "SQRT": "sqrt", "ABS": "abs"}


def _padded(params: Any, names: Names) -> Translated:
    expect(
        params.WhichOneof("PaddingType") == "constant",
        f"padding of '{names[0]}': only constants are known to the interpreter",
    )
    inputs = {"x": names[0], "pad": _sides(params.paddingAmounts)}
    return "pad", {**inputs, "constant_val": _number(params.constant.value)}


def _upsampled(params: Any, names: Names) -> Translated:
    rows, columns = params.fractionalScalingFactor or params.scalingFactor
    factors = {"scale_factor_height": _number(rows), "scale_factor_width": _number(columns)}
    if params.mode == params.NN:
        return "upsample_nearest_neighbor", {"x": names[0], **factors}
    expect(
        params.linearUpsampleMode != params.DEFAULT,
        f"upsampling of '{names[0]}': this way of sampling is not known to the interpreter",
    )
    corners = np.array(params.linearUpsampleMode == params.ALIGN_CORNERS_TRUE)
    return "upsample_bilinear", {"x": names[0], **factors, "align_corners": corners}


def _sliced(params: Any, names: Names) -> Translated:
    # channels, rows, columns: the last three axes
    numbers = (params.axis - 3, params.startIndex, params.endIndex, max(params.stride, 1))
    keys = ("axis", "begin", "end", "stride")
    found = {key: _whole(int(value)) for key, value in zip(keys, numbers, strict=True)}
    return "slice_axis", {"x": names[0], **found}


def _split(params: Any, names: Names) -> Translated:
    inputs = {"x": names[0], "axis": _whole(params.axis)}
    if params.splitSizes:
        return "split", {**inputs, "split_sizes": _whole(params.splitSizes)}
    return "split_evenly", {**inputs, "parts": _whole(int(params.numSplits))}


def _mean(params: Any, names: Names) -> Translated:
    expect(
        not params.reduceAll,
        f"mean of '{names[0]}': one of all axes is not known to the interpreter",
    )
    keep = np.array(params.keepDims)
    return "reduce_mean", {"x": names[0], "axes": _whole(params.axes), "keep_dims": keep}


def _matmul(params: Any, names: Names) -> Translated:
    expect(
        len(names) == 2,
        f"product of '{names[0]}': one with weights in the layer is not known to the interpreter",
    )
    turned = {
        "transpose_x": np.array(params.transposeA),
        "transpose_y": np.array(params.transposeB),
    }
    return "matmul", {"x": names[0], "y": names[1], **turned}


def _constant(params: Any, names: Names) -> Translated:
    return "const", {"val": _values(params.data, *params.shape)}


LAYERS: dict[str, Callable[[Any, Names], Translated]] = {
    "activation": _activation,
    "add": _joined("add_all", "add"),
    "addBroadcastable": _joined("add_all", "add"),
    "argMax": lambda p, n: (
        "reduce_argmax",
        {"x": n[0], "axis": _whole(p.axis), "keep_dims": np.array(not p.removeDim)},
    ),
    "batchedMatmul": _matmul,
    "batchnorm": _batch_norm,
    "clip": lambda p, n: (
        "clip",
        {"x": n[0], "alpha": _number(p.minVal), "beta": _number(p.maxVal)},
    ),
    "concat": lambda p, n: ("concat", {"values": n, "axis": _whole(-3)}),
    "concatND": lambda p, n: ("concat", {"values": n, "axis": _whole(p.axis)}),
    "constantPad": lambda p, n: (
        "pad_axes",
        {"x": n[0], "amounts": _whole(p.padAmounts), "value": _number(p.value)},
    ),
    "convolution": _convolution,
    "gather": lambda p, n: ("gather", {"x": n[0], "indices": n[1], "axis": _whole(p.axis)}),
    "gelu": lambda p, n: ("gelu", {"x": n[0], "mode": _text(p.GeluMode.Name(p.mode))}),
    "innerProduct": _linear,
    "loadConstantND": _constant,
    "multiply": _joined("multiply_all", "mul"),
    "multiplyBroadcastable": _joined("multiply_all", "mul"),
    "padding": _padded,
    "pooling": _pooling,
    "reduceMean": _mean,
    "reshapeStatic": lambda p, n: ("reshape", {"x": n[0], "shape": _whole(p.targetShape)}),
    "slice": _sliced,
    "softmaxND": lambda p, n: ("softmax", {"x": n[0], "axis": _whole(p.axis)}),
    "splitND": _split,
    "squeeze": lambda p, n: ("squeeze", {"x": n[0], "axes": _whole(p.axes)}),
    "transpose": lambda p, n: ("transpose", {"x": n[0], "perm": _whole(p.axes)}),
    "unary": _unary,
    "upsample": _upsampled,
}
"""What each layer is among the operations of ML Programs, and its inputs by their names there."""
