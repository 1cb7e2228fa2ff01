"""The user's own torch module, from `path/to/file.py:factory`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from torch import nn


def module_from_file(reference: str) -> nn.Module:
    """Module that a function without arguments returns, named `file.py:function`.

    The file is run as Python code: name only files that you would run.

    Raises:
        InputError: no such file or function, an error inside it, or something else than a module.
    """
    from torch import nn

    name, _, factory = reference.rpartition(":")
    path = Path(name)
    expect(
        path.suffix == ".py" and path.is_file(),
        f"{reference}: no such Python file as '{name}'; write path/to/file.py:function",
    )
    spec = importlib.util.spec_from_file_location(f"palmette_user_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded  # where dataclasses look their module up
    try:
        spec.loader.exec_module(loaded)
        function = getattr(loaded, factory, None)
        module = function() if callable(function) else None
    except (Exception, SystemExit) as error:
        # whatever the user's own code raises is an error of that file
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{reference}: {reason}") from error
    expect(callable(function), f"{reference}: {name} has no function '{factory}'")
    if not isinstance(module, nn.Module):
        raise InputError(f"{reference}: must return a torch.nn.Module, got {type(module).__name__}")
    return module
