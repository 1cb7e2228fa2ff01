"""Several networks as the functions of one package, for iOS 18 and later.

Such as one network at several resolutions, or several heads on one backbone: weights that are equal
bit for bit are stored once. An app loads a function by `MLModelConfiguration.functionName`. Each
function is made and proven as a package of its own, they are joined, and each is proven again in
the file that came of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.export._coremltools import coremltools, temporary_files_in, without_bars
from palmette.export.coreml import describe, make, prove
from palmette.export.errors import ExportError
from palmette.export.formats import FORMATS, MULTIFUNCTION_SINCE
from palmette.export.labels import check_names
from palmette.export.options import ExportOptions
from palmette.export.package import (
    WEIGHT_FILE,
    WEIGHTS_ITEM,
    model_file,
    read_spec,
    write_package,
)
from palmette.export.place import destination, move_into_place
from palmette.export.plan import Plan, plan_of
from palmette.space.architecture import Architecture
from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from torch import nn

MAIN = "main"
KIND = "mlprogram"


@dataclass(frozen=True, slots=True)
class Function:
    """One network of a package.

    Raises:
        InputError: a name that code could not use.
    """

    name: str
    architecture: Architecture
    options: ExportOptions = field(default_factory=ExportOptions)
    """The system is the package's; by default the first that knows functions."""
    module: nn.Module | None = None
    """See `palmette.export.export`."""

    def __post_init__(self) -> None:
        check_names((self.name,), "functions")


def export_functions(functions: Sequence[Function], path: Path) -> Path:
    """Write one package of several networks, prove each, and return the package's path.

    The first function is the one that runs when none is named. Equal arguments give equal bytes.
    Metadata stand under the function's name and a dot.

    Raises:
        InputError: fewer than two functions, two of one name, or options that functions can't have.
        ExportError: the converter failed, or a function does not equal its module.
    """
    _check(functions)
    path = destination(path, KIND)
    plans = {one.name: _plan(one) for one in functions}
    with tempfile.TemporaryDirectory(prefix=".palmette-export-", dir=path.parent) as folder:
        parts = {name: _part(name, plan, Path(folder)) for name, plan in plans.items()}
        built = Path(folder) / path.name
        _join(parts, plans, built)
        for name, plan in plans.items():
            prove(built, plan, name)
        move_into_place(built, path)
    return path


def alone(path: Path, name: str, folder: Path) -> Path:
    """Package in `folder` that holds one function of another package, as it lies there.

    Raises:
        InputError: not a package, or no such function.
    """
    spec = read_spec(path, name)
    weight_file = model_file(path).parent / "weights" / WEIGHT_FILE
    found = folder / f"{path.stem}.{name}{path.suffix}"
    write_package(spec, weight_file if weight_file.exists() else None, found)
    return found


def _check(functions: Sequence[Function]) -> None:
    names = tuple(one.name for one in functions)
    expect(len(names) > 1, f"functions: a package of functions has two or more, got {len(names)}")
    check_names(names, "functions")
    since = FORMATS[KIND].systems.index(MULTIFUNCTION_SINCE)
    allowed = FORMATS[KIND].systems[since:]
    for one in functions:
        expect(
            one.options.kind == KIND and one.options.system in (None, *allowed),
            f"function '{one.name}': functions are of ML Programs for {', '.join(allowed)}; got"
            f" '{one.options.kind}' for {one.options.system}",
        )
    systems = {one.options.system for one in functions}
    expect(len(systems) == 1, "functions: all must be for one system")


def _plan(one: Function) -> Plan:
    options = replace(one.options, system=one.options.system or MULTIFUNCTION_SINCE)
    try:
        plan = plan_of(one.architecture, options, one.module)
    except InputError as error:
        raise InputError(f"function '{one.name}': {error}") from None
    expect(
        plan.suppression is None or plan.suppression.form != "pipeline",
        f"function '{one.name}': a pipeline is no function; choose the nms 'program' or 'none'",
    )
    return plan


def _part(name: str, plan: Plan, folder: Path) -> Path:
    """A function as a package of its own, proven."""
    own = folder / name
    own.mkdir()
    built = own / f"{name}.mlpackage"
    make(plan, built)
    prove(built, plan)
    return built


def _join(parts: dict[str, Path], plans: dict[str, Plan], built: Path) -> None:
    joined = built.parent / "joined-parts" / built.name
    joined.parent.mkdir()
    utils = coremltools().utils
    described = utils.MultiFunctionDescriptor()
    for name, part in parts.items():
        described.add_function(str(part), MAIN, name)
    described.default_function_name = next(iter(parts))
    try:
        with without_bars(), temporary_files_in(joined.parent):
            utils.save_multifunction(described, str(joined))
    except Exception as error:  # the converter raises all kinds
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
        raise ExportError(f"coremltools could not join the functions ({reason})") from None
    spec = read_spec(joined)
    _describe(spec, plans)
    weight_file = Path(joined, "Data", WEIGHTS_ITEM, WEIGHT_FILE)
    write_package(spec, weight_file if weight_file.exists() else None, built)


def _describe(spec: Any, plans: dict[str, Plan]) -> None:
    text = "; ".join(f"{name}: {plan.about}" for name, plan in plans.items())
    own = {f"{n}.{key}": value for n, plan in plans.items() for key, value in plan.metadata.items()}
    describe(spec, text, {"functions": " ".join(plans), **own})
