"""Compiled spaces: the tables equal the traced path, and the cache can only save time."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from palmette.space import CompiledSpace, OpTable, SearchSpace, compile_space, compiled, presets
from palmette.space.compiled import Slot
from palmette.space.modules import build_part
from palmette.space.trace import trace_ops
from tests.sweep import sweep

TINY = """
format = "palmette/space@1"
[network]
resolution = [32, "45x36"]
activation = ["relu", "gelu"]
se = [0.0, 0.25]
se_act = "gelu"
[stem]
channels = [8, 12]
[[stages]]
stride = 2
channels = [8, 16]
kernel = [3, 5]
expansion = [1, 2.5]
depth = [1, 3]
[[stages]]
stride = 2
channels = 24
kernel = 3
expansion = 4
depth = 2
se = 0.5
[head]
channels = [32, 64]
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> CompiledSpace:
    return compile_space(SearchSpace.from_toml(TINY, "tiny"), tmp_path_factory.mktemp("tiny"))


def costs(ops: OpTable) -> NDArray[np.float64]:
    """What a cost model may do: counts, and a price that is not linear in anything."""
    price = np.log1p(ops.macs) * np.sqrt(ops.out_elements) / (1.0 + ops.kernel * ops.stride)
    price = price * (1.0 + 0.1 * ops.act + 0.3 * ops.kind + ops.broadcast) / ops.groups**0.25
    price = np.maximum(price, 0.01 * ops.in_elements) + 7.0 * ops.depthwise
    return np.stack([ops.macs, ops.weights, ops.in_elements, ops.out_elements, price], axis=1)


def check_against_traces(compiled_space: CompiledSpace, count: int, seed: int = 0) -> None:
    """Sums, rows per slot and parameters of random codes, beside those of the whole networks."""
    space = compiled_space.space
    codes = space.sample(count, np.random.default_rng(seed))
    table = compiled_space.cost_table(costs)
    sums, rows = table.sums(codes), table.per_slot(codes)
    traced = [costs(OpTable.of(network.ops())) for network in space.decode_batch(codes)]
    wanted = np.array([values.sum(axis=0) for values in traced])
    assert np.array_equal(sums[:, :4], wanted[:, :4])  # counts are exact
    assert sums == pytest.approx(wanted, rel=1e-9)
    assert rows.sum(axis=1) == pytest.approx(sums, rel=1e-12)
    assert rows.shape == (count, space.depth + 2, 5)
    blocks = compiled_space.block_params[:, None]
    params = compiled_space.table(lambda slot: compiled_space.slot_sums(slot, blocks)).sums(codes)
    networks = space.decode_batch(codes)
    assert params[:, 0].tolist() == [network.params() for network in networks]
    found = compiled_space.table(compiled_space.slot_peaks).largest(codes)
    assert found[:, 0].tolist() == [network.peak_elements() for network in networks]


# that of the main job, the largest; and the one whose blocks are built otherwise than they run
@pytest.mark.parametrize("name", sweep(presets(), ("mobilenet_v2", "repvit_like")))
def test_tables_of_the_presets_equal_the_traced_networks(
    name: str, compiled_presets: dict[str, CompiledSpace]
) -> None:
    check_against_traces(compiled_presets[name], count=25)


def test_tables_of_every_code_of_a_space_equal_the_traced_networks(tiny: CompiledSpace) -> None:
    assert tiny.space.size == 2**9
    check_against_traces(tiny, count=100)


@st.composite
def _spaces(draw: st.DrawFn) -> SearchSpace:
    """Small spaces of all shapes: one gene or many, shared or own SE, odd resolutions."""

    def some(*values: object) -> str:
        chosen = draw(st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True))
        return json.dumps(chosen if draw(st.booleans()) else chosen[0])

    stages = [
        f"[[stages]]\nstride = {draw(st.integers(1, 2))}\nchannels = {some(8, 16, 24)}\n"
        f"kernel = {some(1, 3, 5)}\nexpansion = {some(1, 2, 4)}\ndepth = {some(1, 2, 4)}\n"
        + draw(st.sampled_from(["", "se = [0.0, 0.5]\n", "se = 0.25\n"]))
        for _ in range(draw(st.integers(1, 3)))
    ]
    follows = any("se =" not in stage for stage in stages)
    act, se_act = (
        some("relu", "hswish", "gelu", "none"),
        json.dumps(draw(st.sampled_from(["swish", "gelu"]))),
    )
    return SearchSpace.from_toml(
        f"format = 'palmette/space@1'\n[network]\nresolution = {some(32, 33, '35x50', '64x32')}\n"
        f"activation = {act}\nse = {some(0.0, 0.25, 0.5) if follows else 0}\nse_act = {se_act}\n"
        f"[stem]\nchannels = {some(8, 16)}\n{''.join(stages)}"
        f"[head]\nchannels = {some(16, 32)}\nclasses = {draw(st.integers(1, 20))}\n",
        "random",
    )


@given(space=_spaces())
@settings(max_examples=15)
def test_tables_of_any_space_equal_the_traced_networks(
    space: SearchSpace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check_against_traces(compile_space(space, tmp_path_factory.mktemp("any")), count=4)


def running(ops: OpTable, first: NDArray[np.int64]) -> NDArray[np.float64]:
    """A cost that depends on the op before, as of ops that are started together, in a block."""
    work = np.sqrt(ops.out_elements) * (1.0 + ops.act)
    before = np.concatenate([[0.0], work[:-1]])
    before[first] = 0.0
    return np.stack([work, 0.3 * before], axis=1)


@pytest.mark.parametrize("name", ["tiny", "mnasnet"])
def test_a_model_that_looks_at_the_order_of_ops_sees_them_block_by_block(
    name: str, tiny: CompiledSpace, compiled_presets: dict[str, CompiledSpace]
) -> None:
    compiled_space = tiny if name == "tiny" else compiled_presets[name]
    codes = compiled_space.space.sample(12, np.random.default_rng(5))
    sums = compiled_space.sequence_table(running).sums(codes)
    for row, network in zip(sums, compiled_space.space.decode_batch(codes), strict=True):
        wanted = np.zeros(2)
        for part in network.parts():
            module = build_part(part.block, part.in_channels)
            ops = trace_ops(module, (part.in_channels, part.height, part.width))
            wanted += running(OpTable.of(ops), np.zeros(1, dtype=np.int64)).sum(axis=0)
        assert row == pytest.approx(wanted, rel=1e-9)


def test_a_model_that_looks_at_no_order_has_the_same_table_either_way(tiny: CompiledSpace) -> None:
    one, other = tiny.cost_table(costs), tiny.sequence_table(lambda ops, _: costs(ops))
    assert other.values == pytest.approx(one.values, rel=1e-12)
    assert np.array_equal(one.radix, other.radix) and np.array_equal(one.starts, other.starts)


def test_the_first_op_of_each_block_is_told(tiny: CompiledSpace) -> None:
    seen: list[tuple[int, NDArray[np.int64]]] = []

    def watch(ops: OpTable, first: NDArray[np.int64]) -> NDArray[np.float64]:
        seen.append((len(ops), first))
        return np.ones((len(ops), 1))

    tiny.sequence_table(watch)
    ((count, first),) = seen
    assert count == len(tiny.block_ops) and first.tolist() == tiny.block_starts[:-1].tolist()


EVERY_KIND = """
format = "palmette/space@1"
[network]
resolution = [64, 75]
activation = ["relu", "swish"]
se = [0.0, 0.25]
[stem]
channels = [8, 16]
[[stages]]
block = ["uir", "er", "fb", "mix"]
stride = 2
channels = [16, 24]
kernel = [3, 5]
expansion = [2, 3]
depth = [1, 3]
[[stages]]
block = ["rv", "ghost", "cn"]
stride = 1
kernel = 3
expansion = 2
depth = [1, 2]
activation = ["none", "relu6"]
[[stages]]
block = ["one", "mix"]
stride = 2
channels = [32, 48]
kernel = "3.5"
expansion = 2
depth = [1, 2]
[[stages]]
block = "uir"
stride = 1
kernel = [0, 3]
first_kernel = [0, 5]
expansion = 2
depth = [1, 2]
[[stages]]
block = "ir"
stride = 2
channels = 64
kernel = 3
expansion = [1, 2]
depth = [1, 2]
groups = [1, 2]
[head]
channels = [0, 64]
pool_first = true
"""


def test_tables_of_every_kind_of_block_equal_the_traced_networks(tmp_path: Path) -> None:
    text = EVERY_KIND.replace('["one", "mix"]', '"mix"')
    check_against_traces(compile_space(SearchSpace.from_toml(text, "mixed"), tmp_path), count=40)
    text = EVERY_KIND.replace('["one", "mix"]', '"one"').replace('"3.5"\nexpansion = 2', "3")
    check_against_traces(compile_space(SearchSpace.from_toml(text, "one"), tmp_path), count=40)


def test_the_width_of_a_head_without_a_convolution_is_that_before_it(tmp_path: Path) -> None:
    compiled_space = compile_space(SearchSpace.from_toml(SLIM, "slim"), tmp_path)
    assert compiled_space.slots[-1].out_channels.tolist() == [24, 32]


SLIM = """
format = "palmette/space@1"
network = { resolution = 32, activation = "relu" }
stem = { channels = 8 }
stages = [{ block = "one", stride = 2, channels = [24, 32], kernel = 3, depth = 1 }]
head = { channels = 0 }
"""


# Slots


def entries(slot: Slot, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    return codes[:, list(slot.columns)] @ slot.radix


def test_the_entries_of_a_slot_describe_the_stage_that_stands_there(tiny: CompiledSpace) -> None:
    codes = tiny.space.sample(40, np.random.default_rng(1))
    assert [slot.stage for slot in tiny.slots] == [-1, 0, 1, 2]
    for slot in tiny.slots:
        rows = entries(slot, codes)
        assert rows.max() < len(slot)
        for row, network in zip(rows, tiny.space.decode_batch(codes), strict=True):
            parts = [part for part in network.parts() if part.stage == slot.stage]
            assert slot.depth[row] == len(parts)
            assert slot.in_channels[row] == parts[0].in_channels
            assert slot.out_channels[row] == parts[-1].block.out_channels
            assert (slot.height[row], slot.width[row]) == network.resolution
    assert [slot.out_stride for slot in tiny.slots] == [2, 4, 8, 8]


def test_a_slot_has_one_entry_for_each_choice_that_reaches_it(tiny: CompiledSpace) -> None:
    # stem: resolution, activation, its width. Stage 1: those and SE, and its own four genes.
    # Stage 2 has its own SE, its own width does not vary. Head: resolution, activation, its width.
    assert [len(slot) for slot in tiny.slots] == [2**3, 2**8, 2**3, 2**3]


def test_values_of_a_slot_are_those_of_its_own_parts(tiny: CompiledSpace) -> None:
    codes = tiny.space.sample(10, np.random.default_rng(2))
    rows = tiny.cost_table(costs).per_slot(codes)
    for values, network in zip(rows, tiny.space.decode_batch(codes), strict=True):
        wanted = np.zeros_like(values)
        for part in network.parts():
            module = build_part(part.block, part.in_channels)
            ops = trace_ops(module, (part.in_channels, part.height, part.width))
            wanted[part.stage + 1] += costs(OpTable.of(ops)).sum(axis=0)
        assert values == pytest.approx(wanted, rel=1e-9)


def test_blocks_that_occur_twice_are_traced_once(tiny: CompiledSpace) -> None:
    assert len(tiny.block_starts) == len(tiny.block_params) + 1
    assert tiny.block_starts[-1] == len(tiny.block_ops)
    assert set(tiny.block_ops) == set(range(len(tiny.ops)))  # every op is some block's
    used = {index for slot in tiny.slots for index in (*slot.first, *slot.repeat)}
    assert used == set(range(len(tiny.block_params)))  # every block stands somewhere


def test_a_table_of_other_values_is_looked_up_in_the_same_way(tiny: CompiledSpace) -> None:
    depths = tiny.table(lambda slot: slot.depth[:, None].astype(float))
    codes = tiny.space.sample(50, np.random.default_rng(3))
    networks = tiny.space.decode_batch(codes)
    assert depths.sums(codes)[:, 0].tolist() == [len(list(n.parts())) for n in networks]
    assert depths.per_slot(codes)[:, 1, 0].tolist() == [len(n.stages[0]) for n in networks]
    assert depths.sums(codes[:0]).shape == (0, 1)


def test_the_sums_leave_the_table_as_it_was(tiny: CompiledSpace) -> None:
    table = tiny.cost_table(costs)
    before, codes = table.values.copy(), tiny.space.sample(50, np.random.default_rng(4))
    first = table.sums(codes)
    assert np.array_equal(first, table.sums(codes))
    assert np.array_equal(table.values, before)


def test_a_space_without_genes_compiles(tmp_path: Path) -> None:
    space = SearchSpace.from_toml(TINY, "tiny")
    for gene in space.genes:
        space = space.restrict(gene.name, gene.choices[-1:])
    check_against_traces(compile_space(space, tmp_path), count=2)


# The cache

SINGLE = (
    TINY.replace("[32, 45]", "32").replace("[0.0, 0.25]", "0").replace('["relu", "gelu"]', '"relu"')
)


@pytest.fixture
def single() -> SearchSpace:
    return SearchSpace.from_toml(SINGLE, "single")


def same(one: CompiledSpace, other: CompiledSpace) -> bool:
    pairs = [
        (one.block_ops, other.block_ops),
        (one.block_starts, other.block_starts),
        (one.block_params, other.block_params),
        *((getattr(one.ops, name), getattr(other.ops, name)) for name in OpTable.__slots__),
    ]
    return all(np.array_equal(a, b) for a, b in pairs)


def test_the_second_compilation_traces_nothing(
    single: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compile_space(single, tmp_path)
    monkeypatch.delattr(compiled, "_trace_all")
    assert same(compile_space(single, tmp_path), first)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_cache_lies_in_the_users_cache_folder(
    single: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    compile_space(single)
    (path,) = (tmp_path / "xdg" / "palmette").iterdir()
    assert path.suffix == ".json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    compile_space(single)
    assert [p.name for p in (tmp_path / "home" / ".cache" / "palmette").iterdir()] == [path.name]


def test_other_choices_and_other_code_have_another_file(
    single: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_space(single, tmp_path)
    compile_space(single.restrict("stem.channels", [8]), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(compiled, "_code_hash", lambda: "another version of the tracer")
    compile_space(single, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


BROKEN = {
    "empty": b"",
    "cut": b'{"ops": ["conv 3x',
    "binary": b"\xff\xfe\x00",
    "nested": b"[" * 100_000,
    "null": b"null",
    "list": b"[]",
    "no keys": b"{}",
    "unknown op": b'{"ops": ["convolve 3x4x4 -> 3x4x4"], "blocks": [[0]], "params": [1]}',
    "other blocks": b'{"ops": ["add 3 -> 3"], "blocks": [[0]], "params": [1]}',
    "wrong types": b'{"ops": ["add 3 -> 3"], "blocks": 3, "params": null}',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_corrupt_cache_file_is_ignored_and_rewritten(
    content: bytes, single: SearchSpace, tmp_path: Path
) -> None:
    first = compile_space(single, tmp_path)
    (path,) = tmp_path.iterdir()
    good = path.read_bytes()
    path.write_bytes(content)
    assert same(compile_space(single, tmp_path), first)
    assert path.read_bytes() == good


@pytest.mark.parametrize("index", [-1, 10**6])
def test_a_cache_file_with_indices_outside_its_ops_is_rewritten(
    index: int, single: SearchSpace, tmp_path: Path
) -> None:
    first = compile_space(single, tmp_path)
    (path,) = tmp_path.iterdir()
    data = json.loads(path.read_text())
    data["blocks"][-1][-1] = index
    path.write_text(json.dumps(data))
    assert same(compile_space(single, tmp_path), first)


def test_a_cache_folder_that_cannot_be_written_only_costs_the_cache(
    single: SearchSpace, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    first = compile_space(single, tmp_path / "good")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        assert same(compile_space(single, folder), first)
    assert (tmp_path / "file").read_text() == ""
