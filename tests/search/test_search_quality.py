"""The search benchmark: its exact front against brute force, its tables, and its claims."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from palmette.latency import load_predictor
from palmette.search.front import non_dominated
from palmette.search.limits import Limits
from palmette.search.problem import SearchProblem, identified, pose
from palmette.space import CompiledSpace, SearchSpace, compile_space
from palmette.space.compiled import SpaceTable

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "search_quality.py"
TARGET = "iphone-13/ane"

# 3,072 networks with everything that the dynamic programming tells apart: choices that all slots
# share, widths that link two slots, a stage without choices of its own, choices within one slot
SMALL = """
format = "palmette/space@1"
[network]
resolution = [160, 192]
activation = ["relu", "hswish"]
se = [0.0, 0.25]
[stem]
channels = [8, 16, 24]
[[stages]]
stride = 1
channels = 16
kernel = 3
expansion = 1
depth = 1
[[stages]]
stride = 2
channels = [16, 24]
kernel = [3, 5]
expansion = [3, 4]
depth = [1, 2]
[[stages]]
stride = 1
channels = [24, 32]
kernel = 3
expansion = 3
depth = [1, 2]
[head]
channels = [64, 128]
classes = 10
"""


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("search_quality", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    sys.path.insert(0, str(SCRIPT.parent))  # as when it is run: its parts lie beside it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def additive(benchmark: ModuleType) -> ModuleType:
    """The part of the script that knows exact fronts."""
    return importlib.import_module("search_fronts.additive")


@pytest.fixture(scope="module")
def compiled() -> CompiledSpace:
    """The small space, compiled."""
    return compile_space(SearchSpace.from_toml(SMALL, "small"))


@pytest.fixture(scope="module")
def everything(compiled: CompiledSpace) -> NDArray[np.int64]:
    """Every code of the small space."""
    counts = compiled.space.cardinalities.tolist()
    codes = np.array(list(itertools.product(*map(range, counts))), dtype=np.int64)
    assert len(codes) == compiled.space.size == 3072
    return codes


def random_table(compiled: CompiledSpace, seed: int, whole: bool) -> SpaceTable:
    """Values without any order; whole numbers repeat, so that entries tie."""
    rng = np.random.default_rng(seed)

    def values(entries: int) -> NDArray[np.float64]:
        made = rng.integers(0, 6, size=(entries, 1)) if whole else rng.random((entries, 1))
        return made.astype(np.float64)

    return compiled.table(lambda slot: values(len(slot)))


@pytest.mark.parametrize("seed", range(5))
def test_exact_front_of_random_tables_equals_brute_force(
    benchmark: ModuleType, compiled: CompiledSpace, everything: NDArray[np.int64], seed: int
) -> None:
    cost, score = random_table(compiled, seed, False), random_table(compiled, seed + 100, True)
    problem = benchmark.additive_problem(compiled, cost, score)
    exact = benchmark.exact_front(problem)
    objectives = problem.evaluate(everything).objectives
    assert len(exact) > 4
    np.testing.assert_allclose(exact, objectives[non_dominated(objectives)], rtol=1e-12)


def test_exact_front_of_the_benchmark_s_tables_equals_brute_force(
    benchmark: ModuleType, compiled: CompiledSpace, everything: NDArray[np.int64]
) -> None:
    cost, score = benchmark.cost_table(TARGET, compiled), benchmark.score_table(compiled, 0)
    problem = benchmark.additive_problem(compiled, cost, score)
    objectives = problem.evaluate(everything).objectives
    expected = objectives[non_dominated(objectives)]
    np.testing.assert_allclose(benchmark.exact_front(problem), expected, rtol=1e-12)


# two choices of genes that tell what the three spaces have of their own, one of most others: widths
# that many stages share, and blocks; layers by themselves; shared choices and linked widths
SOME_GENES = {
    "mobilenet_v4": ("network.resolution", "stage3.channels", "stage6.channels", "stage2.channels"),
    "fbnet": (),
    "mobilenet_v2": ("network.resolution", "network.se", "stage2.channels", "stage3.channels"),
}


@pytest.mark.parametrize("name", SOME_GENES)
def test_exact_front_of_each_kind_of_space_equals_brute_force(
    benchmark: ModuleType, name: str
) -> None:
    space = SearchSpace.preset(name)
    kept = {*SOME_GENES[name], *[gene.name for gene in space.genes if "." in gene.name][-6:]}
    for gene in space.genes:
        ends = (gene.choices[0], gene.choices[-1]) if gene.name in kept else gene.choices[:1]
        space = space.restrict(gene.name, ends)
    compiled = compile_space(space)
    codes = np.array(list(itertools.product(*map(range, space.cardinalities))), dtype=np.int64)
    assert len(codes) >= 64
    cost, score = benchmark.cost_table(TARGET, compiled), benchmark.score_table(compiled, 1)
    problem = benchmark.additive_problem(compiled, cost, score)
    objectives = problem.evaluate(codes).objectives
    expected = objectives[non_dominated(objectives)]
    np.testing.assert_allclose(benchmark.exact_front(problem), expected, rtol=1e-12)


def test_layout_tells_shared_genes_from_links(
    additive: ModuleType, compiled: CompiledSpace
) -> None:
    layout, column = additive.Layout.of(compiled), compiled.space.column
    shared = ("network.resolution", "network.activation", "network.se")
    assert [column[name] for name in shared] == list(layout.shared)
    links = ("stem.channels", "stage2.channels", "stage3.channels")
    assert [column[name] for name in links] == list(layout.links)


@pytest.mark.parametrize("seed", range(3))
def test_more_of_any_gene_never_lowers_the_score(
    benchmark: ModuleType, compiled: CompiledSpace, everything: NDArray[np.int64], seed: int
) -> None:
    table = benchmark.score_table(compiled, seed)
    for gene, count in enumerate(compiled.space.cardinalities):
        lower = everything[everything[:, gene] < count - 1]
        higher = lower.copy()
        higher[:, gene] += 1
        gain = table.sums(higher) - table.sums(lower)
        assert gain.min() >= 0
        assert gain.max() > 0


def test_scores_are_whole_thousandths_of_a_point(
    benchmark: ModuleType, compiled: CompiledSpace
) -> None:
    values = benchmark.score_table(compiled, 0).values
    assert np.array_equal(values, np.round(values))
    assert 1000 < values.max() < 1e6


def test_cost_table_is_the_predictor_s_without_its_constant(
    benchmark: ModuleType, compiled: CompiledSpace, everything: NDArray[np.int64]
) -> None:
    predictor = load_predictor(TARGET)
    (state,) = predictor.model_.states
    (component,) = state.components
    additive = benchmark.cost_table(TARGET, compiled).sums(everything)[:, 0]
    predicted = predictor.compile(compiled).ms(everything)
    np.testing.assert_allclose(additive + component.constant_ms, predicted, rtol=1e-9)


def test_a_network_beyond_the_exact_front_is_an_error(benchmark: ModuleType) -> None:
    exact = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])
    attempt = benchmark.Attempt(exact, 3, 1.0)
    assert benchmark.share_of_exact(attempt, exact) == 1
    better = benchmark.Attempt(np.array([[0.9, 1.0]]), 1, 1.0)
    with pytest.raises(RuntimeError, match="beyond the exact front"):
        benchmark.share_of_exact(better, exact)


def test_a_small_space_is_measured_whole(benchmark: ModuleType, compiled: CompiledSpace) -> None:
    metrics = benchmark.measure(compiled.space, TARGET, 4_000, seeds=(0,))
    assert metrics["hypervolume_ratio"] == 1
    assert metrics["space_size"] == 3072
    for name, row in metrics["searches"].items():
        assert 0 < row["lowest"] <= row["mean"] <= row["highest"] <= 1, name
        assert row["evaluations"] > 0, name


@pytest.fixture(scope="module")
def judged(benchmark: ModuleType) -> SearchProblem:
    """A few thousand networks as a search judges them, with a budget that a part of them keeps."""
    enumerated = importlib.import_module("search_fronts.enumerated")
    space = enumerated.sub_space()
    for gene in [gene for gene in space.genes if gene.name.endswith(("kernel", "depth"))][:9]:
        space = space.restrict(gene.name, gene.choices[:1])
    return pose(space, load_predictor(TARGET), Limits(0.7))


def test_a_front_by_enumeration_is_that_of_all_codes(
    benchmark: ModuleType,
    judged: SearchProblem,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enumerated = importlib.import_module("search_fronts.enumerated")
    monkeypatch.setattr(enumerated, "_BATCH", 1000)  # so that batches do not end with the space
    front, feasible = enumerated.enumerated_front(judged)
    found = judged.evaluate(np.array(list(itertools.product(*map(range, judged.cardinalities)))))
    inside = found.objectives[found.violation == 0]
    assert 0 < feasible == len(inside) < judged.space.size
    assert judged.space.size % 1000
    np.testing.assert_array_equal(front, inside[non_dominated(inside)])


def test_the_enumerated_space_has_about_five_million_networks(benchmark: ModuleType) -> None:
    enumerated = importlib.import_module("search_fronts.enumerated")
    space, _ = identified(enumerated.sub_space(), load_predictor(enumerated.TARGET))
    assert space.size == 5_242_880


def test_cells_give_rows_of_every_search_and_the_worst_of_ours(
    benchmark: ModuleType,
    judged: SearchProblem,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    report = importlib.import_module("search_fronts.report")
    monkeypatch.setattr(
        benchmark.SearchSpace, "preset", lambda name: SearchSpace.from_toml(SMALL, name)
    )
    monkeypatch.setattr(report.cells, "STEPS", (500,))
    monkeypatch.setattr(report.enumerated, "STEPS", (500,))
    file = tmp_path / "rows.csv"
    metrics = report.measure(2_000, file, ["one"], [TARGET], seeds=(0, 1), judged=judged)
    rows = pd.read_csv(file)
    assert set(rows["space"]) == {"one", "enumerated"}
    assert rows["hypervolume_ratio"].between(0, 1).all()
    ours = rows[(rows["search"] == "ours") & (rows["step"] == 2_000) & (rows["space"] == "one")]
    assert len(ours) == 2
    assert metrics["hypervolume_ratio_3m"] == ours["hypervolume_ratio"].min() > 0.99
    assert metrics["worst_cell"]["space"] == "one"
    names = ["ours", "ours", "pymoo", "pymoo", "optuna_nsga2", "optuna_nsga2"]
    for curve in (metrics["curve"], metrics["enumerated"]["curve"]):
        assert [row["search"] for row in curve] == names
        assert [row["step"] for row in curve] == [500, 2_000] * 3
    report.show(metrics)


@pytest.mark.slow
def test_every_cell_is_solved_with_a_tenth_of_three_million_evaluations(
    benchmark: ModuleType, additive: ModuleType
) -> None:
    cells = importlib.import_module("search_fronts.cells")
    for space, target in itertools.product(cells.SPACES, cells.TARGETS):
        problem = cells.cell(space, target)
        exact = benchmark.exact_front(problem)
        share = benchmark.share_of_exact(benchmark.ours(problem, 300_000, 3), exact)
        assert share >= 0.9995, (space, target)


def run(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["search_quality.py", *arguments])
    code: int = benchmark.main()
    return code


@pytest.mark.sweep
def test_the_claims_hold_with_a_tenth_of_the_demo_s_evaluations(
    benchmark: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    out = tmp_path / "search_quality.json"
    count = str(benchmark.EVALUATIONS // 10)
    assert run(benchmark, monkeypatch, "--evaluations", count, "--out", str(out), "--json") == 0
    metrics: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert metrics["hypervolume_ratio"] >= 0.999
    assert metrics["hypervolume_ratio"] > metrics["hypervolume_ratio_pymoo"]
    assert metrics["hypervolume_ratio"] > metrics["hypervolume_ratio_optuna_nsga2"]
    written = json.loads(out.read_text("utf-8"))
    assert {key: written[key] for key in metrics} == metrics
    assert written["command"].startswith("python benchmarks/search_quality.py --target")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--target", "iphone-1/npu"), "iphone-1/npu"), (("--evaluations", "0"), "--evaluations")],
)
def test_bad_arguments_are_one_line_and_code_2(
    benchmark: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[str, str],
    message: str,
) -> None:
    out = tmp_path / "none.json"
    monkeypatch.setattr(
        benchmark.SearchSpace, "preset", lambda name: SearchSpace.from_toml(SMALL, name)
    )
    assert run(benchmark, monkeypatch, *arguments, "--out", str(out)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()
