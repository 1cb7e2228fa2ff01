"""The planning benchmark: its choosers, that no milliseconds are peeked at, and its claims."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from palmette.latency.per_op.kernels import KernelTable, kernel_from_text
from palmette.latency.per_op.network_cost import TimedNetworks
from palmette.latency.planning.rough import rough_ms
from palmette.latency.validation.inside import Loaded
from palmette.space import InputError


@pytest.fixture(scope="module")
def networks() -> TimedNetworks:
    """24 made networks of 8 families whose kernels take what is guessed, but for 2 % of noise."""
    rng = np.random.default_rng(0)
    kernels, owner = [], []
    for network in range(24):
        for _ in range(int(rng.integers(6, 20))):
            px, read = int(rng.choice([7, 14, 28])), int(rng.integers(2, 40)) * 4
            sort = f"k3 g{read}" if rng.random() < 0.5 else ""
            written = read if sort else int(rng.integers(2, 40)) * 4
            text = f"conv {read}x{px}x{px} -> {written}x{px}x{px} {sort} relu"
            kernels.append(kernel_from_text(text))
            owner.append(network)
    table, index = KernelTable.of(kernels), np.array(owner)
    ms = rough_ms(table, "gpu") * np.exp(rng.normal(0, 0.02, len(table)))
    families = tuple(f"family{at // 3}" for at in range(24))
    return TimedNetworks(table, ms, index, 1.2 * np.bincount(index, ms) + 0.2, families)


@pytest.mark.sweep
def test_a_draw_scores_every_arm_budget_and_calibration(
    benchmark: ModuleType, networks: TimedNetworks
) -> None:
    errors = benchmark.one_draw(networks, 0, (60,))
    assert errors.shape == (3, 2, 1) and (errors > 0).all()
    assert errors[0, 0, 0] < 5  # planned


def test_choosers_take_as_many_as_asked_each_once(
    benchmark: ModuleType, networks: TimedNetworks
) -> None:
    candidates = benchmark.candidates_of(networks, np.random.default_rng(1))
    for choose in benchmark.CHOOSERS.values():
        order = choose(candidates, 40, np.random.default_rng(2))
        assert len(order) == len(set(order.tolist())) == 40
        again = choose(candidates, 20, np.random.default_rng(2))
        assert again.tolist() == order[:20].tolist()


def test_milliseconds_are_hidden_from_whoever_chooses(
    benchmark: ModuleType, networks: TimedNetworks
) -> None:
    count = len(networks.kernels)
    blind = TimedNetworks(
        networks.kernels,
        np.full(count, np.nan),
        networks.network,
        np.full(len(networks.ms), np.nan),
        networks.families,
    )
    seen, unseen = (
        benchmark.candidates_of(part, np.random.default_rng(3)) for part in (networks, blind)
    )
    for choose in benchmark.CHOOSERS.values():
        orders = [choose(c, 30, np.random.default_rng(4)).tolist() for c in (seen, unseen)]
        assert orders[0] == orders[1]
    picked, blindly = (
        benchmark.calibration_networks(part, np.random.default_rng(5)) for part in (networks, blind)
    )
    assert all(picked[name].tolist() == blindly[name].tolist() for name in picked)


def test_families_stay_together_and_folds_differ_between_draws(benchmark: ModuleType) -> None:
    families = [f"family{at // 3}" for at in range(24)]
    folds = [benchmark.shuffled_folds(families, np.random.default_rng(seed)) for seed in (0, 1)]
    for fold in folds:
        assert set(fold.tolist()) == set(range(6))
        assert all(len(set(fold[at : at + 3].tolist())) == 1 for at in range(0, 24, 3))
    assert (folds[0] != folds[1]).any()


def test_gains_are_paired_by_draw(benchmark: ModuleType) -> None:
    errors = np.zeros((4, 3, 2, 1))
    drift = np.array([5.0, 7.0, 9.0, 11.0])
    errors[:, 0, 0, 0], errors[:, 1, 0, 0] = drift, drift + [1, 2, 1, 2]
    found = benchmark.summary(errors, [50])
    assert found["mape_50"] == pytest.approx(8) and found["mape_random_50"] == pytest.approx(9.5)
    assert found["gain_over_random_50"] == pytest.approx(1.5)
    assert found["gain_over_random_50_se"] == pytest.approx(np.std([1, 2, 1, 2], ddof=1) / 2)
    assert found["least_z_over_random"] == pytest.approx(1.5 / found["gain_over_random_50_se"])


def test_kept_draws_are_not_drawn_again(
    benchmark: ModuleType,
    networks: TimedNetworks,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = tuple(f"net{at}" for at in range(24))
    loaded, kept, drawn = Loaded(networks, names, ()), tmp_path / "draws", []

    def one_draw(networks: TimedNetworks, draw: int, budgets: list[int]) -> np.ndarray:
        drawn.append(draw)
        return np.full((3, 2, len(budgets)), 1.0 + draw)

    monkeypatch.setattr(benchmark, "one_draw", one_draw)
    first = benchmark.measure(loaded, 2, (25,), kept)
    more = benchmark.measure(loaded, 3, (25,), kept)
    assert drawn == [0, 1, 2]
    assert (first["mape_25"], more["mape_25"]) == (1.5, 2.0)
    with pytest.raises(InputError, match="something else"):
        benchmark.measure(loaded, 3, (50,), kept)


def test_a_missing_file_ends_the_script_with_2(benchmark: ModuleType) -> None:
    done = subprocess.run(
        [sys.executable, benchmark.__file__, "--ops", "nowhere.csv"], capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "error: nowhere.csv: no such file\n"


@pytest.mark.slow
def test_the_claims_hold_on_the_real_timings(benchmark: ModuleType, tmp_path: Path) -> None:
    if not all(path.is_file() for path in benchmark.DEFAULTS.values()):
        pytest.skip("the third-party timings are not part of the repository")
    done = subprocess.run(
        [sys.executable, benchmark.__file__, "--json", "--out", str(tmp_path / "found.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["mape_200"] <= 6.0
    assert found["least_z_over_random"] > -2
