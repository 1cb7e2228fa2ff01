"""The rank-correlation card: what it draws, what it keeps, and figures worked by hand."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from palmette.space import InputError, SearchSpace


@pytest.fixture(autouse=True)
def quick(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer networks are traced for the median."""
    monkeypatch.setattr(benchmark, "MEDIAN_OF", 20)


def test_a_third_of_the_networks_have_nearly_equal_macs_and_a_third_all_sizes(
    benchmark: ModuleType,
) -> None:
    space = SearchSpace.read(benchmark.SPACE)
    networks = benchmark.draw_networks(space, benchmark.Setting(networks=12))
    assert len({network.id for network in networks}) == 12
    macs = np.array([network.macs() for network in networks])
    assert macs[4:8].max() / macs[4:8].min() <= 1.1 / 0.9
    assert macs[8:].max() / macs[8:].min() > macs[:4].max() / macs[:4].min()
    assert networks == benchmark.draw_networks(space, benchmark.Setting(networks=12))


def test_images_are_those_of_the_first_classes_and_share_nothing(benchmark: ModuleType) -> None:
    one = benchmark.first_classes(50, 8, 16, 0)
    other = benchmark.first_classes(30, 8, 16, 0, after=50)
    assert (len(one), len(other)) == (50, 30)
    assert len(one.classes) == 8
    assert np.bincount(one.labels).max() - np.bincount(one.labels).min() <= 1
    seen = {image.tobytes() for image in one.pixels}
    assert not seen & {image.tobytes() for image in other.pixels}


@pytest.mark.sweep
def test_a_card_goes_on_with_the_numbers_that_it_has(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = benchmark.Setting(
        networks=3,
        seeds=2,
        train_images=128,
        validation_images=64,
        epochs=1,
        supernet_epochs=1,
    )
    first, estimates, alone = benchmark.run(tmp_path, setting)
    assert alone.shape == (2, 3)
    assert set(estimates) == set(first["estimators"])
    assert first["estimators"]["supernet"]["cost"] > first["estimators"]["macs"]["cost"] == 0
    assert "tau_minus_supernet_not_recalibrated" in first["estimators"]["supernet"]
    assert first["fidelity"] in map(str, benchmark.FIDELITIES)
    monkeypatch.setattr(benchmark, "train", None)
    monkeypatch.setattr(benchmark, "train_supernet", None)
    again, _, _ = benchmark.run(tmp_path, setting)
    assert str(again) == str(first)  # some figures of so few networks are no numbers
    benchmark.draw(first, estimates, alone, tmp_path / "card.png")
    assert (tmp_path / "card.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="holds numbers of another setting"):
        benchmark.run(tmp_path, benchmark.Setting())
    benchmark.show(first)
