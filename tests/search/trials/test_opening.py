"""One door to executors, and the one in this process."""

from __future__ import annotations

import os
from typing import Any

import pytest

from palmette.search.trials.here import Here
from palmette.search.trials.opening import open_executor
from palmette.search.trials.task import Task
from palmette.space import InputError
from tests.search.trials.evaluators import Scripted, Unprepared


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"workers": -1}, "--workers -1: must be a whole number from 0"),
        ({"workers": 0, "ray": "auto"}, "--workers 0: must be a whole number from 1"),
        ({"workers": 5000}, "to 4096"),
        ({"workers": 0, "timeout_s": 3.0}, "--timeout: this process can't be stopped"),
        ({"timeout_s": 0.0}, "--timeout 0.0: must be a number of seconds above 0"),
        ({"timeout_s": float("nan")}, "--timeout nan"),
        ({"gpus": 0.5}, "give --ray"),
        ({"ray": "auto", "gpus": 1.5}, "--gpus-per-trial 1.5: must be a fraction of one"),
        ({"ray": "auto", "gpus": float("inf")}, "--gpus-per-trial inf"),
        ({"ray": "auto", "cpus": 0.0}, "--cpus-per-trial 0.0"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_rule(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        open_executor(Scripted(), **values)
    assert words in str(caught.value)


def test_this_process_measures_one_task_a_call_and_tells_why_one_failed() -> None:
    tasks = [Task(n, text) for n, text in enumerate(["71.5", "raise wrong", "nan", "none", "exit"])]
    with open_executor(Scripted(), workers=0) as executor:
        assert isinstance(executor, Here) and executor.workers == 1
        assert executor.wait(0.0) == []
        found = []
        for task in tasks:
            executor.submit(task)
            found += executor.wait(0.0)
        assert executor.health()[0].done == 5
    assert [outcome.task for outcome in found] == tasks
    assert [outcome.fate for outcome in found] == ["done", *["failed"] * 4]
    assert (found[0].top1, found[0].sigma) == (71.5, 0.25)
    assert found[0].worker.endswith(f":{os.getpid()}") and found[0].seconds >= 0
    assert found[1].reason == "ValueError: wrong"
    assert found[2].reason == "top-1 nan with standard deviation 0.1: must be finite numbers"
    assert found[3].reason.startswith("TypeError: ") and "\n" not in found[3].reason
    assert found[4].reason == "SystemExit: 3"


def test_an_evaluator_that_this_process_cannot_open_is_refused() -> None:
    with pytest.raises(InputError, match="can't be imported by a worker"):
        open_executor(Unprepared(home=-1), workers=0)
