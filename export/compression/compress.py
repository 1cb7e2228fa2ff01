"""A package that palmette exported, with its weights compressed, under its name once proven."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.export.compression.apply import compressed, decompressed
from palmette.export.compression.proof import (
    LayerError,
    compare_expanded,
    compare_layers,
    compare_programs,
    compressed_layers,
    layer_errors,
)
from palmette.export.compression.schemes import (
    LEAST_VALUES,
    SYSTEMS,
    Scheme,
    runs_on,
    scheme_named,
)
from palmette.export.ends import constants_of
from palmette.export.package import WEIGHT_FILE, model_file, network_of, read_spec, write_package
from palmette.export.place import destination, move_into_place
from palmette.export.weights import Half, StoredLayer, stored_layers
from palmette.space.architecture import Architecture
from palmette.space.blocks import Head
from palmette.space.errors import expect

if TYPE_CHECKING:
    import pandas as pd

KIND = "mlprogram"
KEY = "compression"
"""Metadata of a compressed package: the scheme's name."""
OF_SOURCE = ("predicted_ms", "predicted_sustained_ms", "estimated_top1", "measured_top1")
"""Keys that begin so are figures of the network before it was compressed."""


@dataclass(frozen=True, slots=True)
class Compressed:
    """A compressed package and how far its weights are from those of its source."""

    path: Path
    scheme: Scheme
    layers: tuple[LayerError, ...]
    """Convolutions and linear layers in program order."""
    source_bytes: int
    bytes: int

    @property
    def weight_error(self) -> float:
        """Root of the mean of the squared relative errors of the compressed layers."""
        found = [layer.relative**2 for layer in self.layers if layer.compressed]
        return float((sum(found) / len(found)) ** 0.5)

    @property
    def worst(self) -> LayerError:
        """Layer with the largest relative error."""
        return max(self.layers, key=lambda layer: layer.relative)

    def table(self) -> pd.DataFrame:
        """A row for each layer: `name`, `values`, `compressed`, `largest` and `relative` change."""
        import pandas as pd

        return pd.DataFrame([asdict(layer) for layer in self.layers])


@dataclass(frozen=True, slots=True)
class Source:
    """A package that can be compressed, read once for all schemes."""

    path: Path
    spec: Any
    system: str
    """Oldest system that reads it, a value of `SYSTEMS`."""
    constants: tuple[Half, ...]
    layers: tuple[StoredLayer, ...]
    architecture: Architecture

    @property
    def classes(self) -> int:
        """That a classifier names; 0 for other networks."""
        head = self.architecture.head
        return head.classes if isinstance(head, Head) else 0


def open_source(package: Path) -> Source:
    """Read a package to compress.

    Raises:
        InputError: not an ML Program that palmette exported, or compressed already.
        ExportError: it stores weights that can't be compared.
    """
    spec = read_spec(package)
    kind = network_of(spec).WhichOneof("Type")
    expect(
        kind == "mlProgram",
        f"package {package}: holds a '{kind}'; only ML Programs are compressed: export with"
        f" --kind {KIND}",
    )
    about = spec.description.metadata.userDefined
    expect(
        "architecture" in about,
        f"package {package}: its metadata name no architecture; give a package that palmette"
        " exported",
    )
    expect(
        KEY not in about,
        f"package {package}: is compressed already ({about.get(KEY, '')}); give the package that"
        " it was made from",
    )
    expect(
        not compressed_layers(network_of(spec)),
        f"package {package}: holds compressed weights; give the package that it was made from",
    )
    version = spec.specificationVersion
    expect(
        version in SYSTEMS,
        f"package {package}: has the specification {version}; known are"
        f" {', '.join(f'{number} ({name})' for number, name in SYSTEMS.items())}",
    )
    architecture = Architecture.from_text(about["architecture"])
    constants = constants_of(architecture)
    layers = stored_layers(package, constants)
    return Source(package, spec, SYSTEMS[version], constants, layers, architecture)


def check_system(scheme: Scheme, system: str, where: str) -> None:
    """Refuse a scheme that the oldest system of a package does not run.

    Raises:
        InputError: names both systems, and what to do.
    """
    expect(
        runs_on(scheme, system),
        f"scheme '{scheme.name}': needs {scheme.system}, {where} is for {system}; export it for"
        f" {scheme.system} first, or name the network in place of the package",
    )


def compress(
    package: Path, path: Path, scheme: str | Scheme, *, least_values: int = LEAST_VALUES
) -> Compressed:
    """Compress the weights of a package, prove the result, and put it under its name.

    Equal arguments give equal bytes. A package that is already there is replaced.

    Args:
        package: an ML Program that `palmette.export.export` wrote, or a pipeline that begins with
            one.
        path: of the compressed package; the suffix is added if it has none.
        scheme: one of `SCHEMES`, or its name.
        least_values: weights of no more values stay as they are.

    Raises:
        InputError: a package, path or scheme breaks a rule; the message names it.
        ExportError: coremltools failed, or the package does not keep what the scheme promises.
    """
    return compress_source(open_source(package), path, scheme, least_values=least_values)


def compress_source(
    source: Source, path: Path, scheme: str | Scheme, *, least_values: int = LEAST_VALUES
) -> Compressed:
    """See `compress`; of a package that is open."""
    scheme = scheme_named(scheme) if isinstance(scheme, str) else scheme
    check_system(scheme, source.system, f"package {source.path}")
    path = destination(path, KIND)
    expect(
        path.resolve() != source.path.resolve(),
        f"output {path}: is the package to compress; choose another name",
    )
    with tempfile.TemporaryDirectory(prefix=".palmette-compress-", dir=path.parent) as name:
        folder = Path(name)
        network = _network(source.path, folder / "network.mlpackage")
        steps = compressed(network, scheme.steps, least_values, folder)
        built = folder / path.name
        _write(source, steps[-1], scheme, built)
        layers = _proven(source, [*steps[:-1], built], scheme, folder, least_values)
        found = Compressed(path, scheme, layers, size_bytes(source.path), size_bytes(built))
        move_into_place(built, path)
    return found


def _network(package: Path, path: Path) -> Path:
    """The package itself, or, of a pipeline, its first stage as a package of its own."""
    spec = read_spec(package)
    network = network_of(spec)
    if network is spec:
        return package
    write_package(network, _weight_file(package), path)
    return path


def _weight_file(package: Path) -> Path:
    return model_file(package).parent / "weights" / WEIGHT_FILE


def _write(source: Source, network: Path, scheme: Scheme, built: Path) -> None:
    """The source with another network and the compression in its metadata."""
    spec = type(source.spec)()
    spec.CopyFrom(source.spec)
    stored = read_spec(network)
    stage = network_of(spec)
    stage.mlProgram.CopyFrom(stored.mlProgram)
    about = spec.description.metadata.userDefined
    texts = _metadata(about, source.path, scheme)
    about.clear()
    about.update(texts)
    write_package(spec, _weight_file(network), built)


def _metadata(about: Mapping[str, str], package: Path, scheme: Scheme) -> dict[str, str]:
    """Metadata of a compressed package.

    Nobody timed or tested it: what is known of its source is called so.
    """
    renamed = {
        f"{key}_uncompressed" if key.startswith(OF_SOURCE) else key: value
        for key, value in about.items()
    }
    return {
        **renamed,
        KEY: scheme.name,
        "compression_bits": str(scheme.bits),
        "compressed_from": content_hash(package),
    }


def _proven(
    source: Source, stages: list[Path], scheme: Scheme, folder: Path, least_values: int
) -> tuple[LayerError, ...]:
    """Read every stage back, check it against the one before; errors of the last."""
    before = source.layers
    for at, (package, step) in enumerate(zip(stages, scheme.steps, strict=True)):
        network = _network(package, folder / f"stage{at}.mlpackage")
        found = compressed_layers(read_spec(network))
        expect(
            bool(found),
            f"package {source.path}: no layer has more than {least_values} weights that"
            f" '{scheme.name}' could compress",
        )
        dense = decompressed(network, folder / f"dense{at}.mlpackage")
        compare_programs(network_of(source.spec), read_spec(dense))
        after = stored_layers(dense, source.constants)
        compare_layers(before, after, found, step, joint=at > 0)
        compare_expanded(network, after, found)
        before = after
    return layer_errors(network_of(source.spec), source.layers, before, found)


def size_bytes(package: Path) -> int:
    """Size of all files of a package."""
    files = [package] if package.is_file() else package.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def content_hash(package: Path) -> str:
    """SHA-256 over names and bytes of a package's files, in order of their names."""
    digest = hashlib.sha256()
    for file in sorted(file for file in package.rglob("*") if file.is_file()):
        data = file.read_bytes()
        digest.update(f"{file.relative_to(package).as_posix()} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()
