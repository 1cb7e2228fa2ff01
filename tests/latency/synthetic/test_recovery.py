"""From a plan through the synthetic phone and the import to what its timings say, against truth."""

import itertools
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from palmette.latency.chains import Chain
from palmette.latency.foreign.forms import import_files
from palmette.latency.per_op.op_timings import LEAST_FAMILIES, gather
from palmette.latency.planning import space_plan
from palmette.latency.planning.plan import Plan, Planned
from palmette.latency.suite.manifest import write_manifest
from palmette.latency.suite.probes import series
from palmette.latency.suite.slopes import chain_costs, drift, floors, transfer_costs
from palmette.latency.synthetic import is_synthetic, target_of
from palmette.latency.synthetic.app import Conditions
from palmette.latency.synthetic.planned import manifest_of
from palmette.latency.synthetic.results import write_results
from palmette.latency.synthetic.subjects import subject_truth
from palmette.latency.synthetic.truth import truth_ms
from palmette.latency.synthetic.units import UNITS
from palmette.latency.targets import parse_target
from palmette.latency.uncertainty import design
from palmette.space import SearchSpace

ANE = target_of("ane")
WIDTHS, KERNELS, DEPTHS = (32, 40, 48, 56, 64), (3, 5, 7), (4, 24)
LADDER = {(width, 3): f"cn_r1_k3_s1_c{width}_relu" for width in WIDTHS} | {
    (96, kernel): f"ir_r1_k{kernel}_s1_e6_c96_relu" for kernel in KERNELS
}
"""Blocks along widths and along kernels."""
PROBED = "8*(ir_r1_k3_s1_e6_c48_relu)@28x28x48"
ANCHOR = "12*(ir_r1_k3_s1_e6_c48_relu)@28x28x48"


def chains() -> dict[tuple[int, int], Chain]:
    return {key: Chain.from_text(f"1*({block})@56x56x{key[0]}") for key, block in LADDER.items()}


def ladder_plan() -> Plan:
    texts = [replace(one, depth=n).to_text() for one in chains().values() for n in DEPTHS]
    probes = [probe.to_text() for probe in series(Chain.from_text(PROBED))]
    return Plan(
        (
            *(Planned("chain", text, "chain", ANE, 3.0) for text in texts),
            *(Planned("probe", text, "probe", ANE, 3.0) for text in probes),
            Planned("chain", ANCHOR, "anchor", ANE, 3.0),
        )
    )


def timed(
    folder: Path, seed: int, conditions: Conditions | None = None, plan: Plan | None = None
) -> pd.DataFrame:
    """Rows of the timing table of one run of a plan, as a user gets them."""
    entries = manifest_of(plan or ladder_plan(), seed)
    write_manifest(folder, entries)
    found = write_results(entries, folder / "results.csv", seed=seed, conditions=conditions)
    imported = import_files([found.results], suite=folder)
    assert imported.taken == found.rows and not imported.left_out
    imported.write(folder / "table.csv")
    from palmette.latency import read_timings

    return read_timings(folder / "table.csv")


@pytest.fixture(scope="module", params=range(3))
def rows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return timed(tmp_path_factory.mktemp("run"), request.param)


def test_every_row_says_that_it_is_synthetic(rows: pd.DataFrame) -> None:
    for column in ("target", "source", "os_build"):
        assert rows[column].map(is_synthetic).all(), column


def test_the_floor_is_found_within_five_percent(rows: pd.DataFrame) -> None:
    found = floors(chain_costs(rows))
    assert found[ANE].ms == pytest.approx(UNITS["ane"].floor_ms, rel=0.05)


def test_what_a_block_costs_is_found_within_five_percent(rows: pd.DataFrame) -> None:
    costs = {cost.chain: cost.block.ms for cost in chain_costs(rows)}
    for chain in chains().values():
        two, one = (truth_ms(replace(chain, depth=n).ops()) for n in (2, 1))
        assert costs[chain] == pytest.approx(two - one, rel=0.05), chain.to_text()


def test_cliffs_of_width_and_kernel_are_found_within_five_percent(rows: pd.DataFrame) -> None:
    found = {cost.chain: cost.block.ms for cost in chain_costs(rows)}
    ladder = chains()
    for axis in ([(w, 3) for w in WIDTHS], [(96, k) for k in KERNELS]):
        for low, high in itertools.pairwise(axis):
            true = [
                truth_ms(replace(ladder[key], depth=2).ops()) - truth_ms(ladder[key].ops())
                for key in (low, high)
            ]
            step = found[ladder[high]] / found[ladder[low]]
            assert step == pytest.approx(true[1] / true[0], rel=0.05), (low, high)
    steep, flat = (found[ladder[high, 3]] / found[ladder[high - 8, 3]] for high in (40, 48))
    assert flat < 1.06 < 1.3 < steep  # eight channels more, each


def test_what_a_change_of_unit_costs_is_found_within_five_percent(rows: pd.DataFrame) -> None:
    (cost,) = transfer_costs(rows)
    chain = Chain.from_text(PROBED).to_text()
    ms = {
        (count, precision): subject_truth("probe", f"{chain} + {count}*sigmoid@{precision}").ms()
        for count in (1, 4)
        for precision in ("float32", "float16")
    }
    true = [(ms[4, one] - ms[1, one]) / 3 for one in ("float32", "float16")]
    assert cost.transfer is not None
    assert cost.forced.ms == pytest.approx(true[0], rel=0.05)
    assert cost.transfer.ms == pytest.approx(true[0] - true[1], rel=0.05)


def test_a_careful_run_has_no_doubts(rows: pd.DataFrame) -> None:
    assert set(rows["flags"]) <= {"", "anchor"}
    assert not any(one.flagged for one in drift(rows))


def test_calls_without_a_pause_are_slower_by_what_the_heat_makes_of_them(
    rows: pd.DataFrame,
) -> None:
    for row in rows[rows["subject_kind"] == "chain"].itertuples():
        cost = subject_truth("chain", str(row.subject))
        assert row.sustained_ms == pytest.approx(cost.ms("sustained"), rel=0.05)
        assert row.paced_ms == pytest.approx(cost.ms("paced"), rel=0.05)


def test_a_phone_that_changes_in_the_middle_shows_in_its_anchors(tmp_path: Path) -> None:
    rows = timed(tmp_path, 0, Conditions(drift=0.3))
    (anchor,) = (one for one in drift(rows) if one.subject == ANCHOR)
    assert anchor.flagged and anchor.last_to_first == pytest.approx(1.3, rel=0.05)
    assert rows["flags"].str.contains("drift").any()


TWO_DESIGNS = """
format = "palmette/space@1"
[network]
resolution = 224
activation = "relu"
[stem]
channels = 32
[head]
channels = 256
""" + "".join(
    f"""[[stages]]
stride = 2
channels = {channels}
kernel = {kernel}
expansion = 6
depth = {depth}
"""
    for channels, kernel, depth in ((32, 5, 1), (64, 3, 3), (128, 3, 3), (256, 3, "[2, 3]"))
)


def test_a_planned_table_of_a_space_of_two_designs_can_be_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_plan, "SAMPLED", 8)
    plan = space_plan.plan_space(
        SearchSpace.from_toml(TWO_DESIGNS, "two"), parse_target(ANE), 15
    ).plan
    assert {"op", "chain"} <= {row.kind for row in plan.rows}
    found = gather(timed(tmp_path, 0, plan=plan), parse_target(ANE))
    assert len({design(name) for name in found.names}) == LEAST_FAMILIES
    assert not any("mostly the" in why for why in found.left_out)


def test_rows_that_were_timed_on_a_hot_phone_are_recognised(tmp_path: Path) -> None:
    heavy = "conv 256x56x56 -> 256x56x56 k{}"
    plan = Plan(tuple(Planned("op", heavy.format(k), "op", ANE, 3.0) for k in range(3, 11)))
    entries = manifest_of(plan)
    write_manifest(tmp_path, entries)
    hot = Conditions(patient=False)
    modes = ("burst", "sustained")
    found = write_results(entries, tmp_path / "results.csv", modes=modes, conditions=hot)
    imported = import_files([found.results], suite=tmp_path)
    results = pd.read_csv(found.results, keep_default_na=False)
    bursts = results[results["mode"] == "burst"]
    slow = [
        row.position
        for row in bursts.itertuples()
        if row.median_ms > 1.05 * subject_truth("op", entries[row.position - 1].subject).ms()
    ]
    assert len(slow) >= 4
    kept = imported.rows
    believed = kept[~kept["flags"].str.contains("warm|drift")]
    names = {entries[at - 1].subject for at in slow}
    assert not names & set(believed["subject"])
    assert imported.taken + len(imported.left_out) == len(results)
