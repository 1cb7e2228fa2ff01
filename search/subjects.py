"""What a network and a target may be given as: one door for all that takes a network apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from palmette.latency import TARGETS, LatencyPredictor, load_predictor
from palmette.latency.op_lists import network_ops
from palmette.space import ZOO, Architecture, Op, load
from palmette.space.architecture import MAX_RESOLUTION
from palmette.space.choices import image_size, resolution
from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from torch import nn

    Known = Architecture | nn.Module | tuple[Op, ...]
    Subject = Known | list[Op] | str
    """A network: an architecture, any torch module, ops alone, or a name or text of these."""

Target = str | LatencyPredictor
"""A target's name or alias, whose shipped predictor is taken, or a predictor of one's own."""
_SIZE = resolution(1, MAX_RESOLUTION)


def subject_of(given: Subject) -> Known:
    """A network by what it was given as.

    Args:
        given: an architecture, any torch module, ops alone, or a text: a zoo name, also at a
            resolution (`mobilenet_v2@192x256`), an architecture's text, a network that is shipped
            as ops, or the path of an op-list CSV.

    Raises:
        InputError: nothing of that name, no ops, or something else.
    """
    if isinstance(given, str):
        return _named(given)
    if isinstance(given, Architecture):
        return given
    if isinstance(given, tuple | list) and all(isinstance(op, Op) for op in given):
        expect(len(given) > 0, "network: has no ops")
        return tuple(given)
    from torch import nn

    if isinstance(given, nn.Module):
        return given
    raise InputError(
        "network: must be an Architecture, a name or text of one, a torch module, or ops;"
        f" got {_shown(given)}"
    )


def architecture_of(given: Architecture | str) -> Architecture:
    """An architecture by what it was given as; see `subject_of`.

    Raises:
        InputError: nothing of that name, or no architecture.
    """
    found = subject_of(given)
    if not isinstance(found, Architecture):
        raise InputError(
            f"network: must be an Architecture, or a name or text of one, got {_shown(given)}"
        )
    return found


def predictor_of(target: Target) -> LatencyPredictor:
    """The predictor of a target, by name, or as it is.

    Raises:
        InputError: an unknown target, a predictor that is not fitted, or something else.
    """
    if isinstance(target, str):
        return load_predictor(target)
    expect(
        isinstance(target, LatencyPredictor),
        "target: must be a name, such as 'iphone-13/ane', or a LatencyPredictor;"
        f" got {_shown(target)}",
    )
    target.predict([])
    return target


def predictors_of(targets: Sequence[Target] | None = None) -> dict[str, LatencyPredictor]:
    """Predictors by the full names of their targets; of all shipped ones if none are given.

    Raises:
        InputError: see `predictor_of`, a target given twice, or none at all.
    """
    given = TARGETS if targets is None else targets
    listed = isinstance(given, Iterable) and not isinstance(given, str)
    expect(listed, f"targets: give a list, such as ['iphone-13/ane'], got {_shown(given)}")
    found = [predictor_of(one) for one in given]
    named = {str(predictor.model_.target): predictor for predictor in found}
    expect(bool(named), "targets: give at least one")
    expect(len(named) == len(found), f"targets: each once, got {', '.join(named)} and one again")
    return named


def image_of(size: Any) -> tuple[int, int]:
    """(height, width) of a module's input, px.

    Raises:
        InputError: not two whole numbers in range.
    """
    two = isinstance(size, tuple | list) and len(size) == 2
    expect(
        two and all(type(px) is int and 1 <= px <= MAX_RESOLUTION for px in size),
        f"resolution: must be (height, width), each from 1 to {MAX_RESOLUTION} px,"
        f" got {_shown(size)}",
    )
    return size[0], size[1]


def _named(text: str) -> Known:
    name, at, size = text.partition("@")
    if "|" in text:
        return Architecture.from_text(text)
    if name not in ZOO:
        return network_ops(text)
    if not at:
        return load(name)
    expect(_SIZE.holds(size), f"network '{text}': resolution must be HxW in px, got '{size}'")
    return load(name).with_resolution(*image_size(size))


def _shown(given: object) -> str:
    """A value in an error's words: a name or number as it is, an object by its class."""
    return repr(given) if isinstance(given, str | int | float | tuple) else type(given).__name__
