"""Schemes know what they need."""

import pytest

from palmette.export.compression.schemes import SCHEMES, runs_on, scheme_named
from palmette.space import InputError

NEEDS_18 = {
    *("palette3", "palette4_group16", "int4", "int4_block32"),
    *("sparse50_palette4", "sparse50_int8"),
}


def test_small_numbers_groups_and_joint_schemes_need_ios_18() -> None:
    assert {name for name, scheme in SCHEMES.items() if scheme.system == "iOS18"} == NEEDS_18
    assert {scheme.system for scheme in SCHEMES.values()} == {"iOS16", "iOS18"}


def test_a_newer_system_runs_what_an_older_one_does() -> None:
    assert runs_on(SCHEMES["int8"], "iOS16") and runs_on(SCHEMES["int8"], "iOS26")
    assert runs_on(SCHEMES["int4"], "iOS18") and not runs_on(SCHEMES["int4"], "iOS17")


def test_an_unknown_scheme_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match=r"^scheme 'int2': no such scheme; known are palette8, "):
        scheme_named("int2")
