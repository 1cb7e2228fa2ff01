"""Where and in which numbers it is computed: device, normalisation, autocast, determinism."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from palmette.space.errors import InputError, expect
from palmette.train.options import expect_device
from palmette.train.recipe import Compute

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Mean of each channel and one deviation, of pixels from 0 to 1.

    As an export's image input takes them: one scale, and a bias for each channel.
    """

    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    deviation: float = 0.5

    @property
    def scale(self) -> float:
        """By which a byte is multiplied."""
        return 1 / (255 * self.deviation)

    @property
    def bias(self) -> tuple[float, float, float]:
        """Added to each channel after it."""
        red, green, blue = (-value / self.deviation for value in self.mean)
        return red, green, blue


class Normalise(nn.Module):
    """Bytes (n, 3, height, width) to what the network sees, on the device."""

    bias: Tensor

    def __init__(self, numbers: Normalisation, channels_last: bool) -> None:
        super().__init__()
        self.scale = numbers.scale
        self.register_buffer("bias", torch.tensor(numbers.bias)[:, None, None])
        self.layout = torch.channels_last if channels_last else torch.contiguous_format

    def forward(self, images: Tensor) -> Tensor:
        """Single precision, normalised."""
        x = images.to(torch.float32, memory_format=self.layout)
        return x.mul_(self.scale).add_(self.bias)


def find_device(name: str) -> torch.device:
    """Device by name; `auto` is a GPU if there is one.

    Raises:
        InputError: no such device on this machine.
    """
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    expect_device(name)
    if name == "auto":
        name = next((found for found in ("cuda", "mps") if there[found]), "cpu")
    expect(there[name], f"device '{name}': is not on this machine; choose another")
    return torch.device(name)


def autocast(device: torch.device, keys: Compute) -> torch.autocast:
    """Context of the recipe's precision; for single precision it does nothing."""
    dtype = DTYPES.get(keys.precision)
    return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)


@contextmanager
def determinism(on: bool) -> Iterator[None]:
    """The same numbers each time, on the same machine; otherwise the fastest algorithms."""
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), cudnn.benchmark
    if on:
        # cuBLAS reads it when it is first used
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(on)
    cudnn.benchmark = not on
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        cudnn.benchmark = before[1]


OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator, of a GPU or of the CPU, found no room."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in OUT_OF_MEMORY)


class OutOfMemory(InputError):
    """A batch does not fit the device's memory; `fitting` is one that does, 0 if none."""

    def __init__(self, batch: int, fitting: int) -> None:
        remedy = f"{fitting} fits: set batch to it, or let it be halved (--halve)"
        if not fitting:
            remedy = "not even one image fits; take a smaller resolution"
        super().__init__(f"out of memory at a batch of {batch}; {remedy}")
        self.fitting = fitting
