"""The table of conversions covers every head in every form, and goes on where it was stopped."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from palmette.space import InputError
from palmette.space.tasks import CLASSIFIER, TASKS

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "zoo_conversion.py"


@pytest.fixture(scope="module")
def table() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("zoo_conversion", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_a_detector_has_a_row_for_each_form_of_its_format(table: ModuleType) -> None:
    rows = table.cases(["mobilenet_v1"], ["ssdlite", "lraspp"], table.TARGETS)
    found = Counter((row.name, row.task, row.kind, row.nms, row.system) for row in rows)
    v2 = ("mobilenet_v2", "ssdlite")
    assert found == Counter(
        [
            ("mobilenet_v1", "", "mlprogram", "", None),
            ("mobilenet_v1", "", "neuralnetwork", "", None),
            (*v2, "mlprogram", "pipeline", None),
            (*v2, "mlprogram", "none", None),
            (*v2, "mlprogram", "program", "iOS16"),
            (*v2, "mlprogram", "program", "iOS17"),
            (*v2, "neuralnetwork", "pipeline", None),
            (*v2, "neuralnetwork", "none", None),
            ("mobilenet_v2", "lraspp", "mlprogram", "", None),
            ("mobilenet_v2", "lraspp", "neuralnetwork", "", None),
        ]
    )
    assert len({table.key(row) for row in rows}) == len(rows)


def test_every_task_is_in_the_whole_table(table: ModuleType) -> None:
    assert {*table.HEADS, CLASSIFIER} == set(TASKS)


@pytest.mark.parametrize(
    ("names", "tasks", "message"),
    [
        (["mobilenet_v9"], [], "network 'mobilenet_v9' is not in the zoo"),
        ([], ["pose"], "task 'pose' is unknown; known: features"),
    ],
)
def test_unknown_rows_are_refused(
    table: ModuleType, names: list[str], tasks: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        table.cases(names, tasks, table.TARGETS)


def test_only_proven_rows_of_the_same_code_are_kept(table: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    about = ("a", "", "", "iphone-13/ane@coreml-ios16", "mlprogram", "")
    rows = [table.Conversion(*about, True), table.Conversion("b", *about[1:], False)]
    entries = [{name: getattr(row, name) for name in row.__slots__} for row in rows]
    assert table.earlier(file) == []
    file.write_text(json.dumps({"state": table.code_state(), "table": entries}))
    assert table.earlier(file) == rows[:1]
    file.write_text(json.dumps({"state": "another", "table": entries}))
    assert table.earlier(file) == []
