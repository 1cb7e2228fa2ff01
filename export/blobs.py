"""Weight files of ML Programs: blobs of values, those of less than a byte packed.

`weight.bin` is a header of 64 bytes, then blobs; each is 64 bytes of metadata (marker, type, bytes,
offset of the data, padding in bits) and its data, both at multiples of 64 bytes. Values of
fewer than eight bits lie side by side, the lowest bits first; layout and codes of types after
Apple's coremltools (mlmodel/src/MILBlob/Blob/StorageFormat.hpp).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palmette.space.errors import expect

HEADER = struct.Struct("<IIQQQ")
MARKER = 0xDEADBEEF
MODEL_PATH = "@model_path/"


@dataclass(frozen=True, slots=True)
class Element:
    """A type of values: code among blobs, type in memory, bits on disk."""

    code: int
    dtype: str
    bits: int
    signed: bool = False
    """Of a packed type, whether its highest bit is the sign."""


ELEMENTS: dict[str, Element] = {
    "FLOAT16": Element(1, "<f2", 16),
    "FLOAT32": Element(2, "<f4", 32),
    "UINT8": Element(3, "u1", 8),
    "INT8": Element(4, "i1", 8),
    "INT16": Element(6, "<i2", 16),
    "UINT16": Element(7, "<u2", 16),
    "INT4": Element(8, "i1", 4, signed=True),
    "UINT1": Element(9, "u1", 1),
    "UINT2": Element(10, "u1", 2),
    "UINT4": Element(11, "u1", 4),
    "UINT3": Element(12, "u1", 3),
    "UINT6": Element(13, "u1", 6),
    "INT32": Element(14, "<i4", 32),
    "UINT32": Element(15, "<u4", 32),
}
"""Types of values by their names in ML Programs."""


class WeightFiles:
    """Weight files beside a model file, each read once."""

    def __init__(self, folder: Path, *, weights: bool = True) -> None:
        self.weights = weights
        self.folder = folder.resolve()
        self.files: dict[str, bytes] = {}

    def read(self, name: str, offset: int, element: str = "FLOAT16") -> bytes:
        """Data of the blob whose metadata lie at `offset`.

        Raises:
            InputError: no such file in the package, or no blob of that type there, or one that is
                cut off.
        """
        where = f"weight file {name}"
        content = self._content(name, where)
        expect(offset + HEADER.size <= len(content), f"{where}: ends before byte {offset}")
        marker, code, size, start, _ = HEADER.unpack_from(content, offset)
        expect(marker == MARKER, f"{where}: no weights at byte {offset}")
        expect(
            code == ELEMENTS[element].code, f"{where}: weights at byte {offset} are not {element}"
        )
        expect(start + size <= len(content), f"{where}: ends within the weights at byte {offset}")
        return content[start : start + size]

    def _content(self, name: str, where: str) -> bytes:
        if name not in self.files:
            file = (self.folder / name.removeprefix(MODEL_PATH)).resolve()
            expect(
                file.is_relative_to(self.folder) and file.is_file(),
                f"{where}: is not in the package",
            )
            self.files[name] = file.read_bytes()
        return self.files[name]


def decoded(data: bytes, element: str, count: int, where: str) -> NDArray[np.generic]:
    """So many values of a type from their bytes.

    Raises:
        InputError: there are more or fewer bytes; begins with `where`.
    """
    kind = ELEMENTS[element]
    expect(
        len(data) == -(-count * kind.bits // 8),
        f"{where}: {count} values of type {element} are stored in {len(data)} bytes",
    )
    if kind.bits >= 8:
        return np.frombuffer(data, kind.dtype)
    return unpacked(data, kind.bits, count, kind.signed)


def unpacked(data: bytes, bits: int, count: int, signed: bool = False) -> NDArray[np.generic]:
    """Values of a few bits each, the lowest bits of a byte first.

    >>> unpacked(bytes([0b11_10_01_00]), 2, 3).tolist()
    [0, 1, 2]
    """
    flags = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")[: count * bits]
    values = flags.reshape(count, bits) @ (1 << np.arange(bits))
    if signed:
        values = np.where(values >= 1 << (bits - 1), values - (1 << bits), values)
    return values.astype("i1" if signed else "u1")
