"""Names that a package opens when they are asked for."""

import importlib
import sys
from pathlib import Path

import pytest

PACKAGE = """from palmette.space.late import opened_late
__getattr__ = opened_late(__name__, {"heavy": ("one",)})
"""


def test_a_name_is_opened_when_it_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "light_package"
    folder.mkdir()
    (folder / "__init__.py").write_text(PACKAGE)
    (folder / "heavy.py").write_text("one = 1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        light = importlib.import_module("light_package")
        assert "light_package.heavy" not in sys.modules
        with pytest.raises(AttributeError, match="module 'light_package' has no attribute 'two'"):
            light.two  # noqa: B018
        assert light.one == 1
        assert "light_package.heavy" in sys.modules and vars(light)["one"] == 1
    for name in ("light_package", "light_package.heavy"):
        del sys.modules[name]
