"""`palmette verify`: what it prints, and its exit codes."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from palmette import cli
from palmette.export import export
from palmette.space import Architecture

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def palmette(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["palmette", "verify", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert isinstance(end.value.code, int)
        return (end.value.code, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def untrained(net: Architecture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(net, tmp_path_factory.mktemp("untrained") / "net")


def test_a_good_package_passes_and_what_is_not_proven_is_said(
    palmette: Call, untrained: Path, net: Architecture, tmp_path: Path
) -> None:
    code, out, _ = palmette(
        str(untrained), "--against", net.to_text(), "--images", "1", "--mac-script", "mac"
    )
    assert code == 0 and out.splitlines()[-1] == "passed"
    assert "not proven here:\n- that Apple's compiler takes the package" in out
    assert "not run by us: python mac/check.py" in out
    assert (tmp_path / "mac" / "check.py").is_file()


def test_a_gate_that_fails_is_exit_code_1_and_named_in_the_json(
    palmette: Call, untrained: Path, net: Architecture, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(untrained, tmp_path / "bad.mlpackage"))
    file = next(copy.rglob("weight.bin"))
    file.write_bytes(file.read_bytes()[:-64])
    code, out, _ = palmette(str(copy), "--against", net.to_text(), "--images", "1", "--json")
    found = json.loads(out)
    assert code == 1 and not found["passed"]
    assert {gate["name"]: gate["passed"] for gate in found["gates"]} == {
        "graph": True,
        "weights": False,
        "half": None,
    }


def test_what_is_no_package_of_the_network_is_exit_code_2_in_one_line(
    palmette: Call, untrained: Path, small: Architecture, tmp_path: Path
) -> None:
    (tmp_path / "notes.mlmodel").write_text("not a model")
    for package, against, message in (
        ("nothing", small.to_text(), "does not exist"),
        ("notes.mlmodel", small.to_text(), "is not one of Core ML's"),
        (str(untrained), small.to_text(), "is the architecture"),
        (str(untrained), "mobilenet_v9", "mobilenet_v9"),
    ):
        code, out, err = palmette(package, "--against", against)
        assert (code, out) == (2, "") and err.count("\n") == 1 and message in err
