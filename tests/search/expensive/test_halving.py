"""Successive halving: who goes on, in which order, at what cost, and after a kill."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.search.expensive.halving import Contender, Halving, halve, rungs_of
from palmette.search.expensive.pareto_rank import best, ranks, thinned
from palmette.search.front import hypervolume, non_dominated
from palmette.search.trials.task import Outcome, Task, WorkerHealth
from palmette.space import InputError

INF = math.inf


def contenders(ms: Sequence[float]) -> list[Contender]:
    return [Contender(10 + at, f"net {at}", value) for at, value in enumerate(ms)]


class Workers:
    """Some workers that answer in an order of their own; `truth` gives top-1 of (trial, epochs)."""

    def __init__(self, truth: object, workers: int = 1, seed: int = 0, lose: int = 0) -> None:
        self.truth, self.workers, self.lose = truth, workers, lose
        self.rng, self.tasks = np.random.default_rng(seed), deque[Task]()
        self.seen: list[Outcome] = []

    def submit(self, task: Task) -> None:
        self.tasks.append(task)
        assert len(self.tasks) <= self.workers

    def wait(self, seconds: float) -> list[Outcome]:
        task = self.tasks[int(self.rng.integers(len(self.tasks)))]
        self.tasks.remove(task)
        if task.attempt <= self.lose:
            return [Outcome(task, "lost", reason="its worker died")]
        value = self.truth(task.trial - 10, task.epochs)  # type: ignore[operator]
        fate = "done" if math.isfinite(value) else "failed"
        self.seen.append(Outcome(task, fate, value, 0.5))  # type: ignore[arg-type]
        return self.seen[-1:]

    def health(self) -> list[WorkerHealth]:
        return []

    def close(self) -> None:
        self.tasks.clear()


# --- by rank --------------------------------------------------------------------------------------


def test_ranks_of_a_small_case_worked_by_hand() -> None:
    ms = np.array([1.0, 2.0, 3.0, 3.0, 4.0, 5.0])
    top1 = np.array([60.0, 65.0, 64.0, 70.0, 70.3, 75.0])
    # 65 beats 64 at less time; 70.3 is within the tie of 70 at less time
    assert [rank.tolist() for rank in ranks(ms, top1, 0.5)] == [[0, 1, 3, 5], [2, 4]]
    assert [rank.tolist() for rank in ranks(ms, top1, 0.0)] == [[0, 1, 3, 4, 5], [2]]


def test_the_fastest_of_those_that_tie_with_the_best_goes_on() -> None:
    ms = np.array([5.0, 6.0, 7.0])
    top1 = np.array([70.4, 70.5, 71.0])
    assert best(ms, top1, 1, budget_ms=INF, tie_points=0.5).tolist() == [1]


def test_what_breaks_the_budget_goes_on_only_after_all_that_keep_it() -> None:
    ms, top1 = np.array([9.0, 5.0, 12.0, 4.0]), np.array([90.0, 50.0, 95.0, 20.0])
    assert best(ms, top1, 2, budget_ms=6.0, tie_points=0.5).tolist() == [3, 1]
    assert best(ms, top1, 3, budget_ms=6.0, tie_points=0.5).tolist() == [3, 1, 0]


def test_of_a_crowded_rank_the_points_that_add_least_go_first() -> None:
    front = np.array([[0.0, 10.0], [5.0, 5.0], [5.1, 4.9], [10.0, 0.0]])
    assert thinned(front, 3).tolist() in ([0, 1, 3], [0, 2, 3])
    assert thinned(front, 9).tolist() == [0, 1, 2, 3]


POINTS = st.lists(st.tuples(st.integers(1, 20), st.integers(0, 60)), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(POINTS, st.integers(0, 20), st.sampled_from([0.0, 0.5, 2.0]))
def test_as_many_different_ones_are_chosen_as_are_asked_for(
    points: list[tuple[int, int]], count: int, tie: float
) -> None:
    ms, top1 = np.array(points, dtype=np.float64).T
    chosen = best(ms, top1, count, budget_ms=15.0, tie_points=tie).tolist()
    assert len(set(chosen)) == len(chosen) == min(count, len(points))
    kept = int((ms <= 15).sum())
    assert (ms[chosen] <= 15).sum() == min(count, kept)


@settings(max_examples=40, deadline=None)
@given(POINTS)
def test_ranks_without_ties_are_fronts_peeled_off(points: list[tuple[int, int]]) -> None:
    ms, top1 = np.array(sorted(set(points)), dtype=np.float64).T
    left = np.arange(len(ms))
    for rank in ranks(ms, top1, 0.0):
        front = left[non_dominated(np.stack([ms[left], -top1[left]], axis=1))]
        assert rank.tolist() == front.tolist()
        left = np.setdiff1d(left, front)


@settings(max_examples=40, deadline=None)
@given(POINTS)
def test_the_point_that_is_left_out_is_the_one_without_which_most_is_left(
    points: list[tuple[int, int]],
) -> None:
    every = np.array(points, dtype=np.float64) * [1, -1]
    front = every[non_dominated(every)]
    if len(front) > 1:
        end = front.max(axis=0) + np.ptp(front, axis=0) / 10
        volumes = [hypervolume(np.delete(front, at, 0), end) for at in range(len(front))]
        kept = front[thinned(front, len(front) - 1)]
        assert hypervolume(kept, end) == pytest.approx(max(volumes))


# --- rungs ----------------------------------------------------------------------------------------


def test_rungs_end_at_the_whole_training() -> None:
    assert rungs_of(9) == (1, 3, 9)
    assert rungs_of(20) == (2, 7, 20)
    assert rungs_of(1) == (1,)
    assert rungs_of(90, eta=3, first=5) == (10, 30, 90)
    assert rungs_of(8, eta=2) == (1, 2, 4, 8)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rungs_of(9, eta=1), "eta must be at least 2, got 1"),
        (lambda: rungs_of(9, first=10), "first rung must be 1 to 9 epochs, got 10"),
        (lambda: Halving([], (1, 3)), "at least one network"),
        (lambda: Halving(contenders([1.0]) * 2, (1, 3)), "a trial occurs twice"),
        (lambda: Halving(contenders([1.0]), (3, 1)), "rungs must rise"),
        (
            lambda: Halving(contenders([1.0]), (1, 3)).tell(
                Outcome(Task(10, "", epochs=2), "done")
            ),
            "trial 10 at 2 epochs, which is none of its rungs",
        ),
    ],
)
def test_a_mistake_is_named(call: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()  # type: ignore[operator]


def rising(at: int, epochs: int) -> float:
    """More milliseconds, more accuracy; so nothing is dominated."""
    return 50.0 + at + epochs


def test_nine_networks_three_go_on_one_is_trained_in_full() -> None:
    halving = Halving(contenders([5.0] * 9), (1, 3, 9))
    frame = halve(halving, Workers(rising))
    assert frame.groupby("epochs").size().to_dict() == {1: 9, 3: 3, 9: 1}
    assert frame[frame["promoted"]].groupby("epochs").size().to_dict() == {1: 3, 3: 1}
    # of one speed the most accurate ones go on, of these the best
    assert frame[frame["epochs"] == 3]["trial"].tolist() == [16, 17, 18]
    assert [outcome.task.trial for outcome in halving.whole()] == [18]
    assert halving.spent == 6 * 1 + 2 * 3 + 1 * 9
    assert halving.done


def test_a_rung_waits_for_all_of_the_one_before() -> None:
    halving = Halving(contenders([1.0, 2.0, 3.0]), (1, 3), seed=4)
    first = halving.next_tasks(9)
    assert [(task.trial, task.epochs, task.seed) for task in first] == [
        (n, 1, 4) for n in (10, 11, 12)
    ]
    halving.tell(Outcome(first[0], "done", 60.0, 1.0))
    halving.tell(Outcome(first[1], "done", 61.0, 1.0))
    assert halving.next_tasks(9) == [] and not halving.done
    halving.tell(Outcome(first[2], "done", 99.0, 1.0))
    assert [(task.trial, task.epochs) for task in halving.next_tasks(9)] == [(12, 3)]


def test_asynchronously_the_best_third_of_those_seen_goes_on_at_once() -> None:
    halving = Halving(contenders([1.0] * 9), (1, 3), asynchronous=True)
    first = halving.next_tasks(3)
    for task, top1 in zip(first, (60.0, 70.0, 65.0), strict=True):
        halving.tell(Outcome(task, "done", top1, 1.0))
    # the higher rung first, then a new network
    assert [(task.trial, task.epochs) for task in halving.next_tasks(2)] == [(11, 3), (13, 1)]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_network_that_fails_does_not_go_on_and_makes_place(asynchronous: bool) -> None:
    def truth(at: int, epochs: int) -> float:
        return math.nan if at == 8 or (at == 7 and epochs == 3) else rising(at, epochs)

    halving = Halving(contenders([5.0] * 9), (1, 3, 9), asynchronous=asynchronous)
    frame = halve(halving, Workers(truth, 2))
    assert (frame[frame["fate"] == "failed"]["trial"].tolist()) == [18, 17]
    assert not frame[frame["fate"] == "failed"]["promoted"].any()
    assert 16 in [outcome.task.trial for outcome in halving.whole()]


def test_nothing_but_failures_ends_with_nothing() -> None:
    halving = Halving(contenders([5.0] * 4), (1, 3))
    frame = halve(halving, Workers(lambda at, epochs: math.nan))
    assert len(frame) == 4 and halving.whole() == [] and halving.done


def test_a_lost_worker_costs_an_attempt_and_after_three_the_network() -> None:
    for lose, whole in ((2, 1), (3, 0)):
        halving = Halving(contenders([5.0] * 3), (1,))
        frame = halve(halving, Workers(rising, 2, lose=lose))
        assert frame["fate"].tolist() == ["done" if whole else "lost"] * 3


CASES = st.tuples(
    st.lists(st.integers(1, 9), min_size=1, max_size=14), st.integers(1, 4), st.integers(0, 99)
)


@settings(max_examples=40, deadline=None)
@given(CASES)
def test_any_number_of_workers_in_any_order_gives_the_same_brackets(
    case: tuple[list[int], int, int],
) -> None:
    ms, workers, seed = case
    values = np.random.default_rng(seed).random((len(ms), 10)) * 40
    truth = lambda at, epochs: float(values[at, epochs])  # noqa: E731
    one = halve(Halving(contenders(list(map(float, ms))), (1, 3, 9)), Workers(truth))
    other = Halving(contenders(list(map(float, ms))), (1, 3, 9))
    assert halve(other, Workers(truth, workers, seed)).equals(one)
    assert other.whole()


@settings(max_examples=40, deadline=None)
@given(CASES, st.booleans(), st.integers(0, 30))
def test_a_search_that_was_killed_ends_with_every_outcome_that_it_had(
    case: tuple[list[int], int, int], asynchronous: bool, kept: int
) -> None:
    ms, workers, seed = case
    values = np.random.default_rng(seed).random((len(ms), 10)) * 40
    truth = lambda at, epochs: float(values[at, epochs])  # noqa: E731

    def begun() -> Halving:
        return Halving(contenders(list(map(float, ms))), (1, 3, 9), asynchronous=asynchronous)

    before, going = Workers(truth, workers, seed), begun()
    whole = halve(going, before)
    resumed, after = begun(), Workers(truth, workers, seed + 1)
    for outcome in before.seen[:kept]:
        resumed.tell(outcome)
    frame = halve(resumed, after)
    assert resumed.done and resumed.whole()
    keys = [(o.task.trial, o.task.epochs) for o in [*before.seen[:kept], *after.seen]]
    assert len(set(keys)) == len(keys) == len(frame)  # nothing finished is trained again
    if not asynchronous:
        assert frame.equals(whole)


@settings(max_examples=30, deadline=None)
@given(CASES)
def test_asynchronously_at_least_those_of_the_synchronous_rungs_are_trained(
    case: tuple[list[int], int, int],
) -> None:
    ms, workers, seed = case
    values = np.random.default_rng(seed).random((len(ms), 10)) * 40
    truth = lambda at, epochs: float(values[at, epochs])  # noqa: E731
    halving = Halving(contenders(list(map(float, ms))), (1, 3, 9), asynchronous=True)
    frame = halve(halving, Workers(truth, workers, seed))
    sizes = frame.groupby("epochs").size()
    assert sizes[1] == len(ms) and sizes[3] >= -(-sizes[1] // 3) and sizes[9] >= -(-sizes[3] // 3)
