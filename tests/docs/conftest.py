"""The modules that make the site, which lie beside the documentation and are no package."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

SITE = Path(__file__).parents[2] / "docs" / "site"
MODULES = sorted(path.stem for path in SITE.glob("*.py") if path.stem != "__main__")


@pytest.fixture
def module() -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of the site by its name; afterwards none is left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SITE))
        yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)
