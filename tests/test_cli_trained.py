"""Trained weights on the command line: they name their network, and the classes of its package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from palmette.cli.labels import labels_of, shortly
from palmette.cli.trained import Named, read_named
from palmette.export import ExportOptions, export
from palmette.export.interpreter import read_program
from palmette.export.package import read_spec
from palmette.space import Architecture, InputError
from palmette.train import trainer
from palmette.train.device import Normalisation
from palmette.train.weights import (
    QUANTISED_FORMAT,
    TrainedWeights,
    describe_weights,
    read_weights,
    with_classes,
    write_weights,
)

NET = Architecture.from_text("16x24 stem_k3_s2_c8_relu | cn_r1_k3_s1_c16_relu | head_n3")
TEXT = with_classes(NET, 1000).to_text()
"""The network as it was before it learned three classes."""
CLASSES = ("dark", "bright", "dim")
ON = ("--target", "iphone-13/ane", "--out", "net")
Ask = Callable[..., tuple[int, str, str]]


def written(path: Path, classes: tuple[str, ...] = CLASSES, **form: str) -> Path:
    weights = TrainedWeights(
        NET, classes, Normalisation((0.4, 0.5, 0.6), 0.2), NET.build(3).state_dict(), {"top1": 0.75}
    )
    write_weights(path, weights, **form)
    return path


@pytest.fixture(autouse=True)
def _beside(ask: Ask) -> None:
    """The folder of a training, and files of labels, in the folder of the command."""
    written(Path("run", "best.safetensors"))
    Path("run/run.toml").write_text('[run]\nformat = "palmette/training@1"\n')
    Path("nicer.txt").write_text("Dark\nBright\nDim\n")
    Path("swapped.txt").write_text("bright\ndark\ndim\n")
    Path("two.txt").write_text("dark\nbright\n")


def labels_in(package: str) -> list[str]:
    """Labels of an ML Program's classifier."""
    spec = read_spec(Path(package))
    assert spec.description.predictedFeatureName == "classLabel"
    outputs = [output.name for output in spec.description.output]
    assert outputs == ["classLabel", "classLabel_probs"]
    operations = read_program(Path(package), weights=False).operations
    (classify,) = (op for op in operations if op.kind == "classify")
    (names,) = classify.inputs["classes"]
    return list(map(str, names))


# --- weights name their network -------------------------------------------------------------------


def test_weights_alone_are_exported_with_their_classes_and_verified(ask: Ask) -> None:
    code, out, err = ask("export", "run/best.safetensors", *ON)
    assert (code, out.splitlines()[1:]) == (0, ["classes: dark, bright, dim"]), err
    assert labels_in("net.mlpackage") == list(CLASSES)
    about = read_spec(Path("net.mlpackage")).description.metadata.userDefined
    assert (about["architecture"], about["measured_top1"]) == (NET.to_text(), "75.0")
    code, out, err = ask("verify", "net.mlpackage", "--against", "run", "--images", "1")
    assert (code, out.splitlines()[-1]) == (0, "passed"), err

    code, out, err = ask("verify", "net.mlpackage", "--against", TEXT)
    assert (code, out) == (2, "") and err == (
        "error: package net.mlpackage: has 3 classes, the network 1000; give the weights that it"
        " was exported with, which know their classes\n"
    )


def test_the_folder_of_a_training_is_its_best_weights(ask: Ask) -> None:
    for given in (("run",), ("run/best.safetensors",), (TEXT, "run")):
        named = read_named(given[0], Path(given[1]) if len(given) > 1 else None)
        assert named == Named(NET, Path("run/best.safetensors"), CLASSES)
    assert ask("zoo", "show", "run")[1] == f"{NET.to_text()}\n"
    Path("run/best.safetensors").unlink()
    code, out, err = ask("export", "run", *ON)
    assert (code, out) == (2, "") and "run: holds no best.safetensors" in err


def test_a_training_begins_with_the_weights_that_stand_for_its_network(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[Architecture, Path]] = []

    def begin(architecture: Architecture, *_: object, weights: Path, **others: object) -> None:
        begun.append((architecture, weights))
        raise InputError("begun")

    monkeypatch.setattr(trainer, "train", begin)
    for given in (("run",), (TEXT, "--weights", "run")):
        code, _, err = ask("train", *given, "--data", "digits", "--out", "again")
        assert (code, err) == (2, "error: begun\n")
    assert [weights for _, weights in begun] == [Path("run/best.safetensors")] * 2
    assert [with_classes(network, 3) for network, _ in begun] == [NET] * 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("export run --weights run", "--weights: run says all of that itself; leave it out"),
        ("export run --task classifier", "--task: run says all of that itself"),
        ("export run --keras", "--keras: run says all of that itself"),
        ("export mobilenet_v2 --weights run", "belong to another architecture"),
        ("export quantised.safetensors", "ship them by palmette compress quantised.safetensors"),
        ("export run --labels two.txt", "the network has 3 classes, but 2 labels are given"),
        ("export run --labels swapped.txt", "names the classes of run/best.safetensors in another"),
        ("export twice.safetensors", "'dark' is label 1 and 3; labels must be unique; give names"),
        ("train run --weights run --data digits", "--weights, --timm: run is what it begins with"),
        ("compress quantised.safetensors --images 2", "--images: is of no use with the scheme"),
    ],
)
def test_a_mistake_with_weights_is_told(ask: Ask, line: str, message: str) -> None:
    written(Path("quantised.safetensors"), form=QUANTISED_FORMAT)
    written(Path("twice.safetensors"), ("dark", "bright", "dark"))
    command, *given = line.split()
    target = ON if command == "export" else ("--out", "net")
    code, out, err = ask(command, *given, *target)
    assert (code, out) == (2, "") and err.startswith("error: ") and message in err
    assert not Path("net.mlpackage").exists()


AT_ONCE = (
    "export run --target iphone-13/ane --out net --labels swapped.txt",
    "export run --target iphone-13/ane --out net --labels two.txt",
    "verify missing.mlpackage --against run",
    "predict run --target iphone-99/ane",
)


@pytest.mark.usefixtures("ask")
def test_weights_tell_their_network_and_classes_without_torch(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from palmette.cli import main\n"
        "from palmette.cli.trained import read_named\n"
        "assert read_named('run', None).classes == ('dark', 'bright', 'dim')\n"
        "for line in sys.argv[1:]:\n"
        "    sys.argv[1:] = line.split()\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as end:\n"
        "        assert end.code == 2, line\n"
        "    assert 'torch' not in sys.modules, line\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *AT_ONCE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and len(done.stderr.splitlines()) == len(AT_ONCE), done.stderr


def test_what_stands_beside_weights_must_be_whole(tmp_path: Path) -> None:
    file = written(tmp_path / "w.safetensors")
    assert describe_weights(file).classes == CLASSES
    file.write_bytes(file.read_bytes().replace(b"palmette/weights@1", b"palmette/weights@9"))
    with pytest.raises(InputError, match="has the format 'palmette/weights@9', needed are weights"):
        describe_weights(file)
    file.write_bytes(b"no header")
    with pytest.raises(InputError, match="is truncated or no safetensors file"):
        describe_weights(file)


# --- and the labels of a package ------------------------------------------------------------------


def test_labels_are_the_weights_own_unless_a_file_or_none_is_given(ask: Ask) -> None:
    named = read_named("run", None)
    assert labels_of(None, named) == CLASSES
    assert labels_of("nicer.txt", named) == ("Dark", "Bright", "Dim")
    assert labels_of("none", named) is None
    assert labels_of(None, named, room=False) is None  # of --batch and --outputs
    assert labels_of(None, Named(NET)) is None  # untrained
    with pytest.raises(InputError, match=r"in another order than theirs \(dark, bright, dim\)"):
        labels_of("swapped.txt", named)


def test_without_labels_the_order_of_the_scores_is_told_and_kept(ask: Ask) -> None:
    for more in (("--labels", "none"), ("--input", "tensor", "--batch", "2")):
        code, out, err = ask("export", "run", *ON, *more)
        assert code == 0, err
        assert out.splitlines()[1] == "scores without labels, in this order: dark, bright, dim"
    spec = read_spec(Path("net.mlpackage"))
    assert [output.name for output in spec.description.output] == ["logits"]
    assert spec.description.metadata.userDefined["classes"].split("\n") == list(CLASSES)


@pytest.mark.sweep
def test_every_format_and_function_is_labelled(ask: Ask) -> None:
    code, out, _ = ask("export", "run", "--target", "iphone-11/ane", "--out", "old", "--json")
    answer: dict[str, Any] = json.loads(out)
    assert (code, answer["classes"]) == (0, list(CLASSES))
    classifier = read_spec(Path("old.mlmodel")).neuralNetworkClassifier
    assert list(classifier.stringClassLabels.vector) == list(CLASSES)
    code, out, _ = ask("export", "run", *ON, "--sizes", "16x24,32x32", "--functions", "s,l")
    assert code == 0 and out.splitlines()[1:] == ["classes: dark, bright, dim"]
    for function in ("s", "l"):
        spec = read_spec(Path("net.mlpackage"), function)
        assert spec.description.predictedFeatureName == "classLabel"


def test_a_compressed_network_is_labelled_and_for_the_system_that_is_asked_for(ask: Ask) -> None:
    code, out, err = ask("compress", "run", "--scheme", "int8", "--ios", "17", "--out", "net")
    assert code == 0, err
    assert {"system: iOS17", "classes: dark, bright, dim"} <= set(out.splitlines())
    assert labels_in("net.mlpackage") == list(CLASSES)
    assert read_spec(Path("net.mlpackage")).specificationVersion == 8


def test_labels_in_another_order_than_the_weights_classes_fail_a_gate(ask: Ask) -> None:
    options = ExportOptions(labels=("bright", "dark", "dim"))
    weights = read_weights(Path("run/best.safetensors"))
    scaling = weights.normalisation
    options = replace(options, scale=scaling.scale, bias=scaling.bias)
    export(weights.architecture, Path("net"), options=options, module=weights.module())
    code, out, _ = ask("verify", "net.mlpackage", "--against", "run", "--images", "1", "--json")
    gates = {gate["name"]: gate for gate in json.loads(out)["gates"]}
    assert (code, [name for name, gate in gates.items() if not gate["passed"]]) == (1, ["labels"])
    assert gates["labels"]["reason"] == "output 0 is 'dark' by the weights, 'bright' by the package"


def test_many_classes_are_cut_between_two_names() -> None:
    assert shortly(("a", "b")) == "a, b"
    many = tuple(f"class number {n}" for n in range(100))
    assert shortly(many) == "class number 0, class number 1, class number 2, ... (100)"
    assert len(shortly(("x" * 500, "y"))) < 80
