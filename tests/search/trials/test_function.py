"""A user's own accuracy: found, checked at the door, called with what it takes."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from palmette.search.trials.function import FunctionEvaluator
from palmette.search.trials.measuring import measured
from palmette.search.trials.opening import open_executor
from palmette.search.trials.task import Outcome, Task
from palmette.space import InputError

NET = "32x32 stem_k3_s2_c8_relu | ir_r1_k3_s1_e1_c8_relu | head"

FUNCTIONS = """
import helper_beside_it
import math

STATE = []
not_a_function = 7

def share(architecture):
    return architecture.stem.channels * helper_beside_it.FACTOR

def all_of_it(architecture, seed, epochs):
    return (seed, -1.0 if epochs is None else epochs)

def keywords(architecture, *, epochs=5, seed=2):
    return epochs, seed

def counts(architecture):
    STATE.append(0)
    return len(STATE)

def nan(architecture):
    return math.nan

def noise(architecture):
    return 70.0, -1.0

def much(architecture):
    return 170.0

def words(architecture):
    return "seventy"

def truth(architecture):
    return True

def nothing():
    return 1.0

def more(architecture, data):
    return 1.0

def needed(architecture, other=1, epochs=3):
    return epochs
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("function")
    folder.joinpath("helper_beside_it.py").write_text("FACTOR = 8\n")
    path = folder / "mine.py"
    path.write_text(FUNCTIONS)
    return path


def outcome(file: Path, name: str, task: Task | None = None) -> Outcome:
    return measured(FunctionEvaluator.open(f"function:{file}:{name}"), task or Task(0, NET))


def test_it_is_called_with_the_network_and_may_import_what_lies_beside_it(file: Path) -> None:
    found = outcome(file, "share")
    assert (found.fate, found.top1, found.sigma) == ("done", 64.0, 0.0)


@pytest.mark.parametrize(
    ("name", "epochs", "values"),
    [
        ("all_of_it", 4, (9, 4)),
        ("keywords", 4, (4, 9)),
        ("keywords", None, (5, 9)),
        ("needed", 4, (4, 0)),
        ("needed", None, (3, 0)),
    ],
)
def test_seed_and_epochs_are_given_to_a_signature_that_takes_them(
    file: Path, name: str, epochs: int | None, values: tuple[float, float]
) -> None:
    found = outcome(file, name, Task(0, NET, seed=9, epochs=epochs))
    assert (found.top1, found.sigma) == values


def test_its_module_is_imported_once_and_keeps_its_state(file: Path) -> None:
    evaluator = FunctionEvaluator.open(f"function:{file}:counts")
    assert [measured(evaluator, Task(n, NET)).top1 for n in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nan", "ValueError: returned top-1 nan: must be from 0 to 100 %"),
        ("much", "ValueError: returned top-1 170.0: must be from 0 to 100 %"),
        ("noise", "returned standard deviation -1.0: must be finite and not negative"),
        ("words", "returned 'seventy': must be top-1 in %, or (top-1, standard deviation)"),
        ("truth", "returned True: must be top-1 in %"),
        ("all_of_it", "returned standard deviation -1.0"),
    ],
)
def test_what_is_no_accuracy_is_a_failure_with_a_reason(file: Path, name: str, reason: str) -> None:
    found = outcome(file, name)
    assert found.fate == "failed" and reason in found.reason
    assert math.isnan(found.top1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("function:", "must be function:FILE.py:NAME or function:MODULE:NAME"),
        ("function:mine.py", "must be function:FILE.py:NAME"),
        ("function:no/such.py:f", "can't be read (FileNotFoundError"),
        ("function:no_such_module:f", "can't be imported (ModuleNotFoundError: No module named"),
        ("function:FILE:absent", "no 'absent' there; its functions: share, all_of_it"),
        ("function:FILE:not_a_function", "must be a function, is a int"),
        ("function:FILE:nothing", "must take an architecture, and may take seed and epochs"),
        ("function:FILE:more", "(missing a required argument: 'data')"),
        ("function:BROKEN:f", "can't be imported (SyntaxError"),
        ("function:LEAVES:f", "can't be imported (SystemExit: 1)"),
    ],
)
def test_what_cannot_be_called_is_refused_at_the_door(
    file: Path, tmp_path: Path, text: str, words: str
) -> None:
    tmp_path.joinpath("broken.py").write_text("def f(:\n")
    tmp_path.joinpath("leaves.py").write_text("raise SystemExit(1)\n")
    for key, path in {
        "FILE": file,
        "BROKEN": tmp_path / "broken.py",
        "LEAVES": tmp_path / "leaves.py",
    }.items():
        text = text.replace(key, str(path))
    with pytest.raises(InputError) as caught:
        FunctionEvaluator.open(text)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_its_id_follows_from_its_text_and_name(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("def f(a): return 1\ndef g(a): return 1\n")
    before = [FunctionEvaluator.open(f"function:{path}:{name}").id for name in ("f", "g", "f")]
    moved = path.rename(tmp_path / "b.py")
    assert FunctionEvaluator.open(f"function:{moved}:f").id == before[0]
    path.write_text("def f(a): return 2\n")
    after = FunctionEvaluator.open(f"function:{path}:f").id
    assert before[0] == before[2] and len({before[0], before[1], after}) == 3


def test_a_worker_that_cannot_import_it_is_told_before_the_first_trial(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(f"import os\nassert os.getpid() == {os.getpid()}, 'no such disk'\nf = abs\n")
    evaluator = FunctionEvaluator.open(f"function:{path}:f")
    with pytest.raises(InputError) as caught:
        open_executor(evaluator, workers=1)
    assert str(caught.value) == (
        f"accuracy function:{path}:f: can't be imported (AssertionError: no such disk); so says a"
        " worker, while the driver could"
    )


def test_a_module_on_the_path_is_taken_by_name() -> None:
    evaluator = FunctionEvaluator.open("function:tests.search.trials.evaluators:width")
    assert measured(evaluator, Task(0, NET)).top1 == 8
