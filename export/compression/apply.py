"""A scheme's steps by coremltools: the only code that talks to its optimiser.

What it makes is not believed: `palmette.export.compression.promises` reads it back.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from palmette.export._coremltools import coremltools, without_bars
from palmette.export.compression.schemes import Palettise, Prune, Quantise, Step
from palmette.export.errors import ExportError
from palmette.export.package import WEIGHT_FILE, write_package
from palmette.export.weights import program_operations

WEIGHTED_OPS = ("conv", "linear")
"""Ops whose weights are compressed: not a detector's anchors, which are constants of other ops."""


def compressed(network: Path, steps: Sequence[Step], least_values: int, folder: Path) -> list[Path]:
    """Packages of a network after each step.

    Args:
        network: an ML Program; no pipeline.
        steps: each on what the one before left.
        least_values: weights of no more values stay as they are.
        folder: for the packages; the caller removes it.

    Raises:
        ExportError: coremltools failed; the message carries its reason.
    """
    found: list[Path] = []
    for at, step in enumerate(steps):
        with _reasons(f"apply {step}"):
            model = _APPLY[type(step)](_opened(network), step, least_values, at > 0)
        network = _kept(model, folder / f"step{at}.mlpackage")
        found.append(network)
    return found


def decompressed(network: Path, path: Path) -> Path:
    """The package `path`: a network with its weights as the compressed ones are read.

    Raises:
        ExportError: coremltools failed; the message carries its reason.
    """
    with _reasons("read the compressed weights"):
        model = coremltools().optimize.coreml.decompress_weights(_opened(network))
    return _kept(model, path)


def _opened(network: Path) -> Any:
    return coremltools().models.MLModel(str(network), skip_model_load=True)


def _kept(model: Any, path: Path) -> Path:
    """A model as a package of ours; the converter's own, which is in the way, is removed."""
    weight_file = Path(model.weights_dir, WEIGHT_FILE)
    write_package(model.get_spec(), weight_file if weight_file.exists() else None, path)
    shutil.rmtree(model.package_path)
    return path


@contextmanager
def _reasons(doing: str) -> Iterator[None]:
    """Quiet, and any failure as an ExportError in one line."""
    reason = ""
    try:
        with without_bars(), warnings.catch_warnings():
            # k-means says when a layer has fewer values than its table
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # the optimiser raises all kinds
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
    if reason:
        raise ExportError(f"coremltools could not {doing} ({reason})")


def _config(settings: Any, left: Sequence[str] = ()) -> Any:
    """The same settings for every layer but those left as they are, by their ops' names."""
    return coremltools().optimize.coreml.OptimizationConfig(
        op_type_configs=dict.fromkeys(WEIGHTED_OPS, settings),
        op_name_configs=dict.fromkeys(left),
    )


def first_layers(spec: Any) -> list[str]:
    """Names of the ops with weights that no other such op comes before."""
    behind: set[str] = set()
    found = []
    for op in program_operations(spec):
        read = {x.name for argument in op.inputs.values() for x in argument.arguments}
        weighted = op.type in WEIGHTED_OPS
        if weighted and not read & behind:
            found.append(op.attributes["name"].immediateValue.tensor.strings.values[0])
        if weighted or read & behind:
            behind |= {output.name for output in op.outputs}
    return found


def _palettise(model: Any, step: Palettise, least: int, joint: bool) -> Any:
    cto = coremltools().optimize.coreml
    grouped = {"granularity": "per_grouped_channel", "group_size": step.group} if step.group else {}
    settings = cto.OpPalettizerConfig(
        mode="kmeans", nbits=step.bits, weight_threshold=least, **grouped
    )
    return cto.palettize_weights(model, _config(settings), joint_compression=joint)


def _quantise(model: Any, step: Quantise, least: int, joint: bool) -> Any:
    cto = coremltools().optimize.coreml
    blocks = {"granularity": "per_block", "block_size": step.block} if step.block else {}
    settings = cto.OpLinearQuantizerConfig(
        mode="linear_symmetric", dtype=f"int{step.bits}", weight_threshold=least, **blocks
    )
    # these hold the scale of the image: one of theirs, divided by the largest code, is below what
    # half precision tells well, and units may take it for zero
    config = _config(settings, first_layers(model.get_spec()))
    return cto.linear_quantize_weights(model, config, joint_compression=joint)


def _prune(model: Any, step: Prune, least: int, joint: bool) -> Any:
    cto = coremltools().optimize.coreml
    settings = cto.OpMagnitudePrunerConfig(
        target_sparsity=step.percent / 100, weight_threshold=least
    )
    return cto.prune_weights(model, _config(settings), joint_compression=joint)


_APPLY: dict[type[Step], Callable[[Any, Any, int, bool], Any]] = {
    Palettise: _palettise,
    Quantise: _quantise,
    Prune: _prune,
}
