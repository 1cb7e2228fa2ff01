"""What workers of Ray tell the driver, and what is refused before any of them starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from palmette.cli.train import _cluster
from palmette.space import Architecture, InputError
from palmette.train import cluster
from palmette.train.cluster import Cluster
from palmette.train.config import Config
from palmette.train.epochs import State
from palmette.train.ray_worker import MOST_STARTS, Board, Trouble
from palmette.train.recipe import load_recipe
from palmette.train.trainer import train

NET = Architecture.from_text("16x16 stem_k3_s2_c8_relu | ir_k3_s2_e2_c8_relu | head")


def at(step: int) -> State:
    return State(1, 9, step, 90, 1.0, 0.0, 10.0)


def test_workers_that_come_no_step_forward_are_given_up() -> None:
    board = Board()
    assert [board.begin() for _ in range(MOST_STARTS)] == [False] * MOST_STARTS
    board.fail("connection closed by peer")
    assert board.begin()
    text = f"{MOST_STARTS} times the workers came no step forward: connection closed by peer"
    assert board.read() == (None, Trouble(text))


def test_only_a_step_that_no_group_has_done_before_is_forward() -> None:
    board = Board()
    for step in (5, 9, 12):
        assert not board.begin()
        assert not board.show(at(step - 1)) and not board.show(at(step))
    for _ in range(MOST_STARTS):
        assert not board.begin()
        assert not board.show(at(12))
    assert board.begin()
    assert board.read()[0] == at(12)


def test_the_first_trouble_counts_and_ends_whoever_shows_a_step() -> None:
    board = Board()
    board.tell(Trouble("no room", 16))
    board.tell(Trouble("a consequence"))
    assert board.show(at(1)) and board.begin()
    assert board.read()[1] == Trouble("no room", 16)


def test_a_batch_that_workers_cannot_share_leaves_nothing_behind(tmp_path: Path) -> None:
    recipe = load_recipe("quick").changed(batch=32)
    with pytest.raises(InputError, match="3 workers can't share 32 images equally"):
        train(NET, "procedural:160", recipe, tmp_path / "run", cluster=Cluster(3))
    assert not (tmp_path / "run").exists()


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--ray-workers: needs ray; pip install -e .*\[ray\]"):
        Cluster(2).expect_fits(32)
    Cluster(0).expect_fits(32)


def test_options_make_a_cluster() -> None:
    assert _cluster(None, None) is None
    assert _cluster(2, None) == Cluster(2, "local") == Config("", "", ray_workers=2).cluster
    assert _cluster(8, "auto") == Cluster(8, "auto")
    assert Config("", "").cluster is None
    with pytest.raises(InputError, match="--ray-address: needs --ray-workers"):
        _cluster(None, "auto")
