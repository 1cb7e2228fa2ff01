"""A name that was written wrongly is asked about, by the known ones that come nearest."""

import pytest

from palmette.space import ZOO, InputError, SearchSpace, load
from palmette.space.spelling import did_you_mean


def test_the_nearest_names_are_asked_about_the_nearest_first() -> None:
    assert did_you_mean("cot", ["dog", "cat", "coat"]) == "did you mean coat or cat? "
    assert did_you_mean("cat", ["dog", "cat", "coat"]) == "did you mean cat? "
    assert did_you_mean("zebra", ["dog", "cat", "coat"]) == ""


def test_names_that_are_shown_alike_are_one() -> None:
    assert did_you_mean("coat", ["cat1", "cat2"], lambda name: name[:3]) == "did you mean cat? "


def test_an_unknown_network_is_told_where_the_list_is_and_not_the_list() -> None:
    with pytest.raises(InputError, match="did you mean mobilenet_v2 or ") as refused:
        load("mobilnet_v2")
    assert f"palmette zoo list names all {len(ZOO)}" in str(refused.value)
    assert len(str(refused.value)) < 160


def test_an_unknown_space_is_asked_about() -> None:
    with pytest.raises(InputError, match="did you mean mobilenet_v2 or mobilenet_v4[?] known: "):
        SearchSpace.preset("mobilnet_v2")
