"""Accuracy by a function of the user's own: `function:FILE.py:NAME` or `function:MODULE:NAME`.

It is called with an Architecture and, where its signature takes them, with `seed` and `epochs`; it
returns top-1 in %, or that and its standard deviation in points.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Self, SupportsFloat

from palmette.search.trials.measuring import in_one_line
from palmette.search.trials.task import Task
from palmette.space import Architecture, InputError
from palmette.space.errors import expect

FUNCTION = "function"
FORMS = f"{FUNCTION}:FILE.py:NAME or {FUNCTION}:MODULE:NAME"


def file_of(accuracy: str) -> Path | None:
    """The file of `function:FILE.py:NAME`; None of a module, and of another accuracy."""
    kind, _, rest = accuracy.partition(":")
    where = rest.rpartition(":")[0]
    return Path(where) if kind == FUNCTION and where.endswith(".py") else None


@dataclass(frozen=True, slots=True)
class FunctionEvaluator:
    """Measures with a user's function; it travels as the file's text, or as the module's name."""

    where: str
    """File or module."""
    name: str
    source: str
    """Of the file; empty for a module."""
    id: str
    """Hash of the file's text, the name and epochs; what the file imports is not looked at."""
    epochs: int | None = None
    """Of tasks that say none: the whole length of a training."""

    @classmethod
    def open(cls, text: str, epochs: int | None = None, copy: Path | None = None) -> Self:
        """From `function:FILE.py:NAME` or `function:MODULE:NAME`.

        Args:
            text: as above.
            epochs: the whole length of a training; None: the function's own.
            copy: of the file, which is read instead if it is there. What the file imports from its
                own folder is looked for where it lay.

        Raises:
            InputError: another form; a file, module or name that is not there, or raises as it is
                imported; not callable, or not with an architecture; epochs for one without.
        """
        kind, _, rest = text.partition(":")
        where, _, name = rest.rpartition(":")
        expect(
            kind == FUNCTION and bool(where) and name.isidentifier(),
            f"accuracy '{text}': must be {FORMS}",
        )
        file = Path(where).absolute() if where.endswith(".py") else None
        kept = copy if copy is not None and copy.is_file() else file
        source = _read(kept, text) if kept is not None and file is not None else ""
        # a file may lie elsewhere on another day or machine: its text counts
        hashed = [name, source] if file is not None else [where, name, _source_of_module(where)]
        hashed += [] if epochs is None else [str(epochs)]
        digest = hashlib.sha256("\0".join(hashed).encode()).hexdigest()[:12]
        found = cls(str(file or where), name, source, digest, epochs)
        takes = dict(_callee(found)[1])
        expect(
            epochs is None or "epochs" in takes,
            f"--epochs: '{name}' takes none; give it a parameter `epochs`, or leave --epochs out",
        )
        return found

    def prepare(self) -> None:
        """Import the function in this process.

        Raises:
            InputError: it can't be.
        """
        try:
            _callee(self)
        except InputError as error:
            raise InputError(f"{error}; so says a worker, while the driver could") from None

    def __call__(self, task: Task) -> tuple[float, float]:
        """Top-1 in % and its standard deviation, 0 if the function returns none.

        Raises:
            ValueError: it returned anything else, or a number out of range.
        """
        function, takes = _callee(self)
        epochs = self.epochs if task.epochs is None else task.epochs
        values = {"seed": task.seed, "epochs": epochs}
        given = {key: values[key] for key, needed in takes if needed or values[key] is not None}
        return _value(function(Architecture.from_text(task.architecture), **given))


def _value(found: object) -> tuple[float, float]:
    """What a function returned, held against its rule."""
    both = found if isinstance(found, (tuple, list)) and len(found) == 2 else (found, 0.0)
    numbers = [n for n in both if isinstance(n, SupportsFloat) and not isinstance(n, bool)]
    if len(numbers) < 2:
        raise ValueError(
            f"returned {repr(found)[:80]}: must be top-1 in %, or (top-1, standard deviation)"
        )
    top1, sigma = float(numbers[0]), float(numbers[1])
    if not 0 <= top1 <= 100:  # NaN too
        raise ValueError(f"returned top-1 {top1}: must be from 0 to 100 %")
    if not (math.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"returned standard deviation {sigma}: must be finite and not negative")
    return top1, sigma


@cache
def _callee(
    evaluator: FunctionEvaluator,
) -> tuple[Callable[..., Any], tuple[tuple[str, bool], ...]]:
    """The function, and which of seed and epochs it takes, with whether it must be given them."""
    label = f"accuracy {FUNCTION}:{evaluator.where}:{evaluator.name}"
    try:
        module = _module(evaluator)
    except (Exception, SystemExit) as error:
        raise InputError(f"{label}: can't be imported ({in_one_line(error)})") from None
    function = getattr(module, evaluator.name, None)
    names = ", ".join(key for key, value in vars(module).items() if inspect.isfunction(value))
    if function is None:
        raise InputError(f"{label}: no '{evaluator.name}' there; its functions: {names or 'none'}")
    expect(callable(function), f"{label}: must be a function, is a {type(function).__name__}")
    return function, _takes(function, label)


def _takes(function: Callable[..., Any], label: str) -> tuple[tuple[str, bool], ...]:
    try:
        signature = inspect.signature(function)
    except ValueError:  # some of C tell none
        return ()
    keywords = {
        key: parameter.default is parameter.empty
        for key, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    takes = tuple((key, keywords[key]) for key in ("seed", "epochs") if key in keywords)
    try:
        signature.bind(None, **dict(takes))
    except TypeError as error:
        raise InputError(
            f"{label}: must take an architecture, and may take seed and epochs ({error})"
        ) from None
    return takes


def _module(evaluator: FunctionEvaluator) -> ModuleType:
    if not evaluator.where.endswith(".py"):
        return importlib.import_module(evaluator.where)
    path = Path(evaluator.where)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # for what lies beside it
    module = ModuleType(f"palmette_function_{evaluator.id}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(evaluator.source, str(path), "exec"), vars(module))
    return module


def _read(path: Path, text: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"accuracy {text}: can't be read ({in_one_line(error)})") from None


def _source_of_module(name: str) -> str:
    """Text of a module, for its hash; empty if it has none."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return ""
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    return origin.read_text(encoding="utf-8") if origin and origin.suffix == ".py" else ""
