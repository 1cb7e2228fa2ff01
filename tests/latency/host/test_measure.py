"""The measuring loop on a made clock, its file of rounds, and one real measurement."""

from __future__ import annotations

import gc
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from palmette.latency.host import runtimes as host_module
from palmette.latency.host.measure import (
    FORMAT,
    LEAST_PACED,
    QUANTILE,
    SAMPLES,
    SOURCE,
    STEADY,
    WARM_SAMPLES,
    WIDE,
    measure,
    round_pace,
    spread,
    summary,
    warm_up,
)
from palmette.latency.timings import RULES
from palmette.space import InputError

TARGET = "host/cpu@torch-eager"
SUBJECTS = [("op", "conv 8x9x9 -> 8x9x9"), ("op", "linear 8 -> 8"), ("network", "mobilenet_v1")]


@dataclass
class MadeHost:
    """A machine whose subjects take 1, 2, ... ms; it notes the order of its calls."""

    target: str = TARGET
    placement: str = "cpu, 1 thread"
    system: str = "made"
    fails: tuple[str, ...] = ()
    breaks_after: int = 1 << 30
    calls: list[str] = field(default_factory=list)
    collected: bool = False

    def prepare(self, subject: tuple[str, str]) -> Callable[[], float]:
        if subject[1] in self.fails:
            raise InputError(f"{subject[1]} cannot be")
        seconds = 1e-3 * (1 + [text for _, text in SUBJECTS].index(subject[1]))

        def sample() -> float:
            self.calls.append(subject[1])
            self.collected = self.collected or gc.isenabled()
            if len(self.calls) > self.breaks_after:
                raise KeyboardInterrupt
            return seconds

        return sample


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[MadeHost], MadeHost]:
    """Measure on a made host from now on."""

    def use(made: MadeHost) -> MadeHost:
        @contextmanager
        def opened(target: str, threads: int) -> Iterator[MadeHost]:
            yield made

        monkeypatch.setattr(host_module, "opened", opened)
        return made

    return use


def test_a_row_holds_the_time_and_its_passport(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    on(MadeHost())
    found = measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=4)
    table = pd.read_csv(tmp_path / "t.csv")
    assert list(zip(table["subject_kind"], table["subject"], strict=True)) == SUBJECTS
    assert table["latency_ms"].tolist() == pytest.approx([1, 2, 3])
    assert set(table.columns) <= set(RULES)
    row = table.iloc[2]
    assert (row["target"], row["source"], row["os_build"]) == (TARGET, SOURCE, "made")
    assert (row["requested_units"], row["input_kind"], row["precision"]) == (
        "cpu",
        "tensor",
        "float32",
    )
    assert (row["repeats"], row["warmup"], row["placement"]) == (4 * SAMPLES, 4, "cpu, 1 thread")
    assert found.refused == {} and [ms.shape for ms in found.rounds_ms] == [(4, SAMPLES)] * 3


def test_every_rule_of_the_timing_table_holds_for_a_row(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    on(MadeHost())
    measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=2)
    table = pd.read_csv(tmp_path / "t.csv", dtype=str, keep_default_na=False)
    for name in table:
        assert RULES[str(name)].holds(table[name]).all(), name


def test_every_round_times_everything_in_an_order_of_its_own(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    made = on(MadeHost())
    measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=12)
    timed = made.calls[-12 * 3 * (1 + SAMPLES) :]
    slots = [name for name, _ in itertools.groupby(timed)]
    runs = np.array(timed).reshape(12, 3, 1 + SAMPLES)
    assert all(len(set(slot)) == 1 for slot in runs.reshape(-1, 1 + SAMPLES))
    orders = {tuple(one[:, 0]) for one in runs}
    assert all(set(order) == {text for _, text in SUBJECTS} for order in orders)
    assert len(orders) > 2 and len(slots) > 12


def test_the_collector_rests_while_timing_and_only_then(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    made = on(MadeHost())
    measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=2)
    assert not made.collected and gc.isenabled()


def test_what_cannot_be_timed_is_told_and_the_others_are_timed(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    on(MadeHost(fails=("linear 8 -> 8",)))
    found = measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=2)
    assert found.refused == {SUBJECTS[1]: "linear 8 -> 8 cannot be"}
    assert found.table["subject"].tolist() == [SUBJECTS[0][1], SUBJECTS[2][1]]
    assert found.table["latency_ms"].tolist() == pytest.approx([1, 3])
    again = measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=2)
    assert again.refused == found.refused


def test_nothing_that_can_be_timed_is_an_error(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    on(MadeHost(fails=("linear 8 -> 8",)))
    with pytest.raises(InputError, match="nothing could be timed: linear"):
        measure(TARGET, SUBJECTS[1:2], tmp_path / "t.csv", rounds=2)
    with pytest.raises(InputError, match="nothing to time"):
        measure(TARGET, [], tmp_path / "u.csv")
    with pytest.raises(InputError, match="rounds must be 2 or more, got 1"):
        measure(TARGET, SUBJECTS, tmp_path / "u.csv", rounds=1)


# Going on


def test_an_interrupted_measurement_goes_on_with_what_is_missing(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    out, told = tmp_path / "t.csv", []
    on(MadeHost(breaks_after=60))
    with pytest.raises(KeyboardInterrupt):
        measure(TARGET, SUBJECTS, out, rounds=8)
    assert not out.exists() and gc.isenabled()
    done = len((tmp_path / "t.rounds").read_text().splitlines()) - 2
    assert 0 < done < 8
    on(MadeHost())
    found = measure(
        TARGET, SUBJECTS, out, rounds=8, progress=lambda what, at, of: told.append((what, at, of))
    )
    assert [at for what, at, _ in told if what == "time"] == list(range(done + 1, 9))
    whole = measure(TARGET, SUBJECTS, tmp_path / "whole.csv", rounds=8)
    pd.testing.assert_frame_equal(found.table, whole.table)


def test_a_finished_measurement_is_only_read(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    on(MadeHost())
    first = measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=2)
    made = on(MadeHost())
    again = measure(TARGET, [*SUBJECTS, SUBJECTS[0]], tmp_path / "t.csv", rounds=2)
    assert made.calls == []
    pd.testing.assert_frame_equal(first.table, again.table)


def test_a_torn_last_line_is_dropped_and_its_round_timed_again(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    on(MadeHost())
    measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=3)
    log = tmp_path / "t.rounds"
    whole = log.read_text()
    log.write_text(whole[:-20])
    made = on(MadeHost())
    measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=3)
    assert log.read_text().count("\n") == whole.count("\n")
    assert all(json.loads(line) for line in log.read_text().splitlines())
    assert len(made.calls) >= 3 * (1 + SAMPLES)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"rounds": 5}, "another rounds"),
        ({"seed": 5}, "another seed"),
        ({"subjects": SUBJECTS[:2]}, "another subjects"),
    ],
)
def test_another_plan_is_not_mixed_into_a_table(
    tmp_path: Path,
    on: Callable[[MadeHost], MadeHost],
    changed: dict[str, object],
    reason: str,
) -> None:
    on(MadeHost())
    measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=2)
    arguments: dict[str, object] = {"subjects": SUBJECTS, "rounds": 2, **changed}
    with pytest.raises(InputError, match=reason):
        measure(TARGET, out=tmp_path / "t.csv", **arguments)  # type: ignore[arg-type]


def test_another_target_or_system_is_not_mixed_into_a_table(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    on(MadeHost())
    measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=2)
    on(MadeHost(target="host/cpu@onnxruntime", system="other"))
    with pytest.raises(InputError, match="another target, system"):
        measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=2)


def test_a_table_that_was_not_measured_here_is_left_alone(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    on(MadeHost())
    out = tmp_path / "t.csv"
    out.write_text("mine\n")
    with pytest.raises(InputError, match="name another file"):
        measure(TARGET, SUBJECTS, out, rounds=2)
    assert out.read_text() == "mine\n" and list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("text", ["", "mine", "mine\n", '{"format": "other"}\n', "[]\n", "\n"])
def test_a_file_that_holds_no_rounds_is_refused(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost], text: str
) -> None:
    on(MadeHost())
    (tmp_path / "t.rounds").write_text(text)
    with pytest.raises(
        InputError, match=r"t\.rounds: (no file of rounds|holds timings of another)"
    ):
        measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=2)
    assert (tmp_path / "t.rounds").read_text() == text


def test_rounds_that_name_a_subject_too_few_are_refused(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    on(MadeHost())
    measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=2)
    log = tmp_path / "t.rounds"
    lines = log.read_text().splitlines()
    lines[-1] = json.dumps({"ms": {"0": [1.0, 1.0]}})
    log.write_text("\n".join([*lines, ""]))
    with pytest.raises(InputError, match="line 4"):
        measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=2)


def test_a_subject_that_could_be_timed_before_must_still_be(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    on(MadeHost(breaks_after=60))
    with pytest.raises(KeyboardInterrupt):
        measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=8)
    on(MadeHost(fails=("linear 8 -> 8",)))
    with pytest.raises(InputError, match="was timed in earlier rounds, but now linear"):
        measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=8)


# Statistics


def test_a_row_is_the_lower_quartile_of_its_timings() -> None:
    found = summary(np.arange(1.0, 102).reshape(-1, 1))
    assert found["latency_ms"] == 26 and QUANTILE == 0.25
    assert (found["p10_ms"], found["p90_ms"]) == (11, 91)
    assert found["flags"] == "lower-quartile spread"
    assert summary(np.full((4, 2), 3.0))["flags"] == "lower-quartile"
    assert WIDE > 1


def test_disturbed_calls_do_not_move_a_row() -> None:
    calm = np.full((20, 2), 5.0)
    disturbed = calm.copy()
    disturbed[::3] *= 4
    assert summary(disturbed)["latency_ms"] == summary(calm)["latency_ms"]


def test_a_slow_round_is_divided_by_its_pace() -> None:
    random = np.random.default_rng(0)
    own = random.uniform(1, 50, (200, 1, 1))
    noise = np.exp(0.01 * random.standard_normal((200, 12, SAMPLES)))
    slow = np.ones(12)
    slow[[3, 4, 9]] = [1.3, 1.2, 2.0]
    assert round_pace(own * noise * slow[:, None]) == pytest.approx(slow, rel=0.01)


def test_few_subjects_have_no_pace() -> None:
    ms = np.ones((LEAST_PACED - 1, 6, SAMPLES))
    ms[:, 2] = 5
    assert round_pace(ms).tolist() == [1] * 6


def test_spread_is_the_distance_between_even_and_odd_rounds(
    tmp_path: Path, on: Callable[[MadeHost], MadeHost]
) -> None:
    on(MadeHost())
    found = measure(TARGET, SUBJECTS, tmp_path / "t.csv", rounds=4)
    assert spread(found, "op") == pytest.approx(0)
    found.rounds_ms[2][::2] *= 1.1
    assert spread(found, "network") == pytest.approx(100 * np.log(1.1))
    assert spread(found, "op", [SUBJECTS[0][1]]) == pytest.approx(0)
    with pytest.raises(InputError, match="nothing of kind 'chain'"):
        spread(found, "chain")


def test_warming_up_lasts_while_the_times_fall_and_not_for_ever() -> None:
    def calls(times: Iterator[float]) -> int:
        taken: list[float] = []

        def sample() -> float:
            taken.append(next(times))
            return taken[-1]

        warm_up(sample)
        return len(taken)

    assert calls(itertools.repeat(1.0)) == 2 * WARM_SAMPLES
    falling = itertools.chain([9.0] * WARM_SAMPLES, [3.0] * WARM_SAMPLES, itertools.repeat(1.0))
    assert calls(falling) == 4 * WARM_SAMPLES
    assert calls(STEADY**count * 0.9**count for count in itertools.count()) < 100


# On the real machine

REAL = """
import sys
from pathlib import Path
from palmette.latency.host.measure import measure
subjects = [("op", "conv 16x28x28 -> 16x28x28 k3 relu"), ("op", "other 4 -> 4"),
            ("op", "conv 16x28x28 -> 32x28x28 ; add 32x28x28 + 32x28x28 -> 32x28x28"),
            ("chain", "2*(ir_r1_k3_s1_e2_c8_relu6)@14x14x8"), ("network", "mobilenet_v1@32x32")]
tell = lambda what, done, of: print(what, done, flush=True)
found = measure("host/cpu@torch-eager", subjects, Path(sys.argv[1]), rounds=40, progress=tell)
assert list(found.refused) == [("op", "other 4 -> 4")], found.refused
"""


@pytest.mark.sweep
def test_a_killed_measurement_of_this_machine_ends_with_the_same_rows(tmp_path: Path) -> None:
    out = tmp_path / "folder" / "t.csv"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", REAL, str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("time 2"):
            break
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()
    kept = out.with_suffix(".rounds").read_text().splitlines()[2:4]
    assert not out.exists()
    begin = time.monotonic()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    lines = out.with_suffix(".rounds").read_text().splitlines()
    assert json.loads(lines[0])["format"] == FORMAT
    assert lines[2:4] == kept and len(lines) == 2 + 40
    table = pd.read_csv(out)
    assert table["subject_kind"].tolist() == ["op", "op", "chain", "network"]
    assert (table["latency_ms"] > 0).all() and (table["latency_ms"] < 1e3).all()
    assert (table["p10_ms"] <= table["latency_ms"]).all()
    assert (table["latency_ms"] <= table["p90_ms"]).all()
    assert time.monotonic() - begin < 300
