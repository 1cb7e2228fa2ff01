"""Names that a shell completes; nothing heavy is imported for a press of the tab key."""

from __future__ import annotations

import re
from pathlib import Path

_FILE = re.compile("(.+)-(cpu|gpu|ane)-(.+)")


def target_names() -> list[str]:
    """Every target with a shipped predictor, as one writes it: the alias where it has one.

    Read off the names of the predictors' files: the table of targets imports scikit-learn.
    """
    import palmette

    folder = Path(palmette.__file__).parent / "latency" / "data" / "predictors"
    names = []
    for path in folder.glob("*.json"):
        found = _FILE.fullmatch(path.stem)
        if found is not None:
            device, unit, runtime = found.groups()
            alias = f"{device}/{unit}"
            names.append(alias if runtime.startswith("coreml") else f"{alias}@{runtime}")
    return sorted(set(names))


def complete_target(incomplete: str) -> list[str]:
    """Targets that begin so."""
    return [name for name in target_names() if name.startswith(incomplete)]


def complete_network(incomplete: str) -> list[str]:
    """Networks of the zoo that begin so."""
    from palmette.space.zoo import ZOO

    return sorted(name for name in ZOO if name.startswith(incomplete))
