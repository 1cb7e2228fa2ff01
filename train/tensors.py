"""Safetensors with a JSON beside the tensors and a hash over both, in one file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
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
    from safetensors import SafetensorError, safe_open

    expect_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: is truncated or no safetensors file ({reason})") from None
    try:
        beside = json.loads(metadata.get(META, ""))
        digest, info, found = beside["sha256"], beside["info"], beside["info"]["format"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(f"{path}: was not written by palmette; it needs its metadata") from None
    expect(found == form, f"{path}: has the format '{found}', needed is '{form}'")
    expect(
        digest == _digest(tensors, json.dumps(info)),
        f"{path}: is damaged: its content is not what was written",
    )
    return tensors, info


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    import torch

    state = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        state.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        state.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()
