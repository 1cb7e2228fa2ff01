"""Base of all blocks: fields with their text tokens, validation, text and JSON.

A block class is a frozen dataclass. Every field carries its text token, so that one table per class
serves validation, text and JSON. Sizes are integers in memory; the text writes a size as a ratio of
the block's input channels where the ratio is exact and one that papers print (`e6`, `se0.25`), and
as the integer otherwise (`x184`, `se48`), so the way back is lossless.

    ir_k5_s2_e6_c40_relu6_se0.25      inverted residual, 5x5, stride 2, expansion 6, 40 channels out
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar

from palmette.space.blocks.numbers import Listed
from palmette.space.errors import InputError, expect

ACTIVATIONS = ("none", "relu", "relu6", "lrelu", "hswish", "swish", "gelu", "sigmoid", "hsigmoid")
"""Activation names of the whole project; `space.modules` and `space.trace` map them to torch."""

GATES = ("sigmoid", "hsigmoid")
MAX_CHANNELS = 65_536  # tensor limit of the Neural Engine; beyond is a typo
MAX_KERNEL = 31
MAX_DILATION = 64
_DIGITS = "[0-9]{1,9}"


def size_field(
    token: str, *, low: int = 1, high: int = MAX_CHANNELS, default: Any = MISSING
) -> Any:
    """A count from `low` to `high`, written as the token and the number."""
    return field(default=default, metadata={"token": token, "low": low, "high": high})


def choice_field(token: str, names: tuple[str, ...], default: Any = MISSING) -> Any:
    """One of some names, written as the token and the name."""
    return field(default=default, metadata={"token": token, "names": names})


def flag_field(token: str, default: bool) -> Any:
    """A boolean whose token is written when the value is not the default."""
    return field(default=default, metadata={"token": token, "flag": True})


def ratio_field(token: str, ratio_token: str, steps: tuple[float, ...], **size: Any) -> Any:
    """A channel count that text writes as a ratio of the input channels if it is one of `steps`."""
    made = size_field(token, **size)
    return field(
        default=made.default,
        metadata={**made.metadata, "ratio_token": ratio_token, "steps": steps},
    )


def kernel_field(default: Any = MISSING) -> Any:
    """An odd window."""
    return field(
        default=default, metadata={"token": "k", "low": 1, "high": MAX_KERNEL, "odd": True}
    )


def stride_field() -> Any:
    """A stride of 1 or 2."""
    return size_field("s", high=2)


def expanded_field() -> Any:
    """Expanded channels; text may write their ratio to the block's input."""
    return ratio_field("x", "e", tuple(half / 2 for half in range(1, 33)))


def squeeze_field() -> Any:
    """Squeeze channels of a gate, 0 for none; text may write their ratio to the block's input."""
    return ratio_field("se", "se", (0.125, 0.25, 0.5), low=0, default=0)


def act_field() -> Any:
    """An activation."""
    return choice_field("", ACTIVATIONS)


def dilation_field() -> Any:
    """Steps between the values that a kernel reads; the padding grows along (DeepLab)."""
    return learned(size_field("d", high=MAX_DILATION, default=1))


def same_field() -> Any:
    """Whether a stride of 2 pads as TensorFlow's `same` does: the odd value at bottom and right."""
    return learned(flag_field("same", False))


def learned(item: Any) -> Any:
    """A field that JSON leaves out at its default.

    What a block learns after its first release must not change the ids of networks without it.
    """
    return field(default=item.default, metadata={**item.metadata, "learned": True})


@dataclass(frozen=True, slots=True)
class Block:
    """Base of all blocks: validation by the token table of the subclass.

    Raises:
        InputError: a field is outside its range; the message names block, field, rule and value.
    """

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        for item in fields(self):
            if isinstance(numbers := item.metadata.get("names"), Listed):
                object.__setattr__(self, item.name, numbers.read(getattr(self, item.name)))
            _validate(self.kind, item, getattr(self, item.name))

    @property
    def out_channels(self) -> int:
        """Channels of the block's output."""
        channels: int = getattr(self, "channels")  # noqa: B009 (declared by every subclass)
        return channels

    @property
    def downsampling(self) -> int:
        """Factor by which the block divides height and width."""
        stride: int = getattr(self, "stride", 1)
        return stride

    @property
    def least_size(self) -> int:
        """Least height and width of a map that the block can read: one value cannot be halved."""
        return self.downsampling

    def out_size(self, size: int) -> int:
        """Height or width of the output for that of the input; padding rounds odd sizes up."""
        return -(-size // self.downsampling)

    def check_input(self, in_channels: int) -> None:
        """Raise InputError if the block cannot follow a tensor of `in_channels` channels."""


def format_block(block: Block, in_channels: int) -> str:
    """Text of a block after a tensor of `in_channels` channels, such as `ds_k3_s1_c16_relu6`."""
    tokens = [block.kind]
    for item in fields(block):
        value, meta = getattr(block, item.name), item.metadata
        if value == item.default:
            continue
        if meta.get("flag"):
            tokens.append(meta["token"])
        elif "steps" in meta and value / in_channels in meta["steps"]:
            # `se0.25` must not be taken for a count, nor `e6` for one: ratios keep their own form
            tokens.append(f"{meta['ratio_token']}{value / in_channels:g}")
        else:
            tokens.append(f"{meta['token']}{value}")
    return "_".join(tokens)


def parse_block(text: str, in_channels: int, classes: Mapping[str, type[Block]]) -> Block:
    """Block from its text; the inverse of `format_block`.

    Args:
        text: tokens joined by `_`; the first is the block's kind, the others come in any order.
        in_channels: channels of the tensor before the block; ratios refer to it.
        classes: allowed kinds.

    Raises:
        InputError: unknown kind or token, a token given twice, a value out of range.
    """
    kind, *tokens = text.strip().split("_")
    expect(
        kind in classes,
        f"block '{text}': unknown kind '{kind}'; known kinds are {', '.join(classes)}",
    )
    values: dict[str, Any] = {}
    for token in tokens:
        name, value = _parse_token(classes[kind], token, in_channels, text)
        expect(name not in values, f"block '{text}': '{name}' is given twice; keep one")
        values[name] = value
    for item in fields(classes[kind]):
        expect(
            item.name in values or item.default is not MISSING,
            f"block '{text}': '{item.name}' is missing; write {_hint(item)}",
        )
    return classes[kind](**values)


def block_from_json(data: Any, where: str, classes: Mapping[str, type[Block]]) -> Block:
    """Block from the dictionary that `block_to_json` makes.

    Raises:
        InputError: not an object, unknown kind, unknown or missing key, value of a wrong type.
    """
    expect(isinstance(data, dict), f"{where}: expected an object, got {type(data).__name__}")
    kind = data.get("kind")
    expect(
        isinstance(kind, str) and kind in classes,
        f"{where}.kind: unknown kind {kind!r}; known kinds are {', '.join(classes)}",
    )
    known = {item.name: item for item in fields(classes[kind])}
    for key in data:
        expect(
            key == "kind" or key in known,
            f"{where}: unknown key {key!r}; a '{kind}' block has {', '.join(known)}",
        )
    for name, item in known.items():
        expect(name in data or item.default is not MISSING, f"{where}: key '{name}' is missing")
    try:
        return classes[kind](**{key: value for key, value in data.items() if key != "kind"})
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def block_to_json(block: Block) -> dict[str, Any]:
    """Fields of a block as a dictionary of plain values, its kind first; see `learned`."""
    values = {item.name: getattr(block, item.name) for item in fields(block)}
    quiet = {
        item.name
        for item in fields(block)
        if item.metadata.get("learned") and values[item.name] == item.default
    }
    return {"kind": block.kind} | {key: v for key, v in values.items() if key not in quiet}


def _validate(kind: str, item: Field[Any], value: Any) -> None:
    meta, where = item.metadata, f"{kind} block, {item.name}"
    if meta.get("flag"):
        expect(isinstance(value, bool), f"{where}: must be true or false, got {value!r}")
    elif "names" in meta:
        names = meta["names"]
        expect(value in names, f"{where}: must be one of {', '.join(names)}; got {value!r}")
    else:
        low, high = meta["low"], meta["high"]
        expect(
            type(value) is int and low <= value <= high,
            f"{where}: must be an integer from {low} to {high}, got {value!r}",
        )
        expect(not meta.get("odd") or value % 2 == 1, f"{where}: must be odd, got {value}")


def _parse_token(
    block: type[Block], token: str, in_channels: int, text: str
) -> tuple[str, int | str | bool]:
    for item in fields(block):
        meta = item.metadata
        if meta.get("flag"):
            if token == meta["token"]:
                return item.name, not item.default
        elif "names" in meta:
            if token.removeprefix(meta["token"]) in meta["names"] and token.startswith(
                meta["token"]
            ):
                return item.name, token.removeprefix(meta["token"])
        elif found := re.fullmatch(f"{meta['token']}({_DIGITS})", token):
            # a ratio token equal to the count's (`se`) is told apart by its decimal point
            return item.name, int(found.group(1))
        elif "steps" in meta and (
            found := re.fullmatch(rf"{meta['ratio_token']}({_DIGITS}(?:\.{_DIGITS})?)", token)
        ):
            value = float(found.group(1)) * in_channels
            expect(
                value.is_integer(),
                f"block '{text}': '{token}' of {in_channels} input channels is {value:g}, not a"
                f" whole number; write the count as {meta['token']}N",
            )
            return item.name, int(value)
    hints = ", ".join(_hint(item) for item in fields(block))
    raise InputError(f"block '{text}': unknown token '{token}'; a '{block.kind}' takes {hints}")


def _hint(item: Field[Any]) -> str:
    meta = item.metadata
    if meta.get("flag"):
        return f"{meta['token']}"
    if "names" in meta:
        return f"{meta['token']}({'|'.join(meta['names'])})"
    return f"{meta['token']}N" + (f" or {meta['ratio_token']}R" if "steps" in meta else "")


def check_groups(kind: str, groups: int, *channels: int) -> None:
    """Raise InputError if `groups` does not divide one of the counts of channels."""
    for count in channels:
        expect(
            count % groups == 0,
            f"{kind} block, groups: must divide the channels of its 1x1 or kxk convolutions;"
            f" {groups} does not divide {count}",
        )
