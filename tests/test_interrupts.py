"""Long work that is ended from outside says what goes on with it, by Ctrl-C and by SIGTERM."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}
MAIN = "import sys; from palmette.cli import main; main()"
WORK = """
import os, sys, time
from pathlib import Path
import typer
from palmette.cli.interrupts import interruptible, tell_repeatable
child = None
try:
    with interruptible(tell_repeatable):
        {child}
        Path("begun").write_text(str(child))
        time.sleep(60)
except typer.Exit as end:
    sys.exit(end.exit_code)
"""


def ended(command: Sequence[str], folder: Path, begun: str, sign: int) -> tuple[int, str]:
    """Exit code and standard error of a process that gets a signal once a file is there."""
    process = subprocess.Popen(
        [sys.executable, "-c", *command],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    due = time.monotonic() + 120
    while not (folder / begun).is_file() and time.monotonic() < due and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(sign)
    told = process.communicate(timeout=60)[1]
    return process.returncode, told


@pytest.mark.parametrize("sign", SIGNALS)
def test_both_signals_end_work_in_one_line(sign: int, tmp_path: Path) -> None:
    code, told = ended([WORK.format(child="")], tmp_path, "begun", sign)
    assert (code, told) == (SIGNALS[sign], "interrupted; go on with: the same command\n")


@pytest.mark.parametrize("sign", SIGNALS)
def test_work_whose_files_appear_at_its_end_says_that_nothing_was_written(
    sign: int, tmp_path: Path
) -> None:
    work = WORK.format(child="").replace("interruptible(tell_repeatable)", "working('at work')")
    work = work.replace("import interruptible, tell_repeatable", "import working")
    code, told = ended([work], tmp_path, "begun", sign)
    assert (code, told) == (SIGNALS[sign], "interrupted; nothing was written\n")


FORK = """
        # a signal that comes before the child's interpreter is ready is lost, so it says so first
        ready, told = os.pipe()
        child = os.fork()
        if not child:
            os.write(told, b"!")
            time.sleep(60)
            os._exit(0)
        os.read(ready, 1)
        os.kill(child, 15)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) + 100)
"""


def test_a_forked_process_dies_of_the_signal_and_tells_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORK.format(child=FORK.strip())],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert (done.returncode, done.stderr) == (100 - signal.SIGTERM, "")


def test_ray_exits_by_the_signal_in_our_place(tmp_path: Path) -> None:
    """It takes SIGTERM over as it connects, and exits with the number."""
    work = WORK.format(child="sys.exit(15)")
    done = subprocess.run(
        [sys.executable, "-c", work], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (143, "interrupted; go on with: the same command\n")


TRAIN = "train mobilenet_v3_small --data digits --epochs 50 --checkpoint-seconds 0 --out run"
SEARCH = "search --target iphone-13/ane --budget-ms 1 --out run"


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("line", "begun", "again"),
    [
        (TRAIN, "run/checkpoint.safetensors", "palmette train --resume run"),
        (SEARCH, "run/run.toml", "palmette search --resume run"),
    ],
    ids=["train", "search"],
)
def test_a_run_that_is_ended_names_what_goes_on_with_it(
    line: str, begun: str, again: str, tmp_path: Path
) -> None:
    code, told = ended([MAIN, *line.split()], tmp_path, begun, signal.SIGTERM)
    assert code == 143, told
    assert told.splitlines()[-1] == f"interrupted; go on with: {again}"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
