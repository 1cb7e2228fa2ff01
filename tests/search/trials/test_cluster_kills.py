"""A Ray cluster of three nodes that loses a worker and a node and gains another: every task ends
once, with its own value.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from palmette.search.trials.opening import open_executor
from palmette.search.trials.task import Executor, Outcome, Task
from tests.search.trials.evaluators import Scripted

Finish = Callable[[Executor, list[Task], Callable[[int], None]], list[Outcome]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ray's own, at its imports
]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head that measures nothing, and two nodes that measure two networks at once each."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(num_cpus=2)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    ray.init(address=cluster.address, **quiet)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


class Trouble:
    """What befalls the cluster, each once so many tasks have ended."""

    def __init__(self, cluster: Any, executor: Executor) -> None:
        self.cluster, self.executor = cluster, executor
        self.steps = [(4, self.kill_worker), (8, self.remove_node), (12, self.add_node)]

    def __call__(self, ended: int) -> None:
        if self.steps and ended >= self.steps[0][0] and self.steps[0][1]():
            self.steps.pop(0)

    def kill_worker(self) -> bool:
        busy = [one.worker for one in self.executor.health() if one.task and ":" in one.worker]
        if busy:
            os.kill(int(busy[0].rpartition(":")[2]), signal.SIGKILL)
        return bool(busy)

    def remove_node(self) -> bool:
        node = sorted(self.cluster.worker_nodes, key=lambda node: node.node_id)[0]
        self.cluster.remove_node(node, allow_graceful=False)
        return self.until_room_is(2)

    def add_node(self) -> bool:
        self.cluster.add_node(num_cpus=2)
        return self.until_room_is(4)

    def until_room_is(self, workers: int) -> bool:
        end = time.monotonic() + 120
        while self.executor.workers != workers and time.monotonic() < end:
            time.sleep(0.1)
        return self.executor.workers == workers


def test_every_task_ends_once_with_its_value_whatever_dies(cluster: Any, finish: Finish) -> None:
    tasks = [Task(number, f"later {number}") for number in range(30)]
    with open_executor(Scripted(), ray=cluster.address) as executor:
        trouble = Trouble(cluster, executor)
        found = finish(executor, tasks, trouble)
    assert trouble.steps == []  # all of it befell, and was noticed
    assert sorted(outcome.task.trial for outcome in found) == list(range(30))
    assert all(outcome.fate == "done" for outcome in found), found
    assert all(outcome.top1 == outcome.task.trial for outcome in found)
    assert any(outcome.task.attempt > 1 for outcome in found)
