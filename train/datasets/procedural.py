"""Procedural images: five shapes times four textures, twenty classes, on clutter.

A class is a shape *and* the texture that fills it: a network has to see the outline, which is
large, and the pattern, which is fine. Nothing else tells the class: colours, contrast, place, size
and angle of the object are drawn for each image, smaller objects of other classes lie around and
partly on it, and the background has waves and grain of its own.

Every number of an image is a hash of (seed, index, what it is for), so an image depends on neither
its neighbours nor the size of the set, and a whole batch is computed at once. Same arguments, same
bytes, on one machine; across machines sines may round differently.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from palmette.space.errors import expect
from palmette.train.datasets.images import ArrayImages, Labels, Pixels

Floats = NDArray[np.float32]

CLUTTER = 5
"""Small objects around the large one."""
CHUNK_PIXELS = 1 << 15  # fits a core's cache
MAX_SIDE = 1024
GOLDEN, MIX_A, MIX_B = (
    np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def procedural(count: int, side: int = 32, seed: int = 0, first: int = 0) -> ArrayImages:
    """Images `first` to `first + count` of a seed's endless series, classes in turn.

    Args:
        count: images, 1 or more.
        side: height and width in px, 8 to 1024.
        seed: of the series; series of different seeds share nothing.
        first: index of the first one.

    Raises:
        InputError: a number out of range.
    """
    expect(count >= 1, f"procedural: count must be 1 or more, got {count}")
    expect(8 <= side <= MAX_SIDE, f"procedural: side must be 8 to {MAX_SIDE} px, got {side}")
    expect(seed >= 0 and first >= 0, "procedural: seed and first must be 0 or more")
    indices = np.arange(first, first + count, dtype=np.int64)
    step = max(1, CHUNK_PIXELS // side**2)
    pixels = np.empty((count, side, side, 3), np.uint8)
    for start in range(0, count, step):
        pixels[start : start + step] = render(indices[start : start + step], side, seed)
    return ArrayImages(pixels, indices % len(CLASSES), CLASSES, f"procedural {side}px seed {seed}")


def render(indices: Labels, side: int, seed: int) -> Pixels:
    """Images (n, side, side, 3) by their indices (n,); class is index modulo 20."""
    draw = _Draws(indices, seed)
    axis = (np.arange(side, dtype=np.float32) + 0.5) * (2 / side) - 1
    x, y = np.meshgrid(axis, axis)
    image = _background(draw, x, y)
    label = indices % len(CLASSES)
    late = CLUTTER // 2
    for at in range(CLUTTER - late):
        image = _object(image, draw, x, y, _Small(draw, at), None)
    image = _object(image, draw, x, y, _Large(draw), label)
    for at in range(CLUTTER - late, CLUTTER):  # these may cover a part of it
        image = _object(image, draw, x, y, _Small(draw, at), None)
    grain = draw.noise(side) * draw.between("grain", 0.02, 0.10)[:, None, None, None]
    found: Pixels = np.clip((image + grain) * 255, 0, 255).astype(np.uint8)
    return found


class _Draws:
    """Uniform numbers of every image, by what they are for."""

    def __init__(self, indices: Labels, seed: int) -> None:
        start = np.array([seed], np.uint64)
        self.keys = _hash(_hash(start) + indices.astype(np.uint64) * GOLDEN)

    def uniform(self, what: str) -> Floats:
        """Numbers from 0 to 1, (n,)."""
        purpose = np.frombuffer(what.encode().ljust(24, b"\0")[:24], "<u8")
        key = self.keys
        for word in purpose:
            key = _hash(key ^ word)
        return _unit(key)

    def between(self, what: str, low: float, high: float) -> Floats:
        """Numbers from `low` to `high`, (n,)."""
        return low + (high - low) * self.uniform(what)

    def below(self, what: str, count: int) -> Labels:
        """Whole numbers from 0 to count - 1, (n,)."""
        return np.minimum(self.uniform(what) * count, count - 1).astype(np.int64)

    def colour(self, what: str, low: float, high: float) -> Floats:
        """RGB of every image, (n, 3)."""
        return np.stack([self.between(f"{what}.{c}", low, high) for c in "rgb"], axis=1)

    def noise(self, side: int) -> Floats:
        """Grain from -1 to 1, (n, side, side, 3)."""
        places = np.arange(side * side * 3, dtype=np.uint64).reshape(side, side, 3) * MIX_B
        return 2 * _unit(_hash(self.keys[:, None, None, None] ^ places)) - 1


def _hash(key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser: each bit of the result depends on each bit of the key."""
    key = key + GOLDEN
    key = (key ^ (key >> np.uint64(30))) * MIX_A
    key = (key ^ (key >> np.uint64(27))) * MIX_B
    return key ^ (key >> np.uint64(31))


def _unit(key: NDArray[np.uint64]) -> Floats:
    found: Floats = (key >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)
    return found


def _wide(value: Floats) -> Floats:
    found: Floats = value[:, None, None]
    return found


def _background(draw: _Draws, x: Floats, y: Floats) -> Floats:
    """Two colours that a slow wave mixes, (n, side, side, 3)."""
    angle, pace = draw.between("sky.angle", 0, np.pi), draw.between("sky.pace", 0.5, 4)
    along = _wide(np.cos(angle)) * x + _wide(np.sin(angle)) * y
    mix = 0.5 + 0.5 * np.sin(_wide(pace) * along * np.pi + _wide(draw.between("sky.at", 0, 6.3)))
    one, two = draw.colour("sky.one", 0.15, 0.85), draw.colour("sky.two", 0.15, 0.85)
    two = one + 0.6 * (two - one)
    found: Floats = one[:, None, None] + mix[..., None] * (two - one)[:, None, None]
    return found


class _Large:
    """Place and size of the object that has the class."""

    PACE = (4.3, 7.0)
    """Half periods of the pattern in half a side of the image."""

    def __init__(self, draw: _Draws) -> None:
        self.name = "main"
        self.size = draw.between("main.size", 0.42, 0.78)
        room = 1 - 0.8 * self.size
        self.x = (2 * draw.uniform("main.x") - 1) * room
        self.y = (2 * draw.uniform("main.y") - 1) * room


class _Small:
    """Place and size of a piece of clutter."""

    PACE = (13.0, 21.0)

    def __init__(self, draw: _Draws, at: int) -> None:
        self.name = f"clutter{at}"
        self.size = draw.between(f"{self.name}.size", 0.12, 0.28)
        self.x = draw.between(f"{self.name}.x", -1, 1)
        self.y = draw.between(f"{self.name}.y", -1, 1)


def _object(
    image: Floats, draw: _Draws, x: Floats, y: Floats, place: _Large | _Small, label: Labels | None
) -> Floats:
    """The image with one object painted on, of a drawn class if it has none."""
    name = place.name
    if label is None:
        label = draw.below(f"{name}.class", len(CLASSES))
    angle = draw.between(f"{name}.angle", 0, 2 * np.pi)
    cos, sin = _wide(np.cos(angle)), _wide(np.sin(angle))
    dx, dy = (x - _wide(place.x)) / _wide(place.size), (y - _wide(place.y)) / _wide(place.size)
    u, v = cos * dx + sin * dy, cos * dy - sin * dx
    edge = 1.5 * (2 / x.shape[-1]) / _wide(place.size)  # softened over 1.5 px
    inside = np.clip(0.5 - _pick(SHAPES, label // len(TEXTURES), u, v) / edge, 0, 1)
    # the pattern has an angle and a scale of its own
    turn = draw.between(f"{name}.turn", 0, 2 * np.pi)
    pace = _wide(draw.between(f"{name}.pace", *place.PACE))
    p = (_wide(np.cos(turn)) * (x - _wide(place.x)) + _wide(np.sin(turn)) * y) * pace
    q = (_wide(np.cos(turn)) * y - _wide(np.sin(turn)) * (x - _wide(place.x))) * pace
    tone = _pick(TEXTURES, label % len(TEXTURES), p, q)
    one = draw.colour(f"{name}.one", 0, 1)
    other = draw.colour(f"{name}.two", 0, 1)
    # at least some contrast between the two colours of a pattern
    light = np.sign(0.5 - one.mean(axis=1, keepdims=True))
    two = np.clip(0.5 * (one + other) + 0.3 * light, 0, 1)
    paint = one[:, None, None] + tone[..., None] * (two - one)[:, None, None]
    found: Floats = image + inside[..., None] * (paint - image)
    return found


def _pick(table: dict[str, Callable[..., Floats]], which: Labels, u: Floats, v: Floats) -> Floats:
    """For every image the function that it has drawn, (n, side, side)."""
    out = np.empty_like(u)
    for number, function in enumerate(table.values()):
        rows = which == number
        if rows.any():
            out[rows] = function(u[rows], v[rows])
    return out


# Shapes: below 0 inside, of about unit radius and equal area


def _polygon(sides: int, u: Floats, v: Floats) -> Floats:
    sector = 2 * np.pi / sides
    angle = np.mod(np.arctan2(v, u), sector) - sector / 2
    found: Floats = np.hypot(u, v) * np.cos(angle) - 0.9 * np.sqrt(
        np.pi / sides / np.tan(np.pi / sides)
    )
    return found


def _star(u: Floats, v: Floats) -> Floats:
    wave = np.cos(5 * np.arctan2(v, u))
    return np.asarray((np.hypot(u, v) - 0.86 - 0.30 * wave) * 0.7, np.float32)


def _ring(u: Floats, v: Floats) -> Floats:
    return np.asarray(np.abs(np.hypot(u, v) - 0.72) - 0.30, np.float32)


SHAPES: dict[str, Callable[..., Floats]] = {
    "disk": lambda u, v: np.hypot(u, v) - 0.9,
    "triangle": lambda u, v: _polygon(3, u, v),
    "square": lambda u, v: _polygon(4, u, v),
    "star": _star,
    "ring": _ring,
}

# Textures: from 0 to 1, about three periods across the object


def _smooth(value: Floats) -> Floats:
    found: Floats = np.clip(0.5 + 1.5 * value, 0, 1)
    return found


TEXTURES: dict[str, Callable[..., Floats]] = {
    "stripes": lambda p, q: _smooth(np.sin(p * np.pi)),
    "checks": lambda p, q: _smooth(2 * np.sin(p * np.pi) * np.sin(q * np.pi)),
    "dots": lambda p, q: _smooth(np.cos(p * np.pi) + np.cos(q * np.pi) - 0.9),
    "waves": lambda p, q: _smooth(np.sin(p * np.pi + 1.6 * np.sin(q * np.pi))),
}
CLASSES = tuple(f"{shape}-{texture}" for shape in SHAPES for texture in TEXTURES)
