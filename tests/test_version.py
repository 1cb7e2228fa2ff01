"""What runs here is printed at once, and a shell completes targets and networks."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata

import pytest

import palmette
from palmette.cli import completion, main
from palmette.latency import TARGETS
from palmette.space import ZOO

RUN = "from palmette.cli import main; main()"


def test_the_version_is_printed_with_what_matters_one_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["palmette", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    lines = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["palmette"] == palmette.__version__
    assert lines["torch"] == metadata.version("torch")
    assert {"Python", "platform", "coremltools", "optuna", "numpy", "pandas"} <= set(lines)


def test_the_version_and_completions_cost_half_a_second_of_a_core_and_no_torch() -> None:
    code = (
        "import sys, time; from palmette.cli import version, completion, app;"
        " import typer; typer.main.get_command(app); version.environment();"
        " completion.complete_target(''); completion.complete_network('');"
        " heavy = {'torch', 'pandas', 'sklearn', 'coremltools'} & set(sys.modules);"
        " print(time.process_time()); sys.exit(bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.0  # half of it on a machine that does nothing else


def test_targets_are_completed_by_the_names_that_one_writes() -> None:
    assert completion.target_names() == sorted(target.alias for target in TARGETS.values())
    assert completion.complete_target("iphone-13") == ["iphone-13/ane"]
    assert completion.complete_network("") == sorted(ZOO)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("palmette explain mobilenet_v2 --target iphone-13", "iphone-13/ane"),
        ("palmette search --target iphone-x/", "iphone-x/cpu\niphone-x/gpu"),
        ("palmette zoo show mobilenet_v4_conv_s", "mobilenet_v4_conv_s"),
    ],
)
def test_a_shell_is_offered_them(words: str, offered: str) -> None:
    shell = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    code = f"import sys; sys.argv = ['palmette']; {RUN}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **shell, "_PALMETTE_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert offered in done.stdout, done.stderr
