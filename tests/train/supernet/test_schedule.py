"""Phases of a supernet's training, and the networks that they let vary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from palmette.space import InputError, SearchSpace
from palmette.space.search_space import Codes
from palmette.train.supernet.sampling import is_free, largest, sandwich, smallest
from palmette.train.supernet.schedule import Phase, Schedule, load_schedule, schedules


def values(space: SearchSpace, code: Codes) -> dict[str, object]:
    return {g.name: g.choices[i] for g, i in zip(space.genes, code, strict=True)}


def test_the_ends_have_the_highest_and_lowest_values_in_whatever_order(space: SearchSpace) -> None:
    high, low = (values(space, ends(space)) for ends in (largest, smallest))
    assert (high["stage3.kernel"], low["stage3.kernel"]) == (7, 3)
    assert (high["stage3.depth"], low["stage3.depth"]) == (2, 1)
    assert (high["network.resolution"], low["network.resolution"]) == (48, 32)
    assert high["network.activation"] == low["network.activation"] == "relu"


def test_sizes_that_are_not_square_are_ordered_by_area(space: SearchSpace) -> None:
    network = {**space.sections["network"], "resolution": (40, "32x64", "32x48", 44)}
    oblong = SearchSpace("oblong", {**space.sections, "network": network})
    high, low = (values(oblong, ends(oblong)) for ends in (largest, smallest))
    assert (high["network.resolution"], low["network.resolution"]) == ("32x64", "32x48")
    assert oblong.largest_side == 64


def test_a_sandwich_has_both_ends_and_random_networks(space: SearchSpace) -> None:
    codes = sandwich(space, ["all"], 2, np.random.default_rng(0))
    assert len(codes) == 4
    numbers = [i for i, gene in enumerate(space.genes) if gene.name != "network.activation"]
    assert np.array_equal(codes[0][numbers], largest(space)[numbers])
    assert np.array_equal(codes[1][numbers], smallest(space)[numbers])
    activations = {
        int(code[space.column["network.activation"]])
        for seed in range(20)
        for code in sandwich(space, ["all"], 0, np.random.default_rng(seed))[:1]
    }
    assert activations == {0, 1}


def test_what_is_not_free_keeps_its_highest_value(space: SearchSpace) -> None:
    free = ["kernel", "stage2.depth"]
    rng = np.random.default_rng(0)
    codes = np.stack([code for _ in range(40) for code in sandwich(space, free, 2, rng)])
    for column, gene in enumerate(space.genes):
        found = set(codes[:, column].tolist())
        wanted = set(range(len(gene.choices))) if is_free(gene, free) else {largest(space)[column]}
        assert found == wanted, gene.name


def test_without_free_genes_a_step_has_one_network(space: SearchSpace) -> None:
    assert len(sandwich(space, [], 3, np.random.default_rng(0))) == 1


@pytest.mark.parametrize("name", schedules())
def test_shipped_schedules_read_back_and_end_with_everything_free(name: str) -> None:
    found = load_schedule(name)
    assert Schedule.from_text(found.to_text(), "x") == found
    assert found.at(1.0).free == ("all",)


def test_a_phase_lasts_until_its_share() -> None:
    one, two = Phase(0.5, ("kernel",)), Phase(1.0, ("all",))
    found = Schedule((one, two))
    assert [found.at(p) for p in (0.0, 0.49, 0.5, 1.0)] == [one, one, two, two]


HEAD = 'format = "palmette/supernet-schedule@1"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs the line format"),
        (HEAD, r"needs at least one table \[\[phases\]\]"),
        (HEAD + "randm = 2", "unknown key 'randm'; the nearest is 'random'"),
        (HEAD + '[[phases]]\nuntil = 1.0\nfree = ["kernle"]', "the nearest is 'kernel'"),
        (HEAD + '[[phases]]\nuntil = 0.5\nfree = ["all"]', "must rise from above 0 to 1"),
        (HEAD + '[[phases]]\nuntil = "x"\nfree = ["all"]', "'until' must be a number"),
        (HEAD + "[[phases]]\nuntil = 1\nfree = 3", "'free' must be a list of names"),
        (HEAD + 'random = -1\n[[phases]]\nuntil = 1\nfree = ["all"]', "from 0 to 64, got -1"),
        ("= 3", "not valid TOML"),
    ],
)
def test_a_bad_schedule_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_schedule(str(path))
    assert "mine.toml" in str(caught.value)


def test_an_unknown_schedule_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="progressive, sandwich"):
        load_schedule("shrink")


def test_a_gene_that_the_space_lacks_is_refused(space: SearchSpace) -> None:
    schedule = Schedule((Phase(1.0, ("stage9.kernel",)),))
    with pytest.raises(InputError, match="space 'small': unknown key 'stage9.kernel'"):
        schedule.expect_fits(space)
