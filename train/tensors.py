"""Safetensors with a JSON beside the tensors and a hash over both, in one file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space.errors import InputError, expect
from palmette.space.files import expect_file

if TYPE_CHECKING:
    from torch import Tensor

META = "palmette"
"""The one key of the metadata: the order of several would vary from file to file."""


def tensor_bytes(tensors: Mapping[str, Tensor], info: Mapping[str, Any]) -> bytes:
    """Content of a file; equal tensors and info give equal bytes.

    Args:
        tensors: of any device.
        info: plain values with a key `format`.
    """
    from safetensors.torch import save

    ready = _apart(tensors)
    digest = _digest(ready, json.dumps(info))
    return save(ready, {META: json.dumps({"sha256": digest, "info": info})})


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by sorted names, on the CPU, each with memory of its own."""
    ready, places = {}, set()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        place = value.untyped_storage().data_ptr()
        ready[name] = value.clone() if place in places else value
        places.add(place)
    return ready


def read_tensors(path: Path, form: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, on the CPU, and the info beside them.

    Raises:
        InputError: no such file, truncated, damaged, or of another format.
    """
    with _opened(path, "pt") as file:
        digest, info = _beside(path, file)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    found = info["format"]
    expect(found == form, f"{path}: has the format '{found}', needed is '{form}'")
    expect(
        digest == _digest(tensors, json.dumps(info)),
        f"{path}: is damaged: its content is not what was written",
    )
    return tensors, info


def read_info(path: Path) -> dict[str, Any]:
    """The info alone, without torch: tensors are not read, nor is the hash over them checked.

    Raises:
        InputError: no such file, no safetensors, or not of palmette's.
    """
    with _opened(path, "numpy") as file:
        return _beside(path, file)[1]


@contextmanager
def _opened(path: Path, framework: str) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    expect_file(path)
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except InputError:
        raise
    except (OSError, SafetensorError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: is truncated or no safetensors file ({reason})") from None


def _beside(path: Path, file: Any) -> tuple[str, dict[str, Any]]:
    """Hash and info."""
    try:
        beside = json.loads((file.metadata() or {}).get(META, ""))
        digest, info = beside["sha256"], beside["info"]
        info["format"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(f"{path}: was not written by palmette; it needs its metadata") from None
    return digest, info


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    import torch

    state = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        state.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        state.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()
