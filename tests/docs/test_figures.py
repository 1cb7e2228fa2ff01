"""Figures in the documentation are those of today.

A figure is marked with where it is from, behind it: `3.6 %<!-- figure: SOURCE -->`. A source is a
place in one of these, a path of keys:

* `NAME.json`, `NAME.csv`: what a benchmark left in `results/`, or else a file that is shipped, in
  the `data/` of one of the folders;
* `NAME.md/TABLE`: the table of `docs/NAME.md` behind the mark of that name: a figure stands in one
  place, others repeat it;
* `targets`: what `palmette targets --json` prints;
* `validate`: the metrics of `palmette latency validate`, and `prior`: errors of the prior on
  published networks by family, as notebook 4 prints them; both are held by a slow test.

Rows of a table are chosen by `[column=pattern,...]`; the key of several may be `least(column)`,
`most(column)` or `count()`. A factor may stand at the end: ` x100` makes a percentage of a share,
` x-1` a loss of a gain, ` x1e-6` millions.
"""

from __future__ import annotations

import csv
import fnmatch
import importlib.util
import json
import math
import re
import statistics
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from palmette.cli import estimates
from palmette.latency import TARGETS, load_predictor, published_timings
from palmette.latency.validation import validate
from palmette.latency.validation.validate import OLD_RUNTIMES
from palmette.search.references import references
from palmette.space import MOBILENET_LIKE
from palmette.train.published import errors_by, published
from tests.docs.pages import PAGES, ROOT, fenced, text

MARK = re.compile(
    r"(\S+?)(?: (?:%|points|ms|s|million))?<!-- figure: ([^>]+?)(?: x(-?[\d.e-]+))? -->"
)
STEP = re.compile(r"([^/\[\]]+)(?:\[([^\]]*)\])?(?:/|$)")
OVER_ROWS: dict[str, Callable[[list[float]], float]] = {
    "least": min,
    "most": max,
    "mean": statistics.fmean,
}


def tables(name: str) -> dict[str, list[dict[str, str]]]:
    """Rows of each table of a page that stands behind a mark, such as `<!-- validate -->`."""
    found = {}
    for mark, body in re.findall(r"<!-- ([\w-]+) -->\n((?:\|.*\n)+)", text(name)):
        head, _, *rows = [
            [cell.strip(" `") for cell in line.strip("|").split("|")] for line in body.splitlines()
        ]
        found[mark] = [dict(zip(head, row, strict=True)) for row in rows]
    return found


def path_of(name: str) -> str:
    """Where a file of figures stands: in `results/`, or else in the one folder that ships it."""
    if (ROOT / "results" / name).is_file():
        return f"results/{name}"
    (path,) = ROOT.glob(f"*/data/{name}")
    return str(path.relative_to(ROOT))


def opened(name: str) -> Any:
    """What a source without further sources behind it holds."""
    if name.endswith(".md"):
        return tables(f"docs/{name}")
    if name.endswith(".csv"):
        lines = text(path_of(name)).splitlines()
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))
    return json.loads(text(path_of(name)))


def number(value: object) -> float:
    """A value, or the number that a cell of a table begins with or has behind a sign of `times`."""
    return float(re.findall(r"[-+]?[\d.]+(?:e-?\d+)?", str(value).replace(",", ""))[0])


def chosen(rows: list[dict[str, Any]], conditions: str) -> list[dict[str, Any]]:
    wanted = [condition.partition("=")[::2] for condition in conditions.split(",")]
    return [r for r in rows if all(fnmatch.fnmatch(str(r[key]), like) for key, like in wanted)]


def value_at(found: Any, path: str) -> float:
    """The number at a path of keys.

    Raises:
        AssertionError: several rows where one is asked for, or none.
    """
    for key, conditions in STEP.findall(path):
        if isinstance(found, dict):
            found = found[key]
        elif key == "count()":
            return float(len(found))
        else:
            over, _, column = key.rstrip(")").rpartition("(")
            values = [number(row[column]) for row in found]
            assert over or len(values) == 1, f"{path}: {len(values)} rows"
            found = OVER_ROWS[over](values) if over else values[0]
        if conditions:
            found = chosen(found, conditions)
    return number(found)


def is_shown(shown: str, value: float) -> bool:
    """Whether a value comes to what a page shows of it, at that many digits."""
    digits = shown.lstrip("(").replace(",", "")
    places = len(digits.partition("e")[0].partition(".")[2])
    return float(digits) == float(f"{value:.{places}{'e' if 'e' in digits else 'f'}}")


def wrong(name: str, sources: dict[str, Any], *, others: bool = False) -> list[str]:
    """Marked figures of a page that are not what their source says; `others`: of files too."""
    found = []
    for shown, source, factor in MARK.findall(text(name)):
        root, conditions, path = re.findall(r"^([^/\[]+)(?:\[([^\]]*)\])?/(.*)$", source)[0]
        if root not in sources and not (others and "." in root):
            continue
        held = sources[root] if root in sources else opened(root)
        held = chosen(held, conditions) if conditions else held
        value = value_at(held, path) * float(factor or 1)
        if not is_shown(shown, value):
            found.append(f"{shown} is {value}: {source}")
    return found


@pytest.fixture(scope="module")
def targets() -> list[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", printed.append)
        estimates.targets(as_json=True)
    found: list[dict[str, Any]] = json.loads(printed[0])
    return found


@pytest.mark.parametrize("name", [name for name in PAGES if "<!-- figure: " in text(name)])
def test_marked_figures_are_those_of_their_sources(
    name: str, targets: list[dict[str, Any]]
) -> None:
    marks = MARK.findall(text(name))
    assert len(marks) == text(name).count("<!-- figure: ")
    roots = {re.split(r"[/\[]", source)[0] for _, source, _ in marks}
    assert {root for root in roots if "." not in root} <= {"targets", "validate", "prior"}
    assert wrong(name, {"targets": targets}, others=True) == []


@pytest.mark.slow
def test_figures_of_a_validation_are_what_it_prints() -> None:
    """`palmette latency validate`: a minute; both printed tables of it, and what is marked."""
    found = validate.run(published_timings())
    spec = importlib.util.spec_from_file_location("fill_figures", ROOT / "docs/fill_figures.py")
    assert spec is not None and spec.loader is not None
    filling = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(filling)
    short, full = filling.score_tables(found.of("network"))
    assert f"<!-- validate -->\n{short}\n\n" in text("README.md")
    assert f"<!-- validate -->\n{full}\n\n" in text("docs/latency.md")
    assert [line for name in PAGES for line in wrong(name, {"validate": found.metrics})] == []


@pytest.mark.slow
def test_errors_of_the_prior_on_published_networks_are_those_of_today() -> None:
    frame = published()
    errors = {column: errors_by(frame, column) for column in ("family", "blocks")}
    rows = {name: table.reset_index().to_dict("records") for name, table in errors.items()}
    assert [line for name in PAGES for line in wrong(name, {"prior": rows})] == []


def test_a_changed_figure_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"of": "a", "share": "0.947 (3)"}, {"of": "b", "share": 0.5}]
    sources = {"made": {"rows": rows, "plain": 1810.4}}
    for shown, source, holds in (
        ("0.95", "made/rows[of=a]/share", True),
        ("0.94", "made/rows[of=a]/share", False),
        ("50 %", "made/rows/least(share) x100", True),
        ("2", "made/rows/count()", True),
        ("1,810", "made/plain", True),
        ("1.8e3", "made/plain", True),
        ("1,811", "made/plain", False),
        ("1.81 million", "made/plain x1e-3", True),
        ("0.5", "made/rows[of=b]/share x-1", False),
        ("-0.5 points", "made/rows[of=b]/share x-1", True),
    ):
        page = f"it is {shown}<!-- figure: {source} -->"
        monkeypatch.setitem(globals(), "text", lambda _, page=page: page)
        assert (wrong("page", sources) == []) is holds, (shown, source)
    with pytest.raises(AssertionError, match="2 rows"):
        value_at(sources["made"], "rows/share")


def test_a_source_is_a_file_of_results_or_else_one_that_is_shipped() -> None:
    assert path_of("rank_card.json") == "results/rank_card.json"  # shipped too
    assert path_of("accuracy_prior.json") == "train/data/accuracy_prior.json"
    with pytest.raises(ValueError, match="not enough values"):
        path_of("nothing.json")


ERROR_ROW = re.compile(r"^\| `(\S+@\S+)` \| (\d+) \| ([\d.]+) \| (\d+) \|", re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "docs/latency.md"])
def test_held_out_errors_are_those_of_the_shipped_predictors(name: str) -> None:
    rows = {target: row for target, *row in ERROR_ROW.findall(text(name))}
    assert set(rows) == {name for name, target in TARGETS.items() if target.family}
    for target, (count, mean, worst) in rows.items():
        old = TARGETS[target].runtime in OLD_RUNTIMES
        errors = [
            100 * abs(math.expm1(error))
            for network, error in load_predictor(target).held_out_errors_.items()
            if (network in MOBILENET_LIKE if old else "_backbone_" not in network)
        ]
        shown = (str(len(errors)), f"{sum(errors) / len(errors):.1f}", f"{max(errors):.0f}")
        assert (count, mean, worst) == shown, target


def test_the_printed_comparison_has_the_predictions_of_today() -> None:
    (printed,) = (body for body in fenced("README.md", "text") if "efficientnet_b0" in body)
    lines = [line.split() for line in printed.splitlines() if line]
    rows = {name: cells[:6] for name, *cells in lines}
    zoo = references(load_predictor("iphone-13/ane"), None, 0.8)
    for row in zoo.to_dict("records"):
        assert rows[row["network"]] == [
            f"{row['ms']:.3g}",
            f"{row['ms_at_confidence']:.3g}",
            "-" if math.isnan(row["timed_ms"]) else f"{row['timed_ms']:.3g}",
            f"{row['top1']:.1f}",
            f"{row['published_top1']:.1f}",
            f"{row['params_m']:.1f}",
        ]


def test_numbers_of_timed_networks_are_those_of_the_table() -> None:
    counts = published_timings().groupby("target")["subject"].nunique()
    rows = re.findall(
        r"^\| (`iphone.*?) \| A\d+(?: Pro)? \| ([\d, ]+)(?: \((\d) anchors\))? \|",
        text("docs/latency.md"),
        re.MULTILINE,
    )
    shown = []
    for names, numbers, anchors in rows:
        first = names.split("`")[1]
        units = re.findall(r"/(cpu|gpu|ane)", names)
        targets = [re.sub(r"/\w+@", f"/{unit}@", first) for unit in units]
        assert all(load_predictor(target).anchors == int(anchors or 0) for target in targets)
        shown += list(zip(targets, map(int, numbers.split(",")), strict=True))
    assert dict(shown) == counts.to_dict()


def test_the_printed_estimate_is_the_one_of_today(capsys: pytest.CaptureFixture[str]) -> None:
    estimates.accuracy("mobilenet_v2")
    assert capsys.readouterr().out in fenced("docs/accuracy.md", "text")


def test_limits_name_what_each_target_cannot_identify() -> None:
    _, _, page = text("docs/limits.md").partition("| can't identify | targets |")
    named = {
        target: changes
        for line in page.partition("\n\n")[0].splitlines()[2:]
        for changes, targets in [line.strip("| ").split(" | ")]
        for target in re.findall(r"`([^`]+)`", targets)
    }
    assert len(named) == len(TARGETS)
    for target, changes in named.items():
        effects = load_predictor(target).effects_
        assert changes == (", ".join(e.name for e in effects if not e.identified) or "-"), target


def test_every_package_of_the_proofs_passed_and_is_counted() -> None:
    rows = pd.read_csv(ROOT / "results/export_proofs.csv")
    assert rows["passed"].all()
    assert f"All {len(rows)} packages of" in text("docs/concepts/proofs.md")
