"""Architectures: text, JSON and id say the same thing, and nothing malformed gets in."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from palmette.space import (
    ZOO,
    Architecture,
    DepthwiseSeparable,
    Head,
    InputError,
    InvertedResidual,
    Part,
    Stem,
    load,
)

TEXT = (
    "96x64 stem_k3_s2_c16_relu | ds_r1_k3_s1_c16_relu"
    " | ir_r3_k5_s2_e6_c24_relu_se0.25 ir_r1_k3_s1_x100_c24_relu6_noskip | head_c64_relu_n10"
)


def test_a_run_repeats_its_block_with_stride_one() -> None:
    # the ratios refer to each block's own input: 16 channels for the first, 24 for the others
    repeat = InvertedResidual(5, 1, 144, 24, "relu", se=6)
    assert Architecture.from_text(TEXT) == Architecture(
        (96, 64),
        Stem(3, 2, 16, "relu"),
        (
            (DepthwiseSeparable(3, 1, 16, "relu"),),
            (
                InvertedResidual(5, 2, 96, 24, "relu", se=4),
                repeat,
                repeat,
                InvertedResidual(3, 1, 100, 24, "relu6", skip=False),
            ),
        ),
        Head(64, "relu", 10),
    )


def test_text_comes_back_as_it_was_written() -> None:
    assert Architecture.from_text(TEXT).to_text() == TEXT
    for name, reference in ZOO.items():
        assert load(name).to_text() == reference.text


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("ds_k3_s1_c16_relu", "ds_r1_k3_s1_c16_relu"),
        ("ds_k3_s2_c8_relu ds_k3_s1_c8_relu", "ds_r2_k3_s2_c8_relu"),
        ("ds_r2_k3_s2_c8_relu ds_r2_k3_s1_c8_relu", "ds_r4_k3_s2_c8_relu"),
        # the stride belongs to the first of a run, so that two of them are no run
        ("ds_k3_s2_c8_relu ds_k3_s2_c8_relu", "ds_r1_k3_s2_c8_relu ds_r1_k3_s2_c8_relu"),
        # 96 expanded channels are 12 times 8, and 6 times 16
        (
            "ir_k3_s1_x96_c16_relu ir_k3_s1_x96_c16_relu",
            "ir_r1_k3_s1_e12_c16_relu ir_r1_k3_s1_e6_c16_relu",
        ),
        ("ir_r2_k3_s1_e6_c16_relu", "ir_r2_k3_s1_e6_c16_relu"),
    ],
)
def test_equal_stages_have_one_canonical_text(written: str, canonical: str) -> None:
    network = Architecture.from_text(f"32x32 stem_k3_s2_c8_relu | {written} | head_n10")
    assert network.to_text() == f"32x32 stem_k3_s2_c8_relu | {canonical} | head_n10"


@given(data=st.data())
def test_text_and_json_lose_nothing(
    data: st.DataObject, architectures: SearchStrategy[Architecture]
) -> None:
    network = data.draw(architectures)
    assert Architecture.from_text(network.to_text()) == network
    assert Architecture.from_json(network.to_json()) == network
    assert Architecture.from_dict(network.to_dict()) == network


@given(data=st.data())
def test_an_architecture_has_one_text_one_json_and_one_id(
    data: st.DataObject, architectures: SearchStrategy[Architecture]
) -> None:
    network = data.draw(architectures)
    again = Architecture.from_text(network.to_text())
    assert (again.to_text(), again.to_json(), again.id) == (
        network.to_text(),
        network.to_json(),
        network.id,
    )
    assert hash(again) == hash(network)


@pytest.mark.parametrize("index", range(6), ids=["stem", "cn", "ds", "ir", "er", "head"])
def test_every_field_of_every_block_is_in_id_and_text(index: int) -> None:
    network = Architecture.from_text(
        "96x64 stem_k3_s2_c16_relu | cn_k3_s1_c16_relu | ds_k3_s1_c16_relu_se4"
        " | ir_k3_s1_e6_c16_relu_se4 | er_k3_s1_e6_c16_relu_se4 | head_c64_relu_n10"
    )
    data = network.to_dict()
    block = [data["stem"], *(stage[0] for stage in data["stages"]), data["head"]][index]
    other = {"kernel": 5, "act": "swish", "se_act": "swish", "gate": "hsigmoid", "groups": 2}
    seen = {(network.id, network.to_text())}
    for key, value in list(block.items())[1:]:
        block[key] = other.get(key, not value if isinstance(value, bool) else 2 * value)
        if (key, value) == ("stride", 2):
            block[key] = 1
        changed = Architecture.from_dict(data)
        assert Architecture.from_text(changed.to_text()) == changed
        seen.add((changed.id, changed.to_text()))
        block[key] = value
    assert len({identity for identity, _ in seen}) == len(block)  # as many as fields, and itself
    assert len({text for _, text in seen}) == len(block)


@pytest.mark.parametrize(
    ("name", "identity"),
    [("mobilenet_v2", "92834d08bc9a"), ("mobilenet_v3_large", "db5511ae56be")],
)
def test_ids_are_the_same_in_every_version(name: str, identity: str) -> None:
    assert load(name).id == identity


def test_parts_carry_the_shapes_that_reach_them() -> None:
    # odd sizes round up under stride 2: 33 -> 17 -> 9
    network = Architecture.from_text(
        "33x50 stem_k3_s2_c8_relu | ds_r1_k3_s1_c16_relu | ir_r2_k5_s2_e6_c24_relu | head_c64_relu"
    )
    stem, head = network.stem, network.head
    (first,), (second, third) = network.stages
    assert list(network.parts()) == [
        Part(stem, 3, 33, 50, -1),
        Part(first, 8, 17, 25, 0),
        Part(second, 16, 17, 25, 1),
        Part(third, 24, 9, 13, 1),
        Part(head, 24, 9, 13, 2),
    ]
    assert network.total_stride == 4


def test_without_padding_the_stem_drops_what_does_not_fit_and_the_pool_keeps_it() -> None:
    # SqueezeNet at 227 px: (227 - 3) / 2 + 1 = 113, then 56, 28 and 14, each window once
    network = Architecture.from_text(
        "227x228 stem_k3_s2_c8_relu_valid | mp_k3_s2_c8_valid | mp_k3_s2_c8_valid"
        " | mp_k3_s2_c8_valid | head_n0"
    )
    assert [(part.height, part.width) for part in network.parts()] == [
        (227, 228),
        (113, 113),
        (56, 56),
        (28, 28),
        (14, 14),
    ]
    assert [op.output[1:] for op in network.ops()[:4]] == [(113, 113), (56, 56), (28, 28), (14, 14)]


def test_dilation_keeps_the_size_and_is_read_off_the_module() -> None:
    network = Architecture.from_text(
        "33x33 stem_k3_s2_c8_relu | cn_k3_s1_c8_relu_d2 ds_k5_s1_c8_relu_d3 ir_k3_s2_e2_c8_relu_d4"
        " er_k3_s1_e2_c8_relu_d5 uir_k3_s1_e2_c8_relu_a5_d6 rn_k3_s1_x4_c8_relu_d7 | head_n0"
    )
    assert [op.dilation for op in network.ops() if op.kernel > (1, 1)] == [1, 2, 3, 4, 5, 6, 6, 7]
    assert list(network.parts())[-1].height == 9


def test_what_a_block_learned_later_is_in_json_only_where_it_is_used() -> None:
    plain = Architecture.from_text("32x32 stem_k3_s2_c8_relu | ds_k3_s1_c8_relu | head").to_dict()
    assert "dilation" not in plain["stages"][0][0]
    assert "padded" not in plain["stem"]
    used = Architecture.from_text("32x32 stem_k3_s2_c8_relu_valid | ds_k3_s1_c8_relu_d2 | head")
    assert used.to_dict()["stages"][0][0]["dilation"] == 2
    assert used.to_dict()["stem"]["padded"] is False
    assert Architecture.from_dict(used.to_dict()) == used


def test_another_resolution_changes_nothing_else() -> None:
    network = Architecture.from_text(TEXT)
    assert network.with_resolution(128) == Architecture.from_text(TEXT.replace("96x64", "128x128"))
    assert network.with_resolution(64, 96).resolution == (64, 96)
    assert network.with_resolution(64, 96).id != network.id


@pytest.mark.parametrize(
    ("text", "teaches"),
    [
        ("", "expected 'HxW stem | stage | ... | head'"),
        ("mobilenet_v2", "expected 'HxW stem | stage | ... | head', got 'mobilenet_v2'"),
        ("32x32\nstem_k3_s2_c8_relu", "expected 'HxW stem | stage | ... | head'"),
        ("32x32 stem_k3_s2_c8_relu | head", "expected 'HxW stem | stage | ... | head'"),
        ("32 stem_k3_s2_c8_relu | S | head", "resolution must be HxW, got '32'"),
        ("-32x32 stem_k3_s2_c8_relu | S | head", "resolution must be HxW, got '-32x32'"),
        ("32x32x3 stem_k3_s2_c8_relu | S | head", "resolution must be HxW, got '32x32x3'"),
        ("9" * 5000 + "x32 stem_k3_s2_c8_relu | S | head", "resolution must be HxW"),
        ("0x32 stem_k3_s2_c8_relu | S | head", "each 1 to 16384 px, got (0, 32)"),
        ("32x16385 stem_k3_s2_c8_relu | S | head", "each 1 to 16384 px, got (32, 16385)"),
        ("32x32 ds_k3_s2_c8_relu | S | head", "unknown kind 'ds'; known kinds are stem"),
        ("32x32 stem_k3_s2_c8_relu | S | S", "unknown kind 'ds'; known kinds are head"),
        ("32x32 stem_k3_s2_c8_relu | head | head", "unknown kind 'head'; known kinds are cn,"),
        ("32x32 stem_k3_s2_c8_relu | S | head head", "the last part must be one head"),
        ("32x32 stem_k3_s2_c8_relu | S | ", "the last part must be one head"),
        ("32x32 stem_k3_s2_c8_relu | S | | head", "stage 2: at least one block is needed"),
        ("32x32 stem_k3_s2_c8_relu | ds_r0_k3_s1_c8_relu | head", "repeats must be 1 to 1000"),
        ("32x32 stem_k3_s2_c8_relu | ds_r1001_k3_s1_c8_relu | head", "got 1001"),
        ("32x32 stem_k3_s2_c8_relu | ds_k3_r2_s1_c8_relu | head", "unknown token 'r2'"),
        ("32x32 stem_k3_s2_c8_relu | ds_r | head", "unknown token 'r'"),
        ("32x32 stem_k3_s2_c8_relu | ds | head", "'kernel' is missing; write kN"),
        ("32x32 stem_k3_s2_c8_relu | ds_r2 | head", "'kernel' is missing; write kN"),
        ("32x32 stem_k3_s2_c8_relu | S | head_relu", "an activation needs a 1x1 convolution"),
        (
            "32x32 stem_k3_s2_c8_relu | S ds_k3_s1_c8_relu_g3 | head",
            "stage 1: ds block, groups: must divide the channels",
        ),
        (
            "4x9 stem_k3_s2_c8_relu | ds_k3_s2_c8_relu ds_k3_s2_c8_relu | head",
            "stage 1: ds block: needs a map of at least 2x2, gets 1x3; 4x9 px are too few for the"
            " strides, give 5x5 or more",
        ),
        (
            "6x9 stem_k7_s2_c8_relu_valid | S | head",
            "stem: needs a map of at least 7x7, gets 6x9; 6x9 px are too few for the strides, give"
            " 7x7 or more",
        ),
        (
            "6x6 stem_k3_s2_c8_relu_valid | mp_k3_s2_c8_valid | head",
            "stage 1: mp block: needs a map of at least 3x3, gets 2x2; 6x6 px are too few for the"
            " strides, give 7x7 or more",
        ),
    ],
)
def test_a_text_that_breaks_a_rule_is_told_which(text: str, teaches: str) -> None:
    with pytest.raises(InputError) as error:
        Architecture.from_text(text.replace("| S", "| ds_k3_s1_c8_relu"))
    assert teaches in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "teaches"),
    [
        ("", "net.json: not valid JSON (Expecting value"),
        ("{", "net.json: not valid JSON"),
        ("null", "net.json: expected a JSON object"),
        ("[]", "net.json: expected a JSON object"),
        ("1" * 5000, "net.json: not valid JSON"),
        ("[" * 100_000, "net.json: not valid JSON"),
        ("{}", "net.json: 'format' must be 'palmette/architecture@1', got None"),
        ('{"format": ["palmette/architecture@1"]}', "'format' must be"),
        ('{"format": "palmette/architecture@1"}', "expected the keys format, head, resolution"),
    ],
)
def test_a_file_that_is_no_architecture_is_told_why(text: str, teaches: str) -> None:
    with pytest.raises(InputError) as error:
        Architecture.from_json(text, "net.json")
    assert teaches in str(error.value)
    assert "\n" not in str(error.value)


Change = Callable[[dict[str, Any]], Any]

BROKEN: list[tuple[Change, str]] = [
    (lambda d: d.update(format="palmette/architecture@2"), "got 'palmette/architecture@2'"),
    (lambda d: d.pop("stem"), "expected the keys format, head, resolution, stages, stem; got"),
    (
        lambda d: d.update(bonus=1),
        "got ['format', 'resolution', 'stem', 'stages', 'head', 'bonus']",
    ),
    (lambda d: d.update({1: 2}), "'head', 1]"),
    (lambda d: d.update(resolution=224), "net.resolution: expected [height, width]"),
    (lambda d: d.update(resolution="224x224"), "net.resolution: expected [height, width]"),
    (lambda d: d.update(resolution=[224]), "net: resolution: must be height x width"),
    (lambda d: d.update(resolution=[224, 224, 3]), "got (224, 224, 3)"),
    (lambda d: d.update(resolution=["224", "224"]), "got ('224', '224')"),
    (lambda d: d.update(resolution=[224.0, 224]), "got (224.0, 224)"),
    (lambda d: d.update(resolution=[True, 224]), "got (True, 224)"),
    (lambda d: d.update(resolution=[float("nan"), 224]), "got (nan, 224)"),
    (lambda d: d.update(resolution=[[1], {}]), "got ([1], {})"),
    (lambda d: d.update(stem=None), "net.stem: expected an object, got NoneType"),
    (
        lambda d: d.update(stem=d["head"]),
        "net.stem.kind: unknown kind 'head'; known kinds are stem",
    ),
    (
        lambda d: d.update(head=d["stem"]),
        "net.head.kind: unknown kind 'stem'; known kinds are head",
    ),
    (lambda d: d.update(stages={}), "net.stages: expected a list of lists of blocks"),
    (lambda d: d.update(stages=[{}]), "net.stages: expected a list of lists of blocks"),
    (lambda d: d.update(stages=[]), "net: stages: at least one is needed"),
    (lambda d: d.update(stages=[[]]), "net: stage 1: at least one block is needed"),
    (lambda d: d["stages"][1].insert(0, "ir"), "net.stages[1][0]: expected an object, got str"),
    (
        lambda d: d["stages"][1][0].update(kernel=4),
        "net.stages[1][0]: ir block, kernel: must be odd",
    ),
    (lambda d: d["stages"][1][0].update(groups=5), "net: stage 2: ir block, groups: must divide"),
    (
        lambda d: d["head"].update(channels=0),
        "net.head: head: an activation needs a 1x1 convolution",
    ),
]


@pytest.mark.parametrize(("change", "teaches"), BROKEN, ids=[text for _, text in BROKEN])
def test_a_broken_description_is_told_where_and_which_rule(change: Change, teaches: str) -> None:
    data = Architecture.from_text(TEXT).to_dict()
    change(data)
    with pytest.raises(InputError) as error:
        Architecture.from_dict(data, "net")
    assert str(error.value).startswith("net")
    assert teaches in str(error.value)
    assert "\n" not in str(error.value)


# Fuzzing: whatever comes in, out comes a valid architecture or one InputError

PIECES = st.sampled_from(
    [*"_|x.-r0189 \n", "_s2", "_r3", "se0.5", "e6", "x7", "head", "ir", "٣", ""]
)


@st.composite
def _edited(draw: Any, text: str, pieces: SearchStrategy[str]) -> str:
    """The text with one to three spans replaced."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 6)))
        text = text[:start] + draw(pieces) + text[end:]
    return text


@given(data=st.data())
def test_a_mutated_text_is_an_architecture_or_an_input_error(
    data: st.DataObject, architectures: SearchStrategy[Architecture]
) -> None:
    text = data.draw(_edited(data.draw(architectures).to_text(), PIECES | st.text(max_size=4)))
    try:
        network = Architecture.from_text(text)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert Architecture.from_text(network.to_text()) == network


@given(data=st.data())
def test_a_mutated_json_text_is_an_architecture_or_an_input_error(
    data: st.DataObject, architectures: SearchStrategy[Architecture]
) -> None:
    pieces = st.sampled_from([*'{}[]",:-.0e1', "NaN", "null", "true", '"kind"', "Infinity", ""])
    text = data.draw(_edited(data.draw(architectures).to_json(), pieces | st.text(max_size=4)))
    try:
        network = Architecture.from_json(text)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert Architecture.from_json(network.to_json()) == network


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@st.composite
def _replaced(draw: Any, value: Any) -> Any:
    """The same structure with one node, anywhere in it, replaced by any JSON value."""
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 4)) == 0:
        return draw(JSON_VALUES)
    key = draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
    copy = value.copy()
    copy[key] = draw(_replaced(value[key]))
    return copy


@given(data=st.data())
def test_a_replaced_json_value_is_an_architecture_or_an_input_error(
    data: st.DataObject, architectures: SearchStrategy[Architecture]
) -> None:
    changed = data.draw(_replaced(data.draw(architectures).to_dict()))
    try:
        network = Architecture.from_json(json.dumps(changed))
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert Architecture.from_json(network.to_json()) == network
