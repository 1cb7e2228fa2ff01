"""Accuracies that are measured: the surrogate, what is kept, and a search by a supernet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from palmette.search import Run, resume, run
from palmette.search.figure import front_page
from palmette.search.measured import MeasuredAccuracy
from palmette.search.source import Source
from palmette.search.summary import comparison, guard_lines, summary
from palmette.search.surrogate import Surrogate
from palmette.space import Architecture, InputError, SearchSpace
from palmette.train.estimates import Measured
from palmette.train.supernet import SupernetAccuracy

TARGET, BUDGET = "iphone-11/cpu", 100.0


@dataclass
class Widths:
    """An estimator that knows the answer: points for parameters; it counts what it is asked."""

    asked: list[str] = field(default_factory=list)

    def evaluate(self, networks: Sequence[Architecture]) -> Measured:
        self.asked += [network.id for network in networks]
        return Measured.of([network.params() / 40_000 for network in networks], 1000)


def measured(few: SearchSpace, estimator: Widths, samples: int = 16) -> MeasuredAccuracy:
    return MeasuredAccuracy("supernet", "0", few, estimator, "photos", samples, 3)


def test_a_surrogate_of_a_sum_is_that_sum() -> None:
    rng = np.random.default_rng(0)
    cardinalities = np.array([2, 3, 4])
    codes = rng.integers(0, cardinalities, (60, 3))
    top1 = 50 + 3.1 * codes[:, 0] - 2.3 * (codes[:, 1] == 1) + 1.7 * codes[:, 2] ** 2
    found = Surrogate.fit(codes, top1, cardinalities)
    np.testing.assert_allclose(found.predict(codes), top1, atol=0.01)
    assert found.sigma < 0.01 and found.tau > 0.9


def test_the_error_of_a_surrogate_is_that_of_the_noise() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (400, 3))
    top1 = 60 + 4.0 * codes[:, 0] + rng.normal(0, 2.0, 400)
    assert Surrogate.fit(codes, top1, np.array([2, 2, 2])).sigma == pytest.approx(2.0, rel=0.1)


def test_too_few_networks_are_no_basis() -> None:
    with pytest.raises(InputError, match="at least 8 networks, got 7"):
        Surrogate.fit(np.zeros((7, 1), np.int64), np.zeros(7), np.array([2]))


def test_measured_networks_are_reported_as_measured_others_by_the_surrogate(
    few: SearchSpace, tmp_path: Path
) -> None:
    estimator = Widths()
    accuracy = measured(few, estimator)
    accuracy.prepare(tmp_path / "accuracy.csv")
    assert len(set(estimator.asked)) == len(estimator.asked) == 16
    codes = few.sample(200, np.random.default_rng(1))
    found = accuracy.evaluate(codes)
    truth = 100 * np.array([network.params() / 40_000 for network in few.decode_batch(codes)])
    known = np.isin([network.id for network in few.decode_batch(codes)], estimator.asked)
    assert 0 < known.sum() < len(codes)
    np.testing.assert_allclose(found.top1[known], truth[known], atol=0.06)
    assert np.corrcoef(found.top1, truth)[0, 1] > 0.95
    assert accuracy.surrogate is not None
    assert set(found.sigma[~known]) == {accuracy.surrogate.sigma}
    assert not found.guarded.any() and not found.violation.any()


def test_what_was_measured_is_not_measured_again(few: SearchSpace, tmp_path: Path) -> None:
    first, second = Widths(), Widths()
    one, other = measured(few, first), measured(few, second)
    one.prepare(tmp_path / "accuracy.csv")
    other.prepare(tmp_path / "accuracy.csv")
    codes = few.sample(50, np.random.default_rng(1))
    assert second.asked == []
    assert np.array_equal(one.evaluate(codes).top1, other.evaluate(codes).top1)


def test_a_corrupt_file_of_accuracies_is_named(few: SearchSpace, tmp_path: Path) -> None:
    (tmp_path / "accuracy.csv").write_text("id,top1,sigma\nx,high,1\n")
    with pytest.raises(InputError, match="accuracy.csv: corrupt"):
        measured(few, Widths()).prepare(tmp_path / "accuracy.csv")


def test_a_search_by_a_supernet_reports_what_it_measured(by_supernet: Run, supernet: Path) -> None:
    estimator = SupernetAccuracy.load(supernet, device="cpu")
    networks = [Architecture.from_text(str(text)) for text in by_supernet.front["architecture"]]
    assert by_supernet.front["top1"].tolist() == estimator.evaluate(networks).top1.tolist()
    assert by_supernet.pick.head.classes == 20
    kept = by_supernet.folder.accuracy.read_text().splitlines()
    assert len(kept) > 1 + 12  # a header, the samples, the shortlist


def test_a_search_by_a_supernet_says_so_and_compares_with_no_imagenet_accuracy(
    by_supernet: Run,
) -> None:
    lines = "\n".join(guard_lines(by_supernet))
    assert "measured by a supernet on 'procedural:160', not ImageNet's" in lines
    assert "prior" not in lines.split("families")[0]
    names = {str(row["name"]).split()[0] for row in comparison(by_supernet)}
    assert names <= {"pick", "front"}
    assert summary(by_supernet)["guards"]["guards_on_front"] == []
    page = front_page(by_supernet)
    assert "supernet on procedural:160" in page and "reference networks" not in page


def test_a_finished_search_by_a_supernet_reads_the_same(by_supernet: Run) -> None:
    before = by_supernet.folder.front.read_bytes(), by_supernet.folder.accuracy.read_bytes()
    again = resume(by_supernet.folder.path)
    assert again.front.equals(by_supernet.front)
    assert before == (again.folder.front.read_bytes(), again.folder.accuracy.read_bytes())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accuracy": "magic"}, "must be prior, supernet:FILE or proxy:RECIPE"),
        ({"accuracy": "supernet:"}, "must be prior, supernet:FILE or proxy:RECIPE"),
        ({"accuracy": "supernet:no"}, "no: no such file"),
        ({"accuracy": "proxy:quick"}, "needs images to train on; give --data"),
        ({"accuracy": "proxy:quik", "data": "digits"}, "recipe 'quik': no such recipe"),
        ({"accuracy": "proxy:quick@3", "data": "digits"}, "a fidelity is EPOCHSxSCALE, as in"),
        ({"accuracy": "proxy:quick@0x1", "data": "digits"}, "epochs must be 1 to 100000, got 0"),
        ({"accuracy": "proxy:quick", "data": "nowhere"}, "data 'nowhere': no such folder"),
        ({"data": "digits"}, "the prior takes none"),
        ({"accuracy": "proxy:quick", "recipe": "x"}, "recipe: belongs to the prior"),
        ({"samples": 3}, "samples: at least 8, got 3"),
    ],
)
def test_a_mistake_is_named_and_leaves_no_folder(
    tmp_path: Path, few_toml: str, options: dict[str, object], words: str
) -> None:
    (tmp_path / "few.toml").write_text(few_toml)
    with pytest.raises(InputError, match=words):
        run(TARGET, BUDGET, tmp_path / "run", space=str(tmp_path / "few.toml"), **options)
    assert not (tmp_path / "run").exists()


def test_a_supernet_of_another_space_is_refused(supernet: Path, few_toml: str) -> None:
    other = SearchSpace.from_toml(few_toml.replace("[3, 5]", "[3, 7]"), "other")
    with pytest.raises(InputError, match="is of space 'few', not of 'other'"):
        Source(f"supernet:{supernet}", None, other, 0)


def test_a_proxy_trains_on_the_named_images(few: SearchSpace) -> None:
    source = Source("proxy:quick", "procedural:160", few, 0)
    assert source.rung == "proxy"
    assert source.space.sections["head"]["classes"] == (20,)
    found = source.estimator.evaluate([source.space.decode(np.zeros(5, np.int64))])
    assert found.images == 32 and 0 <= found.top1[0] <= 100
