"""What the server of converting processes loads once for all of them; see `export.processes`."""

import torch as torch

import palmette.export.coreml as coreml
from palmette.export._coremltools import coremltools

__all__ = ["coreml"]

coremltools()
