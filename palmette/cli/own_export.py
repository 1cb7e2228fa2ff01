"""`palmette export module.py:factory`: the user's own torch module as a package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DEFAULT_SIZE = "224"


def export_own(
    reference: str,
    target: Any,
    predictor: Any,
    out: Path,
    *,
    size: str | None,
    kind: str | None,
    labels: str | None,
    unproven: bool,
) -> tuple[Path, float, str]:
    """Package of the module that a factory makes, its predicted milliseconds, what was proven."""
    from palmette.cli.labels import labels_file
    from palmette.export import ExportOptions, kind_for_runtime, latency_metadata, read_labels
    from palmette.export.own_module import export_module
    from palmette.export.package import read_spec
    from palmette.export.sizes import read_size
    from palmette.space.factory import module_from_file
    from palmette.space.trace import trace_ops

    resolution = read_size(size or DEFAULT_SIZE, "--size")
    module = module_from_file(reference).eval()
    ms = float(predictor.predict([trace_ops(module, (3, *resolution))])[0])
    kind = kind or kind_for_runtime(target.runtime)
    metadata = {"target": str(target), **latency_metadata(target.runtime, kind, ms)}
    file = labels_file(labels)
    options = ExportOptions(kind, None if file is None else read_labels(file), metadata=metadata)
    path = export_module(module, out, resolution=resolution, options=options, unproven=unproven)
    return path, ms, read_spec(path).description.metadata.userDefined["proof"]
