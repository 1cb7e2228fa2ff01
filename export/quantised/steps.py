"""Every rounding of a package in 8 bits, from what the package has before it.

Outputs of networks that round can't be held against each other as those of others are. A value at
the edge of a step falls to this side or to that, for a scale in half precision is enough to move
it, and the next layers carry a whole step on: a network that was trained for a moment does not
keep its own outputs when a pixel changes by a tenth of a level. So the module is run with the
package's codes in the place of its own, behind each of its roundings, and with scales and weights
in half precision, as the package has them. From equal values before it a rounding has to agree,
which is within half a step. A little more is left behind an addition, whose scales the converter
divides, and behind a BatchNorm that no layer took in. A lost op, a wrong scale or another rule of
rounding gives more.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from palmette.export.compression.measure import relative_error
from palmette.export.errors import ExportError
from palmette.export.interpreter.program import Operation, Value
from palmette.export.interpreter.run import Interpreter
from palmette.export.plan import Plan
from palmette.export.quantised.prepare import quantised_layers
from palmette.export.quantised.proof import ROUNDING, matching, rounding_nodes, rounds
from palmette.export.scaling import INPUT

LEVELS = 255
"""The module's codes go from 0 to this; the package's may begin at -128."""
MOST_STEPS = 0.75
"""Between a code of the package and the module's value, in steps."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A package that was run beside its module."""

    farthest: float
    """Of a code from the module's value, in steps."""
    output_error: float
    """Relative (root mean square), where each goes on with its own codes."""


def compare_steps(package: Path, final: Any, plan: Plan, images: Sequence[Tensor]) -> Steps:
    """Check what a package computes against a finalised module, rounding by rounding.

    Args:
        package: whose roundings are in the module's order, see `matching`.
        final: the module, see `finalised`.
        plan: what is around it.
        images: of pixels from 0 to 255, (n, 3, height, width).

    Raises:
        ExportError: a code is more than `MOST_STEPS` from the module's value, the message names the
            op; or the outputs differ, though all codes agree.
    """
    pixels = torch.cat(list(images))
    interpreter = Interpreter.from_package(package)
    matched = matching(interpreter.program, final)
    found, codes = _run(interpreter, pixels)
    forced = _Forced(stored(final), {at: codes[name] for name, at in matched.items()})
    scale, bias = (
        torch.tensor(value).reshape(1, -1, 1, 1)
        for value in (plan.options.scale, plan.options.bias)
    )
    scaled = pixels * scale + bias
    with torch.inference_mode():
        wanted, free = (plan.end.behind(network)(scaled) for network in (forced, final))
    for name, at in matched.items():
        if not forced.distances[at] <= MOST_STEPS:
            raise ExportError(
                f"operation '{name}' (quantize): rounds to a code {forced.distances[at]:.2f} steps"
                f" from the module's value, more than {MOST_STEPS:g}"
            )
    scores, wanted, free = (values.double().numpy() for values in (found, wanted, free))
    error = relative_error(scores, wanted)
    if not error <= ROUNDING:
        raise ExportError(
            f"the package's outputs are {error:.2g} from the module's (relative), more than"
            f" {ROUNDING:.2g}, though all that it rounds is the module's"
        )
    return Steps(max(forced.distances.values()), relative_error(scores, free))


def stored(final: Any) -> Any:
    """A finalised module with its scales and weights rounded to half precision."""
    module = copy.deepcopy(final)
    for layer in quantised_layers(module).values():
        scale = layer.weight_scale.reshape(-1, *[1] * (layer.weight.dim() - 1))
        codes = (layer.weight.detach() / scale).round()
        weight = (codes * scale.half().float()).half().float()
        # gives the weight itself: the layer would round it once more
        layer.get_weight = weight.detach
    for name in {node.args[1].target for node in rounding_nodes(module)}:
        setattr(module, name, getattr(module, name).half().float())
    return module


def _run(interpreter: Interpreter, pixels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Scores of a package, and the codes of each of its roundings from 0 on; of all images."""
    scores: list[Tensor] = []
    codes: dict[str, list[Tensor]] = {}

    def keep(op: Operation, output: Value, value: Tensor) -> None:
        if op.kind == "quantize":
            least = torch.iinfo(value.dtype).min
            codes.setdefault(op.name, []).append(value.int() - least)

    for image in pixels:
        scores.append(_scores(interpreter.run({INPUT: image[None]}, hook=keep)))
    return torch.stack(scores), {name: torch.cat(parts) for name, parts in codes.items()}


def _scores(outputs: Mapping[str, Any]) -> Tensor:
    """Scores of one image, also where they are named by label."""
    scores = next(x for x in outputs.values() if not isinstance(x, str))
    values: Tensor = torch.tensor(list(scores.values())) if isinstance(scores, dict) else scores[0]
    return values.double()


class _Forced(nn.Module):
    """A finalised module that goes on with given codes behind each of its roundings.

    Args:
        final: the module.
        codes: by the number of the rounding; one that has none is the same as that before it.
    """

    def __init__(self, final: Any, codes: Mapping[int, Tensor]) -> None:
        super().__init__()
        self.final = final
        self.codes = codes
        self.distances: dict[int, float] = {}
        """By the number of the rounding: farthest code from the value before it, in steps."""

    def forward(self, x: Tensor) -> Any:
        """Of images (n, 3, height, width)."""
        return _Replaced(self).run(x)


class _Replaced(fx.Interpreter):
    """One run of a `_Forced`."""

    def __init__(self, forced: _Forced) -> None:
        super().__init__(forced.final)
        self.forced = forced
        self.at = -1

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        """As the graph says, but for roundings that have codes."""
        found = super().call_function(target, args, kwargs)
        if not rounds(target):
            return found
        self.at += 1
        codes = self.forced.codes.get(self.at)
        if codes is None:
            return found
        scale, zero = found.q_scale(), found.q_zero_point()
        value = (args[0].double() / scale + zero).clamp(0, LEVELS)
        self.forced.distances[self.at] = float((value - codes).abs().max())
        return torch.quantize_per_tensor((codes - zero) * scale, scale, zero, torch.quint8)
