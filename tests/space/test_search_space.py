"""Search spaces: codes and architectures are the same thing, and TOML is read with care."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.space import ZOO, Architecture, InputError, SearchSpace, load, presets
from palmette.space.choices import image_size, resolution_of

PRESETS = {name: SearchSpace.preset(name) for name in presets()}

TOML = """
format = "palmette/space@1"
description = "two stages"

[network]
resolution = [32, 48]
activation = ["relu", "hswish"]
se = [0.0, 0.25]
se_act = "swish"
gate = "hsigmoid"

[stem]
channels = [8, 12]

[[stages]]
stride = 1
channels = 8
kernel = 3
expansion = [1, 2.5]
depth = [1, 2]

[[stages]]
stride = 2
channels = [16, 24]
kernel = [3, 5]
expansion = 4
depth = 2
se = 0.5

[head]
channels = 64
"""
SPACE = SearchSpace.from_toml(TOML, "two")


def test_the_presets_are_the_shipped_ones() -> None:
    assert presets() == [
        "efficientnet_lite",
        "fbnet",
        "mnasnet",
        "mobilenet_v2",
        "mobilenet_v4",
        "repvit_like",
    ]


def test_every_list_is_a_gene_in_the_order_of_the_network() -> None:
    assert [gene.name for gene in SPACE.genes] == [
        "network.resolution",
        "network.activation",
        "network.se",
        "stem.channels",
        "stage1.expansion",
        "stage1.depth",
        "stage2.channels",
        "stage2.kernel",
    ]
    assert SPACE.genes[0].choices == (32, 48)
    assert SPACE.cardinalities.tolist() == [2] * 8
    assert SPACE.column["stage2.kernel"] == 7
    assert (SPACE.size, SPACE.depth, SPACE.description) == (2**8, 2, "two stages")


def test_sizes_are_products_of_the_choices() -> None:
    network, stem, head = 5 * 3 * 2, 3, 2
    widths, depths = 2 * 3 * 4 * 4 * 4 * 4 * 3, 4 * 4 * 5 * 4 * 4 * 2
    kernels_and_expansions = (3 * 3) ** 6
    wanted = network * stem * head * widths * depths * kernels_and_expansions
    assert PRESETS["mobilenet_v2"].size == wanted
    assert PRESETS["mnasnet"].size == (2 * 3 * 3 * 2) ** 4 * (2 * 3 * 4 * 2) ** 3


def test_a_code_decodes_by_hand() -> None:
    code = np.array([1, 1, 1, 0, 1, 1, 0, 1])
    assert SPACE.decode(code) == Architecture.from_text(
        "48x48 stem_k3_s2_c8_hswish | ir_r2_k3_s1_e2.5_c8_hswish_se0.25_inswish_gatehsigmoid"
        " | ir_r1_k5_s2_e4_c16_hswish_se0.5_inswish_gatehsigmoid"
        " ir_r1_k5_s1_e4_c16_hswish_se0.5_inswish_gatehsigmoid | head_c64_hswish"
    )


def test_expansion_one_is_a_depthwise_separable_block() -> None:
    assert SPACE.decode(np.zeros(8, dtype=int)) == Architecture.from_text(
        "32x32 stem_k3_s2_c8_relu | ds_r1_k3_s1_c8_relu"
        " | ir_r2_k3_s2_e4_c16_relu_se0.5_inswish_gatehsigmoid | head_c64_relu"
    )


def test_reference_networks_are_points_of_the_presets() -> None:
    inside = {
        "mobilenet_v2": ("mobilenet_v2", "efficientnet_lite0"),
        "mnasnet": ("efficientnet_b0",),
        "efficientnet_lite": tuple(f"efficientnet_lite{index}" for index in range(5)),
    }
    for space, names in inside.items():
        for name in names:
            assert PRESETS[space].decode(PRESETS[space].encode(load(name))) == load(name)


# Properties over all presets


def codes(space: SearchSpace) -> st.SearchStrategy[np.ndarray]:
    each = [st.integers(0, int(count) - 1) for count in space.cardinalities]
    return st.tuples(*each).map(lambda code: np.array(code, dtype=np.int64))


@pytest.mark.parametrize("name", PRESETS)
@given(data=st.data())
def test_encoding_a_decoded_code_gives_it_back(name: str, data: st.DataObject) -> None:
    space = PRESETS[name]
    code = data.draw(codes(space))
    assert space.encode(space.decode(code)).tolist() == code.tolist()


@pytest.mark.parametrize("name", PRESETS)
@given(data=st.data())
def test_every_code_is_a_valid_architecture_with_a_lossless_text(
    name: str, data: st.DataObject
) -> None:
    network = PRESETS[name].decode(data.draw(codes(PRESETS[name])))
    assert Architecture.from_text(network.to_text()) == network
    assert Architecture.from_json(network.to_json()) == network
    assert len(network.stages) == PRESETS[name].depth


@pytest.mark.parametrize("name", PRESETS)
def test_batches_are_rows(name: str) -> None:
    space = PRESETS[name]
    rows = space.sample(20, np.random.default_rng(0))
    networks = space.decode_batch(rows)
    assert networks == [space.decode(row) for row in rows]
    assert np.array_equal(space.encode_batch(networks), rows)
    assert space.encode_batch([]).shape == (0, len(space.genes))


@pytest.mark.parametrize("name", PRESETS)
def test_samples_stay_in_bounds_reach_every_choice_and_repeat_by_seed(name: str) -> None:
    space = PRESETS[name]
    rows = space.sample(500, np.random.default_rng(7))
    assert rows.shape == (500, len(space.genes))
    assert rows.min(axis=0).tolist() == [0] * len(space.genes)
    assert rows.max(axis=0).tolist() == (space.cardinalities - 1).tolist()
    assert np.array_equal(rows, space.sample(500, np.random.default_rng(7)))
    shares = (rows == 0).mean(axis=0) * space.cardinalities
    assert np.all(np.abs(shares - 1) < 0.35)  # uniform: five standard deviations


@pytest.mark.parametrize("space", [SPACE, *PRESETS.values()], ids=["two", *PRESETS])
@given(data=st.data())
@settings(max_examples=20)
def test_neighbours_are_all_codes_that_differ_in_one_gene(
    space: SearchSpace, data: st.DataObject
) -> None:
    code = data.draw(codes(space))
    found = space.neighbours(code)
    assert np.all((found != code).sum(axis=1) == 1)
    assert np.all((found >= 0) & (found < space.cardinalities))
    assert len(np.unique(found, axis=0)) == len(found) == (space.cardinalities - 1).sum()


# Other architectures


@pytest.mark.parametrize(
    ("text", "gene"),
    [
        (load("mobilenet_v2").with_resolution(200).to_text(), "network.resolution is 200"),
        (ZOO["mobilenet_v3_large"].text, "stage7.channels is 960, choices are [192, 256, 320]"),
        (ZOO["efficientnet_b0"].text, "network.activation is swish"),
        (ZOO["mobilenet_v1"].text, "stage1.channels is 64"),
        (load("mobilenet_v2").with_resolution(224, 192).to_text(), "network.resolution is 224x192"),
        (ZOO["mobilenet_v2"].text + "_n10", "keeps fixed differs"),
        (
            ZOO["mobilenet_v2"].text.replace("head_c1280_relu6", "taps_t8.32"),
            "head.channels is None",
        ),
        (ZOO["mobilenet_v2"].text.replace("c16_relu6 |", "c16_relu |", 1), "keeps fixed differs"),
        (
            ZOO["mobilenet_v2"].text.replace("| ir_r1_k3_s1_e6_c320_relu6 ", ""),
            "stage7.channels is None",
        ),
        (
            ZOO["mobilenet_v2"].text.replace("| head", "| cn_k1_s1_c320_relu6 | head"),
            "keeps fixed differs",
        ),
        (
            ZOO["mobilenet_v2"].text.replace("| ir_r1_k3_s1_e6_c320", "| er_r1_k3_s1_e6_c320"),
            "keeps fixed differs",
        ),
    ],
)
def test_an_architecture_of_another_space_is_told_what_differs(text: str, gene: str) -> None:
    with pytest.raises(InputError, match="is not in space 'mobilenet_v2'") as error:
        PRESETS["mobilenet_v2"].encode(Architecture.from_text(text))
    assert gene in str(error.value)


@pytest.mark.parametrize(
    "code",
    [
        [0] * 7,
        [0] * 9,
        [[0] * 8],
        [2, *[0] * 7],
        [-1, *[0] * 7],
        [0.5] * 8,
        [math.nan] * 8,
        ["0"] * 8,
        [True] * 8,
        [],
    ],
)
def test_a_code_outside_the_space_is_told_the_bounds(code: Any) -> None:
    with pytest.raises(InputError, match=r"must be 8 indices below \[2, 2, 2, 2, 2, 2, 2, 2\]"):
        SPACE.decode(code)


def test_a_list_is_a_code_as_well() -> None:
    assert SPACE.decode([0] * 8) == SPACE.decode(np.zeros(8, dtype=np.int8))  # type: ignore[arg-type]


# Restricting


def test_restricting_keeps_the_allowed_choices_and_the_rest() -> None:
    space = PRESETS["mobilenet_v2"].restrict("stage3.kernel", [3, 5, 9])
    assert space.sections["stage3"]["kernel"] == (3, 5)
    assert space.size * 3 == PRESETS["mobilenet_v2"].size * 2
    assert space.id != PRESETS["mobilenet_v2"].id
    assert PRESETS["mobilenet_v2"].sections["stage3"]["kernel"] == (3, 5, 7)
    only = space.restrict("stage3.kernel", [5])
    assert "stage3.kernel" not in only.column
    network = only.decode(only.sample(1, np.random.default_rng(0))[0])
    assert {block.kernel for block in network.stages[2]} == {5}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("gene", "allowed", "teaches"),
    [
        ("stage3.kernel", [9], "stage3.kernel has [3, 5, 7], none of which is in [9]"),
        ("stage3.kernel", [], "none of which is in []"),
        ("stage3.width", [9], "no gene 'stage3.width'; it has network.resolution, "),
        ("stage9.kernel", [3], "no gene 'stage9.kernel'"),
        ("kernel", [3], "no gene 'kernel'"),
        ("", [3], "no gene ''"),
    ],
)
def test_a_restriction_that_leaves_nothing_is_told_so(
    gene: str, allowed: list[int], teaches: str
) -> None:
    with pytest.raises(InputError) as error:
        PRESETS["mobilenet_v2"].restrict(gene, allowed)
    assert teaches in str(error.value)


def test_a_space_without_genes_has_one_architecture() -> None:
    space = SPACE
    for gene in SPACE.genes:
        space = space.restrict(gene.name, gene.choices[:1])
    assert (space.genes, space.size) == ((), 1)
    rows = space.sample(3, np.random.default_rng(0))
    assert rows.shape == (3, 0)
    assert space.decode(rows[0]) == SPACE.decode(np.zeros(8, dtype=int))
    assert space.encode(space.decode(rows[0])).shape == (0,)
    assert len(space.neighbours(rows[0])) == 0


# Identity


def test_ids_follow_the_choices_and_not_the_name() -> None:
    assert SearchSpace.from_toml(TOML, "other").id == SPACE.id
    assert SearchSpace.from_toml(TOML.replace("32, 48", "48, 32"), "two").id != SPACE.id
    assert PRESETS["mobilenet_v2"].id == "10fd70c994a9"
    assert PRESETS["mnasnet"].id == "e0cb828fda06"


# Ratios that no count of channels has exactly


@st.composite
def _ragged(draw: st.DrawFn) -> SearchSpace:
    """Spaces of odd widths and ratios, where every ratio is rounded."""
    ratios = st.lists(
        st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.7]), min_size=1, max_size=3, unique=True
    )
    widths = st.lists(st.integers(4, 60), min_size=1, max_size=2, unique=True)
    expansions = st.lists(
        st.sampled_from([1, 1.5, 2.3, 3.3, 5.1, 6]), min_size=1, max_size=3, unique=True
    )
    shared = draw(st.booleans())
    stages = []
    for _ in range(draw(st.integers(1, 3))):
        own = shared or draw(st.booleans())
        stages.append(
            f"[[stages]]\nstride = {draw(st.integers(1, 2))}\nchannels = {draw(widths)}\n"
            f"kernel = [3, 5]\nexpansion = {draw(expansions)}\ndepth = [1, 2]\n"
            + (f"se = {draw(ratios)}\n" if own else "")
        )
    follows = any("se =" not in stage for stage in stages)
    network = (
        f"[network]\nresolution = 32\nactivation = 'relu'\nse = {draw(ratios) if follows else 0}"
    )
    return SearchSpace.from_toml(
        f"format = 'palmette/space@1'\n{network}\n[stem]\nchannels = [{draw(st.integers(8, 40))}]\n"
        + "".join(stages)
        + "[head]\nchannels = 64\n",
        "ragged",
    )


@given(data=st.data())
def test_rounded_ratios_encode_exactly_or_are_refused_together(data: st.DataObject) -> None:
    try:
        space = data.draw(_ragged())
    except InputError as error:
        assert "leave out the choices that come to the same" in str(error)
        return
    for code in space.sample(5, np.random.default_rng(0)):
        assert space.encode(space.decode(code)).tolist() == code.tolist()


# Reading TOML


def test_a_file_is_read_under_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TOML)
    space = SearchSpace.read(path)
    assert (space.name, space.id) == ("mine", SPACE.id)
    path.write_text(TOML.replace("kernel = 3", "kernel = 4"))
    with pytest.raises(InputError, match=f"{path}: .stage1. kernel: must be an odd integer"):
        SearchSpace.read(path)


def test_a_file_that_cannot_be_read_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"description = '\xff'")
    for name in ("missing.toml", "latin.toml", "."):
        with pytest.raises(InputError, match="cannot be read"):
            SearchSpace.read(tmp_path / name)


@pytest.mark.parametrize("stages", ["", "stages = []", "stages = 3", "[stages.a]"])
def test_a_space_without_stages_is_told_so(stages: str) -> None:
    with pytest.raises(InputError, match=r"mine: at least one \[\[stages\]\] table is needed"):
        SearchSpace.from_toml(f"format = 'palmette/space@1'\n{stages}", "mine", where="mine")


def test_a_stage_that_is_no_table_is_told_so() -> None:
    with pytest.raises(InputError, match=r"\[stage1\] must be a table"):
        SearchSpace.from_toml(
            "format = 'palmette/space@1'\nstages = [3]\n[network]\nresolution = 32\n"
            "activation = 'relu'\n[stem]\nchannels = 8\n[head]\nchannels = 8",
            "mine",
        )


def test_an_unknown_preset_lists_the_known_ones() -> None:
    for name in ("mobilenet_v9", "../presets/mnasnet", ""):
        with pytest.raises(
            InputError, match="is unknown; .*known: efficientnet_lite, fbnet, mnasnet, "
        ):
            SearchSpace.preset(name)


FIRST = "stride = 1\nchannels = 8\nkernel = 3\nexpansion = [1, 2.5]\ndepth = [1, 2]"

BROKEN_TOML = [
    ("[stem]", "[stem", "not valid TOML"),
    ("channels = 64", "channels = " + "9" * 5000, "not valid TOML"),
    ("channels = 64", "channels = " + "[" * 5000, "not valid TOML"),
    ("space@1", "space@2", "format must be 'palmette/space@1', got 'palmette/space@2'"),
    ('format = "palmette/space@1"', "", "format must be 'palmette/space@1', got None"),
    ('"two stages"', "2", "description must be text, got 2"),
    ("[[stages]]", "[[stage]]", "at least one [[stages]] table is needed"),
    ('"two stages"', '""\nstages = []', "not valid TOML"),
    ("[stem]", "[tem]", "unknown key or table 'tem'; known: format, description, network, stem,"),
    ("[head]", "[stage1]", "unknown key or table 'stage1'"),
    ("[head]", "[extra]\n[head]", "unknown key or table 'extra'"),
    ("[head]\nchannels = 64", "", "table [head] is missing"),
    ("[stem]\nchannels = [8, 12]", "", "table [stem] is missing"),
    ("[head]\nchannels = 64", "[[head]]\nchannels = 64", "[head] must be a table"),
    (FIRST, FIRST.replace("depth = [1, 2]", ""), "[stage1] key 'depth' is missing"),
    ("channels = 64", "", "[head] key 'channels' is missing"),
    ("channels = 64", "widths = 64", "[head] unknown key 'widths'; known: channels, classes"),
    ("depth = 2", "depth = []", "[stage2] depth: the list of choices is empty"),
    ("depth = 2", "depth = [2, 2]", "[stage2] depth: a choice is given twice in [2, 2]"),
    ("expansion = 4", "expansion = [4, 4.0]", "[stage2] expansion: a choice is given twice"),
    ("depth = 2", "depth = 2.0", "[stage2] depth: must be an integer from 1 to 64, got 2.0"),
    ("depth = 2", "depth = true", "[stage2] depth: must be an integer from 1 to 64, got True"),
    ("depth = 2", 'depth = "2"', "[stage2] depth: must be an integer from 1 to 64, got '2'"),
    ("depth = 2", "depth = [[2]]", "[stage2] depth: must be an integer from 1 to 64, got [2]"),
    ("depth = 2", "depth = {a = 2}", "[stage2] depth: must be an integer from 1 to 64, got {"),
    ("depth = 2", "depth = 2024-01-01", "[stage2] depth: must be an integer from 1 to 64, got dat"),
    ("depth = 2", "depth = 0", "[stage2] depth: must be an integer from 1 to 64, got 0"),
    ("depth = 2", "depth = [1, 65]", "[stage2] depth: must be an integer from 1 to 64, got 65"),
    (
        "expansion = 4",
        "expansion = nan",
        "[stage2] expansion: must be a number from 1 to 16, got n",
    ),
    (
        "expansion = 4",
        "expansion = inf",
        "[stage2] expansion: must be a number from 1 to 16, got i",
    ),
    ("expansion = 4", "expansion = true", "expansion: must be a number from 1 to 16, got True"),
    ("expansion = 4", "expansion = 0.5", "expansion: must be a number from 1 to 16, got 0.5"),
    ("se = 0.5", "se = 1.5", "[stage2] se: must be a number from 0 to 1, got 1.5"),
    ("se = 0.5", "se = -0.5", "[stage2] se: must be a number from 0 to 1, got -0.5"),
    ("[3, 5]", "[3, 4]", "[stage2] kernel: must be an odd integer from 1 to 31, got 4"),
    ("stride = 2", "stride = [1, 2]", "[stage2] stride: takes one value, got [1, 2]"),
    ("stride = 2", "stride = 3", "[stage2] stride: must be an integer from 1 to 2, got 3"),
    ('"swish"', '["swish", "relu"]', "[network] se_act: takes one value, got ['swish', 'relu']"),
    ('"swish"', "1", "[network] se_act: must be one of none, relu,"),
    ('"hsigmoid"', '"relu"', "[network] gate: must be one of sigmoid, hsigmoid; got 'relu'"),
    ('"hswish"]', '"tanh"]', "[network] activation: must be one of none, relu,"),
    ('"hswish"]', '["relu"]]', "[network] activation: must be one of none, relu,"),
    (
        "[32, 48]",
        "[32, 16]",
        "[network] resolution: must be an integer from 32 to 4096, or height x width of such, as"
        " '192x256', got 16",
    ),
    *(
        ("[32, 48]", f'[32, "{size}"]', f"'192x256', got '{size}'")
        for size in ("48x16", "16x48", "48x5000", "48X64", "48x", "x48", "48", "048x64", "48x64x3")
    ),
    ("[32, 48]", '[32, "32x32"]', "[network] resolution: a choice is given twice in [32, 32]"),
    ("[32, 48]", '["32x48", "32x48"]', "[network] resolution: a choice is given twice"),
    (
        "channels = 64",
        "channels = 64\nclasses = 65537",
        "classes: must be an integer from 1 to 65536",
    ),
    ("channels = 64", "channels = 64\nclasses = [10, 20]", "[head] classes: takes one value"),
    (
        "depth = [1, 2]",
        "depth = [1, 2]\nse = 0.25",
        "[network] se varies, but no stage follows it: each has its own se, or a block without",
    ),
    (
        "expansion = 4",
        "expansion = [4, 4.01]",
        "[stage2] expansion: [4, 4.01] of 8 input channels are [32, 32]; leave out",
    ),
    ("se = 0.5", "se = [0.1, 0.11]", "[stage2] se: [0.1, 0.11] of 8 input channels are [1, 1]"),
    ("[0.0, 0.25]", "[0.01, 0.02]", "[stage1] se: [0.01, 0.02] of 8 input channels are [1, 1]"),
]


@pytest.mark.parametrize(("good", "bad", "teaches"), BROKEN_TOML, ids=[b[2] for b in BROKEN_TOML])
def test_broken_toml_is_told_file_table_key_and_rule(good: str, bad: str, teaches: str) -> None:
    assert good in TOML
    with pytest.raises(InputError) as error:
        SearchSpace.from_toml(TOML.replace(good, bad), "two", where="mine.toml")
    assert str(error.value).startswith("mine.toml: ")
    assert teaches in str(error.value)
    assert "\n" not in str(error.value)


def test_defaults_are_no_squeeze_and_excitation_and_a_thousand_classes() -> None:
    text = TOML.replace("se = [0.0, 0.25]", "").replace('se_act = "swish"', "")
    space = SearchSpace.from_toml(text.replace('gate = "hsigmoid"', ""), "two")
    network = space.decode(np.zeros(len(space.genes), dtype=int))
    assert network.head.classes == 1000
    assert network.stages[0][0].se == 0  # type: ignore[attr-defined]
    assert network.stages[1][0].se == 4  # type: ignore[attr-defined]
    assert network.stages[1][0].gate == "sigmoid"  # type: ignore[attr-defined]


@given(data=st.data())
@settings(max_examples=200)
def test_mutated_toml_is_a_space_or_an_input_error(data: st.DataObject) -> None:
    text = TOML
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 8)))
        piece = st.sampled_from(
            ["", "[", "]", "=", "\n", "0", "-", ".5", '"', "nan", "true", "[[a]]"]
        )
        text = text[:start] + data.draw(piece | st.text(max_size=3)) + text[end:]
    try:
        space = SearchSpace.from_toml(text, "mutated")
    except InputError as error:
        assert len(str(error).splitlines()) == 1
        return
    code = space.sample(1, np.random.default_rng(0))[0]
    assert space.encode(space.decode(code)).tolist() == code.tolist()


# Images that are not square


@st.composite
def oblong_spaces(draw: st.DrawFn) -> SearchSpace:
    """The small space with sides and sizes."""
    sides = st.integers(32, 200)
    sizes = st.tuples(sides, sides).map(lambda size: f"{size[0]}x{size[1]}")
    choices = draw(st.lists(st.one_of(sides, sizes), min_size=2, max_size=4, unique_by=image_size))
    shown = json.dumps(choices)
    return SearchSpace.from_toml(TOML.replace("[32, 48]", shown), "oblong")


@given(space=oblong_spaces(), data=st.data())
def test_every_size_of_a_space_is_decoded_and_encoded(
    space: SearchSpace, data: st.DataObject
) -> None:
    code = data.draw(codes(space))
    network = space.decode(code)
    choice = space.genes[0].choices[code[0]]
    assert space.genes[0].name == "network.resolution"
    assert network.resolution == image_size(choice)
    assert resolution_of(*network.resolution) == choice
    assert np.array_equal(space.encode(Architecture.from_text(network.to_text())), code)


@given(space=oblong_spaces())
def test_a_square_size_is_kept_as_its_side(space: SearchSpace) -> None:
    for choice in space.sections["network"]["resolution"]:
        height, width = image_size(choice)
        assert choice == (height if height == width else f"{height}x{width}")


def test_one_side_too_small_for_the_strides_is_enough_to_refuse() -> None:
    stages = "[[stages]]\nstride = 2\nchannels = 8\nkernel = 3\nexpansion = 1\ndepth = 1\n"
    text = TOML.replace("[32, 48]", '"33x400"').replace("[head]", stages * 5 + "[head]")
    with pytest.raises(InputError, match="resolution: 33 px are too few for the strides"):
        SearchSpace.from_toml(text, "deep")
