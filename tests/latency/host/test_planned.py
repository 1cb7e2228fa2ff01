"""A plan is timed on a host; what a host cannot do is left out with its reason."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from palmette import cli
from palmette.latency.planning.plan import Plan, Planned
from palmette.latency.tables import read_csv

HOST = "host/cpu@torch-eager"


def test_a_plan_is_timed_but_for_its_probes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    op = "conv 8x4x4 -> 8x4x4 relu6"
    rows = (
        Planned("op", op, "op", HOST, 1.0),
        Planned("probe", "whatever it says", "probe", HOST, 1.0),
        Planned("op", op, "anchor", HOST, 1.0),
    )
    Plan(rows).write(tmp_path / "plan.csv")
    out = tmp_path / "host.csv"
    words = f"latency measure --target {HOST} --plan {tmp_path / 'plan.csv'} --out {out}"
    monkeypatch.setattr(sys, "argv", ["palmette", *words.split(), "--rounds", "2", "--json"])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    said = capsys.readouterr()
    assert json.loads(said.out) == {"table": str(out), "rows": 1, "left_out": 1}
    assert "left out: probe whatever it says: a probe makes a phone change its unit" in said.err
    assert read_csv(out)["subject"].tolist() == [op]
