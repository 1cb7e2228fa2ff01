"""A bundle of two real runs, and everything that it refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from palmette import cli
from palmette.export import ExportError
from palmette.latency import load_predictor
from palmette.search import Run, run
from palmette.search.bundle import (
    Fleet,
    Portfolio,
    choose,
    device_table,
    open_fleet,
    packages_in,
    write_bundle,
)
from palmette.search.bundle import folder as folder_module
from palmette.search.bundle.folder import MANIFEST, MODELS, NOTE, sha256
from palmette.space import Architecture, InputError
from palmette.train.device import Normalisation
from palmette.train.weights import TrainedWeights, with_classes, write_weights

Read = Callable[[Path], dict[str, bytes]]


@pytest.fixture(scope="module")
def newer(small_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of another phone and format, over the same space."""
    options = {"space": str(small_file), "evaluations": 1000, "shortlist": 8, "confidence": 0.95}
    return run("iphone-13/ane", 0.8, tmp_path_factory.mktemp("newer") / "run", **options)


@pytest.fixture(scope="module")
def folders(finished: Run, newer: Run) -> list[Path]:
    return [finished.folder.path, newer.folder.path]


@pytest.fixture(scope="module")
def fleet(folders: list[Path]) -> Fleet:
    return open_fleet(folders)


@pytest.fixture(scope="module")
def portfolio(fleet: Fleet) -> Portfolio:
    return choose(fleet, 100.0)  # one backbone, in two formats


@pytest.fixture(scope="module")
def bundle(portfolio: Portfolio, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(portfolio, tmp_path_factory.mktemp("bundle") / "app")


def edited(run_folder: Path, out: Path, old: str, new: str, file: str = "run.toml") -> Path:
    """A copy of a run with something changed in a file of it."""
    shutil.copytree(run_folder, out)
    text = (out / file).read_text("utf-8")
    assert old in text
    (out / file).write_text(text.replace(old, new, 1), "utf-8")
    return out


def by_another_predictor(run_folder: Path, out: Path, known: str) -> Path:
    """A copy of a run whose target was timed anew."""
    timed = load_predictor("iphone-11/ane").to_dict()
    timed["timings_hash"] = "0" * 16
    other = hashlib.sha256(json.dumps(timed, sort_keys=True).encode()).hexdigest()[:12]
    edited(run_folder, out, known, other)
    config = out / "run.toml"
    named = config.read_text("utf-8").replace("[search]", '[search]\npredictor = "anew.json"')
    config.write_text(named, "utf-8")
    (out / "predictor.json").write_text(json.dumps(timed), "utf-8")
    return out


# --- the fleet ------------------------------------------------------------------------------------


def test_networks_of_all_fronts_are_timed_by_the_predictor_of_every_phone(
    fleet: Fleet, finished: Run, newer: Run
) -> None:
    texts = {*finished.front["architecture"], *newer.front["architecture"]}
    assert {network.to_text() for network in fleet.networks} == texts
    for column, unit in enumerate(fleet.units):
        known = np.isfinite(fleet.ms[:, column])
        networks = [n for n, here in zip(fleet.networks, known, strict=True) if here]
        predictor = load_predictor(str(unit.target))
        time = predictor.predict_interval(networks, 0.95, two_sided=False)
        np.testing.assert_allclose(fleet.ms[known, column], time.ms)
        np.testing.assert_allclose(fleet.upper_ms[known, column], time.upper_ms)
        np.testing.assert_allclose(fleet.lower_ms[known, column], time.lower_ms)


def test_a_network_counts_where_it_keeps_the_budget_and_no_choice_of_it_is_barred(
    fleet: Fleet, finished: Run, newer: Run
) -> None:
    barred = 0
    for column, searched in enumerate((finished, newer)):
        for row, network in enumerate(fleet.networks):
            try:
                searched.problem.space.encode(network)
                inside = True
            except InputError:
                inside, barred = False, barred + 1
            within = bool(fleet.upper_ms[row, column] <= searched.config.budget_ms)
            assert fleet.keeps[row, column] == (inside and within)
            assert np.isnan(fleet.ms[row, column]) == (not inside)
    assert barred > 0 and fleet.keeps.any(axis=0).all() and not fleet.keeps.all()


def test_phones_choose_among_the_targets_of_the_runs(folders: list[Path]) -> None:
    def names(*phones: str) -> list[str]:
        return [str(unit) for unit in open_fleet([*folders, folders[0]], phones).units]

    assert names("iphone-13", "iphone-11/ane", "iphone-13/ane") == [
        "iphone-13/ane",
        "iphone-11/ane",
    ]
    with pytest.raises(InputError) as error:
        names("iphone-11", "iphone-12")
    assert str(error.value).startswith("phone 'iphone-12': no run is for it")


def test_a_phone_whose_budget_nothing_keeps_is_named_with_its_fastest(folders: list[Path]) -> None:
    with pytest.raises(InputError) as error:
        open_fleet(folders, confidence=0.9999999)
    with pytest.raises(InputError, match="give a list of the folders"):
        open_fleet(folders[0])  # type: ignore[arg-type]
    message = str(error.value)
    assert message.startswith("phone iphone-") and "the fastest takes" in message


def test_runs_that_cannot_be_compared_are_refused(
    folders: list[Path], finished: Run, tmp_path: Path
) -> None:
    old = folders[0]
    config, about = finished.folder.read_config()
    unfinished = edited(old, tmp_path / "unfinished", "[run]", "[run]")
    (unfinished / "front.csv").unlink()
    first = pd.read_csv(old / "front.csv", dtype=str).iloc[0]
    cases: list[tuple[Path, str]] = [
        (tmp_path / "nowhere", "nowhere"),
        (unfinished, "unfinished: the run is not finished; go on with: palmette search --resume"),
        (
            edited(old, tmp_path / "space", "160, 192", "192", "space.toml"),
            "its space .* is not that of",
        ),
        (
            edited(old, tmp_path / "predictor", about["predictor_id"], "0" * 12),
            "predictor_id is '000000000000'",
        ),
        (
            edited(old, tmp_path / "recipe", "seed = 3", 'seed = 3\nrecipe = "timm_ra"'),
            "its accuracy .*timm_ra.* is not that of",
        ),
        (
            edited(old, tmp_path / "budget", "budget_ms = 6.0", "budget_ms = 7.0"),
            "budget_ms is 7 on iphone-11/ane@coreml-ios13, but 6",
        ),
        (
            by_another_predictor(old, tmp_path / "timed", about["predictor_id"]),
            f"predictor_id is .* but {about['predictor_id']} in",
        ),
        (
            edited(old, tmp_path / "top1", first["top1"], "many", "front.csv"),
            "front.csv row 2: top1 must be from 0 to 100, got 'many'",
        ),
        (
            edited(old, tmp_path / "other", first["top1"], "50.0", "front.csv"),
            "is 50, but .* in another run's front",
        ),
        (
            edited(old, tmp_path / "id", first["id"], "0" * 12, "front.csv"),
            "front.csv row 2: the architecture's id is",
        ),
    ]
    assert config["budget_ms"] == 6.0
    for folder, message in cases:
        with pytest.raises(InputError, match=message):
            open_fleet([old, folder])


def test_runs_of_one_phone_must_bar_the_same_ops(folders: list[Path], tmp_path: Path) -> None:
    other = edited(folders[1], tmp_path / "other", "exportable = false", "exportable = true")
    for pair, its in (((folders[1], other), "true"), ((other, folders[1]), "false")):
        with pytest.raises(InputError, match=f"exportable is {its} on iphone-13/ane"):
            open_fleet(pair)


# --- the folder -----------------------------------------------------------------------------------


def test_a_bundle_holds_what_its_manifest_says(bundle: Path, portfolio: Portfolio) -> None:
    data = json.loads((bundle / MANIFEST).read_text("utf-8"))
    (network,) = portfolio.backbones
    assert list(data["packages"]) == [f"{network.id}.mlmodel", f"{network.id}.mlpackage"]
    found = {path.name for path in (bundle / MODELS).iterdir()}
    assert found == {"manifest.json", *data["packages"]}
    for name, package in data["packages"].items():
        assert package["sha256"] == sha256(bundle / MODELS / name)
        assert Architecture.from_text(package["architecture"]) == network
        assert package["bytes"] > network.params()  # two bytes a weight, at least
    for identifier, target in (("iPhone12,1", "iphone-11/ane"), ("iPhone14,5", "iphone-13/ane")):
        (choice,) = data["devices"][identifier]
        share = next(s for s in portfolio.shares if str(s.unit) == target)
        assert choice["timed_phone"] and choice["unit"] == "ane"
        assert (
            choice["lower_ms"] < choice["expected_ms"] < choice["upper_ms"] <= choice["budget_ms"]
        )
        assert choice["expected_ms"] == pytest.approx(share.ms, abs=1e-4)
    assert data["fallback"] == {"package": f"{network.id}.mlmodel", "unit": "all"}


def test_a_bundle_tells_what_each_phone_runs_in_the_order_of_its_manifest(
    bundle: Path, tmp_path: Path
) -> None:
    data = json.loads((bundle / MANIFEST).read_text("utf-8"))
    table = device_table(bundle)
    assert list(table["identifier"]) == [*data["devices"], "any other"]  # one unit each
    row = table.set_index("identifier").loc["iPhone14,5"]
    (choice,) = data["devices"]["iPhone14,5"]
    assert row["package"] == choice["package"] and row["minimum_ios"] == 16
    assert row["expected_ms"] == choice["expected_ms"] and bool(row["timed_phone"])
    assert table["package"].iloc[-1] == data["fallback"]["package"]
    assert table.iloc[-1][["phone", "expected_ms"]].isna().all()
    with pytest.raises(InputError, match="holds no manifest of format"):
        device_table(tmp_path)


def test_a_manifest_that_is_not_whole_is_refused(bundle: Path, tmp_path: Path) -> None:
    whole = json.loads((bundle / MANIFEST).read_text("utf-8"))
    (choice,) = whole["devices"]["iPhone14,5"]
    for broken, words in (
        ({"format": whole["format"]}, "KeyError: 'packages'"),
        (whole | {"packages": {}}, "KeyError: "),
        (whole | {"fallback": None}, "TypeError: "),
        (whole | {"devices": []}, "AttributeError: "),
        (
            whole | {"devices": {"a": [{k: v for k, v in choice.items() if k != "lower_ms"}]}},
            "KeyError: 'lower_ms'",
        ),
    ):
        (tmp_path / MANIFEST).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / MANIFEST).write_text(json.dumps(broken), "utf-8")
        with pytest.raises(InputError, match=rf"is not whole \({words}.*write the bundle again"):
            device_table(tmp_path)


def test_the_packages_are_core_mls_with_the_fleet_in_their_metadata(bundle: Path) -> None:
    from coremltools.models import MLModel

    for path in (bundle / MODELS).glob("*.ml*"):
        about = MLModel(str(path), skip_model_load=True).user_defined_metadata
        assert about["targets"] == "iphone-11/ane@coreml-ios13, iphone-13/ane@coreml-ios16"
        assert about["weights"] == "untrained" and "predicted_ms" not in about


def test_the_hash_of_a_folder_is_that_of_its_list_of_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("x")
    (tmp_path / "c").write_text("y")
    x, y = (hashlib.sha256(text).hexdigest() for text in (b"x", b"y"))
    listed = f"{x}  ./a/b\n{y}  ./c\n"
    assert sha256(tmp_path) == hashlib.sha256(listed.encode()).hexdigest()


def test_the_note_and_the_table_have_a_row_for_each_phone(bundle: Path) -> None:
    rows = pd.read_csv(bundle / "phones.csv")
    assert list(rows["target"]) == ["iphone-11/ane@coreml-ios13", "iphone-13/ane@coreml-ios16"]
    note = (bundle / NOTE).read_text("utf-8")
    assert "$" not in note and all(f"| `{target}` |" in note for target in rows["target"])
    assert "not compiled or run" in note


def test_a_bundle_is_replaced_whole_and_nothing_is_left_beside(
    bundle: Path,
    portfolio: Portfolio,
    tmp_path: Path,
    folder_bytes: Read,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exported_before(network: Architecture, path: Path, **_: Any) -> Path:
        made = bundle / MODELS / path.name
        return Path(shutil.copytree(made, path) if made.is_dir() else shutil.copy(made, path))

    # equal exports give equal bytes, which the exporter's own tests show
    monkeypatch.setattr(folder_module, "export_for_runtime", exported_before)
    again = Path(shutil.copytree(bundle, tmp_path / "app"))
    (again / "phones.csv").write_text("old")
    (again / ".swiftpm").mkdir()
    assert write_bundle(portfolio, again) == again
    assert folder_bytes(again) == folder_bytes(bundle)
    assert list(tmp_path.iterdir()) == [again]


def test_a_failure_leaves_the_old_bundle_and_nothing_new(
    bundle: Path,
    portfolio: Portfolio,
    tmp_path: Path,
    folder_bytes: Read,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = Path(shutil.copytree(bundle, tmp_path / "old"))
    made: list[Path] = []

    def second_fails(network: Architecture, path: Path, **_: Any) -> Path:
        if made:
            raise ExportError("the converter failed")
        made.append(path)
        path.write_bytes(b"package")
        return path

    monkeypatch.setattr(folder_module, "export_for_runtime", second_fails)
    for out in (old, tmp_path / "new"):
        made.clear()
        with pytest.raises(ExportError):
            write_bundle(portfolio, out)
    assert list(tmp_path.iterdir()) == [old]
    assert folder_bytes(old) == folder_bytes(bundle)


@pytest.mark.parametrize("stopped", [1, 2])
def test_a_bundle_is_back_in_its_place_after_an_interruption_of_the_move(
    stopped: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, out, aside = (tmp_path / name for name in ("built", "out", "aside"))
    for folder in (built, out):
        folder.mkdir()
        (folder / folder.name).touch()
    moves: list[Path] = []
    rename = Path.replace

    def interrupted(path: Path, target: Path) -> Path:
        """As rename, with Ctrl-C after the first move, or in the second's stead."""
        moves.append(path)
        if len(moves) == 2 == stopped:
            raise KeyboardInterrupt
        moved = rename(path, target)
        if len(moves) == 1 == stopped:
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        folder_module._move(built, out, aside)
    assert (out / "out").is_file() and (built / "built").is_file() and not aside.exists()


def test_other_folders_are_refused_before_anything_is_exported(
    bundle: Path, portfolio: Portfolio, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    mine = Path(shutil.copytree(bundle, tmp_path / "mine"))
    (mine / "Sources" / "Mine.swift").write_text("// mine")
    other = Path(shutil.copytree(bundle, tmp_path / "other"))
    (other / MANIFEST).write_text('{"format": "palmette/bundle@9", "packages": {}}')
    odd = Path(shutil.copytree(bundle, tmp_path / "odd"))
    (odd / MANIFEST).write_text('{"format": "palmette/bundle@1", "packages": [1]}')
    for out, message in (
        (odd, "is there already, and no bundle"),
        (tmp_path / "file", "is there already, and no bundle"),
        (tmp_path / "folder", "is there already, and no bundle"),
        (other, "is there already, and no bundle"),
        (mine, "holds 'Sources/Mine.swift', which is not of a bundle"),
        (tmp_path / "nowhere" / "app", "does not exist; make it first"),
        (tmp_path / "file" / "app", "does not exist; make it first"),
    ):
        with pytest.raises(InputError, match=message):
            write_bundle(portfolio, out)


def test_trained_weights_go_to_their_backbone_with_their_classes(
    portfolio: Portfolio, tmp_path: Path
) -> None:
    (network,) = portfolio.backbones
    trained = with_classes(network, 3)
    tensors = trained.build(seed=1).state_dict()
    normalisation = Normalisation((0.5, 0.5, 0.5), 0.5)
    file = tmp_path / "best.safetensors"
    write_weights(file, TrainedWeights(trained, ("a", "b", "c"), normalisation, tensors, {}))
    found = folder_module._trained(portfolio, [file])
    assert list(found) == [network] and found[network].architecture == trained
    with pytest.raises(InputError, match="has weights already"):
        write_bundle(portfolio, tmp_path / "app", [file, file])
    stranger = Architecture.from_text("32x32 stem_k3_s2_c8_relu | ds_k3_s2_c8_relu | head_c32_n10")
    other = tmp_path / "other.safetensors"
    tensors = stranger.build(seed=1).state_dict()
    classes = tuple(map(str, range(stranger.head.classes)))
    write_weights(other, TrainedWeights(stranger, classes, normalisation, tensors, {}))
    with pytest.raises(InputError, match="is none of the backbones"):
        write_bundle(portfolio, tmp_path / "app", [other])
    assert not (tmp_path / "app").exists()


def test_trained_packages_are_labelled_and_no_estimate_is_claimed_for_them(
    portfolio: Portfolio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (network,) = portfolio.backbones
    trained, classes = with_classes(network, 3), ("dark", "bright", "dim")
    scaling, tensors = Normalisation((0.5, 0.5, 0.5), 0.5), trained.build(seed=1).state_dict()
    write_weights(
        tmp_path / "run" / "best.safetensors",
        TrainedWeights(trained, classes, scaling, tensors, {"top1": 0.625}),
    )
    given: list[dict[str, Any]] = []

    def exported(_: Architecture, path: Path, **options: Any) -> Path:
        given.append(options)
        path.write_bytes(b"package")
        return path

    monkeypatch.setattr(folder_module, "export_for_runtime", exported)
    app = write_bundle(portfolio, tmp_path / "app", [tmp_path / "run"])
    assert len(given) == 2
    for options in given:
        assert options["labels"] == classes
        assert options["metadata"]["measured_top1"] == "62.5"
        assert "estimated_top1" not in options["metadata"]
    for package in packages_in(app).values():
        assert (package["weights"], package["classes"]) == ("given", list(classes))
        assert package["measured_top1"] == 62.5 and package["accuracy"].startswith("training")
        assert package["architecture"] == trained.to_text()
    data = json.loads((app / MANIFEST).read_text("utf-8"))
    choices = [choice for every in data["devices"].values() for choice in every]
    assert choices and not any("top1" in choice for choice in choices)
    untrained = write_bundle(portfolio, tmp_path / "other")
    data = json.loads((untrained / MANIFEST).read_text("utf-8"))
    assert all("top1" in choice for every in data["devices"].values() for choice in every)


# --- the command ----------------------------------------------------------------------------------


def answer(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["palmette", "bundle", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_the_command_prints_the_choice_and_its_proof(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(monkeypatch, *folders, "--max-loss", 100) == 0
    printed = capsys.readouterr().out
    assert "1 backbones for 2 phones x units" in printed
    assert "fewest backbones within 100 points: 1" in printed
    assert "searched below confidence 0.95" in printed and "iphone-11/ane" in printed
    assert "a run's own pick is the fastest that ties with its best" in printed
    assert "next: the same command with --out app --weights " in printed
    assert answer(monkeypatch, *folders, "--max-loss", 100, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["folder"] is None and len(data["phones"]) == 2


def test_the_command_answers_a_mistake_in_one_line(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        ([folders[0].parent], "no run"),
        ([*folders, "--phones", "iphone-12"], "phone 'iphone-12'"),
        ([folders[0], "--weights", "best.safetensors"], "--weights"),
    ):
        assert answer(monkeypatch, *arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1 and message in error
