"""One subject of a plan as a package: built, converted, proven, its values checked.

Networks go through the export that ships them, with a tensor as input. Ops, kernels, chains and
probes are modules of tensors (`palmette.export.tensors`). A package is made in a folder for what is
under way and moved to its name in one step, whole and proven.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import palmette
from palmette.export.errors import ExportError
from palmette.export.formats import FORMATS, RUNTIME_KINDS, system_for_runtime
from palmette.latency.suite.manifest import hash_package
from palmette.latency.targets import parse_target
from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from torch import Tensor, nn

    from palmette.export.options import ExportOptions
    from palmette.space import Architecture

UNDER_WAY = ".under-way"
"""Folder in a suite for packages that are being made."""
_FORM = 1
"""Of packages: counted up when this file makes others."""


def package_form(target: str) -> tuple[str, str]:
    """Format that a target's runtime times, and the oldest system that shall read it: its own.

    Raises:
        InputError: the runtime runs no Core ML packages, or none of tensors in half precision.
    """
    runtime = parse_target(target).runtime
    expect(
        runtime in RUNTIME_KINDS,
        f"target '{target}': {runtime} runs no Core ML packages, which a suite is made of; plan for"
        f" one of {', '.join(RUNTIME_KINDS)} (palmette latency plan --target)",
    )
    kind = RUNTIME_KINDS[runtime]
    system = system_for_runtime(runtime, kind)
    expect(
        system is not None and system != "iOS15",
        f"target '{target}': no package of tensors in half precision is written for {runtime};"
        " take iOS 16 or later, or 13 or 14",
    )
    return kind, str(system)


@dataclass(frozen=True, slots=True)
class Job:
    """A package to make."""

    folder: Path
    """Of the suite."""
    kind: str
    subject: str
    target: str
    """Full name."""

    format: str
    system: str
    """Both of `package_form`."""

    @property
    def file(self) -> str:
        """Name of the package."""
        runtime = parse_target(self.target).runtime
        digest = hashlib.sha256("\n".join((self.kind, self.subject, runtime)).encode())
        return f"{self.kind}-{digest.hexdigest()[:16]}{FORMATS[self.format].suffix}"

    @property
    def making(self) -> str:
        """Everything else that decides its bytes."""
        tools = (f"{name} {version(name)}" for name in ("torch", "coremltools"))
        return (
            f"{self.kind} {self.subject}, {self.target}, {self.format} {self.system},"
            f" palmette {palmette.__version__} form {_FORM}, {', '.join(tools)}"
        )


@dataclass(frozen=True, slots=True)
class Package:
    """A package that was made."""

    file: str
    sha256: str
    making: str
    input_name: str
    input_shape: str
    """This and the names as in the manifest."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job."""

    package: Package | None
    reason: str = ""
    """Why there is none, one line."""


def make(job: Job) -> Outcome:
    """Make a package, or say why there is none."""
    from palmette.export.place import move_into_place

    try:
        built, inputs = BUILDERS[job.kind](job, job.folder / UNDER_WAY / job.file)
        package = _checked(job, built, inputs)
        move_into_place(built, job.folder / job.file)
    except (InputError, ExportError, OSError, RuntimeError) as error:
        return Outcome(None, " ".join(str(error).split())[:300])
    return Outcome(package)


def _checked(job: Job, built: Path, inputs: tuple[Tensor, ...]) -> Package:
    from palmette.export.package import read_spec
    from palmette.latency.suite.values import check_values

    check_values(built, inputs)
    given = read_spec(built).description.input
    shapes = ("x".join(map(str, entry.type.multiArrayType.shape)) for entry in given)
    names = ";".join(entry.name for entry in given)
    return Package(job.file, hash_package(built), job.making, names, ";".join(shapes))


# Builders: of a job and a path the package there, and values that it can be run on

Built = tuple[Path, "tuple[Tensor, ...]"]


def _options(job: Job) -> ExportOptions:
    from palmette.export.options import ExportOptions
    from palmette.export.scaling import TENSOR

    metadata = {"subject_kind": job.kind, "subject": job.subject, "target": job.target}
    return ExportOptions(job.format, metadata=metadata, system=job.system, input=TENSOR)


@contextmanager
def _drawn() -> Iterator[None]:
    """Weights drawn inside are always the same; the global random state stays as it was."""
    import torch

    from palmette.latency.suite.values import SEED

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        yield


def _network(job: Job, path: Path) -> Built:
    from palmette.export.own_module import export_module
    from palmette.latency.host.subjects import published_module
    from palmette.latency.op_lists import named_architecture
    from palmette.latency.suite.values import random_input, settle

    architecture = named_architecture(job.subject)
    if architecture is not None:
        return _architecture(job, architecture, path)
    with _drawn():
        module, side = published_module(job.subject)
    shape = (3, side, side)
    options = _options(job)
    made = export_module(settle(module, shape), path, resolution=(side, side), options=options)
    return made, (random_input(shape),)


def _architecture(job: Job, architecture: Architecture, path: Path) -> Built:
    from dataclasses import replace

    from palmette.export import Suppression, export
    from palmette.latency.suite.values import SEED, random_input, settle
    from palmette.space.blocks.detection import Detector

    options, shape = _options(job), (3, *architecture.resolution)
    if isinstance(architecture.head, Detector):  # a suppression is no part of what is timed
        options = replace(options, suppression=Suppression("none"))
    module = settle(architecture.build(SEED), shape)
    return export(architecture, path, options=options, module=module), (random_input(shape),)


def _op(job: Job, path: Path) -> Built:
    from palmette.latency.host.subjects import build_subject
    from palmette.latency.suite.values import random_input

    module, inputs = build_subject((job.kind, job.subject))
    return _tensors(job, path, module, tuple(random_input(given.shape[1:]) for given in inputs))


def _chain(job: Job, path: Path) -> Built:
    from palmette.latency.chains import Chain

    chain = Chain.from_text(job.subject)
    return _blocks(job, path, chain.build, chain.shape)


def _probe(job: Job, path: Path) -> Built:
    from palmette.latency.suite.probes import BETWEEN, Probe

    probe = Probe.from_text(job.subject)
    expect(
        job.format == "mlprogram",
        f"probe '{job.subject}': the format of iOS 13 and 14 has one precision for all ops",
    )
    single = BETWEEN if probe.transfers else ""
    return _blocks(job, path, probe.build, probe.chain.shape, single)


def _blocks(
    job: Job,
    path: Path,
    build: Callable[[], nn.Module],
    shape: tuple[int, int, int],
    single: str = "",
) -> Built:
    """Blocks in a row with BatchNorm folded, as an export of a network has it."""
    from palmette.export.fold import fold_batch_norm
    from palmette.latency.suite.values import random_input, settle

    with _drawn():
        module = build()
    folded = fold_batch_norm(settle(module, shape), shape).module.eval()
    return _tensors(job, path, folded, (random_input(shape),), single)


def _tensors(
    job: Job, path: Path, module: nn.Module, inputs: tuple[Tensor, ...], single: str = ""
) -> Built:
    from palmette.export.tensors import export_tensors

    options, about = _options(job), f"{job.kind} {job.subject}"
    made = export_tensors(module, inputs, path, options=options, about=about, single=single)
    return made, inputs


BUILDERS: dict[str, Callable[[Job, Path], Built]] = {
    "op": _op,
    "chain": _chain,
    "network": _network,
    "probe": _probe,
}
"""By kind of subject."""
