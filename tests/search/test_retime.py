"""Picks of a search are timed on a phone whose truth is known, and its front is ranked anew."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from palmette import cli
from palmette.latency import LatencyPredictor, read_timings
from palmette.latency.chains import Chain
from palmette.latency.drift import Chosen, compare, kept_budgets
from palmette.latency.drift.noise import RUN_SPREAD
from palmette.latency.planning.plan import Plan, Planned
from palmette.latency.quantity import LATENCY, SUSTAINED
from palmette.latency.synthetic import SOURCE, target_of
from palmette.latency.synthetic.app import run_suite
from palmette.latency.synthetic.planned import manifest_of
from palmette.latency.synthetic.truth import truth_of_codes
from palmette.search import Run, run
from palmette.search.front import hypervolume_share, non_dominated
from palmette.search.rerank import ENTERS, LEAVES, OUT, STAYS, picked
from palmette.search.retime import Retimed, retime
from palmette.search.retime_plan import finished_run, gaps, retime_plan, unbudgeted
from palmette.space import Architecture, InputError, SearchSpace, compile_space

Floats = NDArray[np.float64]

ANE = target_of("ane")
BUDGET_MS = 0.42
SPACE = """
format = "palmette/space@1"
[network]
resolution = [160, 192, 224]
activation = "relu"
se = 0
[stem]
channels = 32
[[stages]]
stride = 1
channels = 16
kernel = 3
expansion = 1
depth = 1
[[stages]]
stride = 2
channels = [20, 24, 32]
kernel = [3, 5]
expansion = [3, 6]
depth = [1, 2, 3]
[[stages]]
stride = 2
channels = [40, 48]
kernel = [3, 5]
expansion = 6
depth = [1, 2, 3]
[[stages]]
stride = 2
channels = [80, 96]
kernel = 3
expansion = 6
depth = [1, 3]
[[stages]]
stride = 2
channels = [160, 192]
kernel = 3
expansion = 6
depth = 2
[head]
channels = 1280
"""


def hasty_plan(space: SearchSpace) -> Plan:
    """A few networks, and a few of their blocks as chains at two depths: too little for comfort."""
    networks = space.decode_batch(space.sample(12, np.random.default_rng(1)))
    blocks = {
        (part.block, (part.in_channels, part.height, part.width))
        for network in networks
        for part in network.parts()
        if 0 <= part.stage < 5
        and part.block.downsampling == 1
        and part.block.out_channels == part.in_channels
    }
    chosen = sorted(blocks, key=repr)[::4][:6]
    chains = [Chain(depth, *block).to_text() for block in chosen for depth in (4, 16)]
    texts = [network.to_text() for network in networks[:5]]
    return Plan(
        (
            *(Planned("network", text, "calibration", ANE, 3.0) for text in texts),
            *(Planned("chain", text, "chain", ANE, 3.0) for text in chains),
        )
    )


def timed(plan: Plan, path: Path, seed: int = 0) -> Path:
    """A timing table of a plan on the synthetic phone."""
    entries = manifest_of(plan, seed)
    every = list(run_suite(entries, modes=["burst", "sustained"], seed=seed))
    rows = [
        {
            "subject_kind": entries[burst["position"] - 1].subject_kind,
            "subject": entries[burst["position"] - 1].subject,
            "target": ANE,
            "latency_ms": burst["median_ms"],
            "sustained_ms": sustained["median_ms"],
            "source": SOURCE,
        }
        for burst, sustained in zip(every[::2], every[1::2], strict=True)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@dataclass(frozen=True)
class Truth:
    """Every network of a run's space: true milliseconds and scores."""

    found: Run
    ms: Floats
    score: Floats

    @classmethod
    def of(cls, found: Run) -> Truth:
        problem = found.problem
        sizes = problem.space.cardinalities
        codes = np.array(list(itertools.product(*map(range, sizes))), dtype=np.int64)
        allowed = unbudgeted(problem, codes).violation == 0
        return cls(found, *_true(found, codes[allowed]))

    def regret(self, networks: pd.DataFrame) -> float:
        """Points by which another network of the same time is better, mean over a front."""
        ms, score = true_of(self.found, networks)
        order = np.argsort(self.ms)
        best = np.maximum.accumulate(self.score[order])
        places = np.searchsorted(self.ms[order], ms * (1 + 1e-12), side="right") - 1
        return float(np.mean(best[places] - score))

    def missing(self, networks: pd.DataFrame) -> float:
        """Share of the true front's hypervolume inside the budget that a front lacks."""
        inside = self.ms <= BUDGET_MS
        exact = np.stack([self.ms, -self.score], axis=1)[inside]
        ms, score = true_of(self.found, networks)
        own = np.stack([ms, -score], axis=1)[ms <= BUDGET_MS]
        return 1 - hypervolume_share(own, exact[non_dominated(exact)])


def true_of(found: Run, networks: pd.DataFrame) -> tuple[Floats, Floats]:
    """True milliseconds of the networks of a table, and their scores."""
    own = [Architecture.from_text(str(text)) for text in networks["architecture"]]
    return _true(found, found.problem.space.encode_batch(own))


def _true(found: Run, codes: Any) -> tuple[Floats, Floats]:
    problem = found.problem
    compiled = compile_space(SearchSpace.from_toml(SPACE, "retimed"))
    mode = {LATENCY: "burst", SUSTAINED: "sustained"}[found.config.budget]
    ms = truth_of_codes(compiled, problem.compiled_codes.full(codes), mode=mode)
    candidates = problem.candidates(codes)
    return ms, candidates.top1 - problem.limits.lam * candidates.sigma


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Space, timings and a predictor fitted to them."""
    path = tmp_path_factory.mktemp("retime")
    (path / "space.toml").write_text(SPACE)
    plan = hasty_plan(SearchSpace.from_toml(SPACE, "retimed"))
    table = timed(plan, path / "first.csv")
    predictor = LatencyPredictor(ANE, ("power",)).fit(read_timings(table))
    predictor.write(path / "predictor.json")
    return path


@pytest.fixture(scope="module")
def searched(folder: Path) -> Run:
    options = {"evaluations": 6000, "shortlist": 40, "extrapolate": True}
    files = {"space": str(folder / "space.toml"), "predictor": str(folder / "predictor.json")}
    return run(ANE, BUDGET_MS, folder / "run", **files, **options)


@pytest.fixture(scope="module")
def retimed(searched: Run, folder: Path) -> Retimed:
    table = timed(retime_plan(searched), folder / "second.csv", seed=1)
    return retime(searched.folder.path, [table])


def test_a_little_table_predicts_networks_that_nobody_timed(folder: Path, searched: Run) -> None:
    space = searched.problem.space
    codes = space.sample(200, np.random.default_rng(9))
    ms, _ = _true(searched, codes)
    predicted = searched.problem.latency.ms(searched.problem.compiled_codes.full(codes))
    assert 100 * np.abs(predicted / ms - 1).mean() < 8
    assert pd.Series(predicted).corr(pd.Series(ms), "spearman") > 0.95


def test_the_plan_has_ten_picks_and_neighbours_that_may_be_better(searched: Run) -> None:
    plan = retime_plan(searched)
    picks = [row.subject for row in plan.rows if row.role == "pick"]
    others = [row.subject for row in plan.rows if row.role == "neighbour"]
    assert len(picks) == 10 and picks[0] == searched.pick.to_text() == plan.rows[0].subject
    assert set(picks) <= set(searched.front["architecture"])
    assert 10 <= len(others) == len(set(others)) <= 30
    assert not set(others) & set(searched.front["architecture"])
    space, problem = searched.problem.space, searched.problem
    codes = space.encode_batch([Architecture.from_text(text) for text in picks])
    beside = space.encode_batch([Architecture.from_text(text) for text in others])
    assert (beside[:, None, :] != codes[None]).sum(axis=2).min(axis=1).tolist() == [1] * len(others)
    found = unbudgeted(problem, beside)
    assert (gaps(searched.front, problem, found) <= found.ms / found.lower_ms).all()
    assert {row.target for row in plan.rows} == {ANE}
    anchors = [row.subject for row in plan.rows if row.role == "anchor"]
    assert anchors == [text for _, text in plan.subjects[:5]]


def test_fewer_picks_and_no_neighbours_may_be_asked_for(searched: Run) -> None:
    plan = retime_plan(searched, picks=3, neighbours=0)
    assert [row.role for row in plan.rows] == ["pick"] * 3 + ["anchor"] * 3
    with pytest.raises(InputError, match="picks: at least 1"):
        retime_plan(searched, picks=0)


def test_the_true_regret_of_the_front_falls(searched: Run, retimed: Retimed) -> None:
    truth = Truth.of(searched)
    before, after = searched.front, retimed.table[retimed.table["fate"].isin([STAYS, ENTERS])]
    assert truth.regret(after) < truth.regret(before)
    assert truth.missing(after) < truth.missing(before)


def test_a_timed_network_takes_its_time_and_the_others_are_corrected(
    searched: Run, retimed: Retimed
) -> None:
    table, rows = retimed.table, retimed.timed
    assert len(rows) == len(retime_plan(searched).subjects)
    assert (rows["ms"] == rows["measured_ms"]).all()
    others = table[table["measured_ms"].isna()]
    ms, _ = true_of(searched, others)
    errors = [np.abs(np.log(others[name] / ms)).mean() for name in ("predicted_ms", "ms")]
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.slow
def test_a_sustained_budget_is_met_by_the_phone_that_never_pauses(
    searched: Run, folder: Path
) -> None:
    rows = read_timings(folder / "first.csv")
    LatencyPredictor(ANE, ("power",), SUSTAINED).fit(rows).write(folder / "warm.json")
    files = {"space": str(folder / "space.toml"), "predictor": str(folder / "warm.json")}
    options = {"evaluations": 6000, "shortlist": 40, "extrapolate": True, "budget": SUSTAINED}
    found = run(ANE, 0.55, folder / "warm", **files, **options)
    ms, _ = true_of(found, found.front)
    assert (ms <= 0.55).mean() >= found.config.confidence and ms.max() < 0.55 * 1.05
    # a budget of a phone at rest says nothing of it: the same networks are slower
    burst_ms, _ = true_of(searched, found.front)
    assert (ms > 1.05 * burst_ms).all() and (ms / burst_ms).max() > 1.25
    again = retime(folder / "warm", [timed(retime_plan(found), folder / "third.csv", seed=2)])
    pick = again.table[again.table["pick"]]
    assert true_of(found, pick)[0][0] <= 0.55 and len(again.timed) >= 10


def test_fates_add_up_and_the_table_is_in_the_folder(searched: Run, retimed: Retimed) -> None:
    table = retimed.table
    before = set(searched.front["id"])
    assert set(retimed.named(STAYS)) | set(retimed.named(LEAVES)) == before
    assert not (set(retimed.named(ENTERS)) | set(retimed.named(OUT))) & before
    assert table["pick"].sum() == table["pick_before"].sum() == 1
    kept = table[table["fate"].isin([STAYS, ENTERS])]
    assert kept["ms"].is_monotonic_increasing and kept["score"].is_monotonic_increasing
    assert (kept["ms_at_confidence"] <= BUDGET_MS).all() and kept["pick"].sum() == 1
    written = pd.read_csv(searched.folder.retimed)
    pd.testing.assert_frame_equal(written, table, check_dtype=False)
    summary = json.loads(json.dumps(retimed.summary()))
    assert summary["timed"] == len(retimed.timed) and summary["pick"] in set(kept["id"])
    assert summary["optimism"] == pytest.approx(retimed.optimism)
    lines = "; ".join(retimed.lines())
    assert "enter the front" in lines and "(by their repeats)" in lines
    assert retimed.noise.measured and retimed.noise.spread < 0.03 < RUN_SPREAD


def test_a_timed_network_is_as_sure_as_a_comparison_of_tables_says(
    searched: Run, retimed: Retimed, folder: Path
) -> None:
    rows, confidence = read_timings(folder / "second.csv"), searched.config.confidence
    (unit,) = compare(rows, rows).units
    chosen = [Chosen(text, text) for text in retimed.timed["architecture"]]
    kept = kept_budgets(unit, rows, chosen, BUDGET_MS, confidence)
    found = [one.after_at_confidence for one in kept]
    assert found == pytest.approx(retimed.timed["ms_at_confidence"].tolist())


def test_of_picks_that_are_as_good_one_that_was_timed_is_taken(retimed: Retimed) -> None:
    ties = np.array([4, 1, 3])
    known = np.array([False, False, False, True, False])
    assert [picked(ties, timed) for timed in (known, ~known, known & ~known)] == [3, 4, 4]
    table = retimed.table.assign(measured_ms=math.nan)
    untimed = replace(retimed, table=table.assign(measured_ms=table["ms"].where(~table["pick"])))
    assert "not timed" not in retimed.lines()[-1]
    assert untimed.lines()[-1] == f"{retimed.lines()[-1]}, not timed: time it"


def test_networks_of_no_use_are_told_and_the_same_timings_give_the_same_bytes(
    searched: Run, retimed: Retimed, folder: Path
) -> None:
    before = searched.folder.retimed.read_bytes()
    rows = read_timings(folder / "second.csv").head(1)
    changes = ({}, {"subject": "mobilenet_v2", "latency_ms": 0.6}, {"latency_ms": -1.0})
    pd.concat([rows.assign(**change) for change in changes]).to_csv(
        folder / "more.csv", index=False
    )
    found = retime(searched.folder.path, [folder / "more.csv"])
    assert found.left_out == ("mobilenet_v2",) and len(found.timed) == 1
    (bad,) = found.summary()["quarantined"]
    assert "more.csv: row 4: latency_ms" in bad
    retime(searched.folder.path, [folder / "second.csv"])
    assert searched.folder.retimed.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "iphone-13/ane"}, "no timing on synthetic-phone/ane@synthetic"),
        ({"latency_ms": 9.0}, "no network keeps 0.42 ms"),
    ],
)
def test_timings_that_tell_nothing_are_refused(
    change: dict[str, Any], words: str, searched: Run, retimed: Retimed, folder: Path
) -> None:
    before = searched.folder.retimed.read_bytes()
    rows = read_timings(folder / "second.csv").assign(**change)
    rows.to_csv(folder / "wrong.csv", index=False)
    with pytest.raises(InputError, match=words):
        retime(searched.folder.path, [folder / "wrong.csv"])
    assert searched.folder.retimed.read_bytes() == before


def test_the_command_line_plans_and_ranks(
    searched: Run, retimed: Retimed, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["latency", "plan", "--run", str(searched.folder.path)]
    cli.app([*command, "--out", str(folder / "plan.csv"), "--json"], standalone_mode=False)
    answer = json.loads(capsys.readouterr().out)
    written, made = Plan.read(folder / "plan.csv"), retime_plan(searched)
    assert written.subjects == made.subjects
    assert written.seconds == pytest.approx(made.seconds, rel=1e-5)
    assert (answer["pick"], len(answer["rows"])) == (10, 15 + answer["neighbour"])
    cli.app([*command, "--timings", str(folder / "second.csv")], standalone_mode=False)
    printed = capsys.readouterr()
    assert "written: " in printed.out and f"pick {retimed.summary()['pick'][:8]}" in printed.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --space and --target, or --run"),
        (["--timings", "x.csv"], "--timings: needs --run"),
        (["--run", "x", "--minutes", "3"], "--minutes: has no meaning with --run;"),
        (["--run", "x", "--timings", "y", "--out", "z"], "--out: has no meaning with --run and"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cli.app(["latency", "plan", *words], standalone_mode=False)


def test_a_run_that_is_not_finished_is_refused(searched: Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(searched.folder.path, tmp_path / "copy"))
    (copy / "front.csv").unlink()
    with pytest.raises(InputError, match="its search is not finished"):
        finished_run(copy)
    with pytest.raises(InputError, match="holds no run"):
        finished_run(tmp_path)
